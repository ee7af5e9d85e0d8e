//! `GET`, `POST /api/tokens` and `DELETE /api/tokens/{name}`: tokens with a scope for machines. For the operator alone.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use oip_record::Stamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::callers::IsAdmin;
use super::super::error::{ApiError, ErrorBody};
use super::super::machine_tokens::{Machine, MachineTokenError, Scope, now_ms};
use super::super::state::ApiState;

/// The token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in super::super) struct TokenRequest {
    /// 1 to 64 letters, digits, `-`, `_` and dots. What is published with the token belongs to this name.
    #[schema(example = "backup-job")]
    name: String,
    /// What its holder may do.
    scope: Scope,
    /// Seconds until it ends; without, it has no end.
    expires_in_seconds: Option<u64>,
}

/// A token of the node.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct TokenShown {
    #[schema(example = "backup-job")]
    name: String,
    scope: Scope,
    /// When it was made.
    created_at: String,
    /// When it ends; never if null.
    expires_at: Option<String>,
    /// Whether it has ended.
    expired: bool,
}

impl From<Machine> for TokenShown {
    fn from(machine: Machine) -> Self {
        Self {
            created_at: Stamp::from_ms(machine.created_ms).as_str().to_owned(),
            expires_at: machine.end(),
            expired: machine.is_expired(now_ms()),
            scope: machine.scope,
            name: machine.name,
        }
    }
}

/// A new token. This is the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct TokenMade {
    #[serde(flatten)]
    shown: TokenShown,
    /// The token itself.
    token: String,
}

/// The tokens of the node.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TokensAnswer {
    tokens: Vec<TokenShown>,
}

/// What was revoked.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TokenRevoked {
    revoked: String,
}

/// The tokens of machines
#[utoipa::path(
    get,
    path = "/api/tokens",
    tag = "health",
    responses(
        (status = 200, description = "Names and scopes; the tokens themselves are kept nowhere", body = TokensAnswer),
        (status = 401, description = "Needs the admin token", body = ErrorBody),
        (status = 403, description = "The token's scope is not admin", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn list(
    _: IsAdmin,
    State(state): State<ApiState>,
) -> Json<TokensAnswer> {
    let all = state.access.machines().list().into_iter();
    Json(TokensAnswer {
        tokens: all.map(TokenShown::from).collect(),
    })
}

/// Make a token for a machine
#[utoipa::path(
    post,
    path = "/api/tokens",
    tag = "health",
    request_body = TokenRequest,
    responses(
        (status = 200, description = "The token, shown this once", body = TokenMade),
        (status = 400, description = "The request is malformed, or there are too many tokens", body = ErrorBody),
        (status = 401, description = "Needs the admin token", body = ErrorBody),
        (status = 403, description = "The token's scope is not admin", body = ErrorBody),
        (status = 409, description = "The name is taken", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn create(
    _: IsAdmin,
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TokenMade>, ApiError> {
    let body = state.bodies.read(&headers, body).await?;
    let request: TokenRequest = serde_json::from_str(&body.text).map_err(|error| {
        ApiError::bad_request(
            "bad-request",
            format!("the request can't be read: {error}; send {{\"name\": \"…\", \"scope\": \"read\", \"publish\" or \"admin\"}}"),
        )
    })?;
    let (token, machine) = write(state, "make the token", move |state| {
        let TokenRequest { name, scope, .. } = &request;
        let life_s = request.expires_in_seconds;
        state
            .access
            .machines()
            .create(name, *scope, life_s, now_ms())
    })
    .await?;
    tracing::info!(
        name = machine.name,
        scope = machine.scope.name(),
        "a token was made"
    );
    Ok(Json(TokenMade {
        shown: machine.into(),
        token,
    }))
}

/// Revoke a machine's token
#[utoipa::path(
    delete,
    path = "/api/tokens/{name}",
    tag = "health",
    params(("name" = String, Path, description = "The token's name")),
    responses(
        (status = 200, description = "It opens nothing any more", body = TokenRevoked),
        (status = 401, description = "Needs the admin token", body = ErrorBody),
        (status = 403, description = "The token's scope is not admin", body = ErrorBody),
        (status = 404, description = "No token has this name", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn revoke(
    _: IsAdmin,
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<TokenRevoked>, ApiError> {
    let gone = name.clone();
    write(state, "revoke the token", move |state| {
        state.access.machines().revoke(&gone)
    })
    .await?;
    tracing::info!(name, "a token was revoked");
    Ok(Json(TokenRevoked { revoked: name }))
}

/// Does what syncs a file, off the reactor and to its end.
async fn write<T: Send + 'static>(
    state: ApiState,
    action: &'static str,
    work: impl FnOnce(&ApiState) -> Result<T, MachineTokenError> + Send + 'static,
) -> Result<T, ApiError> {
    let writes = state.writes.clone();
    writes
        .spawn_blocking(move || work(&state))
        .await
        .map_err(|error| ApiError::internal(action, &error))?
        .map_err(|error| match error {
            MachineTokenError::Name(_) => {
                refused(StatusCode::BAD_REQUEST, "bad-token-name", &error)
            }
            MachineTokenError::Life => refused(StatusCode::BAD_REQUEST, "bad-token-life", &error),
            MachineTokenError::TooMany => {
                refused(StatusCode::BAD_REQUEST, "too-many-tokens", &error)
            }
            MachineTokenError::Taken(_) => {
                refused(StatusCode::CONFLICT, "token-name-taken", &error)
            }
            MachineTokenError::Unknown(_) => {
                refused(StatusCode::NOT_FOUND, "unknown-token", &error)
            }
            _ => ApiError::internal(action, &error),
        })
}

fn refused(status: StatusCode, reason: &'static str, error: &MachineTokenError) -> ApiError {
    ApiError::refused(status, reason, error)
}
