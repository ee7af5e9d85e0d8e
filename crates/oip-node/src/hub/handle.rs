//! How the rest of the node speaks to the hub: asking and telling peers, and what it writes itself.

use std::net::IpAddr;

use gun::Graph;
use gun::mesh::{Answer, PeerId, Token, Told};
use gun::wire::Get;
use tokio::sync::{mpsc, oneshot};

use super::{Fetched, Running};
use crate::allowance::Cost;

/// What the rest of the node asks the hub to do.
pub(super) enum Command {
    Ask {
        peer: PeerId,
        get: Get,
        reply: oneshot::Sender<Fetched>,
    },
    Tell {
        peer: PeerId,
        graph: Graph,
        reply: oneshot::Sender<Told>,
    },
    Changed {
        graph: Graph,
    },
    Afford {
        origin: IpAddr,
        costs: &'static [Cost],
        reply: oneshot::Sender<bool>,
    },
    Spend {
        origin: IpAddr,
        cost: Cost,
        amount: u64,
    },
}

/// The way for the rest of the node to speak with peers.
#[derive(Clone)]
pub(crate) struct HubHandle {
    pub(super) commands: mpsc::Sender<Command>,
}

impl HubHandle {
    /// Asks one peer; what it gives is in the store when this returns.
    pub(crate) async fn ask(&self, peer: PeerId, get: Get) -> Fetched {
        let (reply, answer) = oneshot::channel();
        if self
            .commands
            .send(Command::Ask { peer, get, reply })
            .await
            .is_err()
        {
            return Fetched::PeerGone;
        }
        answer.await.unwrap_or(Fetched::PeerGone)
    }

    /// Gives one peer data and waits for its ack.
    pub(crate) async fn tell(&self, peer: PeerId, graph: Graph) -> Told {
        let (reply, told) = oneshot::channel();
        if self
            .commands
            .send(Command::Tell { peer, graph, reply })
            .await
            .is_err()
        {
            return Told::PeerGone;
        }
        told.await.unwrap_or(Told::PeerGone)
    }

    /// Says that values written here are durable: subscribers hear of them.
    pub(crate) async fn changed(&self, graph: Graph) {
        if !graph.is_empty() {
            // A stopping hub has no subscribers left.
            let _ = self.commands.send(Command::Changed { graph }).await;
        }
    }

    /// Whether an address that comes over HTTP has something left of all of these.
    pub(crate) async fn affords(&self, origin: IpAddr, costs: &'static [Cost]) -> bool {
        let (reply, affords) = oneshot::channel();
        let asked = self.commands.send(Command::Afford {
            origin,
            costs,
            reply,
        });
        // A hub that has stopped lets nobody do anything.
        asked.await.is_ok() && affords.await.unwrap_or(false)
    }

    /// Counts what an address has made this node do.
    pub(crate) async fn spend(&self, origin: IpAddr, cost: Cost, amount: u64) {
        let spent = Command::Spend {
            origin,
            cost,
            amount,
        };
        // A hub that has stopped counts no more.
        let _ = self.commands.send(spent).await;
    }
}

/// A question that was asked and is not answered yet.
pub(super) struct Asked {
    pub(super) reply: oneshot::Sender<Fetched>,
    /// The latest part that came.
    pub(super) part: Option<Graph>,
}

impl Running {
    /// Takes what the mesh heard of a question.
    pub(super) fn answered(&mut self, token: Token, answer: Answer) {
        let Some(asked) = self.asked.get_mut(&token) else {
            return;
        };
        let end = match answer {
            Answer::Data { graph, more } => {
                asked.part = Some(graph);
                // The mesh stays open for more answers until its time-out; the asker need not.
                (!more).then_some(Fetched::Nothing)
            }
            Answer::NotFound | Answer::Refused(_) | Answer::Err(_) => Some(Fetched::Nothing),
            Answer::TimedOut => Some(Fetched::TimedOut),
            Answer::PeerGone => Some(Fetched::PeerGone),
        };
        let Some(end) = end else { return };
        if let Some(asked) = self.asked.remove(&token) {
            // A large node of which parts came is data, however the rest ended.
            let _ = asked.reply.send(asked.part.map_or(end, Fetched::Data));
        }
    }
}
