//! The state of the mesh, and where each input goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::config::{
    FORWARD_MS, FORWARDS_MAX, HEARD_MAX, HEARD_MS, KEEPALIVE_MS, LATE_MS, MeshConfig, PUSHES_MAX,
    REQUESTS_MAX,
};
use super::following::Following;
use super::gets::{Forward, Loading};
use super::io::{CloseReason, Direction, Input, Output, PeerId, SendKind, Ticket, Token};
use super::missed::Missed;
use super::puts::{Heard, Routed, Storing};
use super::requests::{Asking, Telling};
use super::subscriptions::Subscriptions;
use super::window::{Seed, Window};
use crate::graph::Graph;
use crate::wire::{Ack, Body, Dam, Get, Message, MessageId, Put, Refused, Response};

/// What a peer knows about its connections, and what is under way on them.
pub struct Mesh {
    pub(super) config: MeshConfig,
    ids: Box<dyn FnMut() -> u64 + Send>,
    pub(super) seed: Seed,
    pub(super) now_ms: u64,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    keepalives: BTreeSet<(u64, PeerId)>,
    pub(super) subscriptions: Subscriptions,
    pub(super) following: Following,
    pub(super) missed: Missed,
    tickets: u64,
    pub(super) storing: BTreeMap<Ticket, Storing>,
    pub(super) loading: BTreeMap<Ticket, Loading>,
    /// Ids heard: what was said under them, and what became of it.
    pub(super) heard: Window<(PeerId, MessageId), Heard>,
    /// Answers that went to askers directly, so that they are not pushed to them as well.
    pub(super) routed: Window<(PeerId, MessageId), Vec<Routed>>,
    pub(super) forwards: Window<Get, Forward>,
    pub(super) forward_ids: Window<MessageId, (PeerId, Get)>,
    /// Pushes whose writer wants to hear of more acks: to whom they went, and the way back.
    pub(super) pushes: Window<MessageId, (PeerId, (PeerId, MessageId))>,
    pub(super) asks: Window<MessageId, Asking>,
    pub(super) late_asks: Window<MessageId, Asking>,
    pub(super) tells: Window<MessageId, Telling>,
    /// How many parts of a told graph are not acknowledged yet.
    pub(super) tell_parts: BTreeMap<Token, usize>,
    pub(super) counts: MeshCounts,
}

/// One connection.
pub(super) struct Peer {
    pub(super) direction: Direction,
    pub(super) pid: Option<Arc<str>>,
    pub(super) pending: usize,
    keepalive_ms: u64,
}

