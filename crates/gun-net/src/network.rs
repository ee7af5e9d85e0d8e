//! All connections of a node: what they bring comes out as events, what is to be sent goes in
//! by peer.
//!
//! Owns the table of links and the bounds they share. Refuses nothing by meaning: that is the
//! mesh's part.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gun::mesh::{CloseReason, Direction, PeerId, SendKind};
use gun::wire::{Limits, Message, Refused};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::{PeerAddress, Transport};
use crate::background::Background;
use crate::dialer::{self, Dial};
use crate::link::{CloseCause, Link};
use crate::meter::{Clock, Meter, Meters};
use crate::outbox::{Offer, Outbox, OutboxLimits};
use crate::status::{LinkPhase, LinkStatus, Traffic};
use crate::unfinished::{FrameState, Unfinished};

/// Bytes of frames that were read and not yet handled, over all connections: room for the largest
/// frame of an accepted peer, enough to keep the application busy, and the parsed form (up to 16
/// times as large for many small values) within the memory of a small machine.
const INBOUND_BYTES_MAX: usize = 40 << 20;

/// How the network is set up.
#[derive(Debug, Clone)]
pub struct NetConfig {
    /// Peers to dial. Those that are pulled over HTTP are left to [`crate::pull`].
    pub peers: Vec<PeerAddress>,
    /// Where this node's own relay listens, so that it never dials itself.
    pub listening: Vec<SocketAddr>,
    /// Waiting times.
    pub timers: Timers,
    /// Bounds on what accepted connections may send.
    pub accepted: Limits,
    /// Bounds on what dialled peers may send.
    pub dialled: Limits,
    /// Bounds on what may wait to be sent.
    pub outbox: OutboxLimits,
}

impl NetConfig {
    /// The bounds of `docs/wire.md`, for these peers.
    #[must_use]
    pub fn new(peers: Vec<PeerAddress>) -> Self {
        Self {
            peers,
            listening: Vec::new(),
            timers: Timers::default(),
            accepted: Limits::ACCEPTED,
            dialled: Limits::DIALLED,
            outbox: OutboxLimits::default(),
        }
    }
}

/// Waiting times of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// From dialling to the end of the WebSocket handshake, TLS included.
    pub connect_max: Duration,
    /// From answering an upgrade to the first possible frame.
    pub upgrade_max: Duration,
    /// The first wait before dialling again; later ones double.
    pub backoff_first: Duration,
    /// The longest wait before dialling again.
    pub backoff_longest: Duration,
    /// A link that held this long starts the waits anew.
    pub stable_after: Duration,
    /// A dialled peer that was silent this long is pinged. A gun.js relay speaks every 20 s.
    pub ping_after: Duration,
    /// A dialled peer that was silent this long is given up.
    pub silence_max: Duration,
    /// A peer whose socket takes nothing for this long, while something waits, is given up.
    pub stall_max: Duration,
    /// An accepted peer whose frame has not ended this long after it began to need room is given up: time for the
    /// largest one at 5.6 Mbit/s. Who waits for room that others occupy waits as long.
    pub frame_max: Duration,
    /// How often silence, stalls and unfinished frames are looked at.
    pub watch_every: Duration,
    /// How long queued messages may take to go out when a connection is closed.
    pub drain_max: Duration,
    /// How long the closing handshake may take.
    pub close_max: Duration,
    /// The same when the node stops: a gun.js client dials once, 2 s after it was closed, and
    /// never again if that fails, so a restart has to be over by then.
    pub farewell_max: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(15),
            upgrade_max: Duration::from_secs(10),
            backoff_first: Duration::from_millis(500),
            backoff_longest: Duration::from_secs(30),
            stable_after: Duration::from_secs(30),
            ping_after: Duration::from_secs(30),
            silence_max: Duration::from_secs(75),
            stall_max: Duration::from_secs(60),
            frame_max: Duration::from_secs(60),
            watch_every: Duration::from_secs(5),
            drain_max: Duration::from_secs(1),
            close_max: Duration::from_secs(2),
            farewell_max: Duration::from_millis(250),
        }
    }
}

/// What the network reports. The events of one peer come in order: `Opened` first, `Closed`
/// last.
#[derive(Debug)]
pub enum NetEvent {
    /// A connection is open.
    Opened {
        /// Its name, never used again.
        peer: PeerId,
        /// Who dialled.
        direction: Direction,
        /// The configured address, or the remote socket address.
        label: String,
        /// For a connection that the other side opened, what counts as its address: an IPv4
        /// address, or the /64 of an IPv6 one.
        origin: Option<IpAddr>,
    },
    /// A frame came.
    Frame {
        /// From whom.
        peer: PeerId,
        /// Its messages.
        messages: Messages,
    },
    /// The peer has read what made a message [`SendResult::Crowded`] or [`SendResult::Dropped`].
    Relieved {
        /// Which.
        peer: PeerId,
    },
    /// A connection is gone.
    Closed {
        /// Which.
        peer: PeerId,
        /// Why, for a log.
        why: String,
    },
}

