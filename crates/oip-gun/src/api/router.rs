//! The routes behind the limits on requests: how many at a time, how long each, and one form of
//! answer for what no route takes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tokio::sync::Semaphore;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use super::routes::{
    access, backup, delete_record, description, explain, gun_relay, health, index, keys, legacy,
    metrics, new_record, quarantine, record_types, records, sync, tokens,
};
use super::state::ApiState;
use crate::http::{compressed, in_time, in_turn};

/// Requests under way at a time. Each holds a task and its answer; beyond this, waiting in line
/// would only end in time-outs, and an honest "busy" is the better answer.
const REQUESTS_MAX: usize = 1_024;
/// The longest a request may take, its body included. The slowest honest one is a body of 8 MiB
/// over a poor line.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// The longest a sweep that a caller waits for may take: the first one of a large network
/// fetches a million records.
const SWEEP_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// Where the description of the API is found.
const OPENAPI_PATH: &str = "/api/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "oip-gun",
        description = "The GUN half of an OIP node: publish records to the graph, find those of every node. Every refusal has the form `{\"error\": \"…\", \"reason\": \"label\"}`.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "records", description = "Publish, find and delete records"),
        (name = "index", description = "The search index, and records in quarantine"),
        (name = "graph", description = "The graph as it lies on this node"),
        (name = "health", description = "State of the node and of its sync")
    ),
    modifiers(&AdminTokenScheme)
)]
struct Description;

struct AdminTokenScheme;

impl Modify for AdminTokenScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The admin token: OIP_GUN_ADMIN_TOKEN, or the file admin-token in the data folder; or a token made at /api/tokens whose scope is enough. Not needed by programs of the same machine while the API is bound to loopback and no token is set.",
            ))
            .build();
        openapi
            .components
            .get_or_insert_default()
            .add_security_scheme("admin_token", SecurityScheme::Http(scheme));
    }
}

fn timed<S: Clone + Send + Sync + 'static>(
    routes: OpenApiRouter<S>,
    limit: Duration,
) -> OpenApiRouter<S> {
    routes.route_layer(middleware::from_fn(move |request: Request, next: Next| {
        in_time(limit, request, next, move || late(limit))
    }))
}

/// Every documented route but those of the graph, with the limit on its time.
fn documented() -> OpenApiRouter<ApiState> {
    let prompt = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(new_record::new_record))
        .routes(routes!(records::records))
        .routes(routes!(record_types::record_types))
        .routes(routes!(delete_record::delete_record))
        .routes(routes!(explain::explain))
        .routes(routes!(access::change_access))
        .routes(routes!(keys::keys))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::audit))
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(backup::backup))
        .routes(routes!(health::health))
        .routes(routes!(health::gun_sync))
        .routes(routes!(index::status))
        .routes(routes!(index::rebuild))
        .routes(routes!(quarantine::list))
        .routes(routes!(metrics::metrics))
        .routes(routes!(description::description));
    let long = OpenApiRouter::new()
        .routes(routes!(sync::force))
        .routes(routes!(legacy::seal))
        .routes(routes!(index::verify))
        .routes(routes!(quarantine::replay));
    timed(prompt, REQUEST_TIME_MAX).merge(timed(long, SWEEP_TIME_MAX))
}

/// The documented routes of the graph, which need the tokens of the relay port where it has some.
fn graph() -> OpenApiRouter<ApiState> {
    let routes = OpenApiRouter::new()
        .routes(routes!(gun_relay::get))
        .routes(routes!(gun_relay::write));
    timed(routes, REQUEST_TIME_MAX)
}

/// The description of the API, as served at `/api/openapi.json`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().merge(graph()).into_openapi()
}

/// The whole API.
pub fn router(state: ApiState) -> Router {
    let (graph, _) = graph().split_for_parts();
    let graph = state.node.guarded(graph.with_state(state.clone()));
    let (routes, _) = documented().split_for_parts();
    let turns = Arc::new(Semaphore::new(REQUESTS_MAX));
    let routes = routes
        .with_state(state)
        .merge(graph)
        .layer(Extension(Arc::new(openapi())))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(move |request, next| {
            let turns = Arc::clone(&turns);
            async move { in_turn(&turns, request, next, busy).await }
        }));
    compressed(routes)
}

fn busy() -> Response {
    ApiError::busy(format!(
        "{REQUESTS_MAX} requests are under way already: try again in a moment"
    ))
    .into_response()
}

fn late(limit: Duration) -> Response {
    ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        "timed-out",
        format!(
            "the request took longer than {} s; what it was to write may have been written: look before trying again",
            limit.as_secs()
        ),
    )
    .into_response()
}

async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no-such-route",
        format!(
            "there is no {method} {} here: see {OPENAPI_PATH} for what there is",
            uri.path()
        ),
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!(
            "{} does not take {method}: see {OPENAPI_PATH} for what it takes",
            uri.path()
        ),
    )
}