/// Counters since the start, and sizes now, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MeshCounts {
    /// Connections now.
    pub peers: usize,
    /// Subscriptions now.
    pub subscriptions: usize,
    /// Gets that were answered but not subscribed, since the connection has too many.
    pub subscriptions_refused: u64,
    /// Messages that were heard before.
    pub repeated: u64,
    /// Puts and gets refused because too many were under way.
    pub busy: u64,
    /// Values of dialled peers that were left out because they break a rule.
    pub dropped: u64,
    /// Gets passed on to dialled peers.
    pub forwarded: u64,
    /// Puts and gets that wait for the store now.
    pub pending: usize,
    /// Ids remembered now.
    pub remembered: usize,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// A mesh without connections. `ids` gives 64 random bits at each call.
    #[must_use]
    pub fn new(config: MeshConfig, mut ids: Box<dyn FnMut() -> u64 + Send>) -> Self {
        let seed = Seed(ids());
        let ask_ms = config.ask_timeout_ms;
        Self {
            config,
            ids,
            seed,
            now_ms: 0,
            peers: BTreeMap::new(),
            keepalives: BTreeSet::new(),
            subscriptions: Subscriptions::new(seed),
            following: Following::new(seed),
            missed: Missed::default(),
            tickets: 0,
            storing: BTreeMap::new(),
            loading: BTreeMap::new(),
            heard: Window::new(seed, HEARD_MS, HEARD_MAX),
            routed: Window::new(seed, HEARD_MS, HEARD_MAX),
            forwards: Window::new(seed, FORWARD_MS, FORWARDS_MAX),
            forward_ids: Window::new(seed, FORWARD_MS, FORWARDS_MAX),
            pushes: Window::new(seed, HEARD_MS, PUSHES_MAX),
            asks: Window::new(seed, ask_ms, REQUESTS_MAX),
            late_asks: Window::new(seed, LATE_MS, REQUESTS_MAX),
            tells: Window::new(seed, ask_ms, REQUESTS_MAX),
            tell_parts: BTreeMap::new(),
            counts: MeshCounts::default(),
        }
    }

    /// Takes one input at a time in ms since 1970, and appends what is to be done.
    pub fn handle(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        self.now_ms = now_ms;
        self.expire(out);
        match input {
            Input::Opened { peer, direction } => self.opened(peer, direction, out),
            Input::Closed { peer } => self.closed(peer, out),
            Input::Heard { peer, message } => self.message(peer, message, out),
            Input::Refused { peer, refused } => self.refused(peer, refused, out),
            Input::Stored { ticket, outcome } => self.stored(ticket, outcome, out),
            Input::Loaded { ticket, parts } => self.loaded(ticket, parts, out),
            Input::Changed { graph, origin } => self.changed(&graph, origin.as_ref(), out),
            Input::Missed { peer, souls } => self.missed(peer, souls, out),
            Input::Ask { token, peer, get } => self.ask(token, peer, get, out),
            Input::Tell { token, peer, graph } => self.tell(token, peer, graph, out),
            Input::Announce { peer, name, body } => {
                let body = Body::Dam(Dam::Extension { name, body });
                let message = Message::new(self.new_id(), body);
                self.send(peer, message, SendKind::Request, out);
            }
            Input::Tick => {}
        }
    }

    /// When to send [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let keepalive = self.keepalives.first().map(|(at, _)| *at);
        [
            keepalive,
            self.following.next_deadline(),
            self.asks.next_deadline(),
            self.tells.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Counters and sizes.
    #[must_use]
    pub fn counts(&self) -> MeshCounts {
        MeshCounts {
            peers: self.peers.len(),
            subscriptions: self.subscriptions.count(),
            pending: self.storing.len() + self.loading.len(),
            remembered: self.heard.len(),
            ..self.counts
        }
    }

    fn opened(&mut self, peer: PeerId, direction: Direction, out: &mut Vec<Output>) {
        let keepalive_ms = self.now_ms + KEEPALIVE_MS;
        self.peers.insert(
            peer,
            Peer {
                direction,
                pid: None,
                pending: 0,
                keepalive_ms,
            },
        );
        if direction == Direction::Accepted {
            // The side that dialled has our address for a name; this one has none for it.
            self.keepalives.insert((keepalive_ms, peer));
            let hello = self.hello();
            self.send(peer, hello, SendKind::Request, out);
        } else {
            let follows = &self.config.follows;
            let souls = self.subscriptions.souls();
            let souls = souls.filter(|soul| follows.takes(soul)).cloned();
            self.following.opened(self.now_ms, peer, souls);
        }
    }

    fn closed(&mut self, peer: PeerId, out: &mut Vec<Output>) {
        let Some(gone) = self.peers.remove(&peer) else {
            return;
        };
        self.keepalives.remove(&(gone.keepalive_ms, peer));
        self.subscriptions.remove(peer);
        self.following.closed(peer);
        self.missed.closed(peer);
        self.requests_lost(peer, out);
    }

    fn message(&mut self, peer: PeerId, message: Message, out: &mut Vec<Output>) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        let Message {
            id,
            reply_to,
            hash,
            seen_by,
            body,
        } = message;
        match body {
            Body::Put(put) => self.put(peer, id, reply_to, put, out),
            Body::Get(get) => self.get(peer, id, get, (hash, seen_by), out),
            Body::Ack(ack) => self.acked(peer, reply_to, ack, out),
            Body::Dam(dam) => self.control(peer, id, reply_to, dam, out),
            Body::Keepalive => {}
        }
    }

    fn refused(&mut self, peer: PeerId, refused: Refused, out: &mut Vec<Output>) {
        match (refused.reject.response(), refused.id) {
            (Response::Ack, Some(id)) => {
                self.reply(
                    peer,
                    id,
                    Body::Ack(Ack::failure(refused.reject.to_string())),
                    out,
                );
            }
            (Response::Control, _) => {
                let err = refused.reject.to_string().into();
                let message = Message::new(self.new_id(), Body::Dam(Dam::Error { err }));
                self.send(peer, message, SendKind::Reply, out);
            }
            _ => {}
        }
    }

    fn control(
        &mut self,
        peer: PeerId,
        id: Option<MessageId>,
        reply_to: Option<MessageId>,
        dam: Dam,
        out: &mut Vec<Output>,
    ) {
        match dam {
            Dam::Hello { pid } => {
                let named = pid.is_some();
                if let Some(pid) = pid {
                    if pid == self.config.pid {
                        out.push(Output::IsOurselves { peer });
                        out.push(Output::Close {
                            peer,
                            reason: CloseReason::Ourselves,
                        });
                        return;
                    }
                    if let Some(known) = self.peers.get_mut(&peer).filter(|p| p.pid.is_none()) {
                        known.pid = Some(pid.clone());
                        out.push(Output::Identified { peer, pid });
                    }
                }
                if let (Some(id), false) = (id, named && reply_to.is_some()) {
                    let hello = self.hello().answering(id);
                    self.send(peer, hello, SendKind::Reply, out);
                }
            }
            Dam::Extension { name, body } => out.push(Output::Extension { peer, name, body }),
            Dam::Error { err } => out.push(Output::Complaint { peer, err }),
            Dam::Hi | Dam::Unknown => {}
        }
    }

    fn hello(&mut self) -> Message {
        let pid = Some(self.config.pid.clone());
        Message::new(self.new_id(), Body::Dam(Dam::Hello { pid }))
    }

    /// Forgets what is over, and says so to those who wait.
    fn expire(&mut self, out: &mut Vec<Output>) {
        let now_ms = self.now_ms;
        while self.heard.expire(now_ms).is_some() {}
        while self.routed.expire(now_ms).is_some() {}
        while self.forwards.expire(now_ms).is_some() {}
        while self.forward_ids.expire(now_ms).is_some() {}
        while self.pushes.expire(now_ms).is_some() {}
        while self.late_asks.expire(now_ms).is_some() {}
        self.requests_expire(out);
        for (peer, soul) in self.following.turn(now_ms) {
            self.ask_on(peer, &Get::node(soul), out);
        }
        while let Some((at, peer)) = self
            .keepalives
            .first()
            .copied()
            .filter(|(at, _)| *at <= now_ms)
        {
            self.keepalives.remove(&(at, peer));
            if let Some(known) = self.peers.get_mut(&peer) {
                known.keepalive_ms = now_ms + KEEPALIVE_MS;
                self.keepalives.insert((known.keepalive_ms, peer));
                let message = Message::keepalive();
                out.push(Output::Send {
                    peer,
                    message,
                    kind: SendKind::Keepalive,
                });
            }
        }
    }

    pub(super) fn new_id(&mut self) -> MessageId {
        MessageId::from_random((self.ids)())
    }

    pub(super) fn new_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn send(
        &self,
        peer: PeerId,
        message: Message,
        kind: SendKind,
        out: &mut Vec<Output>,
    ) {
        if self.peers.contains_key(&peer) {
            out.push(Output::Send {
                peer,
                message,
                kind,
            });
        }
    }

    pub(super) fn reply(&mut self, peer: PeerId, to: MessageId, body: Body, out: &mut Vec<Output>) {
        let message = Message::new(self.new_id(), body).answering(to);
        self.send(peer, message, SendKind::Reply, out);
    }

    /// A data answer; the hash by which gun.js tells that two are the same is added when it is
    /// written.
    pub(super) fn data(
        id: MessageId,
        to: MessageId,
        graph: Graph,
        more: Option<MessageId>,
    ) -> Message {
        let body = Body::Put(Put {
            more,
            ..Put::new(graph)
        });
        Message::new(id, body).answering(to)
    }

    /// Counts work that waits for the store; `false` when the connection has too much of it.
    pub(super) fn begin(&mut self, peer: PeerId) -> bool {
        let max = self.config.pending_max;
        match self.peers.get_mut(&peer) {
            Some(known) if known.pending < max => {
                known.pending += 1;
                true
            }
            _ => {
                self.counts.busy += 1;
                false
            }
        }
    }

    pub(super) fn end(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.pending = known.pending.saturating_sub(1);
        }
    }
}