/// The messages of one frame. While it lives, the frame counts as not yet handled: drop it
/// once its messages are.
#[derive(Debug)]
pub struct Messages {
    parsed: Vec<Result<Message, Refused>>,
    room: Room,
}

/// The places that a frame takes among those that wait: the network's and its connection's own.
pub(crate) type Room = [Option<OwnedSemaphorePermit>; 2];

impl Messages {
    pub(crate) fn new(parsed: Vec<Result<Message, Refused>>, room: Room) -> Self {
        Self { parsed, room }
    }

    /// Messages that came by no socket, as a test has them.
    #[must_use]
    pub fn of(parsed: Vec<Result<Message, Refused>>) -> Self {
        Self::new(parsed, [None, None])
    }

    /// The messages and refusals in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Result<Message, Refused>> {
        self.parsed.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parsed.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parsed.is_empty()
    }
}

/// Gives the messages of a frame one by one, and counts the frame as handled when dropped.
#[derive(Debug)]
pub struct IntoMessages {
    parsed: std::vec::IntoIter<Result<Message, Refused>>,
    _room: Room,
}

impl Iterator for IntoMessages {
    type Item = Result<Message, Refused>;

    fn next(&mut self) -> Option<Self::Item> {
        self.parsed.next()
    }
}

impl IntoIterator for Messages {
    type Item = Result<Message, Refused>;
    type IntoIter = IntoMessages;

    fn into_iter(self) -> IntoMessages {
        IntoMessages {
            parsed: self.parsed.into_iter(),
            _room: self.room,
        }
    }
}

impl<'a> IntoIterator for &'a Messages {
    type Item = &'a Result<Message, Refused>;
    type IntoIter = std::slice::Iter<'a, Result<Message, Refused>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendResult {
    /// It will be sent, unless the connection breaks first.
    Queued,
    /// The same, but much waits before it: what more the peer asks for had better wait for
    /// [`NetEvent::Relieved`].
    Crowded,
    /// It was news for a peer that reads too slowly; what it missed can be sent after
    /// [`NetEvent::Relieved`].
    Dropped,
    /// The peer does not read its answers: its connection is being closed.
    Closed,
    /// There is no such connection any more.
    Gone,
}

/// The network of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: NetConfig,
    pub(crate) events: mpsc::Sender<NetEvent>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tracker: TaskTracker,
    pub(crate) background: Background,
    pub(crate) clock: Clock,
    links: Mutex<HashMap<PeerId, Arc<Link>>>,
    dials: Vec<Arc<Dial>>,
    next_peer: AtomicU64,
    traffic: Arc<Meter>,
    outbox_bytes: Arc<AtomicUsize>,
    inbound: Arc<Semaphore>,
    pub(crate) unfinished: Unfinished,
}

impl Network {
    /// Starts dialling. Events go to `events`, whose bound is what holds fast peers back;
    /// tasks run on `tracker` and end after `cancel`, when queued messages have gone out; large
    /// frames are parsed and written in the `background`.
    #[must_use]
    pub fn start(
        config: NetConfig,
        events: mpsc::Sender<NetEvent>,
        cancel: CancellationToken,
        tracker: TaskTracker,
        background: Background,
    ) -> Self {
        let clock = Clock::start();
        let dials = config.peers.iter().cloned();
        let dials = dials
            .filter(|address| address.transport() == Transport::WebSocket)
            .map(|address| Arc::new(Dial::new(address, clock.now_ms())))
            .collect();
        let inner = Arc::new(Inner {
            config,
            events,
            cancel,
            tracker,
            background,
            clock,
            links: Mutex::default(),
            dials,
            next_peer: AtomicU64::new(1),
            traffic: Arc::default(),
            outbox_bytes: Arc::default(),
            inbound: Arc::new(Semaphore::new(INBOUND_BYTES_MAX)),
            unfinished: Unfinished::default(),
        });
        for dial in &inner.dials {
            inner
                .tracker
                .spawn(dialer::keep_connected(Arc::clone(dial), Arc::clone(&inner)));
        }
        Self { inner }
    }

    /// The routes of the relay port that belong to GUN: `/gun`.
    pub fn router(&self) -> axum::Router {
        crate::relay::router(Arc::clone(&self.inner))
    }

    /// Queues a message for a peer. A full outbox drops news; for any other kind the
    /// connection is closed, since the peer does not read its answers.
    pub fn send(&self, peer: PeerId, message: Message, kind: SendKind) -> SendResult {
        let Some(link) = self.inner.link(peer) else {
            return SendResult::Gone;
        };
        match link.send(message, kind) {
            Offer::Queued => SendResult::Queued,
            Offer::Crowded => SendResult::Crowded,
            Offer::Dropped => SendResult::Dropped,
            Offer::Overflow => SendResult::Closed,
            Offer::Sealed => SendResult::Gone,
        }
    }

