//! `GET /api/records`: one record by its DID, or a page of those that fit.
//!
//! A DID is looked up in the store, so that a record is found the moment its publish was
//! answered; everything else asks the index.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_index::query::{PAGE_HITS_DEFAULT, PAGE_HITS_MAX, RESULT_WINDOW_MAX};
use oip_index::{
    Access, Condition, Direction, FieldPath, MatchMode, Position, Query, SortBy, SortKey, Text,
};
use oip_record::Did;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::callers::Reader;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, number, shown};
use super::super::state::ApiState;

const KNOWN: &[&str] = &[
    "did",
    "didTx",
    "recordType",
    "creator_did_address",
    "search",
    "searchMatchMode",
    "tags",
    "tagsMatchMode",
    "storage",
    "sortBy",
    "limit",
    "page",
];

/// The page, in the deployed shape.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct RecordsAnswer {
    message: &'static str,
    /// Always null: this node follows no chain.
    #[serde(rename = "latestArweaveBlockInDB")]
    #[schema(value_type = Option<u64>)]
    latest_arweave_block_in_db: Value,
    /// Always null: this node follows no chain.
    #[schema(value_type = Option<String>)]
    indexing_progress: Value,
    /// How many records this node holds in all.
    total_records: u64,
    page_size: usize,
    current_page: usize,
    /// How many records fit the query, on all pages.
    search_results: u64,
    /// The parameters that were taken, as given.
    #[schema(value_type = Object)]
    query_params: Map<String, Value>,
    total_pages: u64,
    /// The records of this page: `{data, oip}` each.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Arc<Value>>,
    auth: Auth,
}

/// Whether the call carried credentials of this node.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct Auth {
    authenticated: bool,
    /// Always null: this version knows no users.
    #[schema(value_type = Option<Object>)]
    user: Value,
}

/// Find records
///
/// Every filter that is given must hold. An unknown parameter is an error: a filter with a slip
/// in its name would answer with everything. Blank parameters count as not given. Credentials
/// that aren't this node's are treated as none.
#[utoipa::path(
    get,
    path = "/api/records",
    tag = "records",
    params(
        ("did" = Option<String>, Query, description = "The record with this DID, `did:gun:<soul>`"),
        ("didTx" = Option<String>, Query, description = "Older name of `did`"),
        ("recordType" = Option<String>, Query, description = "Records of this type"),
        ("creator_did_address" = Option<String>, Query, description = "Records of this creator, such as `did:key:z6Mk…`"),
        ("search" = Option<String>, Query, description = "Words to find in the record's texts"),
        ("searchMatchMode" = Option<String>, Query, description = "`AND` (default): all words; `OR`: any of them"),
        ("tags" = Option<String>, Query, description = "Tags, separated by commas, as they stand in `basic.tagItems`"),
        ("tagsMatchMode" = Option<String>, Query, description = "`OR` (default): any of the tags; `AND`: all of them"),
        ("storage" = Option<String>, Query, description = "`all` (default) or the DID method, such as `gun`"),
        ("sortBy" = Option<String>, Query, description = "`field:asc` or `field:desc`; fields: indexedAt, date, recordType, name, did, score. `inArweaveBlock` is taken for `indexedAt`: these records are in no block. Default: by score where `search` is given, else newest first"),
        ("limit" = Option<usize>, Query, description = "Records per page, 1 to 1000; 20 by default", minimum = 1, maximum = 1000),
        ("page" = Option<usize>, Query, description = "Page from 1", minimum = 1)
    ),
    responses(
        (status = 200, description = "A page of records; empty when nothing fits", body = RecordsAnswer),
        (status = 400, description = "A parameter is unknown or malformed", body = ErrorBody)
    )
)]
pub(in super::super) async fn records(
    reader: Reader,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<RecordsAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), KNOWN)?;
    let page = number(&parameters, "page", 1, 1..=RESULT_WINDOW_MAX)?;
    let access = reader.access(&state).await;
    let asked = Asked {
        did: did(&parameters)?,
        record_type: parameters.get("recordType").map(str::to_owned),
        creator: parameters.get("creator_did_address").map(str::to_owned),
        query: understand(&parameters, page, access.clone())?,
    };
    let (search_results, records) = find(&state, &asked).await?;
    let query = &asked.query;
    let everything = Query {
        access,
        limit: 0,
        ..Query::default()
    };
    let total_records = search(&state, everything).await?.total;
    Ok(Json(RecordsAnswer {
        message: "Records retrieved successfully",
        latest_arweave_block_in_db: Value::Null,
        indexing_progress: Value::Null,
        total_records,
        page_size: query.limit,
        current_page: page,
        search_results,
        query_params: parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
            .collect(),
        total_pages: search_results.div_ceil(query.limit as u64),
        records,
        auth: Auth {
            authenticated: reader != Reader::Anonymous,
            user: reader.shown(),
        },
    }))
}

/// The query, and what of it a record read by its DID is held against.
struct Asked {
    did: Option<String>,
    record_type: Option<String>,
    creator: Option<String>,
    query: Query,
}

