//! Compression of answers, as the client accepts it: gzip or Brotli.
//!
//! Only what anyone may see is compressed: every answer to a request without credentials, and of the others those whose
//! handler marked them as holding nothing private ([`NothingPrivate`]). The length of a compressed answer tells whether two things in it are alike;
//! whoever can publish a record, and watch how long the answers to another are, could try out what a private record beside
//! it says. So any other answer to a request with credentials goes as it is.

use axum::Router;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};

/// Bytes from which an answer is compressed: a shorter one goes in one packet either way.
const BYTES_MIN: u16 = 1024;

/// In an answer's extensions: it holds nothing that not everyone may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NothingPrivate;

/// In an answer's extensions: it may hold what only this caller may see.
#[derive(Debug, Clone, Copy)]
struct MayBePrivate;

/// The router, with its answers compressed.
pub(crate) fn compressed(router: Router) -> Router {
    let layer = CompressionLayer::new()
        // Each answer is made for its request and compressed once: time counts for more than the last tenth.
        .quality(CompressionLevel::Fastest)
        .compress_when(
            DefaultPredicate::new()
                .and(SizeAbove::new(BYTES_MIN))
                .and(is_public),
        );
    // What is added last is met first.
    router.layer(middleware::from_fn(marked)).layer(layer)
}

fn is_public(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<MayBePrivate>().is_none()
}

/// Marks the answers to requests with credentials, but for those that hold nothing private.
async fn marked(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let has_credentials =
        headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
    let mut response = next.run(request).await;
    let extensions = response.extensions_mut();
    if has_credentials && extensions.get::<NothingPrivate>().is_none() {
        extensions.insert(MayBePrivate);
    }
    response
}
