//! `/gun-relay/get` and `/gun-relay/put`: the graph over the API port, for deployed nodes that pull
//! from this one.
//!
//! Open to everybody, as the relay port is; what is taken is decided by admission. Its shapes are
//! those of the deployed nodes (`docs/relay-http.md`).

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use oip_node::relay::View;

use super::super::error::ApiError;
use super::super::state::{ApiState, GunRelay};
use crate::relay_api::{Caller, Form, node_answer, put_answer, soul_asked_for};

/// A node of the graph
///
/// For nodes that pull: `data` and `oip` of a record come inline in whatever layout it lies in the
/// graph, and an index of the registry names only the records that this node holds.
#[utoipa::path(
    get,
    path = "/gun-relay/get",
    tag = "graph",
    params(("soul" = String, Query, description = "The node's soul, such as `oip:registry:index:post`")),
    responses(
        (status = 200, description = "`{\"success\": true, \"data\": {…}}`; a large node is streamed", body = Object),
        (status = 400, description = "No soul, or none that can be used", body = Object),
        (status = 404, description = "Nothing is held of it", body = Object),
        (status = 503, description = "Switched off (`DISABLE_GUN_RELAY_PROXY`)", body = Object)
    )
)]
pub(in super::super) async fn get(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(off) = served(&state) {
        return off.into_response();
    }
    match soul_asked_for(query.as_deref(), "soul parameter required") {
        Ok(soul) => node_answer(state.node.relay(), &soul, View::Pull, Form::Proxy).await,
        Err(refusal) => Form::Proxy.refusal(&refusal),
    }
}

/// Write a node of the graph
///
/// Objects inside `data` become nodes of their own. The answer comes when the data is durable.
#[utoipa::path(
    post,
    path = "/gun-relay/put",
    tag = "graph",
    request_body(content = Object, description = "`{\"soul\": \"…\", \"data\": {…}}`", example = json!({"soul": "5b1fd0c7a9e2:note-1/meta", "data": {"localId": "note-1"}})),
    responses(
        (status = 200, description = "The data is durable: `{\"success\": true, \"soul\": \"…\"}`", body = Object),
        (status = 400, description = "Not of that form", body = Object),
        (status = 403, description = "A soul that this relay does not take", body = Object),
        (status = 413, description = "Too much at once", body = Object),
        (status = 429, description = "The caller's address, or the author, has used up a quota", body = Object),
        (status = 500, description = "`data` holds an array, which the graph can't hold", body = Object),
        (status = 503, description = "Busy, or switched off (`DISABLE_GUN_RELAY_PROXY`)", body = Object)
    )
)]
pub(in super::super) async fn write(
    State(state): State<ApiState>,
    from: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let Err(off) = served(&state) {
        return off.into_response();
    }
    match state.bodies.read(&headers, body).await {
        Ok(body) => put_answer(state.node.relay(), body, from, Form::Proxy).await,
        Err(error) => Form::Proxy.refusal(&error.into()),
    }
}

fn served(state: &ApiState) -> Result<(), ApiError> {
    match state.gun_relay {
        GunRelay::Served => Ok(()),
        GunRelay::Off => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "gun-relay-off",
            "this node does not serve its graph here (DISABLE_GUN_RELAY_PROXY): use its relay port",
        )),
    }
}
