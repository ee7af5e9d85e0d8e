//! Data that comes in: stored, acknowledged, passed to those who asked, pushed to those who
//! follow it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;

use super::io::{Answer, Output, PeerId, SendKind, StoreOutcome, Ticket};
use super::state::Mesh;
use super::window::Seed;
use crate::graph::{Graph, Node, Value};
use crate::wire::{Ack, AckWish, Body, Get, Message, MessageId, Put, Reject, split_graph};

/// What was said under an id.
#[derive(Debug)]
pub(super) struct Heard {
    content: u64,
    state: HeardState,
}

#[derive(Debug)]
enum HeardState {
    /// A get.
    Asked,
    /// A put that waits for the store.
    Waiting { wants: Option<AckWish> },
    /// A put that was acknowledged, with the error if it was refused.
    Acked {
        wants: Option<AckWish>,
        err: Option<Arc<str>>,
    },
}

/// Whether a message is new.
pub(super) enum Repeat {
    New,
    /// Will be answered, or was a get that was answered.
    Dropped,
    /// Was acknowledged; the ack may have been lost.
    AckAgain(Option<Arc<str>>),
}

/// Part of an answer that one asker has.
#[derive(Debug)]
pub(super) struct Routed {
    asker: PeerId,
    get: Get,
}

/// A put that the store works on.
#[derive(Debug)]
pub(super) struct Storing {
    peer: PeerId,
    id: Option<MessageId>,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    /// News: acknowledge it.
    News { content: u64 },
    /// It answers a question of ours.
    Answer {
        ask: MessageId,
        graph: Graph,
        more: bool,
    },
    /// It answers a get that was passed on.
    Forwarded { get: Get, graph: Graph, more: bool },
}

impl Mesh {
    pub(super) fn put(
        &mut self,
        peer: PeerId,
        id: Option<MessageId>,
        reply_to: Option<MessageId>,
        put: Put,
        out: &mut Vec<Output>,
    ) {
        let Put {
            graph,
            more,
            wants,
            dropped,
        } = put;
        self.counts.dropped += dropped as u64;
        let purpose = match reply_to {
            Some(to) if self.asked(&to, peer) => {
                if graph.iter().all(|node| node.entries.is_empty()) {
                    // As a browser answers for a key that a node of its own lacks.
                    return self.answered(&to, Answer::NotFound, out);
                }
                Purpose::Answer {
                    ask: to,
                    graph: graph.clone(),
                    more: more.is_some(),
                }
            }
            Some(to) => match self.forward_ids.get(&to) {
                Some((asked, get)) if *asked == peer => Purpose::Forwarded {
                    get: get.clone(),
                    graph: graph.clone(),
                    more: more.is_some(),
                },
                _ => Purpose::News {
                    content: content_of(self.seed, &graph),
                },
            },
            None => Purpose::News {
                content: content_of(self.seed, &graph),
            },
        };
        if let (Purpose::News { content }, Some(id)) = (&purpose, &id) {
            match self.repeated(peer, id, *content, HeardState::Waiting { wants }) {
                Repeat::New => {}
                Repeat::Dropped => return,
                Repeat::AckAgain(err) => return self.ack(peer, id.clone(), err, out),
            }
        }
        if !self.begin(peer) {
            if let (Purpose::News { .. }, Some(id)) = (purpose, id) {
                self.heard.remove(&(peer, id.clone()));
                self.ack(peer, id, Some(Reject::Busy.to_string().into()), out);
            }
            return;
        }
        if let (Purpose::Forwarded { get, .. }, Some(id)) = (&purpose, &id) {
            self.remember_routed(peer, id, get);
        }
        let ticket = self.new_ticket();
        self.storing.insert(
            ticket,
            Storing {
                peer,
                id: id.clone(),
                purpose,
            },
        );
        out.push(Output::Store {
            ticket,
            peer,
            origin: id,
            graph,
        });
    }

    /// Notes that `id` was heard, unless it was: then says what is due.
    pub(super) fn repeated_get(&mut self, peer: PeerId, id: &MessageId, get: &Get) -> bool {
        let content = self.seed.hash_one(get);
        !matches!(
            self.repeated(peer, id, content, HeardState::Asked),
            Repeat::New
        )
    }

    fn repeated(
        &mut self,
        peer: PeerId,
        id: &MessageId,
        content: u64,
        state: HeardState,
    ) -> Repeat {
        let key = (peer, id.clone());
        // By connection and content: nobody can make another's message look like a repeat.
        if let Some(heard) = self
            .heard
            .get(&key)
            .filter(|heard| heard.content == content)
        {
            self.counts.repeated += 1;
            return match &heard.state {
                HeardState::Acked { err, .. } => Repeat::AckAgain(err.clone()),
                HeardState::Asked | HeardState::Waiting { .. } => Repeat::Dropped,
            };
        }
        self.heard
            .insert(self.now_ms, key, Heard { content, state });
        Repeat::New
    }

    fn remember_routed(&mut self, peer: PeerId, id: &MessageId, get: &Get) {
        let Some(forward) = self.forwards.get(get) else {
            return;
        };
        let routed = forward
            .askers
            .iter()
            .map(|(asker, _)| Routed {
                asker: *asker,
                get: get.clone(),
            })
            .collect();
        self.routed.insert(self.now_ms, (peer, id.clone()), routed);
    }

