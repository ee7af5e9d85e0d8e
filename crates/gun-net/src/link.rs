//! The shared half of one connection: its name, its outbox, and the order to close it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use gun::mesh::{Direction, PeerId, SendKind};
use gun::wire::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::meter::Meters;
use crate::outbox::{Offer, Outbox};
use crate::unfinished::FrameState;

/// Bytes of one connection's frames that were read and not yet handled: enough to keep the application
/// busy, little beside what all connections share.
const CREDIT_BYTES: usize = 64 << 10;

/// Why this side closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloseCause {
    /// The application said so.
    Asked(String),
    /// The peer does not read its answers.
    Full,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    pub(crate) direction: Direction,
    pub(crate) label: String,
    pub(crate) origin: Option<IpAddr>,
    pub(crate) since_ms: u64,
    pub(crate) outbox: Outbox,
    pub(crate) meters: Meters,
    /// The frame that is being read.
    pub(crate) frame: FrameState,
    /// Set while messages that left the outbox are not yet all in the socket.
    writing: AtomicBool,
    /// Bytes of frames that may wait for the application.
    credit: Arc<Semaphore>,
    closing: CancellationToken,
    cause: OnceLock<CloseCause>,
}

impl Link {
    pub(crate) fn new(
        peer: PeerId,
        direction: Direction,
        (label, origin): (String, Option<IpAddr>),
        outbox: Outbox,
        meters: Meters,
        frame: FrameState,
    ) -> Self {
        let since_ms = meters.clock.now_ms();
        meters.own.begin(since_ms);
        Self {
            peer,
            direction,
            label,
            origin,
            since_ms,
            outbox,
            meters,
            frame,
            writing: AtomicBool::new(false),
            credit: Arc::new(Semaphore::new(CREDIT_BYTES)),
            closing: CancellationToken::new(),
            cause: OnceLock::new(),
        }
    }

    /// Queues a message; closes the connection if that can't be done.
    pub(crate) fn send(&self, message: Message, kind: SendKind) -> Offer {
        let offer = self.outbox.offer(message, kind);
        match offer {
            Offer::Queued | Offer::Crowded | Offer::Sealed => {}
            Offer::Dropped => self.meters.count(|meter| &meter.pushes_dropped, 1),
            Offer::Overflow => self.close_full(),
        }
        offer
    }

    /// Ends a connection whose peer does not read its answers.
    pub(crate) fn close_full(&self) {
        self.meters.count(|meter| &meter.closed_full, 1);
        self.outbox.seal();
        self.close(CloseCause::Full);
    }

    /// Waits for room among this connection's own frames that wait for the application. A frame larger
    /// than all of it waits until there is no other.
    pub(crate) async fn credit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(CREDIT_BYTES)).unwrap_or(u32::MAX);
        let credit = Arc::clone(&self.credit);
        credit.acquire_many_owned(bytes).await.ok()
    }

    /// Orders the connection to close; the first cause stands.
    pub(crate) fn close(&self, cause: CloseCause) {
        self.cause.get_or_init(|| cause);
        self.closing.cancel();
    }

    /// Waits for the order to close.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Why this side closes, once it was ordered to.
    pub(crate) fn close_cause(&self) -> Option<CloseCause> {
        self.cause.get().cloned()
    }

    /// Says whether the writer holds messages that the socket has not taken yet.
    pub(crate) fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    /// Whether anything waits for the peer to read.
    pub(crate) fn has_unsent(&self) -> bool {
        self.writing.load(Ordering::Relaxed) || self.outbox.len() > 0
    }
}
