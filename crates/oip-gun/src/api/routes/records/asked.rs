//! The parameters of `GET /api/records` as a query: the deployed names, each a condition, and `q`, the syntax
//! for people. Every condition is part of the query, so that totals, pages and facets are right.

use std::ops::Bound;

use axum::http::StatusCode;
use oip_index::query::{FACET_VALUES_DEFAULT, FACET_VALUES_MAX, PAGE_HITS_DEFAULT, PAGE_HITS_MAX};
use oip_index::{
    Condition, Cursor, Direction, Facet, FacetRequest, FieldPath, Highlight, LastWord, MatchMode,
    Position, Query, SortBy, SortKey, Text, syntax,
};
use serde_json::Value;

use super::super::super::error::ApiError;
use super::super::super::parameters::{Parameters, number, shown};
use super::parse_did;

/// Every parameter.
pub(super) const KNOWN: &[&str] = &[
    "did",
    "didTx",
    "recordType",
    "creator_did_address",
    "creatorHandle",
    "q",
    "search",
    "searchMatchMode",
    "tags",
    "tagsMatchMode",
    "template",
    "dateStart",
    "dateEnd",
    "fieldSearch",
    "fieldName",
    "fieldMatchMode",
    "exactMatch",
    "storage",
    "source",
    "sortBy",
    "limit",
    "page",
    "cursor",
    "facets",
    "facetLimit",
    "highlight",
];

/// The parameters that the store can answer, for one record.
const STORE: &[&str] = &[
    "did",
    "didTx",
    "recordType",
    "creator_did_address",
    "storage",
    "source",
    "sortBy",
    "limit",
    "page",
];

/// Where records have their date, in seconds since 1970.
const DATES: [[&str; 3]; 3] = [
    ["data", "basic", "date"],
    ["data", "workoutSchedule", "scheduled_date"],
    ["data", "mealPlan", "meal_date"],
];

/// What a request asks for.
pub(super) struct Asked {
    pub(super) query: Query,
    /// Given where the store can answer, which knows a record before the index does.
    pub(super) stored: Option<StoreFilters>,
}

/// One record, and what else must hold for it.
pub(super) struct StoreFilters {
    pub(super) did: String,
    pub(super) record_type: Option<String>,
    pub(super) creator: Option<String>,
    pub(super) storage: Option<String>,
}

/// Reads the parameters.
pub(super) fn understand(parameters: &Parameters, page: usize) -> Result<Asked, ApiError> {
    let owned = |name: &str| parameters.get(name).map(str::to_owned);
    let (did, storage) = (did(parameters)?, storage(parameters)?);
    let limit = number(parameters, "limit", PAGE_HITS_DEFAULT, 1..=PAGE_HITS_MAX)?;
    let query = Query {
        condition: condition(parameters, did.as_deref(), storage.as_deref())?,
        sort: sort(parameters)?,
        limit,
        position: position(parameters, page, limit)?,
        facets: facets(parameters)?,
        highlight: highlight(parameters)?,
        ..Query::default()
    };
    query.check().map_err(|error| {
        let reason = match error {
            oip_index::QueryError::ForeignCursor => "bad-cursor",
            _ => "query-too-large",
        };
        ApiError::refused(StatusCode::BAD_REQUEST, reason, &error)
    })?;
    let by_store = parameters
        .iter()
        .all(|(name, value)| STORE.contains(&name) || value.trim().is_empty());
    let stored = did.filter(|_| by_store).map(|did| StoreFilters {
        did,
        record_type: owned("recordType"),
        creator: owned("creator_did_address"),
        storage,
    });
    Ok(Asked { query, stored })
}

fn condition(
    parameters: &Parameters,
    did: Option<&str>,
    storage: Option<&str>,
) -> Result<Condition, ApiError> {
    let exact = |name: &str, field: FieldPath| match parameters.get(name) {
        Some(value) => Condition::exact(field, [value]),
        None => Condition::Everything,
    };
    let handle = FieldPath::from_names(["oip", "creator", "creatorHandle"]);
    let parts = [
        did.map_or(Condition::Everything, Condition::did),
        exact("recordType", FieldPath::record_type()),
        exact("creator_did_address", FieldPath::creator()),
        exact(
            "creatorHandle",
            handle.map_err(|error| bad_field("creatorHandle", &error))?,
        ),
        storage.map_or(Condition::Everything, |method| {
            Condition::Storage(method.to_owned())
        }),
        written(parameters)?,
        words(parameters)?,
        tags(parameters)?,
        template(parameters)?,
        dates(parameters)?,
        field_search(parameters)?,
        exact_match(parameters)?,
    ];
    Ok(parts
        .into_iter()
        .fold(Condition::All(Vec::new()), Condition::and))
    .map(|condition| match condition {
        Condition::All(parts) if parts.is_empty() => Condition::Everything,
        condition => condition,
    })
}

