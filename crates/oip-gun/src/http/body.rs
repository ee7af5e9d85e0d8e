//! Reading bodies: each within its limit, and all of a port together within theirs.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// How much of a body that is too long is read and thrown away before the answer. A client that
/// is still sending when the connection closes never sees why; this is what deployed nodes take.
const DRAINED_BYTES_MAX: usize = 50 * MIB;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Over the limit of the port.
    #[error("the body is too large")]
    TooLarge,
    /// The connection broke, or the client stopped.
    #[error("the body ended early: {0}; send it again")]
    Incomplete(#[source] axum::Error),
    /// JSON is UTF-8 and nothing else.
    #[error("the body is not UTF-8 text: the byte at {0} begins no character")]
    NotText(usize),
}

/// The bodies of one port; cheap to clone. A caller waits until there is room for its body.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    bytes_max: usize,
    kibibytes: Arc<Semaphore>,
}

/// A body, and the room it takes up while this lives.
#[derive(Debug)]
pub(crate) struct ReadBody {
    /// The whole body.
    pub text: String,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of `bytes_max` each and `all_bytes_max` together.
    pub(crate) fn new(bytes_max: usize, all_bytes_max: usize) -> Self {
        Self {
            bytes_max,
            kibibytes: Arc::new(Semaphore::new(all_bytes_max.max(bytes_max) / KIB + 1)),
        }
    }

    /// Reads the whole body, and decodes it as a whole: where its chunks were cut means nothing.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<ReadBody, BodyError> {
        if announced_bytes(headers).is_some_and(|bytes| bytes > DRAINED_BYTES_MAX as u64) {
            return Err(BodyError::TooLarge);
        }
        let room = self.take(headers).await;
        let mut taken = Vec::new();
        let mut bytes_seen = 0;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(BodyError::Incomplete)?;
            bytes_seen += chunk.len();
            if bytes_seen > DRAINED_BYTES_MAX {
                return Err(BodyError::TooLarge);
            }
            if bytes_seen > self.bytes_max {
                taken = Vec::new();
            } else {
                taken.extend_from_slice(&chunk);
            }
        }
        if bytes_seen > self.bytes_max {
            return Err(BodyError::TooLarge);
        }
        let text = String::from_utf8(taken)
            .map_err(|error| BodyError::NotText(error.utf8_error().valid_up_to()))?;
        Ok(ReadBody { text, _room: room })
    }

    /// Waits for room for the body that `headers` announce; one of unknown size counts as the
    /// longest.
    async fn take(&self, headers: &HeaderMap) -> Option<OwnedSemaphorePermit> {
        let bytes = announced_bytes(headers)
            .map_or(self.bytes_max, |bytes| {
                usize::try_from(bytes).unwrap_or(usize::MAX)
            })
            .min(self.bytes_max);
        let kibibytes = u32::try_from(bytes / KIB + 1).unwrap_or(u32::MAX);
        // The semaphore is never closed, so that this always has a permit.
        Arc::clone(&self.kibibytes)
            .acquire_many_owned(kibibytes)
            .await
            .ok()
    }
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
