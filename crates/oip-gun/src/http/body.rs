//! Reading a body within its limit.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use oip_record::limits::DATA_BYTES_MAX;

use super::error::ApiError;

/// Room for white space and for what is not part of the record itself (request parameters in
/// the body), beyond the longest record.
const BODY_MARGIN_BYTES: usize = 64 * 1024;
/// The longest body.
pub(super) const BODY_BYTES_MAX: usize = DATA_BYTES_MAX + BODY_MARGIN_BYTES;
/// How much of a body that is too long is read and thrown away before the answer. A client that
/// is still sending when the connection closes never sees why; this is what deployed nodes take.
const DRAINED_BYTES_MAX: usize = 50 * 1024 * 1024;

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    if announced_bytes(headers).is_some_and(|bytes| bytes > DRAINED_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut taken = Vec::new();
    let mut bytes_seen = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::bad_request(
                "body-incomplete",
                format!("the body ended early: {error}; send it again"),
            )
        })?;
        bytes_seen += chunk.len();
        if bytes_seen > DRAINED_BYTES_MAX {
            return Err(too_large());
        }
        if bytes_seen > BODY_BYTES_MAX {
            taken = Vec::new();
        } else {
            taken.extend_from_slice(&chunk);
        }
    }
    if bytes_seen > BODY_BYTES_MAX {
        return Err(too_large());
    }
    Ok(taken)
}

pub(super) fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        format!(
            "the body is larger than {} MiB, the most that a record may have: split it, or publish large content as media",
            DATA_BYTES_MAX / 1024 / 1024
        ),
    )
}
