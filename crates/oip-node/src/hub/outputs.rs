//! What the mesh decides, carried out: messages to the network, puts and gets to the store, answers to
//! those parts of the node that asked.
//!
//! Owns what becomes of a message that a slow reader has no room for.

use gun::Soul;
use gun::mesh::{CloseReason, Input, Output, PeerId, SendKind};
use gun::wire::{Body, Message};
use gun_net::SendResult;

use super::Running;
use super::held::Wish;
use crate::loader::Load;

impl Running {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send {
                peer,
                message,
                kind,
            } => self.send(peer, message, kind),
            Output::Close { peer, reason } => self.hub.network.close(peer, reason),
            Output::Store {
                ticket,
                peer,
                origin,
                graph,
            } => self.store(ticket, peer, origin, graph),
            Output::Load { ticket, peer, get } => {
                let load = Load::Get(get);
                match self.writes.hold(peer, Wish { ticket, load }) {
                    Some(wish) => self.wish(peer, wish),
                    None => self.begin(peer),
                }
            }
            Output::Asked { token, answer } => self.answered(token, answer),
            Output::Told { token, told } => {
                if let Some(reply) = self.told.remove(&token) {
                    let _ = reply.send(told);
                }
            }
            Output::Extension { peer, name, body } => self.extension(peer, &name, &body),
            Output::Complaint { peer, err } => {
                tracing::warn!(peer = peer.0, %err, "a peer complains about the connection");
            }
            Output::Identified { .. } => {}
            Output::IsOurselves { peer } => self.hub.network.refuse_ourselves(peer),
        }
    }

    fn send(&mut self, peer: PeerId, message: Message, kind: SendKind) {
        let souls = match kind {
            SendKind::Push => souls(&message),
            SendKind::Reply | SendKind::Request | SendKind::Keepalive => Vec::new(),
        };
        match self.hub.network.send(peer, message, kind) {
            // A node of our kind can miss more than what it follows: it dials again and asks anew.
            SendResult::Dropped if self.greeted_by.contains(&peer) => {
                self.hub.network.close(peer, CloseReason::Behind);
            }
            SendResult::Dropped => {
                // What it missed waits like all that it asks for.
                self.lines.crowded(peer);
                self.feed(Input::Missed { peer, souls });
            }
            SendResult::Crowded => self.lines.crowded(peer),
            SendResult::Closed => self.cut_off(peer),
            SendResult::Queued | SendResult::Gone => {}
        }
    }
}

fn souls(message: &Message) -> Vec<Soul> {
    match &message.body {
        Body::Put(put) => put.graph.iter().map(|node| node.soul.clone()).collect(),
        _ => Vec::new(),
    }
}
