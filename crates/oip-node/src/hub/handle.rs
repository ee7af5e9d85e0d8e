//! How the rest of the node speaks to the hub: asking and telling peers, and what it writes itself.

use std::net::IpAddr;

use gun::Graph;
use gun::mesh::{PeerId, Told};
use gun::wire::Get;
use tokio::sync::{mpsc, oneshot};

use super::Fetched;
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

    /// Whether an address that writes over HTTP has something left of what peers may store in a day.
    pub(crate) async fn affords(&self, origin: IpAddr) -> bool {
        let (reply, affords) = oneshot::channel();
        let asked = self.commands.send(Command::Afford { origin, reply });
        // A hub that has stopped lets nobody write.
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
