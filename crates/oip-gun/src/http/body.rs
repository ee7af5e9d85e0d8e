//! Reading bodies: each within its limit, and all of a port together within theirs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

/// How much of a body that is too long is read and thrown away before the answer. A client that
/// is still sending when the connection closes never sees why; this is what deployed nodes take.
const DRAINED_BYTES_MAX: usize = 50 * MIB;

/// How long a body waits for room before its caller is told to come again.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(10);

/// Room is taken in steps of this size, so that a chunk of a few bytes does not cost a turn.
const ROOM_STEP_BYTES: usize = 64 * KIB;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Over the limit of the port.
    #[error("the body is too large")]
    TooLarge,
    /// The bodies of others take up all the room.
    #[error("too many bodies are being read: try again in a moment")]
    NoRoom,
    /// The connection broke, or the client stopped.
    #[error("the body ended early: {0}; send it again")]
    Incomplete(#[source] axum::Error),
    /// JSON is UTF-8 and nothing else.
    #[error("the body is not UTF-8 text: the byte at {0} begins no character")]
    NotText(usize),
}

/// The bodies of one port; cheap to clone. Each takes up room as its bytes come: what is only
/// announced keeps nobody out.
#[derive(Debug, Clone)]
pub(crate) struct Bodies {
    bytes_max: usize,
    room: Arc<Semaphore>,
    room_wait_max: Duration,
}

/// A body, and the room it takes up while this lives.
#[derive(Debug)]
pub(crate) struct ReadBody {
    /// The whole body.
    pub text: String,
    _room: Room,
}

/// Room in steps of [`ROOM_STEP_BYTES`].
#[derive(Debug, Default)]
struct Room {
    taken: Vec<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of `bytes_max` each and `all_bytes_max` together.
    pub(crate) fn new(bytes_max: usize, all_bytes_max: usize) -> Self {
        let steps = all_bytes_max.max(bytes_max).div_ceil(ROOM_STEP_BYTES);
        Self {
            bytes_max,
            room: Arc::new(Semaphore::new(steps)),
            room_wait_max: ROOM_WAIT_MAX,
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
        let mut room = Room::default();
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
                (taken, room) = (Vec::new(), Room::default());
            } else {
                self.make_room(&mut room, bytes_seen).await?;
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

    async fn make_room(&self, room: &mut Room, bytes: usize) -> Result<(), BodyError> {
        while room.taken.len() * ROOM_STEP_BYTES < bytes {
            let step = Arc::clone(&self.room).acquire_owned();
            match tokio::time::timeout(self.room_wait_max, step).await {
                Ok(Ok(step)) => room.taken.push(step),
                // The semaphore is never closed.
                Ok(Err(_)) | Err(_) => return Err(BodyError::NoRoom),
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;
    use tokio::sync::mpsc;

    use super::*;

    /// A body that comes as the sender gives it.
    fn slow_body() -> (mpsc::Sender<Bytes>, Body) {
        let (sender, chunks) = mpsc::channel(1);
        let chunks = stream::unfold(chunks, |mut chunks| async move {
            let chunk: Bytes = chunks.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(chunk), chunks))
        });
        (sender, Body::from_stream(chunks))
    }

    fn announcing(bytes: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, bytes.into());
        headers
    }

    #[tokio::test]
    async fn a_body_that_is_announced_and_does_not_come_keeps_nobody_out() {
        let bodies = Bodies::new(4 * ROOM_STEP_BYTES, 4 * ROOM_STEP_BYTES);
        let (sender, body) = slow_body();
        let reader = bodies.clone();
        let stalled =
            tokio::spawn(async move { reader.read(&announcing(4 * ROOM_STEP_BYTES), body).await });
        sender.send(Bytes::from_static(b"{")).await.unwrap();
        let other = vec![b' '; 3 * ROOM_STEP_BYTES];
        let read = bodies.read(&HeaderMap::new(), Body::from(other)).await;
        assert_eq!(read.unwrap().text.len(), 3 * ROOM_STEP_BYTES);
        sender.send(Bytes::from_static(b"}")).await.unwrap();
        drop(sender);
        assert_eq!(stalled.await.unwrap().unwrap().text, "{}");
    }

    #[tokio::test]
    async fn a_body_waits_for_room_and_is_refused_when_none_comes() {
        let bodies = Bodies::new(2 * ROOM_STEP_BYTES, 2 * ROOM_STEP_BYTES);
        let whole = || Body::from(vec![b' '; 2 * ROOM_STEP_BYTES]);
        let first = bodies.read(&HeaderMap::new(), whole()).await.unwrap();
        let impatient = Bodies {
            room_wait_max: Duration::from_millis(1),
            ..bodies.clone()
        };
        let refused = impatient.read(&HeaderMap::new(), whole()).await;
        assert!(matches!(refused, Err(BodyError::NoRoom)));
        let reader = bodies.clone();
        let waiting = tokio::spawn(async move { reader.read(&HeaderMap::new(), whole()).await });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn the_limit_holds_at_the_limit_and_one_beyond() {
        let bodies = Bodies::new(1_000, 1_000);
        for (bytes, fits) in [(1_000, true), (1_001, false)] {
            let body = Body::from(vec![b' '; bytes]);
            let read = bodies.read(&HeaderMap::new(), body).await;
            assert_eq!(read.is_ok(), fits, "{bytes}");
        }
    }
}
