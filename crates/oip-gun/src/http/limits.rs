//! How many requests are under way at a time, and how long each may take.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

/// Lets a request through if there is a turn left; else answers `busy` at once, since waiting in
/// line would only end in time-outs.
pub(crate) async fn in_turn(
    turns: &Semaphore,
    request: Request,
    next: Next,
    busy: impl FnOnce() -> Response,
) -> Response {
    match turns.try_acquire() {
        Ok(_turn) => next.run(request).await,
        Err(_) => busy(),
    }
}

/// Gives a request `limit` up to the head of its answer; then answers `late`.
pub(crate) async fn in_time(
    limit: Duration,
    request: Request,
    next: Next,
    late: impl FnOnce() -> Response,
) -> Response {
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| late())
}
