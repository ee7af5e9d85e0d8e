//! `POST /api/health/gun-sync/force`: one sweep now.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_node::SweepReport;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::super::callers::MayOperate;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;

/// What the sweep did.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SyncAnswer {
    message: &'static str,
    /// When the sweep ended (RFC 3339, UTC).
    #[schema(example = "2026-01-20T10:00:00Z")]
    timestamp: String,
    /// Counters of this sweep.
    #[schema(value_type = Object)]
    sweep: SweepReport,
}

/// Sweep now
///
/// Asks every connected peer for its registry and waits until what is new has been fetched.
#[utoipa::path(
    post,
    path = "/api/health/gun-sync/force",
    tag = "health",
    responses(
        (status = 200, description = "The sweep has ended", body = SyncAnswer),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site", body = ErrorBody),
        (status = 503, description = "Sync is switched off", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn force(
    _: MayOperate,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<SyncAnswer>, ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    let sweep =
        state.node.sync_now().await.map_err(|error| {
            ApiError::refused(StatusCode::SERVICE_UNAVAILABLE, "sync-off", &error)
        })?;
    let timestamp = OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .map_err(|error| ApiError::internal("write the time", &error))?;
    Ok(Json(SyncAnswer {
        message: "Sync cycle completed",
        timestamp,
        sweep,
    }))
}
