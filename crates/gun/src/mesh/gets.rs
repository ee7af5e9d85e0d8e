//! Questions of others: answered from the store, subscribed, and passed on when the store
//! has nothing.

use std::sync::Arc;

use super::config::ASKERS_MAX;
use super::io::{Direction, Loaded, Output, PeerId, SendKind, Ticket};
use super::state::Mesh;
use super::subscriptions::Subscribed;
use crate::graph::{Graph, Key, Node, Soul};
use crate::wire::{
    Ack, Body, Get, Interest, KeyQuery, Lex, Message, MessageId, Reject, SoulQuery, graph_hash,
    split_graph,
};

/// A get that the store works on.
#[derive(Debug)]
pub(super) struct Loading {
    peer: PeerId,
    id: Option<MessageId>,
    get: Get,
    /// Hash of the answer that the asker has already.
    known: Option<i32>,
    seen_by: Vec<Arc<str>>,
    /// Id that the last message sent gave for the next one.
    next_id: Option<MessageId>,
}

/// A get that was passed on.
#[derive(Debug)]
pub(super) struct Forward {
    /// Who hears the answers, and under which id.
    pub(super) askers: Vec<(PeerId, MessageId)>,
}

impl Mesh {
    pub(super) fn get(
        &mut self,
        peer: PeerId,
        id: Option<MessageId>,
        get: Get,
        (known, seen_by): (Option<i32>, Vec<Arc<str>>),
        out: &mut Vec<Output>,
    ) {
        let get = match plain(get) {
            Ok(get) => get,
            Err(reject) => return self.refuse_get(peer, id, &reject, out),
        };
        if let Some(id) = &id
            && self.repeated_get(peer, id, &get)
        {
            return;
        }
        if get.interest == Interest::Subscribe {
            self.subscribe(peer, &get);
        }
        // Nobody can tell what an answer without id answers.
        let Some(id) = id else { return };
        if !self.begin(peer) {
            self.heard.remove(&(peer, id.clone()));
            return self.refuse_get(peer, Some(id), &Reject::Busy, out);
        }
        let ticket = self.new_ticket();
        let loading = Loading {
            peer,
            id: Some(id),
            get: get.clone(),
            known,
            seen_by,
            next_id: None,
        };
        self.loading.insert(ticket, loading);
        out.push(Output::Load { ticket, peer, get });
    }

    fn refuse_get(
        &mut self,
        peer: PeerId,
        id: Option<MessageId>,
        reject: &Reject,
        out: &mut Vec<Output>,
    ) {
        if let Some(id) = id {
            self.reply(peer, id, Body::Ack(Ack::failure(reject.to_string())), out);
        }
    }

    fn subscribe(&mut self, peer: PeerId, get: &Get) {
        let SoulQuery::One(soul) = &get.souls else {
            return;
        };
        // A range of keys counts as all of them, as with gun.js.
        let key = match &get.keys {
            KeyQuery::One(key) => Some(key),
            KeyQuery::All | KeyQuery::Lex(_) => None,
        };
        let max = self.config.subscriptions_max;
        if self.subscriptions.add(peer, soul, key, max) == Subscribed::Full {
            self.counts.subscriptions_refused += 1;
        } else if self.config.follows.takes(soul) {
            self.following.followed(self.now_ms, peer, soul);
        }
    }

    pub(super) fn loaded(&mut self, ticket: Ticket, parts: Loaded, out: &mut Vec<Output>) {
        if self.missed.is_loading(ticket) {
            return self.push_missed(ticket, parts, out);
        }
        let Some(mut loading) = self.loading.remove(&ticket) else {
            return;
        };
        // Who asked is gone, and there is nobody to ask others for.
        if !self.peers.contains_key(&loading.peer) {
            return;
        }
        let asks_others = parts != Loaded::MissingHere;
        let (graph, more) = match parts {
            Loaded::Part { graph, more } => (graph, more),
            Loaded::Missing | Loaded::MissingHere => (Graph::new(), false),
            Loaded::Failed(reject) => {
                self.end(loading.peer);
                return self.refuse_get(loading.peer, loading.id, &reject, out);
            }
        };
        let started = loading.next_id.is_some();
        let peer = loading.peer;
        if graph.iter().all(|node| node.entries.is_empty()) {
            if more {
                self.loading.insert(ticket, loading);
            } else {
                self.end(peer);
                if !started {
                    self.miss(loading, asks_others, out);
                }
            }
            return;
        }
        self.answer(&mut loading, graph, more, out);
        if more {
            self.loading.insert(ticket, loading);
        } else {
            self.end(peer);
        }
    }