async fn find(state: &ApiState, asked: &Asked) -> Result<(u64, Vec<Arc<Value>>), ApiError> {
    // Words, tags and storage are the index's affair.
    let needs_index = match &asked.query.condition {
        Condition::All(all) => all.iter().any(|one| {
            matches!(
                one,
                Condition::Text(_) | Condition::Tags { .. } | Condition::Storage(_)
            )
        }),
        _ => false,
    };
    match &asked.did {
        Some(did) if !needs_index => by_did(state, asked, did).await,
        _ => {
            let page = search(state, asked.query.clone()).await?;
            let records = page.hits.into_iter().map(|hit| hit.document).collect();
            Ok((page.total, records))
        }
    }
}

/// The record with `did`, from the store, held against the other filters.
async fn by_did(
    state: &ApiState,
    asked: &Asked,
    did: &str,
) -> Result<(u64, Vec<Arc<Value>>), ApiError> {
    let did = parse_did(did)?;
    let found = state
        .node
        .get_as(&did, &asked.query.access)
        .await
        .map_err(|error| ApiError::internal("read the record", &error))?;
    let fits = |document: &Value, pointer: &str, wanted: &Option<String>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| document.pointer(pointer).and_then(Value::as_str) == Some(wanted))
    };
    let found = found.filter(|document| {
        fits(document, "/oip/recordType", &asked.record_type)
            && fits(document, "/oip/creator/didAddress", &asked.creator)
    });
    let total = u64::from(found.is_some());
    let on_page = found.filter(|_| asked.query.position == Position::Offset(0));
    Ok((total, on_page.into_iter().map(Arc::new).collect()))
}

async fn search(state: &ApiState, query: Query) -> Result<oip_index::Page, ApiError> {
    state
        .node
        .search(query)
        .await
        .map_err(|error| ApiError::internal("search", &error))
}

fn understand(parameters: &Parameters, page: usize, access: Access) -> Result<Query, ApiError> {
    let limit = number(parameters, "limit", PAGE_HITS_DEFAULT, 1..=PAGE_HITS_MAX)?;
    let mut all = Vec::new();
    if let Some(text) = parameters.get("search") {
        let mode = match_mode(parameters, "searchMatchMode", MatchMode::All)?;
        let mut words = Text::new(text);
        words.mode = mode;
        if !text.trim().is_empty() {
            all.push(Condition::Text(words));
        }
    }
    let tags: Vec<String> = parameters
        .get("tags")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect();
    if !tags.is_empty() {
        let mode = match_mode(parameters, "tagsMatchMode", MatchMode::Any)?;
        all.push(Condition::Tags { tags, mode });
    }
    if let Some(record_type) = parameters.get("recordType") {
        all.push(Condition::record_types([record_type]));
    }
    if let Some(creator) = parameters.get("creator_did_address") {
        all.push(Condition::exact(path("oip.creator.didAddress"), [creator]));
    }
    if let Some(did) = did(parameters)? {
        all.push(Condition::did(did));
    }
    if let Some(storage) = storage(parameters)? {
        all.push(Condition::Storage(storage));
    }
    let query = Query {
        condition: Condition::All(all),
        access,
        sort: sort(parameters)?,
        limit,
        position: Position::Offset((page - 1).saturating_mul(limit)),
        ..Query::default()
    };
    query
        .check()
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, "query-too-large", &error))?;
    Ok(query)
}

fn path(text: &'static str) -> FieldPath {
    text.parse().expect("a constant path is a path")
}

fn did(parameters: &Parameters) -> Result<Option<String>, ApiError> {
    let did = match (parameters.get("did"), parameters.get("didTx")) {
        (Some(did), Some(did_tx)) if did != did_tx => {
            return Err(ApiError::bad_request(
                "contradiction",
                "did and didTx name two records: give one of them",
            ));
        }
        (did, did_tx) => did.or(did_tx),
    };
    did.map(|did| parse_did(did).map(|did| did.to_string()))
        .transpose()
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))
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
    match parameters.get("storage") {
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
    let Some(text) = parameters.get("sortBy") else {
        return Ok(Vec::new());
    };
    let (field, direction) = text.split_once(':').unwrap_or((text, "desc"));
    let field = match field {
        // Deployed apps send it by habit; records on the graph are in no block, and what they
        // mean by it is newest (or oldest) first.
        "indexedAt" | "inArweaveBlock" => Some(SortBy::Field(path("oip.indexedAt"))),
        "date" => Some(SortBy::Field(path("data.basic.date"))),
        "recordType" => Some(SortBy::Field(path("oip.recordType"))),
        "name" => Some(SortBy::Field(path("data.basic.name"))),
        "did" => Some(SortBy::Field(path("oip.did"))),
        "score" => Some(SortBy::Relevance),
        _ => None,
    };
    let direction = match direction {
        "asc" => Some(Direction::Ascending),
        "desc" => Some(Direction::Descending),
        _ => None,
    };
    match (field, direction) {
        (Some(by), Some(direction)) => Ok(vec![SortKey { by, direction }]),
        _ => Err(ApiError::bad_request(
            "bad-parameter",
            format!(
                "sortBy is {}: give field:asc or field:desc, where field is indexedAt, date, recordType, name, did or score",
                shown(text)
            ),
        )),
    }
}
