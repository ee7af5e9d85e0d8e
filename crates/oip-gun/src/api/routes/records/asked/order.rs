//! `sortBy`: the deployed names of orders, and any field.

use oip_index::{Direction, FieldPath, SortBy, SortKey};

use super::super::super::super::error::ApiError;
use super::super::super::super::parameters::{Parameters, list, shown};
use super::filters::DATES;

/// Deployed names for how well a record fits what was asked for.
const FITS: [&str; 10] = [
    "score",
    "matchCount",
    "tags",
    "exerciseScore",
    "ingredientScore",
    "equipmentScore",
    "exerciseTypeScore",
    "cuisineScore",
    "modelScore",
    "noteScore",
];

/// The order asked for; empty where none is.
pub(super) fn sort(parameters: &Parameters) -> Result<Vec<SortKey>, ApiError> {
    let mut keys = Vec::new();
    for text in list(parameters, "sortBy") {
        let found = sort_keys(&text).ok_or_else(|| {
            ApiError::bad_request(
                "bad-parameter",
                format!(
                    "sortBy is {}: give field:asc or field:desc, where field is indexedAt, date, recordType, name, did, creatorHandle, ver, scheduleDate, score, or any other such as recipe.servings",
                    shown(&text)
                ),
            )
        })?;
        keys.extend(found);
    }
    Ok(keys)
}

fn sort_keys(text: &str) -> Option<Vec<SortKey>> {
    let (field, direction) = text.rsplit_once(':').unwrap_or((text, "desc"));
    let direction = match direction {
        "asc" => Direction::Ascending,
        "desc" => Direction::Descending,
        _ => return None,
    };
    let field = match field {
        fits if FITS.contains(&fits) => {
            return Some(vec![SortKey {
                by: SortBy::Relevance,
                direction,
            }]);
        }
        // Workouts and meals are planned in fields of their own; a record has one of them.
        "scheduleDate" => {
            let planned = DATES[1..].iter();
            let planned = planned.filter_map(|names| FieldPath::from_names(*names).ok());
            return Some(
                planned
                    .map(|field| SortKey::field(field, direction))
                    .collect(),
            );
        }
        // Deployed apps send it by habit; records on the graph are in no block, and what they
        // mean by it is newest (or oldest) first.
        "inArweaveBlock" => FieldPath::indexed_at(),
        "creatorHandle" => FieldPath::from_names(["oip", "creator", "creatorHandle"]).ok()?,
        "ver" => FieldPath::from_names(["oip", "ver"]).ok()?,
        "indexedAt" | "date" | "recordType" | "name" | "did" | "type" | "creator" | "node" => {
            field.parse().ok()?
        }
        // A single name is a template, which has no order.
        path if path.contains('.') => path.parse().ok()?,
        _ => return None,
    };
    Some(vec![SortKey::field(field, direction)])
}
