//! `GET /api/records`: one record by its DID, or a page of those that fit.
//!
//! A DID is looked up in the store, so that a record is found the moment its publish was
//! answered; everything else asks the index. What the parameters mean stands in `asked`.

mod asked;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_index::query::RESULT_WINDOW_MAX;
use oip_index::{Access, FacetCounts, Fragment, Fragments, Hit, IndexError, Query};
use oip_node::ReadError;
use oip_record::Did;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::callers::Reader;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, number};
use super::super::state::ApiState;
use asked::{Asked, KNOWN, StoreFilters};

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
    /// Where the next page begins, for the parameter `cursor`; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// The counts that were asked for by `facets`: by facet, the most frequent first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    facets: Option<BTreeMap<&'static str, Vec<FacetEntry>>>,
    /// What was found, where `highlight` asks for it: an entry for each record, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    highlights: Option<Vec<Highlights>>,
    auth: Auth,
}

/// A value and how many records have it.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct FacetEntry {
    value: String,
    count: u64,
}

/// What was found in one record.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct Highlights {
    did: String,
    /// Fragments by field, as HTML text: what was found stands in `<em>`, everything else is escaped.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Vec<String>>,
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
        ("creatorHandle" = Option<String>, Query, description = "Records of the creator with this handle"),
        ("q" = Option<String>, Query, description = "A query as people write it: `lemon \"pearl barley\" type:recipe date:>=1768000000 NOT tag:=draft`; docs/api.md has the syntax"),
        ("search" = Option<String>, Query, description = "Words to find in the record's texts; nothing in it has a meaning beyond its words"),
        ("searchMatchMode" = Option<String>, Query, description = "`AND` (default): all words; `OR`: any of them"),
        ("tags" = Option<String>, Query, description = "Tags, separated by commas, as they stand in `basic.tagItems`"),
        ("tagsMatchMode" = Option<String>, Query, description = "`OR` (default): any of the tags; `AND`: all of them"),
        ("template" = Option<String>, Query, description = "Records with this template in their data"),
        ("dateStart" = Option<String>, Query, description = "Dated then or later, in seconds since 1970: `basic.date`, `workoutSchedule.scheduled_date` or `mealPlan.meal_date`"),
        ("dateEnd" = Option<String>, Query, description = "Dated then or earlier, likewise"),
        ("fieldSearch" = Option<String>, Query, description = "Text to find in `fieldName`"),
        ("fieldName" = Option<String>, Query, description = "Fields, separated by commas, relative to `data`: `post.webUrl`, or with `data.` or `oip.` in front"),
        ("fieldMatchMode" = Option<String>, Query, description = "`partial` (default): its words, the last one perhaps unfinished; `exact`: the whole value"),
        ("exactMatch" = Option<String>, Query, description = "JSON object of fields and the values they must have: `{\"oip.ver\":\"0.8.0\",\"recipe.servings\":[2,4]}`; of several values any"),
        ("storage" = Option<String>, Query, description = "`all` (default) or the DID method, such as `gun`"),
        ("source" = Option<String>, Query, description = "Older name of `storage`"),
        ("sortBy" = Option<String>, Query, description = "`field:asc` or `field:desc`, several separated by commas; any field, or indexedAt, date, recordType, name, did, creatorHandle, ver, score. `inArweaveBlock` is taken for `indexedAt`: these records are in no block. Default: by score where there are words, else newest first"),
        ("limit" = Option<usize>, Query, description = "Records per page, 1 to 1000; 20 by default", minimum = 1, maximum = 1000),
        ("page" = Option<usize>, Query, description = "Page from 1", minimum = 1),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before, in place of `page`: any depth, and no record twice or left out while others come and go"),
        ("facets" = Option<String>, Query, description = "What to count among all records that fit, separated by commas: type, creator, node, tag"),
        ("facetLimit" = Option<usize>, Query, description = "Values of each facet, 1 to 1000; 20 by default", minimum = 1, maximum = 1000),
        ("highlight" = Option<String>, Query, description = "`true`, or fields separated by commas: show what was found")
    ),
    responses(
        (status = 200, description = "A page of records; empty when nothing fits", body = RecordsAnswer),
        (status = 400, description = "A parameter is unknown or malformed; a fault in `q` is told with its place", body = ErrorBody)
    )
)]
pub(in super::super) async fn records(
    reader: Reader,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<RecordsAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), KNOWN)?;
    let page = number(&parameters, "page", 1, 1..=RESULT_WINDOW_MAX)?;
    let mut asked = asked::understand(&parameters, page)?;
    // A part of the query itself: what he may not read does not exist for it.
    asked.query.access = reader.access(&state).await;
    let limit = asked.query.limit;
    let (with_facets, with_highlights) = (
        !asked.query.facets.is_empty(),
        asked.query.highlight.is_some(),
    );
    let access = asked.query.access.clone();
    let found = find(&state, asked, page).await?;
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
        page_size: limit,
        current_page: page,
        search_results: found.total,
        query_params: parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
            .collect(),
        total_pages: found.total.div_ceil(limit as u64),
        next_cursor: found.next.as_ref().map(ToString::to_string),
        facets: with_facets.then(|| counted(found.facets, state.node.node_id())),
        highlights: with_highlights.then(|| found.hits.iter().map(highlights_of).collect()),
        records: found.hits.into_iter().map(|hit| hit.document).collect(),
        auth: Auth {
            authenticated: reader != Reader::Anonymous,
            user: reader.shown(),
        },
    }))
}

