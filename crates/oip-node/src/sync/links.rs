//! What is done with a peer while it is connected: its registry is asked for, which subscribes to
//! it, and a peer that the operator named is told our own records.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use gun::Soul;
use gun::mesh::{Direction, PeerId};
use gun::wire::Get;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sweep::Sweeper;
use super::uplink::Uplink;
use crate::config::SyncMode;
use crate::hub::{HubEvent, HubHandle};
use crate::node::Introduction;
use crate::peers::Peers;

/// What link keeping works with.
pub(crate) struct Links {
    pub peers: Arc<Peers>,
    pub sweeper: Arc<Sweeper>,
    pub uplink: Arc<Uplink>,
    pub mode: SyncMode,
    /// What a dialled peer is told before any record.
    pub introduction: Introduction,
    /// Where the pointer to our statement stands: anybody may write there, so that it is looked after.
    pub own_pointer: Option<Soul>,
    pub hub: HubHandle,
    pub tracker: TaskTracker,
    /// Types that became known while running; every peer is asked for their index.
    pub new_types: mpsc::Receiver<String>,
}

impl Links {
    /// Runs until cancelled.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::UnboundedReceiver<HubEvent>,
        cancel: CancellationToken,
    ) {
        let mut open: HashMap<PeerId, CancellationToken> = HashMap::new();
        let mut asked_types = BTreeSet::new();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(HubEvent::Opened { peer, direction, label }) => {
                        self.peers.opened(peer, direction, Arc::clone(&label));
                        let until = cancel.child_token();
                        open.insert(peer, until.clone());
                        if direction == Direction::Dialled {
                            self.introduce(peer, label, until.clone());
                            self.subscribe(peer, until);
                        }
                    }
                    Some(HubEvent::Greeted { peer, node_id }) => {
                        self.peers.greeted(peer, node_id);
                        let dialled = self.peers.peer(peer).is_some_and(|peer| peer.direction == Direction::Dialled);
                        if let (false, Some(until)) = (dialled, open.get(&peer)) {
                            self.subscribe(peer, until.clone());
                        }
                    }
                    Some(HubEvent::Closed { peer }) => {
                        self.peers.closed(peer);
                        if let Some(until) = open.remove(&peer) {
                            until.cancel();
                        }
                    }
                    None => return,
                },
                Some(record_type) = self.new_types.recv() => {
                    if self.mode == SyncMode::On && asked_types.insert(record_type.clone()) {
                        let sweeper = Arc::clone(&self.sweeper);
                        self.tracker.spawn(async move { sweeper.ask_type_everywhere(&record_type).await });
                    }
                }
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Tells who we are, then what we have published.
    fn introduce(&self, peer: PeerId, label: Arc<str>, until: CancellationToken) {
        let introduction = self
            .introduction
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (hub, uplink) = (self.hub.clone(), Arc::clone(&self.uplink));
        let own_pointer = self.own_pointer.clone();
        self.tracker.spawn(async move {
            let introduced = async {
                tokio::select! {
                    // Whatever comes of it: a peer that did not take it is asked by others for it.
                    _ = hub.tell(peer, introduction) => {}
                    () = until.cancelled() => return,
                }
                // What stands there instead is met by the hub, now and whenever it changes.
                if let Some(soul) = own_pointer {
                    tokio::select! {
                        _ = hub.ask(peer, Get::node(soul)) => {}
                        () = until.cancelled() => {}
                    }
                }
            };
            // In this order, so that it is sent first; its ack is not waited for.
            tokio::join!(biased; introduced, uplink.run(peer, label, until.clone()));
        });
    }

    /// Asks for the peer's registry; by asking, we are subscribed until the connection closes.
    fn subscribe(&self, peer: PeerId, until: CancellationToken) {
        if self.mode == SyncMode::Off {
            return;
        }
        let sweeper = Arc::clone(&self.sweeper);
        self.tracker.spawn(async move {
            tokio::select! {
                _ = sweeper.ask_registry(peer) => {}
                () = until.cancelled() => {}
            }
        });
    }
}
