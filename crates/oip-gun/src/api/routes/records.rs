//! `GET /api/records`: one record by its DID, or a page of those that fit.
//!
//! A DID is looked up in the store, so that a record is found the moment its publish was
//! answered; everything else asks the index. What the parameters mean stands in `asked`, how records are shown
//! in `shaping`, `resolve` and `nutrition`.

mod answer;
mod asked;
mod names;
mod nutrition;
mod resolve;
mod shaping;
mod tags;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use oip_index::query::RESULT_WINDOW_MAX;
use oip_index::{Access, Hit, IndexError, Query};
use oip_node::ReadError;
use oip_record::{Did, privacy};
use serde_json::Value;

use super::super::callers::Reader;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, flag, number};
use super::super::state::ApiState;
use crate::http::NothingPrivate;
use answer::{Auth, RecordsAnswer, counted, highlights_of};
use asked::{KNOWN, StoreFilters};
use resolve::Gathered;
use shaping::{Following, Shape};

/// Find records
///
/// Every filter that is given must hold. A slip in the name of a parameter is an error, since the answer
/// would be everything; other unknown parameters are ignored, as deployed nodes do, and named in `ignoredParams`. Blank
/// parameters count as not given. Credentials that aren't this node's are treated as none.
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
        ("dateStart" = Option<String>, Query, description = "Dated then or later: `basic.date`, `workoutSchedule.scheduled_date` or `mealPlan.meal_date`. Seconds since 1970, a day, or an RFC 3339 time"),
        ("dateEnd" = Option<String>, Query, description = "Dated then or earlier, likewise; a day counts whole"),
        ("scheduledOn" = Option<String>, Query, description = "Workouts and meals planned for this day (UTC)"),
        ("fieldSearch" = Option<String>, Query, description = "Text to find in `fieldName`"),
        ("fieldName" = Option<String>, Query, description = "Fields, separated by commas, relative to `data`: `post.webUrl`, or with `data.` or `oip.` in front"),
        ("fieldMatchMode" = Option<String>, Query, description = "`partial` (default): its words, the last one perhaps unfinished; `exact`: the whole value"),
        ("exactMatch" = Option<String>, Query, description = "JSON object of fields and the values they must have: `{\"oip.ver\":\"0.8.0\",\"recipe.servings\":[2,4]}`; of several values any"),
        ("didTxRef" = Option<String>, Query, description = "Records that refer to this DID, or to DIDs that begin so, anywhere in their data"),
        ("url" = Option<String>, Query, description = "Records about this address: `webUrl`, `url` and `basic.urlItems`"),
        ("hasAudio" = Option<bool>, Query, description = "With sound, or without"),
        ("inArweaveBlock" = Option<String>, Query, description = "Records that name this block; `bad` finds none"),
        ("exerciseNames" = Option<String>, Query, description = "Workouts with any of these exercises, separated by commas; the more of them the earlier"),
        ("exerciseDIDs" = Option<String>, Query, description = "The same by their DIDs"),
        ("ingredientNames" = Option<String>, Query, description = "Recipes with any of these ingredients, likewise"),
        ("equipmentRequired" = Option<String>, Query, description = "Exercises that need this equipment, separated by commas"),
        ("equipmentMatchMode" = Option<String>, Query, description = "`AND` (default) or `OR`"),
        ("exerciseType" = Option<String>, Query, description = "Exercises of these kinds, such as `warmup,main`"),
        ("exerciseTypeMatchMode" = Option<String>, Query, description = "`OR` (default) or `AND`"),
        ("cuisine" = Option<String>, Query, description = "Recipes of these cuisines"),
        ("cuisineMatchMode" = Option<String>, Query, description = "`OR` (default) or `AND`"),
        ("model" = Option<String>, Query, description = "Model providers with these models, and sessions held with them"),
        ("modelMatchMode" = Option<String>, Query, description = "`OR` (default) or `AND`"),
        ("noteSearchQuery" = Option<String>, Query, description = "Notes with these words in name, summary, topics or participants"),
        ("noteAttendees" = Option<String>, Query, description = "Notes with any of these participants, separated by commas"),
        ("includeDeleteMessages" = Option<bool>, Query, description = "List records of type `deleteMessage`, `delete` and `deleteTemplate` too; by default they are left out unless `recordType` or `did` names them"),
        ("noDuplicates" = Option<bool>, Query, description = "Of records with the same `basic.name` the first alone, in the order asked for; for up to 10000 records that fit"),
        ("storage" = Option<String>, Query, description = "`all` (default) or the DID method, such as `gun`"),
        ("source" = Option<String>, Query, description = "Older name of `storage`"),
        ("sortBy" = Option<String>, Query, description = "`field:asc` or `field:desc`, several separated by commas; any field, or indexedAt, date, recordType, name, did, creatorHandle, ver, score. `inArweaveBlock` is taken for `indexedAt`: these records are in no block. Default: by score where there are words, else newest first"),
        ("limit" = Option<usize>, Query, description = "Records per page; 20 by default, 1000 at most, and more counts as 1000: `pageSize` tells", minimum = 1),
        ("page" = Option<usize>, Query, description = "Page from 1", minimum = 1),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before, in place of `page`: any depth, and no record twice or left out while others come and go"),
        ("facets" = Option<String>, Query, description = "What to count among all records that fit, separated by commas: type, creator, node, tag"),
        ("facetLimit" = Option<usize>, Query, description = "Values of each facet, 1 to 1000; 20 by default", minimum = 1, maximum = 1000),
        ("highlight" = Option<String>, Query, description = "`true`, or fields separated by commas: show what was found"),
        ("summarizeTags" = Option<bool>, Query, description = "Count the tags of all that fits: `tagSummary`; and show the records that have one of them"),
        ("tagCount" = Option<usize>, Query, description = "Tags of a summary, 1 to 1000; 25 by default", minimum = 1, maximum = 1000),
        ("tagPage" = Option<usize>, Query, description = "Page of the tags, from 1", minimum = 1, maximum = 1000),
        ("resolveDepth" = Option<usize>, Query, description = "Show the records that are referred to (`did:gun:…`) in place, as far as the caller may see them: how deep, 0 (default) to 5"),
        ("resolveNamesOnly" = Option<bool>, Query, description = "Their names in place of them"),
        ("resolveFieldName" = Option<String>, Query, description = "In these fields alone, separated by commas: `recipe.ingredient`, or a last name such as `ingredient`"),
        ("summarizeRecipe" = Option<bool>, Query, description = "Add to recipes what their ingredients hold together, and per serving"),
        ("hideDateReadable" = Option<bool>, Query, description = "Leave out `data.basic.dateReadable`, which is added otherwise"),
        ("hideNullValues" = Option<bool>, Query, description = "Leave out members that are null"),
        ("includeSigs" = Option<bool>, Query, description = "`false` leaves `oip.signature` out"),
        ("includePubKeys" = Option<bool>, Query, description = "`false` leaves `oip.creator.publicKey` out"),
        ("forceRefresh" = Option<bool>, Query, description = "Has no meaning here: nothing is kept between requests")
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
) -> Result<Response, ApiError> {
    let parameters = Parameters::read_of_deployed(query.as_deref(), KNOWN)?;
    let page = number(&parameters, "page", 1, 1..=RESULT_WINDOW_MAX)?;
    let showing = Showing::read(&parameters)?;
    let mut asked = asked::understand(&parameters, page)?;
    // A part of the query itself: what he may not read does not exist for it.
    let access = reader.access(&state).await;
    asked.query.access = access.clone();
    for named in std::mem::take(&mut asked.named) {
        let condition = named.condition(&state, &access).await?;
        asked.query.condition = asked.query.condition.and(condition);
    }
    let limit = asked.query.limit;
    let (with_facets, with_highlights) = (
        !asked.query.facets.is_empty(),
        asked.query.highlight.is_some(),
    );
    let tags = match asked.tags {
        Some(page) => Some(tags::summarize(&state, page, &mut asked.query).await?),
        None => None,
    };
    let found = match (asked.stored, asked.names_once) {
        (Some(filters), _) => by_did(&state, &filters, &access, &reader, page).await?,
        (None, true) => noted(
            &state,
            &reader,
            names::once(&state, asked.query, page).await?,
        ),
        (None, false) => noted(&state, &reader, search(&state, asked.query).await?),
    };
    let everything = Query {
        access: access.clone(),
        limit: 0,
        ..Query::default()
    };
    let total_records = search(&state, everything).await?.total;
    let highlights = with_highlights.then(|| found.hits.iter().map(highlights_of).collect());
    let mut records: Vec<_> = found.hits.into_iter().map(|hit| hit.document).collect();
    let references_bounded = showing.show(&state, &access, &reader, &mut records).await?;
    let (tag_summary, tag_count) = tags.unzip();
    // Counts of values, and what records refer to, may be those of private ones.
    let is_public = !with_facets
        && tag_summary.is_none()
        && !showing.refers()
        && records.iter().all(|record| is_for_everyone(record));
    let answer = Json(RecordsAnswer {
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
        highlights,
        records,
        tag_summary,
        tag_count,
        ignored_params: parameters.ignored().to_vec(),
        references_bounded,
        auth: Auth {
            authenticated: reader != Reader::Anonymous,
            user: reader.shown(),
        },
    });
    Ok(match is_public {
        true => (Extension(NothingPrivate), answer).into_response(),
        false => answer.into_response(),
    })
}

