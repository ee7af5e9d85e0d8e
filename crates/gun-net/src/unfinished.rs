//! Frames of accepted connections that are being read, or wait to be parsed: together they take no more memory than
//! there is room for, and none of them takes for ever.
//!
//! Owns the room and its share of one address; says how long a frame takes. A frame of up to [`FREE_BYTES`] needs no
//! room; of a longer one the socket is read on as room is found, so that TCP holds its sender back. What operators dial
//! is not bounded here: it is theirs.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::PollSemaphore;

/// Of each frame, what is held without asking: a read buffer. With 4,096 connections, 64 MiB.
const FREE_BYTES: usize = 16 << 10;

/// Room is taken in steps of this.
const STEP_BYTES: u32 = 1 << 20;

/// Room of all connections: four of the largest frames, a third of the memory that a node may use under attack.
const ROOM_BYTES: usize = 160 << 20;

/// Room of one address: two of the largest frames.
const ADDRESS_ROOM_BYTES: usize = 80 << 20;

/// Of a ping of a client: two bytes, and four of its mask.
const CONTROL_HEAD_BYTES: usize = 6;

/// The room for unfinished frames.
#[derive(Debug)]
pub(crate) struct Unfinished {
    room: Arc<Semaphore>,
    /// Of addresses that are connected.
    addresses: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_BYTES)),
            addresses: Mutex::default(),
        }
    }
}

impl Unfinished {
    /// A connection of this address: its stream, and what is known of its frame.
    pub(crate) fn of<S>(&self, origin: Option<IpAddr>, stream: S) -> (Assembling<S>, FrameState) {
        let address = origin.map(|origin| self.address(origin));
        let state = FrameState::default();
        let pools = [address, Some(Arc::clone(&self.room))];
        let assembling = Assembling {
            stream,
            state: state.clone(),
            pools: pools
                .into_iter()
                .flatten()
                .map(PollSemaphore::new)
                .collect(),
            taken: Vec::new(),
        };
        (assembling, state)
    }

    fn address(&self, origin: IpAddr) -> Arc<Semaphore> {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = addresses.get(&origin).and_then(Weak::upgrade) {
            return room;
        }
        // At most as many as have connections; looked through only when a new one comes.
        addresses.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(ADDRESS_ROOM_BYTES));
        addresses.insert(origin, Arc::downgrade(&room));
        room
    }
}

/// What is known of the frame that a connection is reading. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameState(Arc<Mutex<Frame>>);

#[derive(Debug, Default)]
struct Frame {
    bytes: usize,
    /// Since when it needs room.
    since: Option<Instant>,
    room: Vec<OwnedSemaphorePermit>,
    room_bytes: usize,
}

impl FrameState {
    /// The frame was read whole, and what it needed is needed no more.
    pub(crate) fn finished(&self) {
        *self.lock() = Frame::default();
    }

    /// A ping or pong with so much data was read, which is no part of it.
    pub(crate) fn passed(&self, data_bytes: usize) {
        let mut frame = self.lock();
        frame.bytes = frame.bytes.saturating_sub(CONTROL_HEAD_BYTES + data_bytes);
    }

    /// Whether it is this long ago that the frame began to need room.
    pub(crate) fn has_taken(&self, time: Duration) -> bool {
        let since = self.lock().since;
        since.is_some_and(|since| since.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, Frame> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needs_room(&self) -> bool {
        let mut frame = self.lock();
        if frame.bytes < FREE_BYTES {
            return false;
        }
        frame.since.get_or_insert_with(Instant::now);
        frame.bytes >= FREE_BYTES + frame.room_bytes
    }
}

/// A stream that is read as far as there is room for what comes.
#[derive(Debug)]
pub(crate) struct Assembling<S> {
    stream: S,
    state: FrameState,
    /// What room comes from. Of the address first: who waits for that must not hold what others wait for.
    pools: Vec<PollSemaphore>,
    /// Of the next step, what was got so far.
    taken: Vec<OwnedSemaphorePermit>,
}

impl<S> Assembling<S> {
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(pool) = self.pools.get_mut(self.taken.len()) {
            match ready!(pool.poll_acquire_many(context, STEP_BYTES)) {
                Some(permit) => self.taken.push(permit),
                // The semaphores are never closed.
                None => return Poll::Pending,
            }
        }
        let mut frame = self.state.lock();
        frame.room.append(&mut self.taken);
        frame.room_bytes += STEP_BYTES as usize;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Assembling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state.needs_room() {
            ready!(self.poll_room(context));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.state.lock().bytes += buffer.filled().len() - before;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Assembling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::timeout;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const SOON: Duration = Duration::from_millis(100);

    /// A connection whose other side sends without end.
    fn flood(unfinished: &Unfinished, last: u8) -> (Assembling<DuplexStream>, FrameState) {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move { while far.write_all(&[0; 1 << 16]).await.is_ok() {} });
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        unfinished.of(Some(address), near)
    }

    /// Reads until nothing more is given.
    async fn read_on(stream: &mut Assembling<DuplexStream>) -> usize {
        let (mut bytes, mut buffer) = (0, vec![0; FREE_BYTES]);
        while let Ok(read) = timeout(SOON, stream.read(&mut buffer)).await {
            bytes += read.unwrap();
        }
        bytes
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_reads_into_its_own_room_and_all_together_into_that_of_all() {
        let unfinished = Unfinished::default();
        let (mut first, state) = flood(&unfinished, 1);
        let most = ADDRESS_ROOM_BYTES + 2 * FREE_BYTES;
        let read = read_on(&mut first).await;
        assert!((ADDRESS_ROOM_BYTES..=most).contains(&read), "{read}");
        let (mut beside, _) = flood(&unfinished, 1);
        assert!(read_on(&mut beside).await <= 2 * FREE_BYTES);
        let (mut second, _) = flood(&unfinished, 2);
        assert!(read_on(&mut second).await >= ADDRESS_ROOM_BYTES);
        let (mut third, _) = flood(&unfinished, 3);
        assert!(read_on(&mut third).await <= 2 * FREE_BYTES);
        // What ends makes room.
        state.finished();
        assert!(read_on(&mut third).await > 1 << 20);
    }

    #[tokio::test]
    async fn a_connection_that_ends_gives_its_room_back_and_is_forgotten() {
        let unfinished = Unfinished::default();
        let (mut stream, state) = flood(&unfinished, 1);
        read_on(&mut stream).await;
        assert!(unfinished.room.available_permits() < ROOM_BYTES);
        assert!(state.has_taken(SOON) && !state.has_taken(Duration::from_secs(3_600)));
        drop((stream, state));
        assert_eq!(unfinished.room.available_permits(), ROOM_BYTES);
        unfinished.address(ADDRESS);
        assert_eq!(unfinished.addresses.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn small_frames_need_no_room_however_many_come() {
        let unfinished = Unfinished::default();
        let (mut stream, state) = flood(&unfinished, 1);
        let mut buffer = vec![0; FREE_BYTES];
        for _ in 0..100 {
            stream.read_exact(&mut buffer).await.unwrap();
            state.finished();
        }
        assert_eq!(unfinished.room.available_permits(), ROOM_BYTES);
    }
}
