//! Pushes that a slow reader has missed: what it follows of those souls is pushed as it stands, once it
//! reads again.
//!
//! Owns which souls each connection has missed and has not been given yet. Nothing is kept of what the
//! dropped pushes said: the store has it, or something newer.

use std::collections::{BTreeMap, HashSet};

use super::io::{CloseReason, Loaded, Output, PeerId, SendKind, Ticket};
use super::state::Mesh;
use crate::graph::{Graph, Node, Soul};
use crate::wire::{Body, Get, Message, Put, split_graph};

/// What is to be made up for. A connection has at most as many souls here as it follows.
#[derive(Debug, Default)]
pub(super) struct Missed {
    souls: BTreeMap<PeerId, HashSet<Soul>>,
    loading: BTreeMap<Ticket, (PeerId, Soul)>,
}

impl Missed {
    pub(super) fn is_loading(&self, ticket: Ticket) -> bool {
        self.loading.contains_key(&ticket)
    }

    /// Forgets a connection. Its loads end on their own.
    pub(super) fn closed(&mut self, peer: PeerId) {
        self.souls.remove(&peer);
    }

    /// Whether the soul was not on the list yet.
    fn add(&mut self, peer: PeerId, soul: &Soul) -> bool {
        self.souls.entry(peer).or_default().insert(soul.clone())
    }

    /// A soul is read: what is dropped from here on has to be read once more.
    fn read(&mut self, peer: PeerId, soul: &Soul) {
        if let Some(souls) = self.souls.get_mut(&peer) {
            souls.remove(soul);
            if souls.is_empty() {
                self.souls.remove(&peer);
            }
        }
    }
}

impl Mesh {
    pub(super) fn missed(&mut self, peer: PeerId, souls: Vec<Soul>, out: &mut Vec<Output>) {
        if !self.peers.contains_key(&peer) {
            return;
        }
        for soul in souls {
            if self.missed.add(peer, &soul) {
                let ticket = self.new_ticket();
                let get = Get::node(soul.clone());
                self.missed.loading.insert(ticket, (peer, soul));
                out.push(Output::Load { ticket, peer, get });
            }
        }
    }

    /// Pushes what was read of a missed soul.
    pub(super) fn push_missed(&mut self, ticket: Ticket, parts: Loaded, out: &mut Vec<Output>) {
        let Some((peer, soul)) = self.missed.loading.remove(&ticket) else {
            return;
        };
        self.missed.read(peer, &soul);
        let (graph, more) = match parts {
            Loaded::Part { graph, more } => (graph, more),
            Loaded::Missing | Loaded::MissingHere => (Graph::new(), false),
            Loaded::Failed(_) => {
                let reason = CloseReason::Behind;
                return out.push(Output::Close { peer, reason });
            }
        };
        if more {
            self.missed.loading.insert(ticket, (peer, soul));
        }
        let followed = graph.iter().map(|node| Node {
            soul: node.soul.clone(),
            entries: self.subscriptions.part(peer, node),
        });
        let followed = followed.filter(|node| !node.entries.is_empty()).collect();
        for part in split_graph(followed) {
            let message = Message::new(self.new_id(), Body::Put(Put::new(part)));
            self.send(peer, message, SendKind::Push, out);
        }
    }
}