/// `q`: the syntax for people.
fn written(parameters: &Parameters) -> Result<Condition, ApiError> {
    syntax::parse(parameters.get("q").unwrap_or_default())
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, "bad-query", &error))
}

/// `search`: plain words, as deployed apps send them.
fn words(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "searchMatchMode", MatchMode::All)?;
    Ok(match parameters.get("search") {
        None => Condition::Everything,
        Some(text) => Condition::Text(Text {
            mode,
            ..Text::new(text)
        }),
    })
}

fn tags(parameters: &Parameters) -> Result<Condition, ApiError> {
    let mode = match_mode(parameters, "tagsMatchMode", MatchMode::Any)?;
    let tags = list(parameters, "tags");
    Ok(match tags.is_empty() {
        true => Condition::Everything,
        false => Condition::Tags { tags, mode },
    })
}

fn template(parameters: &Parameters) -> Result<Condition, ApiError> {
    let Some(name) = parameters.get("template") else {
        return Ok(Condition::Everything);
    };
    let field =
        FieldPath::from_names(["data", name]).map_err(|error| bad_field("template", &error))?;
    Ok(Condition::Exists { field })
}

fn dates(parameters: &Parameters) -> Result<Condition, ApiError> {
    let bound = |name: &'static str| match parameters.get(name) {
        None => Ok(Bound::Unbounded),
        Some(text) if text.parse::<i64>().is_ok() => Ok(Bound::Included(text.to_owned())),
        Some(text) => Err(ApiError::bad_request(
            "bad-parameter",
            format!(
                "{name} is {}: give a time in seconds since 1970, such as 1768730400",
                shown(text)
            ),
        )),
    };
    let (from, to) = (bound("dateStart")?, bound("dateEnd")?);
    if matches!((&from, &to), (Bound::Unbounded, Bound::Unbounded)) {
        return Ok(Condition::Everything);
    }
    let ranges = DATES
        .into_iter()
        .filter_map(|names| FieldPath::from_names(names).ok())
        .map(|field| Condition::Range {
            field,
            from: from.clone(),
            to: to.clone(),
        });
    Ok(Condition::Any(ranges.collect()))
}

fn field_search(parameters: &Parameters) -> Result<Condition, ApiError> {
    let fields = fields(parameters, "fieldName")?;
    let text = match (parameters.get("fieldSearch"), fields.is_empty()) {
        (None, true) => return Ok(Condition::Everything),
        (Some(text), false) => text,
        (Some(_), true) => return Err(missing("fieldName", "fieldSearch")),
        (None, false) => return Err(missing("fieldSearch", "fieldName")),
    };
    match parameters.get("fieldMatchMode") {
        None | Some("partial") => Ok(Condition::Text(Text {
            last_word: LastWord::Prefix,
            fields,
            ..Text::new(text)
        })),
        Some("exact") => {
            let exact = fields
                .into_iter()
                .map(|field| Condition::exact(field, [text]));
            Ok(Condition::Any(exact.collect()))
        }
        Some(mode) => Err(ApiError::bad_request(
            "bad-parameter",
            format!("fieldMatchMode is {}: give partial or exact", shown(mode)),
        )),
    }
}

fn missing(missing: &str, given: &str) -> ApiError {
    ApiError::bad_request(
        "parameter-missing",
        format!("{given} is given without {missing}: they go together"),
    )
}

fn exact_match(parameters: &Parameters) -> Result<Condition, ApiError> {
    let Some(text) = parameters.get("exactMatch") else {
        return Ok(Condition::Everything);
    };
    let malformed = || {
        ApiError::bad_request(
            "bad-parameter",
            format!(
                "exactMatch is {}: give a JSON object of fields and values, such as {{\"oip.ver\":\"0.8.0\"}}",
                shown(text)
            ),
        )
    };
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return Err(malformed());
    };
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(malformed()),
    };
    let mut parts = Vec::new();
    for (name, value) in &members {
        let field = name
            .parse()
            .map_err(|error| bad_field("exactMatch", &error))?;
        let one = std::slice::from_ref(value);
        let values = value.as_array().map_or(one, Vec::as_slice);
        let any_of = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
        parts.push(Condition::exact(field, any_of));
    }
    Ok(Condition::All(parts))
}

fn did(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    one_of_two(
        parameters,
        "did",
        "didTx",
        "did and didTx name two records: give one of them",
    )?
    .map(|did| parse_did(did).map(|did| did.to_string()))
    .transpose()
}

fn one_of_two<'a>(
    parameters: &'a Parameters,
    name: &str,
    older: &str,
    contradiction: &str,
) -> Result<Option<&'a str>, ApiError> {
    match (parameters.get(name), parameters.get(older)) {
        (Some(one), Some(other)) if one != other => {
            Err(ApiError::bad_request("contradiction", contradiction))
        }
        (one, other) => Ok(one.or(other)),
    }
}

