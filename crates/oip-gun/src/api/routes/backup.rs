//! `GET /api/backup`: a backup of the node while it serves, as it is written.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use super::super::callers::IsAdmin;
use super::super::error::ErrorBody;
use super::super::state::ApiState;

/// Lines that wait for the caller: the largest are 16 MiB in practice, and reading goes on only as fast as he takes them.
const LINES_WAITING_MAX: usize = 8;

/// What it is: lines of JSON and digests.
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// A backup of the node
///
/// The verified records as they were signed (private ones as ciphertext), tombstones, and what the node has learned and
/// must not unlearn. A backup is whole when its last line has come; `oip-gun restore` takes it. Keys are not in it.
#[utoipa::path(
    get,
    path = "/api/backup",
    tag = "health",
    responses(
        (status = 200, description = "The backup, a line for each record; docs/backup.md has the form", body = String, content_type = "text/plain"),
        (status = 401, description = "Needs the admin token", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn backup(_: IsAdmin, State(state): State<ApiState>) -> Response {
    let source = state.node.backup();
    let (lines, taken) = mpsc::channel::<Result<Bytes, std::io::Error>>(LINES_WAITING_MAX);
    let writing = move || {
        let written = source.write(|line| lines.blocking_send(Ok(Bytes::from(line))).is_ok());
        if let Err(error) = written {
            tracing::warn!(
                event = "backupEnded",
                "the backup was not written to its end: {error}"
            );
            // The connection is broken off, so that nobody takes it for an end.
            let _ = lines.blocking_send(Err(std::io::Error::other(error.to_string())));
        }
    };
    // Reading the store blocks.
    tokio::task::spawn_blocking(writing);
    let parts = stream::unfold(taken, async |mut taken| {
        let part = taken.recv().await?;
        Some((part, taken))
    });
    (
        [(header::CONTENT_TYPE, CONTENT_TYPE)],
        Body::from_stream(parts),
    )
        .into_response()
}
