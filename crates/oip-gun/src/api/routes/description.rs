//! `GET /api/openapi.json`: the description of the API, this route included.

use std::sync::Arc;

use axum::{Extension, Json};
use utoipa::openapi::OpenApi;

use crate::http::NothingPrivate;

/// This description
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "health",
    responses((status = 200, description = "The API as OpenAPI 3.1", body = Object))
)]
pub(in super::super) async fn description(
    Extension(description): Extension<Arc<OpenApi>>,
) -> (Extension<NothingPrivate>, Json<Arc<OpenApi>>) {
    (Extension(NothingPrivate), Json(description))
}
