//! `/api/index`: how the index stands, rebuilding it, comparing it with the store.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_node::{IndexComparison, IndexReport};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::callers::MayOperate;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;

/// A rebuild is under way.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct RebuildAnswer {
    message: &'static str,
}

/// How the index stands
#[utoipa::path(
    get,
    path = "/api/index",
    tag = "index",
    responses(
        (status = 200, description = "Backend, mapping, lag, and the rebuild that is under way", body = Object),
        (status = 400, description = "An unknown parameter", body = ErrorBody)
    )
)]
pub(in super::super) async fn status(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<IndexReport>, ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    Ok(Json(state.node.index()))
}

/// Rebuild the index
///
/// Fills a new index from the store and puts it in place of the old one, which answers until then.
/// Returns at once; `GET /api/index` shows the progress.
#[utoipa::path(
    post,
    path = "/api/index/rebuild",
    tag = "index",
    responses(
        (status = 202, description = "A rebuild is under way", body = RebuildAnswer),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn rebuild(
    _: MayOperate,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<RebuildAnswer>), ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    state
        .node
        .rebuild_index()
        .await
        .map_err(|error| ApiError::internal("begin a new index", &error))?;
    let message = "The index is being rebuilt";
    Ok((StatusCode::ACCEPTED, Json(RebuildAnswer { message })))
}

/// Compare index and store
///
/// Reads both whole: half a minute for a million records.
#[utoipa::path(
    post,
    path = "/api/index/verify",
    tag = "index",
    responses(
        (status = 200, description = "By record type, numbers and digests of both sides; and the records that differ", body = Object),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn verify(
    _: MayOperate,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<IndexComparison>, ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    let comparison = state.node.verify_index().await;
    comparison
        .map(Json)
        .map_err(|error| ApiError::internal("compare the index with the store", &error))
}
