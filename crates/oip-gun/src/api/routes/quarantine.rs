//! `/api/quarantine`: records refused for now, with the reason, and trying them again. What is in
//! quarantine was verified by nobody, so that only who may write sees it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_node::{QuarantineKind, QuarantineReplay, QuarantineRow};
use oip_record::Did;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::callers::MayOperate;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, number, shown};
use super::super::state::ApiState;

/// Rows of one page.
const ROWS_MAX: usize = 1_000;

/// Rows when the caller doesn't say.
const ROWS_DEFAULT: usize = 100;

/// A page of the quarantine.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct QuarantineAnswer {
    records: Vec<Quarantined>,
    /// The DID to go on behind; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One record in quarantine.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Quarantined {
    did: String,
    /// Who refused it: `record`: verification; `index`: the index, and the record is held.
    #[schema(value_type = String)]
    kind: QuarantineKind,
    record_type: Option<String>,
    creator: Option<String>,
    /// A stable label.
    reason: String,
    /// The reason in words.
    detail: String,
    /// The node it came from.
    source: Option<String>,
    attempts: u32,
    /// When it came here, ms since 1970.
    first_ms: u64,
    /// When it was last tried, ms since 1970.
    last_ms: u64,
    /// When it is tried again by itself, ms since 1970.
    due_ms: Option<u64>,
    /// The record as read, where one record is asked for and its texts may be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// Its `oip` as read, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    oip: Option<String>,
}

impl Quarantined {
    fn of(kind: QuarantineKind, row: QuarantineRow) -> Self {
        Self {
            did: Did::from_soul(&row.soul).to_string(),
            kind,
            record_type: row.record_type,
            creator: row.creator,
            reason: row.reason,
            detail: row.detail,
            source: row.source,
            attempts: row.attempts,
            first_ms: row.first_ms,
            last_ms: row.last_ms,
            due_ms: row.due_ms,
            data: row.data.map(|text| text.to_string()),
            oip: row.oip.map(|text| text.to_string()),
        }
    }

    fn without_texts(mut self) -> Self {
        (self.data, self.oip) = (None, None);
        self
    }
}

/// Records in quarantine
#[utoipa::path(
    get,
    path = "/api/quarantine",
    tag = "index",
    params(
        ("kind" = Option<String>, Query, description = "`record` (default): refused by verification; `index`: refused by the index"),
        ("did" = Option<String>, Query, description = "One record, of either kind, with its texts"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "Rows, 1 to 1000; 100 by default", minimum = 1, maximum = 1000)
    ),
    responses(
        (status = 200, description = "Rows in order of DID", body = QuarantineAnswer),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn list(
    _: MayOperate,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<QuarantineAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["kind", "did", "after", "limit"])?;
    let failed = |error| ApiError::internal("read the quarantine", &error);
    if let Some(did) = parameters.get("did") {
        let rows = state
            .node
            .quarantined(&parse_did(did)?)
            .await
            .map_err(failed)?;
        return Ok(Json(QuarantineAnswer {
            records: rows
                .into_iter()
                .map(|(kind, row)| Quarantined::of(kind, row))
                .collect(),
            next: None,
        }));
    }
    let kind = match parameters.get("kind") {
        None | Some("record") => QuarantineKind::Record,
        Some("index") => QuarantineKind::Index,
        Some(kind) => {
            return Err(ApiError::bad_request(
                "bad-parameter",
                format!("kind is {}: give record or index", shown(kind)),
            ));
        }
    };
    let limit = number(&parameters, "limit", ROWS_DEFAULT, 1..=ROWS_MAX)?;
    let after = parameters.get("after").map(parse_did).transpose()?;
    let rows = state
        .node
        .quarantine(kind, after.map(|did| did.soul().clone()), limit)
        .await
        .map_err(failed)?;
    let records: Vec<Quarantined> = rows
        .into_iter()
        .map(|row| Quarantined::of(kind, row).without_texts())
        .collect();
    let full = records.len() == limit;
    let next = records.last().filter(|_| full).map(|last| last.did.clone());
    Ok(Json(QuarantineAnswer { records, next }))
}

/// Try again what is in quarantine
///
/// Everything, or one record. What the index refused is tried before the answer; refused records are fetched and
/// judged again in the background.
#[utoipa::path(
    post,
    path = "/api/quarantine/replay",
    tag = "index",
    params(("did" = Option<String>, Query, description = "Only this record")),
    responses(
        (status = 200, description = "How many were tried, and how many the index took", body = Object),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn replay(
    _: MayOperate,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<QuarantineReplay>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["did"])?;
    let did = parameters.get("did").map(parse_did).transpose()?;
    let replayed = state.node.replay_quarantine(did.as_ref()).await;
    replayed
        .map(Json)
        .map_err(|error| ApiError::internal("try the quarantine again", &error))
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))
}
