//! The routes of the relay port behind the limits on requests.
//!
//! Every page may read and write the public graph from a browser, as over the WebSocket on the
//! same port; what is taken is decided by admission.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use oip_node::Relay;
use tokio::sync::Semaphore;
use url::form_urlencoded;

use super::answer::{BODIES_BYTES_MAX, BODY_BYTES_MAX, Form, Refusal, no_such_route};
use super::{get as get_node, list, media, peers, put as put_node};
use crate::http::{Bodies, compressed, in_time, in_turn};

/// Requests under way at a time, up to the heads of their answers.
const REQUESTS_MAX: usize = 1_024;

/// The longest a request may take up to the head of its answer, its body included: 40 MiB over a
/// poor line.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(120);

/// What every route works on; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RelayApi {
    pub relay: Relay,
    pub bodies: Bodies,
}

/// The HTTP routes of the relay port beside `/gun`, and the answer to everything else there.
pub fn router(relay: Relay) -> axum::Router {
    let turns = Arc::new(Semaphore::new(REQUESTS_MAX));
    let routes = axum::Router::new()
        .route("/put", post(put_node::route))
        .route("/get", get(get_node::route))
        .route("/list", get(list::route))
        .route("/peers/status", get(peers::route))
        .route(
            "/media/manifest",
            get(media::manifest).post(media::put_manifest),
        )
        .route("/media/presence", post(media::put_presence))
        .fallback(async || no_such_route())
        .method_not_allowed_fallback(async || no_such_route())
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let turns = Arc::clone(&turns);
            async move { in_turn(&turns, request, next, busy).await }
        }))
        .layer(middleware::from_fn(|request: Request, next: Next| {
            in_time(REQUEST_TIME_MAX, request, next, late)
        }))
        .layer(middleware::from_fn(open_to_pages))
        .with_state(RelayApi {
            relay,
            bodies: Bodies::new(BODY_BYTES_MAX, BODIES_BYTES_MAX),
        });
    compressed(routes)
}

/// Lets pages of every site read the answers, and answers the questions of their browsers.
async fn open_to_pages(request: Request, next: Next) -> Response {
    const OPEN: [(HeaderName, HeaderValue); 3] = [
        (
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Content-Type, Authorization"),
        ),
    ];
    let mut response = match *request.method() {
        Method::OPTIONS => Form::Relay.text(StatusCode::OK, ""),
        _ => next.run(request).await,
    };
    response.headers_mut().extend(OPEN);
    response
}

fn busy() -> Response {
    Form::Relay.refusal(&Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{REQUESTS_MAX} requests are under way already: try again in a moment"),
    ))
}

fn late() -> Response {
    Form::Relay.refusal(&Refusal::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!(
            "the request took longer than {} s; what it was to write may have been written: look before trying again",
            REQUEST_TIME_MAX.as_secs()
        ),
    ))
}

/// The first value of a parameter; an empty one counts as none.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    form_urlencoded::parse(query?.as_bytes())
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}