    /// Sends data as one message or several, each of which names the next.
    fn answer(&mut self, loading: &mut Loading, graph: Graph, more: bool, out: &mut Vec<Output>) {
        let Some(id) = loading.id.clone() else { return };
        let mut parts = split_graph(graph).into_iter().peekable();
        let started = loading.next_id.is_some();
        while let Some(part) = parts.next() {
            let goes_on = more || parts.peek().is_some();
            if !started
                && !goes_on
                && loading.next_id.is_none()
                && loading.known == Some(graph_hash(&part))
            {
                // The asker has exactly this.
                return;
            }
            let own_id = loading.next_id.take().unwrap_or_else(|| self.new_id());
            loading.next_id = goes_on.then(|| self.new_id());
            let message = Self::data(own_id, id.clone(), part, loading.next_id.clone());
            self.send(loading.peer, message, SendKind::Reply, out);
        }
    }

    /// Says at once that nothing is here, then asks the peers this side dialled.
    fn miss(&mut self, loading: Loading, asks_others: bool, out: &mut Vec<Output>) {
        let Loading {
            peer,
            id: Some(id),
            get,
            seen_by,
            ..
        } = loading
        else {
            return;
        };
        self.reply(peer, id.clone(), Body::Ack(Ack::not_found()), out);
        let is_asked_for = match &get.souls {
            SoulQuery::One(soul) => asks_others && self.config.forwards.takes(soul),
            // gun.js relays pass a range of souls on to everybody.
            SoulQuery::Lex(_) => false,
        };
        if !is_asked_for {
            return;
        }
        if let Some(forward) = self.forwards.get_mut(&get) {
            if forward.askers.len() < ASKERS_MAX {
                forward.askers.push((peer, id));
            }
            return;
        }
        let dialled: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(other, known)| {
                **other != peer
                    && known.direction == Direction::Dialled
                    && known.pid.as_ref().is_none_or(|pid| !seen_by.contains(pid))
            })
            .map(|(other, _)| *other)
            .collect();
        if dialled.is_empty() {
            return;
        }
        self.forwards.insert(
            self.now_ms,
            get.clone(),
            Forward {
                askers: vec![(peer, id)],
            },
        );
        self.counts.forwarded += 1;
        for other in dialled {
            if let (SoulQuery::One(soul), KeyQuery::All) = (&get.souls, &get.keys)
                && get.interest == Interest::Subscribe
            {
                self.following.asked(other, soul);
            }
            self.ask_on(other, &get, out);
        }
    }

    /// Asks a dialled peer; what it answers is stored, and goes to those who asked.
    pub(super) fn ask_on(&mut self, peer: PeerId, get: &Get, out: &mut Vec<Output>) {
        let id = self.new_id();
        self.forward_ids
            .insert(self.now_ms, id.clone(), (peer, get.clone()));
        let message = Message::new(id, Body::Get(get.clone()));
        self.send(peer, message, SendKind::Request, out);
    }

    /// Gives the answer to a get that was passed on to those who asked.
    pub(super) fn route(&mut self, get: &Get, graph: &Graph, more: bool, out: &mut Vec<Output>) {
        let asked_for: Graph = graph
            .iter()
            .filter_map(|node| {
                let mut entries = node.entries.clone();
                entries.retain(|entry| get.matches(&node.soul, &entry.key));
                (!entries.is_empty()).then(|| Node {
                    soul: node.soul.clone(),
                    entries,
                })
            })
            .collect();
        let askers = self.forwards.get(get).map(|forward| forward.askers.clone());
        let mut parts = split_graph(asked_for).into_iter().peekable();
        while let Some(part) = parts.next() {
            let goes_on = more || parts.peek().is_some();
            for (peer, id) in askers.iter().flatten() {
                // Who asks here has no use for the chain of ids, only for its end.
                let next = goes_on.then(|| self.new_id());
                let message = Self::data(self.new_id(), id.clone(), part.clone(), next);
                self.send(*peer, message, SendKind::Reply, out);
            }
        }
    }
}

/// A get with ranges of one name turned into that name. A range of souls must say its prefix, be it
/// an empty one, and means whole nodes, as with gun.js.
fn plain(mut get: Get) -> Result<Get, Reject> {
    match &get.souls {
        SoulQuery::One(_) => {}
        SoulQuery::Lex(Lex {
            exact: Some(exact), ..
        }) => get.souls = SoulQuery::One(Soul::new(exact.clone()).map_err(Reject::BadSoul)?),
        SoulQuery::Lex(Lex { prefix: None, .. }) => return Err(Reject::BadGet),
        SoulQuery::Lex(_) => get.keys = KeyQuery::All,
    }
    if let KeyQuery::Lex(Lex {
        exact: Some(exact), ..
    }) = &get.keys
    {
        get.keys = KeyQuery::One(Key::new(exact.clone()).map_err(Reject::BadKey)?);
    }
    Ok(get)
}
