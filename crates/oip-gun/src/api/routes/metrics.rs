//! `GET /metrics`, in the OpenMetrics text form.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::super::error::ApiError;
use super::super::state::ApiState;

/// Metrics
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "Counters and gauges", body = String, content_type = "application/openmetrics-text")
    )
)]
pub(in super::super) async fn metrics(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let text = tokio::task::spawn_blocking(move || state.node.metrics())
        .await
        .map_err(|error| ApiError::internal("count", &error))?;
    Ok((
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
        .into_response())
}