    pub(super) fn stored(&mut self, ticket: Ticket, outcome: StoreOutcome, out: &mut Vec<Output>) {
        let Some(Storing { peer, id, purpose }) = self.storing.remove(&ticket) else {
            return;
        };
        self.end(peer);
        let StoreOutcome { rejected, kept } = outcome;
        match purpose {
            Purpose::News { content } => {
                let Some(id) = id else { return };
                let err: Option<Arc<str>> = rejected.map(|reject| reject.to_string().into());
                if let Some(heard) = self.heard.get_mut(&(peer, id.clone()))
                    && heard.content == content
                    && let HeardState::Waiting { wants } = heard.state
                {
                    heard.state = HeardState::Acked {
                        wants,
                        err: err.clone(),
                    };
                }
                self.ack(peer, id, err, out);
            }
            Purpose::Answer { ask, graph, more } => {
                let answer = match rejected {
                    None => Answer::Data {
                        graph: kept.unwrap_or(graph),
                        more,
                    },
                    Some(reject) => Answer::Refused(reject),
                };
                self.answered(&ask, answer, out);
            }
            Purpose::Forwarded { get, graph, more } if rejected.is_none() => {
                self.route(&get, &kept.unwrap_or(graph), more, out);
            }
            // Who asked does not hear it as an answer; what was stored of it all the same is pushed to him.
            Purpose::Forwarded { .. } => {
                if let Some(id) = id {
                    self.routed.remove(&(peer, id));
                }
            }
        }
    }

    fn ack(&mut self, peer: PeerId, id: MessageId, err: Option<Arc<str>>, out: &mut Vec<Output>) {
        let ack = err.map_or_else(Ack::success, Ack::failure);
        self.reply(peer, id, Body::Ack(ack), out);
    }

    /// Sends those who follow the values one put each.
    pub(super) fn changed(
        &mut self,
        graph: &Graph,
        origin: Option<&(PeerId, MessageId)>,
        out: &mut Vec<Output>,
    ) {
        let mut parts: BTreeMap<PeerId, Graph> = BTreeMap::new();
        for node in graph {
            for (peer, entries) in self.subscriptions.parts(node) {
                if origin.is_none_or(|(writer, _)| *writer != peer) {
                    let part = Node {
                        soul: node.soul.clone(),
                        entries,
                    };
                    parts.entry(peer).or_default().push(part);
                }
            }
        }
        let routed = origin.and_then(|origin| self.routed.get(origin));
        for Routed { asker, get } in routed.into_iter().flatten() {
            if let Some(part) = parts.get_mut(asker) {
                for node in part.iter_mut() {
                    let soul = &node.soul;
                    node.entries.retain(|entry| !get.matches(soul, &entry.key));
                }
                part.retain(|node| !node.entries.is_empty());
            }
        }
        let wants = origin.and_then(|origin| self.wish(origin));
        for (peer, part) in parts {
            for graph in split_graph(part) {
                let id = self.new_id();
                if let (Some(_), Some(origin)) = (wants, origin) {
                    self.pushes
                        .insert(self.now_ms, id.clone(), (peer, origin.clone()));
                }
                let message = Message::new(
                    id,
                    Body::Put(Put {
                        wants,
                        ..Put::new(graph)
                    }),
                );
                self.send(peer, message, SendKind::Push, out);
            }
        }
    }

    /// What a push asks its receivers: further acks, if the writer hopes for more than ours.
    /// The numbers are those of a gun.js relay.
    fn wish(&self, origin: &(PeerId, MessageId)) -> Option<AckWish> {
        let wants = match self.heard.get(origin)?.state {
            HeardState::Waiting { wants } | HeardState::Acked { wants, .. } => wants?,
            HeardState::Asked => return None,
        };
        let peers = i64::try_from(self.peers.len()).unwrap_or(i64::MAX);
        (wants.acks > 1).then_some(AckWish { acks: 2, peers })
    }

    /// An ack of a push goes to the writer, under the id that he knows.
    pub(super) fn route_ack(
        &mut self,
        peer: PeerId,
        to: &MessageId,
        ack: Ack,
        out: &mut Vec<Output>,
    ) {
        if let Some((pushed_to, (writer, id))) = self.pushes.get(to)
            && *pushed_to == peer
        {
            let (writer, id) = (*writer, id.clone());
            self.reply(writer, id, Body::Ack(ack), out);
        }
    }
}

/// A fingerprint of a graph. Only ever compared with others of the same connection.
fn content_of(seed: Seed, graph: &Graph) -> u64 {
    let mut hasher = seed.build_hasher();
    for Node { soul, entries } in graph {
        soul.hash(&mut hasher);
        entries.len().hash(&mut hasher);
        for entry in entries {
            entry.key.hash(&mut hasher);
            entry.state.as_f64().to_bits().hash(&mut hasher);
            std::mem::discriminant(&entry.value).hash(&mut hasher);
            match &entry.value {
                Value::Null => {}
                Value::Bool(value) => value.hash(&mut hasher),
                Value::Number(number) => number.to_bits().hash(&mut hasher),
                Value::Text(text) => text.hash(&mut hasher),
                Value::Link(soul) => soul.hash(&mut hasher),
            }
        }
    }
    hasher.finish()
}
