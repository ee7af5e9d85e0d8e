//! `GET /api/records/explain`: everything that was decided about one record.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use oip_node::explain::Explanation;
use oip_record::Did;

use super::super::callers::{MayOperate, Reader};
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;

/// Explain a record
///
/// What is held of it and who vouches for it, what hides or keeps it out, what lies in the graph and
/// waits to be fetched, and the last decisions on it. For operators, as it names peers.
#[utoipa::path(
    get,
    path = "/api/records/explain",
    tag = "records",
    params(("did" = String, Query, description = "The record: did:gun:<soul>")),
    responses(
        (status = 200, description = "What is known, also of a record that is not held", body = Object),
        (status = 400, description = "No DID of a record on the graph", body = ErrorBody),
        (status = 401, description = "This needs the admin token", body = ErrorBody),
        (status = 403, description = "Sent by a web page of another site, or with a user's token", body = ErrorBody),
        (status = 404, description = "A private record that needs the admin token", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn explain(
    _: MayOperate,
    reader: Reader,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Explanation>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["did"])?;
    let did = Did::parse(parameters.get("did").unwrap_or_default())
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))?;
    let explained = state.node.explain(&did, &reader.access(&state).await).await;
    let explained = explained.map_err(|error| ApiError::internal("explain the record", &error))?;
    explained.map(Json).ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown-record",
            "there is nothing to tell of this record without the admin token",
        )
    })
}
