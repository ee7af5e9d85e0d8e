//! Requests that come a few bytes at a time: such reads are followed by rests, so that a thousand
//! connections that never finish their request cost as many wake-ups a second as a few honest ones.
//!
//! Owns the rest only. How long a request may take is the server's timer; once a connection is a
//! WebSocket, small reads are what is expected of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rand::Rng as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Fewer bytes than this in one read are a trickle: the shortest request line is `GET / HTTP/1.1`.
const TRICKLE_BYTES: usize = 14;

/// So many of them in a row are nothing unusual: a body of two bytes, the end of a head.
const TRICKLES_FREE: u32 = 4;

/// The rest after the next one; each one after that doubles it.
const REST: Duration = Duration::from_millis(250);

/// So often it is doubled: 8 s, so that a request of the longest time is read in some ten pieces.
const DOUBLINGS_MAX: u32 = 5;

/// A connection that has become something else than requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upgraded {
    flag: Arc<AtomicBool>,
}

impl Upgraded {
    /// From now on reads follow each other at once.
    pub(crate) fn set(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

/// A stream on which many small reads in a row are followed by rests.
#[derive(Debug)]
pub(crate) struct Unhurried<S> {
    stream: S,
    upgraded: Upgraded,
    trickles: u32,
    resting: Option<Pin<Box<Sleep>>>,
}

impl<S> Unhurried<S> {
    pub(crate) fn new(stream: S, upgraded: Upgraded) -> Self {
        Self {
            stream,
            upgraded,
            trickles: 0,
            resting: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unhurried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.upgraded.flag.load(Ordering::Relaxed) {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        if let Some(rest) = &mut self.resting {
            ready!(rest.as_mut().poll(cx));
            self.resting = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        if (1..TRICKLE_BYTES).contains(&read) {
            self.trickles = self.trickles.saturating_add(1);
        } else {
            self.trickles = 0;
        }
        if let Some(more) = self.trickles.checked_sub(TRICKLES_FREE + 1) {
            let longest = REST * (1 << more.min(DOUBLINGS_MAX));
            // Of many connections that began together, not all at once.
            let rest = longest.mul_f64(rand::rng().random_range(0.5..1.0));
            self.resting = Some(Box::pin(tokio::time::sleep(rest)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unhurried<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Whether it rests after each of these reads, which come one behind the other.
    async fn rests(reads: &[&[u8]], upgraded: Upgraded) -> Vec<bool> {
        let (mut there, here) = duplex(64);
        let mut here = Unhurried::new(here, upgraded);
        let mut rests = Vec::new();
        for bytes in reads {
            there.write_all(bytes).await.expect("room");
            let mut read = vec![0; bytes.len()];
            here.read_exact(&mut read).await.expect("all of it");
            assert_eq!(read, *bytes);
            rests.push(here.resting.is_some());
        }
        rests
    }

    #[tokio::test]
    async fn many_small_reads_are_each_followed_by_a_rest() {
        let reads: [&[u8]; 6] = [b"G", b"E", b"T", b" ", b"/", b"g"];
        assert_eq!(
            rests(&reads, Upgraded::default()).await,
            [false, false, false, false, true, true]
        );
    }

    #[tokio::test]
    async fn an_upgraded_connection_never_rests() {
        let upgraded = Upgraded::default();
        upgraded.set();
        assert_eq!(rests(&[&b"[]"[..]; 10], upgraded).await, [false; 10]);
    }

    #[tokio::test]
    async fn whole_requests_with_small_bodies_are_read_at_once() {
        let request: [&[u8]; 2] = [b"PUT / HTTP/1.1\r\n\r\n", b"{}"];
        assert_eq!(
            rests(&request.repeat(5), Upgraded::default()).await,
            [false; 10]
        );
    }
}