/// Whether a document says of itself that anyone may see it.
fn is_for_everyone(document: &Value) -> bool {
    let oip = &document["oip"];
    oip["wasEncrypted"] != true
        && oip["privacy"].is_null()
        && privacy::asks_for_privacy(&document["data"], &serde_json::Map::new()).is_none()
}

/// How records are shown.
struct Showing {
    shape: Shape,
    following: Option<Following>,
    recipes: bool,
}

impl Showing {
    /// Whether records are shown in place of references to them, or counted together.
    fn refers(&self) -> bool {
        self.following.is_some() || self.recipes
    }

    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        Ok(Self {
            shape: Shape::read(parameters)?,
            following: Following::read(parameters)?,
            recipes: flag(parameters, "summarizeRecipe", false)?,
        })
    }

    /// Gives whether a bound was met.
    async fn show(
        &self,
        state: &ApiState,
        access: &Access,
        reader: &Reader,
        records: &mut [Arc<Value>],
    ) -> Result<bool, ApiError> {
        let mut bounded = false;
        if self.recipes {
            let ingredients = Following::one_field(asked::field("recipe.ingredient"));
            let gathered = Gathered::of(state, access, reader, &ingredients, records).await?;
            for record in &mut *records {
                if record.pointer("/data/recipe").is_some() {
                    nutrition::summarize(Arc::make_mut(record), |did| gathered.document(did));
                }
            }
            bounded |= gathered.bounded;
        }
        if let Some(following) = &self.following {
            let gathered = Gathered::of(state, access, reader, following, records).await?;
            bounded |= gathered.show_in(following, self.shape, records);
        }
        for record in records {
            if self.shape.changes(record) {
                self.shape.apply(Arc::make_mut(record));
            }
        }
        Ok(bounded)
    }
}

/// Has the audit trail say what an operator's search found of private records.
fn noted(state: &ApiState, reader: &Reader, page: oip_index::Page) -> oip_index::Page {
    if let Reader::Admin(operator) = reader {
        // Sealed, or private in the clear of others.
        let private = |hit: &&Hit| {
            let oip = &hit.document["oip"];
            oip["wasEncrypted"] == true || oip["privacy"] == oip_node::EXPOSED
        };
        let count = page.hits.iter().filter(private).count();
        state.node.note_found(operator, count as u64);
    }
    page
}

/// The record with a DID, from the store, held against the other filters.
async fn by_did(
    state: &ApiState,
    filters: &StoreFilters,
    access: &Access,
    reader: &Reader,
    page: usize,
) -> Result<oip_index::Page, ApiError> {
    let did = parse_did(&filters.did)?;
    let found = state
        .node
        .get_for(&did, access, &reader.caller())
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
        busy @ ReadError::Busy { .. } => ApiError::busy(busy.to_string()),
        error => ApiError::internal("search", &error),
    })
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))
}
