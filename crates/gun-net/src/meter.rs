//! Counters of a link, and a stream that keeps them: each byte that moves is counted below
//! TLS and WebSocket framing, so that "silent" means that nothing came at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Milliseconds since 1970 that never jump: the wall clock at the start, then elapsed time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    base_unix_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let base_unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        Self {
            base: Instant::now(),
            base_unix_ms,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.base_unix_ms.saturating_add(elapsed)
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one link, or of one configured address over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) frames_in: Count,
    pub(crate) frames_out: Count,
    pub(crate) messages_in: Count,
    pub(crate) messages_refused: Count,
    pub(crate) messages_out: Count,
    pub(crate) pushes_dropped: Count,
    pub(crate) frames_binary: Count,
    pub(crate) frames_too_large: Count,
    pub(crate) frames_unfinished: Count,
    pub(crate) closed_full: Count,
    heard_ms: AtomicU64,
}

impl Meter {
    /// When the last byte came; 0 before the first.
    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// A connection begins: silence is counted from here.
    pub(crate) fn begin(&self, now_ms: u64) {
        self.heard_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// Where a link counts: its own meter and that of the whole network.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    pub(crate) own: Arc<Meter>,
    pub(crate) all: Arc<Meter>,
    pub(crate) clock: Clock,
}

impl Meters {
    /// Counts once in both.
    pub(crate) fn count(&self, what: impl Fn(&Meter) -> &Count, more: u64) {
        what(&self.own).add(more);
        what(&self.all).add(more);
    }

    fn read(&self, bytes: usize) {
        if bytes > 0 {
            self.count(|meter| &meter.bytes_in, bytes as u64);
            self.own
                .heard_ms
                .store(self.clock.now_ms(), Ordering::Relaxed);
        }
    }

    fn wrote(&self, bytes: usize) {
        if bytes > 0 {
            self.count(|meter| &meter.bytes_out, bytes as u64);
        }
    }
}

/// A stream that counts what passes.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meters: Meters,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, meters: Meters) -> Self {
        Self { stream, meters }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meters.read(buffer.filled().len() - before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(taken)) = polled {
            self.meters.wrote(taken);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
