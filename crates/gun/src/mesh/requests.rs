//! Questions and data of the local application for one peer, and what comes back.

use super::io::{Answer, Output, PeerId, SendKind, Token, Told};
use super::state::Mesh;
use crate::graph::Graph;
use crate::wire::{Ack, Body, Get, Message, MessageId, Put, split_graph};

/// A question under way.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    token: Token,
    peer: PeerId,
}

/// One message of data under way.
#[derive(Debug)]
pub(super) struct Telling {
    token: Token,
    peer: PeerId,
}

impl Mesh {
    pub(super) fn ask(&mut self, token: Token, peer: PeerId, get: Get, out: &mut Vec<Output>) {
        if !self.peers.contains_key(&peer) {
            out.push(Output::Asked {
                token,
                answer: Answer::PeerGone,
            });
            return;
        }
        let id = self.new_id();
        let evicted = self
            .asks
            .insert(self.now_ms, id.clone(), Asking { token, peer });
        if let Some((_, oldest)) = evicted {
            out.push(Output::Asked {
                token: oldest.token,
                answer: Answer::TimedOut,
            });
        }
        self.send(
            peer,
            Message::new(id, Body::Get(get)),
            SendKind::Request,
            out,
        );
    }

    /// Whether a question with that id went to that peer, and may still be answered.
    pub(super) fn asked(&self, id: &MessageId, peer: PeerId) -> bool {
        let asking = self.asks.get(id).or_else(|| self.late_asks.get(id));
        asking.is_some_and(|asking| asking.peer == peer)
    }

    /// Passes an answer on, and keeps the question open for what may follow.
    pub(super) fn answered(&mut self, id: &MessageId, answer: Answer, out: &mut Vec<Output>) {
        let goes_on = matches!(answer, Answer::Data { more: true, .. });
        let Some(asking) = self
            .asks
            .remove(id)
            .or_else(|| self.late_asks.get(id).cloned())
        else {
            // Too late: the question has ended as timed out.
            return;
        };
        out.push(Output::Asked {
            token: asking.token,
            answer,
        });
        if goes_on {
            // Each part gives the next as much time again.
            self.late_asks.remove(id);
            self.asks.insert(self.now_ms, id.clone(), asking);
        } else {
            self.late_asks.insert(self.now_ms, id.clone(), asking);
        }
    }

    pub(super) fn tell(&mut self, token: Token, peer: PeerId, graph: Graph, out: &mut Vec<Output>) {
        if !self.peers.contains_key(&peer) {
            out.push(Output::Told {
                token,
                told: Told::PeerGone,
            });
            return;
        }
        let parts = split_graph(graph);
        if parts.is_empty() {
            out.push(Output::Told {
                token,
                told: Told::Ok,
            });
            return;
        }
        self.tell_parts.insert(token, parts.len());
        for graph in parts {
            let id = self.new_id();
            let evicted = self
                .tells
                .insert(self.now_ms, id.clone(), Telling { token, peer });
            if let Some((_, oldest)) = evicted {
                self.told(oldest.token, Told::TimedOut, out);
            }
            let message = Message::new(id, Body::Put(Put::new(graph)));
            self.send(peer, message, SendKind::Request, out);
        }
    }

    /// An ack, an error, or "not found".
    pub(super) fn acked(
        &mut self,
        peer: PeerId,
        reply_to: Option<MessageId>,
        ack: Ack,
        out: &mut Vec<Output>,
    ) {
        let Some(to) = reply_to else { return };
        if self
            .tells
            .get(&to)
            .is_some_and(|telling| telling.peer == peer)
        {
            if let Some(telling) = self.tells.remove(&to) {
                let told = ack.err.map_or(Told::Ok, Told::Err);
                self.told(telling.token, told, out);
            }
        } else if self.asked(&to, peer) {
            match (ack.ok, ack.err) {
                (_, Some(err)) => self.answered(&to, Answer::Err(err), out),
                (None, None) => self.answered(&to, Answer::NotFound, out),
                // Plugins answer gets so; it says nothing about the data.
                (Some(_), None) => {}
            }
        } else {
            self.route_ack(peer, &to, ack, out);
        }
    }

    /// One message of a told graph is done with; the graph is when all are, or one failed.
    fn told(&mut self, token: Token, told: Told, out: &mut Vec<Output>) {
        let Some(parts) = self.tell_parts.get_mut(&token) else {
            return;
        };
        *parts -= 1;
        if told != Told::Ok || *parts == 0 {
            self.tell_parts.remove(&token);
            out.push(Output::Told { token, told });
        }
    }

    pub(super) fn requests_expire(&mut self, out: &mut Vec<Output>) {
        while let Some((_, asking)) = self.asks.expire(self.now_ms) {
            out.push(Output::Asked {
                token: asking.token,
                answer: Answer::TimedOut,
            });
        }
        while let Some((_, telling)) = self.tells.expire(self.now_ms) {
            self.told(telling.token, Told::TimedOut, out);
        }
    }

    pub(super) fn requests_lost(&mut self, peer: PeerId, out: &mut Vec<Output>) {
        for (_, asking) in self.asks.extract(|asking| asking.peer == peer) {
            out.push(Output::Asked {
                token: asking.token,
                answer: Answer::PeerGone,
            });
        }
        self.late_asks.extract(|asking| asking.peer == peer);
        for (_, telling) in self.tells.extract(|telling| telling.peer == peer) {
            self.told(telling.token, Told::PeerGone, out);
        }
    }
}
