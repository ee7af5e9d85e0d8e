//! `GET /api/keys`, `POST /api/keys/rotate`, `GET /api/audit`: the node's encryption keys and what was done
//! with private records. For the operator alone. Private halves never leave the data folder.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::callers::IsAdmin;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::{Parameters, number};
use super::super::state::ApiState;

/// Entries of one page of the audit trail.
const PAGE_MAX: usize = 1_000;

/// The public side of the node's keys.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct KeysAnswer {
    /// The node's id: give it to those who shall seal to this node.
    node_id: String,
    /// The identity's public key, which names the node too.
    public_key: String,
    /// `didAddress` of the key that signs this node's records.
    creator: String,
    /// Ids of the encryption keys, the current one first.
    encryption_keys: Vec<String>,
}

/// The node's keys, public sides
#[utoipa::path(
    get,
    path = "/api/keys",
    tag = "health",
    responses(
        (status = 200, description = "The keys", body = KeysAnswer),
        (status = 401, description = "Needs the admin token", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn keys(_: IsAdmin, State(state): State<ApiState>) -> Json<KeysAnswer> {
    Json(shown(&state))
}

/// Replace the node's encryption key
///
/// Records sealed from now on are sealed to a new key; those sealed before stay readable.
#[utoipa::path(
    post,
    path = "/api/keys/rotate",
    tag = "health",
    responses(
        (status = 200, description = "The keys after it", body = KeysAnswer),
        (status = 401, description = "Needs the admin token", body = ErrorBody),
        (status = 409, description = "The key comes from outside", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn rotate(
    IsAdmin(operator): IsAdmin,
    State(state): State<ApiState>,
) -> Result<Json<KeysAnswer>, ApiError> {
    let node = state.node.clone();
    let rotated = state
        .writes
        .spawn(async move { node.rotate_encryption_key(&operator).await })
        .await
        .map_err(|error| ApiError::internal("replace the key", &error))?;
    match rotated {
        Ok(_) => Ok(Json(shown(&state))),
        Err(error) => Err(ApiError::refused(
            StatusCode::CONFLICT,
            "not-rotated",
            &error,
        )),
    }
}

fn shown(state: &ApiState) -> KeysAnswer {
    let (node_id, public_key) = state.node.identity();
    KeysAnswer {
        node_id,
        public_key,
        creator: state.node.creator().did_address.clone(),
        encryption_keys: state.node.encryption_keys(),
    }
}

/// A page of the audit trail, and whether all of it is whole.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct AuditAnswer {
    /// `{seq, atMs, action, did, keyId, caller, reason, count, previous}` each.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
    /// `{entries, signedTo, broken}` of the whole trail, where `verify=true` asks for it.
    #[schema(value_type = Option<Object>)]
    verified: Option<Value>,
}

/// The audit trail of private records
#[utoipa::path(
    get,
    path = "/api/audit",
    tag = "health",
    params(
        ("after" = Option<usize>, Query, description = "Entries after this number"),
        ("limit" = Option<usize>, Query, description = "Entries, 1 to 1000; 100 by default", minimum = 1, maximum = 1000),
        ("verify" = Option<bool>, Query, description = "`true`: check the whole trail")
    ),
    responses(
        (status = 200, description = "The entries", body = AuditAnswer),
        (status = 401, description = "Needs the admin token", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn audit(
    _: IsAdmin,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<AuditAnswer>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["after", "limit", "verify"])?;
    let after = number(&parameters, "after", 0, 0..=usize::MAX)?;
    let limit = number(&parameters, "limit", 100, 1..=PAGE_MAX)?;
    let failed = |error: oip_node::ReadError| ApiError::internal("read the audit trail", &error);
    let entries = state
        .node
        .audit(after as u64, limit)
        .await
        .map_err(failed)?;
    let verified = match parameters.get("verify") {
        Some("true" | "1") => Some(state.node.verify_audit().await.map_err(failed)?),
        _ => None,
    };
    let value = |error: serde_json::Error| ApiError::internal("show the audit trail", &error);
    Ok(Json(AuditAnswer {
        entries: entries
            .iter()
            .map(serde_json::to_value)
            .collect::<Result<_, _>>()
            .map_err(value)?,
        verified: verified
            .map(serde_json::to_value)
            .transpose()
            .map_err(value)?,
    }))
}