fn counted(facets: Vec<FacetCounts>, node_id: &str) -> BTreeMap<&'static str, Vec<FacetEntry>> {
    facets
        .into_iter()
        .map(|counts| {
            let values = counts.values.into_iter().map(|value| FacetEntry {
                // Only this node's own records have none.
                value: value.value.unwrap_or_else(|| node_id.to_owned()),
                count: value.documents,
            });
            (counts.facet.label(), values.collect())
        })
        .collect()
}

fn highlights_of(hit: &Hit) -> Highlights {
    let html = |Fragments { field, fragments }: &Fragments| {
        (field.to_string(), fragments.iter().map(marked).collect())
    };
    Highlights {
        did: hit.did.clone(),
        fields: hit.highlights.iter().map(html).collect(),
    }
}

fn marked(fragment: &Fragment) -> String {
    let mut html = String::new();
    let mut at = 0;
    for mark in &fragment.marks {
        escape(&mut html, &fragment.text[at..mark.start]);
        html.push_str("<em>");
        escape(&mut html, &fragment.text[mark.clone()]);
        html.push_str("</em>");
        at = mark.end;
    }
    escape(&mut html, &fragment.text[at..]);
    html
}

fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

async fn find(state: &ApiState, asked: Asked, page: usize) -> Result<oip_index::Page, ApiError> {
    match asked.stored {
        Some(filters) => by_did(state, &filters, &asked.query.access, page).await,
        None => search(state, asked.query).await,
    }
}

/// The record with a DID, from the store, held against the other filters.
async fn by_did(
    state: &ApiState,
    filters: &StoreFilters,
    access: &Access,
    page: usize,
) -> Result<oip_index::Page, ApiError> {
    let did = parse_did(&filters.did)?;
    let found = state
        .node
        .get_as(&did, access)
        .await
        .map_err(|error| ApiError::internal("read the record", &error))?;
    let fits = |document: &Value, pointer: &str, wanted: &Option<String>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| document.pointer(pointer).and_then(Value::as_str) == Some(wanted))
    };
    let found = found.filter(|document| {
        fits(document, "/oip/recordType", &filters.record_type)
            && fits(document, "/oip/creator/didAddress", &filters.creator)
            && filters
                .storage
                .as_deref()
                .is_none_or(|storage| storage == "gun")
    });
    Ok(oip_index::Page {
        total: u64::from(found.is_some()),
        hits: found
            .filter(|_| page == 1)
            .map(|document| Hit {
                did: did.to_string(),
                score: None,
                document: Arc::new(document),
                highlights: Vec::new(),
            })
            .into_iter()
            .collect(),
        ..oip_index::Page::default()
    })
}

async fn search(state: &ApiState, query: Query) -> Result<oip_index::Page, ApiError> {
    state.node.search(query).await.map_err(|error| match error {
        // The query is at fault: a value that its field can't have, or a bound that is broken.
        ReadError::Index(IndexError::Query(fault)) => {
            ApiError::refused(StatusCode::BAD_REQUEST, "bad-query", &fault)
        }
        error => ApiError::internal("search", &error),
    })
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))
}
