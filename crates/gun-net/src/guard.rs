//! Tokens at the door of the relay port: who has none of them gets no further than an answer.
//!
//! Owns how a token is carried: `?token=…` in the address, which every GUN client can do, or
//! `Authorization: Bearer …`. Knows one kind of caller; what he may write is decided elsewhere.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

use crate::server::ServeStats;

/// Closes `router` to requests without one of `tokens`, and counts them in `stats`; without any
/// token it stays open.
pub fn guard(router: Router, tokens: Vec<String>, stats: ServeStats) -> Router {
    if tokens.is_empty() {
        return router;
    }
    let tokens: Arc<[String]> = tokens.into();
    router.layer(from_fn(move |request: Request, next: Next| {
        let (tokens, stats) = (Arc::clone(&tokens), stats.clone());
        async move {
            // A browser asks what it may send before it sends a token.
            if request.method() == Method::OPTIONS || bears(&request, &tokens) {
                next.run(request).await
            } else {
                stats.count_unauthorized();
                refusal()
            }
        }
    }))
}

fn bears(request: &Request, tokens: &[String]) -> bool {
    let in_query = request.uri().query().and_then(|query| {
        query
            .split('&')
            .find_map(|member| member.strip_prefix("token="))
    });
    let in_header = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    [in_query, in_header].into_iter().flatten().any(|given| {
        let is_given =
            |token: &&String| verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok();
        // Every token is compared, so that the time tells nothing about them.
        tokens.iter().filter(is_given).count() > 0
    })
}

fn refusal() -> Response {
    let body = "{\"error\":\"this relay asks for a token: add ?token=… to its address, or send \
                Authorization: Bearer …; its operator has it (OIP_GUN_RELAY_TOKENS)\"}\n";
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::WWW_AUTHENTICATE, "Bearer"),
    ];
    (StatusCode::UNAUTHORIZED, headers, body).into_response()
}
