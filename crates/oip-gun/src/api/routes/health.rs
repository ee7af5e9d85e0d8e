//! `GET /api/health` (the process answers) and `GET /api/health/gun-sync` (does sync work?).

use axum::extract::State;
use axum::{Extension, Json};
use oip_node::Health;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error::ApiError;
use super::super::state::ApiState;
use crate::http::NothingPrivate;

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct Alive {
    #[schema(example = "OK")]
    status: &'static str,
}

/// Liveness
///
/// Says only that the process answers; `/api/health/gun-sync` says whether it does its work.
#[utoipa::path(
    get,
    path = "/api/health",
    tag = "health",
    responses((status = 200, description = "The process answers", body = Alive))
)]
pub(in super::super) async fn health() -> Json<Alive> {
    Json(Alive { status: "OK" })
}

/// Health of the sync
///
/// `status` is `healthy` when the links are up, the lag is small and nothing is stuck, and says
/// so again as soon as the cause is gone; `reasons` names what is wrong.
#[utoipa::path(
    get,
    path = "/api/health/gun-sync",
    tag = "health",
    responses(
        (status = 200, description = "State of the sync: counters, registry, links and lag per peer", body = Object)
    )
)]
pub(in super::super) async fn gun_sync(
    State(state): State<ApiState>,
) -> Result<(Extension<NothingPrivate>, Json<Health>), ApiError> {
    // Counting what is held reads the index, which is no work for the reactor.
    let health = tokio::task::spawn_blocking(move || state.node.health())
        .await
        .map_err(|error| ApiError::internal("look at the sync", &error))?;
    Ok((Extension(NothingPrivate), Json(health)))
}