    /// Closes a connection once what is queued has gone out; `Closed` follows. A dialled
    /// address is dialled again, unless [`refuse_address`](Self::refuse_address) was called.
    pub fn close(&self, peer: PeerId, reason: CloseReason) {
        if let Some(link) = self.inner.link(peer) {
            let why = match reason {
                CloseReason::Ourselves => "the connection leads to this node itself",
                CloseReason::Behind => "the peer lost a push and has to ask anew",
            };
            link.close(CloseCause::Asked(why.to_owned()));
        }
    }

    /// Closes a connection whose peer asks for more than it reads.
    pub fn close_slow_reader(&self, peer: PeerId) {
        if let Some(link) = self.inner.link(peer) {
            link.close_full();
        }
    }

    /// Never dials the address of this peer again, and closes the connection. Its status
    /// shows `reason`. Does nothing to an accepted connection but close it.
    pub fn refuse_address(&self, peer: PeerId, reason: &str) {
        if let Some(dial) = self
            .inner
            .dials
            .iter()
            .find(|dial| dial.peer() == Some(peer))
        {
            dial.refuse(reason);
        }
        if let Some(link) = self.inner.link(peer) {
            link.close(CloseCause::Asked(reason.to_owned()));
        }
    }

    /// [`refuse_address`](Self::refuse_address) for a peer that turned out to be this process.
    pub fn refuse_ourselves(&self, peer: PeerId) {
        self.refuse_address(peer, dialer::OURSELVES);
    }

    /// The configured addresses and how they stand.
    #[must_use]
    pub fn links(&self) -> Vec<LinkStatus> {
        let status = |dial: &Arc<Dial>| {
            let link = dial.peer().and_then(|peer| self.inner.link(peer));
            dial.status(link.map_or(0, |link| link.outbox.len()))
        };
        self.inner.dials.iter().map(status).collect()
    }

    /// The accepted connections.
    #[must_use]
    pub fn inbound(&self) -> Vec<LinkStatus> {
        let links = self.inner.links();
        let accepted = links
            .values()
            .filter(|link| link.direction == Direction::Accepted);
        accepted.map(|link| accepted_status(link)).collect()
    }

    /// How many connections others have opened.
    #[must_use]
    pub fn inbound_count(&self) -> usize {
        let links = self.inner.links();
        links
            .values()
            .filter(|link| link.direction == Direction::Accepted)
            .count()
    }

    /// Counters over all connections since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic::of(&self.inner.traffic)
    }

    /// Bytes that wait to be sent, over all connections.
    #[must_use]
    pub fn outbox_bytes(&self) -> usize {
        self.inner.outbox_bytes.load(Ordering::Relaxed)
    }
}

fn accepted_status(link: &Link) -> LinkStatus {
    LinkStatus {
        label: link.label.clone(),
        direction: link.direction,
        phase: LinkPhase::Connected,
        peer: Some(link.peer),
        since_ms: link.since_ms,
        last_heard_ms: Some(link.meters.own.heard_ms()),
        attempts: 1,
        last_error: None,
        traffic: Traffic::of(&link.meters.own),
        outbox_len: link.outbox.len(),
    }
}

impl Inner {
    /// Counters for a new link, or for all connections of one address.
    pub(crate) fn meters(&self, own: Arc<Meter>) -> Meters {
        Meters {
            own,
            all: Arc::clone(&self.traffic),
            clock: self.clock,
        }
    }

    /// Enters a new connection into the table.
    pub(crate) fn open(
        &self,
        direction: Direction,
        label: String,
        origin: Option<IpAddr>,
        meters: Meters,
        frame: FrameState,
    ) -> Arc<Link> {
        let peer = PeerId(self.next_peer.fetch_add(1, Ordering::Relaxed));
        let outbox = Outbox::new(self.config.outbox, Arc::clone(&self.outbox_bytes));
        let link = Arc::new(Link::new(
            peer,
            direction,
            (label, origin),
            outbox,
            meters,
            frame,
        ));
        self.links().insert(peer, Arc::clone(&link));
        link
    }

    /// Takes a connection out of the table.
    pub(crate) fn forget(&self, peer: PeerId) {
        self.links().remove(&peer);
    }

    /// Tells the application. A node that stops may no longer listen: it is given a moment.
    pub(crate) async fn report(&self, event: NetEvent) {
        let stopped = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(self.config.timers.drain_max).await;
        };
        tokio::select! {
            // A receiver that is gone has no use for the news.
            _ = self.events.send(event) => {}
            () = stopped => {}
        }
    }

    /// Waits for room among the frames that were read and not yet handled. First come, first
    /// served, and a connection waits for one frame at a time: turns are fair.
    pub(crate) async fn inbound_room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(INBOUND_BYTES_MAX)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.inbound)
            .acquire_many_owned(bytes)
            .await
            .ok()
    }

    fn link(&self, peer: PeerId) -> Option<Arc<Link>> {
        self.links().get(&peer).cloned()
    }

    fn links(&self) -> MutexGuard<'_, HashMap<PeerId, Arc<Link>>> {
        // No code that can panic runs under the lock.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
