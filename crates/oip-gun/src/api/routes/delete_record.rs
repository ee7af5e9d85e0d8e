//! `POST /api/records/deleteRecord`: replaces a record by its tombstone.

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use oip_node::DeleteError;
use oip_record::Did;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::callers::MayWrite;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;
use super::new_record::not_written;

/// What to delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DeleteRequest {
    delete: DeleteTarget,
}

/// The record to delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DeleteTarget {
    /// `did:gun:<soul>`
    #[schema(example = "did:gun:5b1fd0c7a9e2:note-1")]
    did: String,
}

/// The answer, in the deployed shape.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct DeleteAnswer {
    success: bool,
    message: &'static str,
    /// The DID that names nothing any more.
    did: String,
    /// Always 1: a call deletes one record.
    deleted_count: u32,
    #[schema(example = "deleted")]
    record_status: &'static str,
    /// Always false: records on the graph are on no chain.
    blockchain_deletion: bool,
    propagation_note: &'static str,
}

/// Delete a record
///
/// The tombstone is signed and travels like a record; afterwards `?did=` finds nothing. Only
/// records of this node's own creator key can be deleted.
#[utoipa::path(
    post,
    path = "/api/records/deleteRecord",
    tag = "records",
    request_body = DeleteRequest,
    responses(
        (status = 200, description = "The tombstone is durable", body = DeleteAnswer),
        (status = 400, description = "The request is malformed", body = ErrorBody),
        (status = 401, description = "Writing needs the admin token", body = ErrorBody),
        (status = 403, description = "The record has another creator, or the call came from a web page of another site", body = ErrorBody),
        (status = 404, description = "No such record", body = ErrorBody),
        (status = 503, description = "The node is busy", body = ErrorBody)
    ),
    security((), ("admin_token" = []))
)]
pub(in super::super) async fn delete_record(
    MayWrite(owner): MayWrite,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DeleteAnswer>, ApiError> {
    Parameters::read(query.as_deref(), &[])?;
    let body = state.bodies.read(&headers, body).await?;
    let request: DeleteRequest = serde_json::from_str(&body.text).map_err(|error| {
        ApiError::bad_request(
            "bad-request",
            format!(
                "the request can't be read: {error}; send {{\"delete\": {{\"did\": \"did:gun:…\"}}}}"
            ),
        )
    })?;
    let did = Did::parse(&request.delete.did)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))?;
    let node = state.node.clone();
    let deleted = state
        .writes
        .spawn(async move { node.delete_as(&did, &owner).await })
        .await
        .map_err(|error| ApiError::internal("delete the record", &error))?
        .map_err(refused)?;
    Ok(Json(DeleteAnswer {
        success: true,
        message: "Record deleted successfully",
        did: deleted.did.to_string(),
        deleted_count: 1,
        record_status: "deleted",
        blockchain_deletion: false,
        propagation_note: "the signed tombstone reaches every node that holds the record as soon as it is connected",
    }))
}

fn refused(error: DeleteError) -> ApiError {
    match &error {
        DeleteError::Unknown(_) => {
            ApiError::refused(StatusCode::NOT_FOUND, "unknown-record", &error)
        }
        DeleteError::NotOurs(_) => ApiError::refused(StatusCode::FORBIDDEN, "not-owner", &error),
        DeleteError::Publish(error) => not_written("delete the record", error),
        _ => ApiError::internal("delete the record", &error),
    }
}
