//! The parameters of `GET /api/records` as a query: the deployed names, each a condition, and `q`, the syntax
//! for people. Every condition is part of the query, so that totals, pages and facets are right. `filters` are the
//! conditions on one record, `named` those on records that it refers to, `order` which comes first.
//! Which parameters of deployed nodes are served, and which not, stands in `docs/api-parity.md`.

mod filters;
mod named;
mod order;

use axum::http::StatusCode;
use oip_index::query::{FACET_VALUES_DEFAULT, FACET_VALUES_MAX, PAGE_HITS_DEFAULT, PAGE_HITS_MAX};
use oip_index::{Cursor, Facet, FacetRequest, FieldPath, Highlight, Position, Query};

use super::super::super::error::ApiError;
use super::super::super::parameters::{Parameters, flag, list, number, shown};
pub(super) use filters::field;
pub(super) use named::Named;

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
    "scheduledOn",
    "fieldSearch",
    "fieldName",
    "fieldMatchMode",
    "exactMatch",
    "didTxRef",
    "url",
    "hasAudio",
    "inArweaveBlock",
    "exerciseNames",
    "exerciseDIDs",
    "ingredientNames",
    "equipmentRequired",
    "equipmentMatchMode",
    "exerciseType",
    "exerciseTypeMatchMode",
    "cuisine",
    "cuisineMatchMode",
    "model",
    "modelMatchMode",
    "noteSearchQuery",
    "noteAttendees",
    "includeDeleteMessages",
    "noDuplicates",
    "storage",
    "source",
    "sortBy",
    "limit",
    "page",
    "cursor",
    "facets",
    "facetLimit",
    "highlight",
    "summarizeTags",
    "tagCount",
    "tagPage",
    "resolveDepth",
    "resolveNamesOnly",
    "resolveFieldName",
    "summarizeRecipe",
    "hideDateReadable",
    "hideNullValues",
    "includeSigs",
    "includePubKeys",
    "forceRefresh",
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
    "includeDeleteMessages",
    "resolveDepth",
    "resolveNamesOnly",
    "resolveFieldName",
    "summarizeRecipe",
    "hideDateReadable",
    "hideNullValues",
    "includeSigs",
    "includePubKeys",
    "forceRefresh",
];

/// Highest `limit` that is read as "all": what is more is a slip.
const LIMIT_ASKED_MAX: usize = 1_000_000_000;

/// Tags of a summary when the caller doesn't say (the deployed default).
const TAG_COUNT_DEFAULT: usize = 25;

/// What a request asks for.
pub(super) struct Asked {
    pub(super) query: Query,
    /// Given where the store can answer, which knows a record before the index does.
    pub(super) stored: Option<StoreFilters>,
    /// Records whose names stand for them: to be found first, and then a condition like the others.
    pub(super) named: Vec<Named>,
    /// Of records with one name the first alone.
    pub(super) names_once: bool,
    /// Which part of the tags to count.
    pub(super) tags: Option<TagPage>,
}

/// One record, and what else must hold for it.
pub(super) struct StoreFilters {
    pub(super) did: String,
    pub(super) record_type: Option<String>,
    pub(super) creator: Option<String>,
    pub(super) storage: Option<String>,
}

/// A part of the tags, the most frequent first.
#[derive(Debug, Clone, Copy)]
pub(super) struct TagPage {
    pub(super) skip: usize,
    pub(super) take: usize,
}

/// Reads the parameters.
pub(super) fn understand(parameters: &Parameters, page: usize) -> Result<Asked, ApiError> {
    let owned = |name: &str| parameters.get(name).map(str::to_owned);
    let (did, storage) = (filters::did(parameters)?, filters::storage(parameters)?);
    // Deployed nodes know no most; `pageSize` tells how many a page holds.
    let limit = number(parameters, "limit", PAGE_HITS_DEFAULT, 1..=LIMIT_ASKED_MAX)?;
    let limit = limit.min(PAGE_HITS_MAX);
    // Nothing is kept between requests that could be stale.
    flag(parameters, "forceRefresh", false)?;
    let sort = order::sort(parameters)?;
    let query = Query {
        condition: filters::condition(parameters, did.as_deref(), storage.as_deref(), &sort)?,
        sort,
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
    let stored = did
        .filter(|did| by_store && filters::is_on_the_graph(did))
        .map(|did| StoreFilters {
            did,
            record_type: owned("recordType"),
            creator: owned("creator_did_address"),
            storage,
        });
    let names_once = flag(parameters, "noDuplicates", false)?;
    if names_once && parameters.get("cursor").is_some() {
        return Err(ApiError::bad_request(
            "contradiction",
            "noDuplicates gives pages, not places between records: give page in place of cursor",
        ));
    }
    Ok(Asked {
        query,
        stored,
        named: named::read(parameters)?,
        names_once,
        tags: tag_page(parameters)?,
    })
}

fn tag_page(parameters: &Parameters) -> Result<Option<TagPage>, ApiError> {
    let take = number(
        parameters,
        "tagCount",
        TAG_COUNT_DEFAULT,
        1..=FACET_VALUES_MAX,
    )?;
    let page = number(parameters, "tagPage", 1, 1..=FACET_VALUES_MAX)?;
    let asked = flag(parameters, "summarizeTags", false)?;
    Ok(asked.then(|| TagPage {
        skip: (page - 1).saturating_mul(take),
        take,
    }))
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

fn fields(parameters: &Parameters, name: &'static str) -> Result<Vec<FieldPath>, ApiError> {
    list(parameters, name)
        .iter()
        .map(|field| field.parse().map_err(|error| bad_field(name, &error)))
        .collect()
}

pub(super) fn bad_field(parameter: &str, error: &oip_index::field::FieldError) -> ApiError {
    ApiError::bad_request("bad-parameter", format!("{parameter}: {error}"))
}