fn match_mode(
    parameters: &Parameters,
    name: &'static str,
    default: MatchMode,
) -> Result<MatchMode, ApiError> {
    match parameters.get(name) {
        None => Ok(default),
        Some(mode) if mode.eq_ignore_ascii_case("and") => Ok(MatchMode::All),
        Some(mode) if mode.eq_ignore_ascii_case("or") => Ok(MatchMode::Any),
        Some(mode) => Err(ApiError::bad_request(
            "bad-parameter",
            format!("{name} is {}: give AND or OR", shown(mode)),
        )),
    }
}

fn storage(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    let contradiction = "storage and source differ: give one of them";
    match one_of_two(parameters, "storage", "source", contradiction)? {
        None | Some("all") => Ok(None),
        Some(method) if method.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(Some(method.to_owned()))
        }
        Some(method) => Err(ApiError::bad_request(
            "bad-parameter",
            format!(
                "storage is {}: give all, or the method of the DIDs, such as gun",
                shown(method)
            ),
        )),
    }
}

fn sort(parameters: &Parameters) -> Result<Vec<SortKey>, ApiError> {
    list(parameters, "sortBy")
        .iter()
        .map(|text| {
            sort_key(text).ok_or_else(|| {
                ApiError::bad_request(
                    "bad-parameter",
                    format!(
                        "sortBy is {}: give field:asc or field:desc, where field is indexedAt, date, recordType, name, did, creatorHandle, ver, score, or any other such as recipe.servings",
                        shown(text)
                    ),
                )
            })
        })
        .collect()
}

fn sort_key(text: &str) -> Option<SortKey> {
    let (field, direction) = text.rsplit_once(':').unwrap_or((text, "desc"));
    let direction = match direction {
        "asc" => Direction::Ascending,
        "desc" => Direction::Descending,
        _ => return None,
    };
    let field = match field {
        "score" => {
            return Some(SortKey {
                by: SortBy::Relevance,
                direction,
            });
        }
        // Deployed apps send it by habit; records on the graph are in no block, and what they
        // mean by it is newest (or oldest) first.
        "inArweaveBlock" => FieldPath::indexed_at(),
        "creatorHandle" => FieldPath::from_names(["oip", "creator", "creatorHandle"]).ok()?,
        "ver" => FieldPath::from_names(["oip", "ver"]).ok()?,
        "scheduleDate" => FieldPath::from_names(DATES[1]).ok()?,
        "indexedAt" | "date" | "recordType" | "name" | "did" | "type" | "creator" | "node" => {
            field.parse().ok()?
        }
        // A single name is a template, which has no order.
        path if path.contains('.') => path.parse().ok()?,
        _ => return None,
    };
    Some(SortKey::field(field, direction))
}

fn position(parameters: &Parameters, page: usize, limit: usize) -> Result<Position, ApiError> {
    let Some(text) = parameters.get("cursor") else {
        return Ok(Position::Offset((page - 1).saturating_mul(limit)));
    };
    if parameters.get("page").is_some() {
        return Err(ApiError::bad_request(
            "contradiction",
            "cursor and page both say where to begin: give one of them",
        ));
    }
    let cursor: Cursor = text
        .parse()
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, "bad-cursor", &error))?;
    Ok(Position::After(cursor))
}

fn facets(parameters: &Parameters) -> Result<Vec<FacetRequest>, ApiError> {
    let range = 1..=FACET_VALUES_MAX;
    let values_max = number(parameters, "facetLimit", FACET_VALUES_DEFAULT, range)?;
    let mut requests: Vec<FacetRequest> = Vec::new();
    for name in list(parameters, "facets") {
        let Some(facet) = Facet::ALL.into_iter().find(|facet| facet.label() == name) else {
            return Err(ApiError::bad_request(
                "bad-parameter",
                format!(
                    "facets names {}: give type, creator, node or tag, separated by commas",
                    shown(&name)
                ),
            ));
        };
        if !requests.iter().any(|request| request.facet == facet) {
            requests.push(FacetRequest { facet, values_max });
        }
    }
    Ok(requests)
}

fn highlight(parameters: &Parameters) -> Result<Option<Highlight>, ApiError> {
    let fields = match parameters.get("highlight") {
        None | Some("false") => return Ok(None),
        Some("true") => Vec::new(),
        Some(_) => fields(parameters, "highlight")?,
    };
    Ok(Some(Highlight {
        fields,
        ..Highlight::default()
    }))
}

/// The parts of a list with commas, blank ones left out.
fn list(parameters: &Parameters, name: &str) -> Vec<String> {
    let text = parameters.get(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn fields(parameters: &Parameters, name: &'static str) -> Result<Vec<FieldPath>, ApiError> {
    list(parameters, name)
        .iter()
        .map(|field| field.parse().map_err(|error| bad_field(name, &error)))
        .collect()
}

fn bad_field(parameter: &str, error: &oip_index::field::FieldError) -> ApiError {
    ApiError::bad_request("bad-parameter", format!("{parameter}: {error}"))
}
