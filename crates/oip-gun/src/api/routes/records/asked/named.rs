//! The parameters that name other records: workouts by the names of their exercises, recipes by their ingredients,
//! exercises by their equipment. Records refer to these by DID, or bear the name itself; so the named records
//! are found first, and the condition is on either.

use oip_index::query::PAGE_HITS_MAX;
use oip_index::{Access, Condition, MatchMode, Query};

use super::super::super::super::error::ApiError;
use super::super::super::super::parameters::{Parameters, list, shown};
use super::super::super::super::state::ApiState;
use super::filters::{combined, field, match_mode, words_in};

/// Names in one parameter: each is a query of its own.
const NAMES_MAX: usize = 20;

/// What a parameter names.
struct Kind {
    parameter: &'static str,
    mode: Option<&'static str>,
    default: MatchMode,
    /// Where records bear names or DIDs.
    fields: &'static [&'static str],
    /// The template that the named records have.
    template: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        parameter: "exerciseNames",
        mode: None,
        default: MatchMode::Any,
        fields: &["workout.exercise"],
        template: "exercise",
    },
    Kind {
        parameter: "ingredientNames",
        mode: None,
        default: MatchMode::Any,
        fields: &["recipe.ingredient"],
        template: "nutritionalInfo",
    },
    Kind {
        parameter: "equipmentRequired",
        mode: Some("equipmentMatchMode"),
        default: MatchMode::All,
        fields: &["exercise.equipmentRequired", "exercise.equipment"],
        template: "fitnessEquipment",
    },
];

/// Records whose names were given, and where they are referred to.
pub(in super::super) struct Named {
    kind: &'static Kind,
    mode: MatchMode,
    names: Vec<String>,
}

pub(super) fn read(parameters: &Parameters) -> Result<Vec<Named>, ApiError> {
    let mut all = Vec::new();
    for kind in &KINDS {
        let mode = match kind.mode {
            Some(mode) => match_mode(parameters, mode, kind.default)?,
            None => kind.default,
        };
        let names = list(parameters, kind.parameter);
        if names.len() > NAMES_MAX {
            return Err(ApiError::bad_request(
                "bad-parameter",
                format!(
                    "{} holds {} names: give at most {NAMES_MAX}",
                    kind.parameter,
                    names.len()
                ),
            ));
        }
        if !names.is_empty() {
            all.push(Named { kind, mode, names });
        }
    }
    Ok(all)
}

/// A name with the capitals that people give it.
fn spellings(name: &str) -> [String; 4] {
    let lower = name.to_lowercase();
    let raised = |words: Vec<&str>| -> String {
        let raised = words.iter().map(|word| {
            let mut characters = word.chars();
            let first = characters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(characters).collect::<String>()
        });
        raised.collect::<Vec<_>>().join(" ")
    };
    let first = raised(vec![&lower]);
    let each = raised(lower.split(' ').collect());
    [name.to_owned(), lower, first, each]
}

impl Named {
    /// The condition on what refers to them, for this caller: what he may not see has no name for him.
    pub(in super::super) async fn condition(
        &self,
        state: &ApiState,
        access: &Access,
    ) -> Result<Condition, ApiError> {
        let mut parts = Vec::new();
        for name in &self.names {
            let dids = self.dids(state, access, name).await?;
            // Fields of words hold it among others, fields of whole values as it is.
            let mut ways = vec![words_in(self.kind.fields, name)];
            let whole = self.kind.fields.iter();
            ways.extend(whole.map(|path| Condition::exact(field(path), spellings(name))));
            let by_did = self.kind.fields.iter().filter(|_| !dids.is_empty());
            ways.extend(by_did.map(|path| Condition::exact(field(path), &dids)));
            parts.push(Condition::Any(ways));
        }
        Ok(combined(self.mode, parts))
    }

    async fn dids(
        &self,
        state: &ApiState,
        access: &Access,
        name: &str,
    ) -> Result<Vec<String>, ApiError> {
        let query = Query {
            access: access.clone(),
            limit: PAGE_HITS_MAX,
            ..Query::of(Condition::All(vec![
                Condition::Exists {
                    field: field(self.kind.template),
                },
                words_in(&["name"], name),
            ]))
        };
        let page = super::super::search(state, query).await?;
        // With some of them left out, the answer would be incomplete and not say so.
        if page.total > PAGE_HITS_MAX as u64 {
            return Err(ApiError::bad_request(
                "bad-parameter",
                format!(
                    "{}: {} fits {} records; write more of the name",
                    self.kind.parameter,
                    shown(name),
                    page.total
                ),
            ));
        }
        Ok(page.hits.into_iter().map(|hit| hit.did).collect())
    }
}
