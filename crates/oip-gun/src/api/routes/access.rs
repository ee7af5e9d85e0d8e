//! `PATCH /api/records/{did}/access`: shares a private record, or seals it anew for fewer.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use oip_node::AccessChange;
use oip_record::Did;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::callers::MayChangeAccess;
use super::super::error::{ApiError, ErrorBody};
use super::super::state::ApiState;
use super::new_record::not_written;
use super::signed_record::{keep_user_keys, user_keys};

/// Who shall be able to read, and who not any more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct AccessRequest {
    /// Node ids, aliases, public keys of nodes and users, DIDs of organizations.
    #[serde(default)]
    share: Vec<String>,
    /// The same; they can't open later versions. What they copied stays theirs.
    #[serde(default)]
    revoke: Vec<String>,
    /// Signed records `{data, oip}` by which users name their encryption keys, for those whose are not known here.
    #[serde(default, rename = "encryptionKeys")]
    #[schema(value_type = Vec<Object>)]
    encryption_keys: Vec<serde_json::Value>,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct AccessAnswer {
    success: bool,
    did: String,
    /// Keys that can open the record now, this node's included.
    recipients: usize,
    /// Whether the content was sealed anew, under another key.
    resealed: bool,
}

/// Change who can read a private record
///
/// For the owner of the record, and for the operator.
#[utoipa::path(
    patch,
    path = "/api/records/{did}/access",
    tag = "records",
    params(("did" = String, Path, description = "`did:gun:<soul>`")),
    request_body = AccessRequest,
    responses(
        (status = 200, description = "The new version is durable", body = AccessAnswer),
        (status = 400, description = "A reader can't be found, or the request is malformed", body = ErrorBody),
        (status = 401, description = "Needs a token", body = ErrorBody),
        (status = 403, description = "The record belongs to somebody else", body = ErrorBody),
        (status = 404, description = "No such record", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn change_access(
    MayChangeAccess(owner): MayChangeAccess,
    State(state): State<ApiState>,
    Path(did): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AccessAnswer>, ApiError> {
    let did = Did::parse(&did)
        .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error))?;
    let body = state.bodies.read(&headers, body).await?;
    let request: AccessRequest = serde_json::from_str(&body.text).map_err(|error| {
        ApiError::bad_request(
            "bad-request",
            format!("the request can't be read: {error}; send {{\"share\": [\"…\"]}} or {{\"revoke\": [\"…\"]}}"),
        )
    })?;
    let change = AccessChange {
        share: request.share,
        revoke: request.revoke,
    };
    let keys = user_keys(&request.encryption_keys)?;
    let node = state.node.clone();
    let changed = state
        .writes
        .spawn(async move {
            keep_user_keys(&node, keys).await?;
            let changed = node.change_access(&did, change, &owner).await;
            changed.map_err(|error| not_written("change the access", &error))
        })
        .await
        .map_err(|error| ApiError::internal("change the access", &error))??;
    Ok(Json(AccessAnswer {
        success: true,
        did: changed.did.to_string(),
        recipients: changed.recipients,
        resealed: changed.resealed,
    }))
}
