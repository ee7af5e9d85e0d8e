//! Who is connected, and who of them takes part in the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gun::mesh::{Direction, PeerId};

/// One connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub direction: Direction,
    pub label: Arc<str>,
    /// Set once the peer said that it runs this program.
    pub node_id: Option<Arc<str>>,
}

impl Peer {
    /// Whether to ask it for records: peers that the operator named, and nodes of our kind.
    /// Others that connect here are apps, which hold what they show and no registry.
    pub(crate) fn has_registry(&self) -> bool {
        self.direction == Direction::Dialled || self.node_id.is_some()
    }
}

/// The connections at this moment.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    connected: Mutex<BTreeMap<PeerId, Peer>>,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Peer>> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn opened(&self, peer: PeerId, direction: Direction, label: Arc<str>) {
        self.lock().insert(
            peer,
            Peer {
                direction,
                label,
                node_id: None,
            },
        );
    }

    pub(crate) fn greeted(&self, peer: PeerId, node_id: Arc<str>) {
        if let Some(peer) = self.lock().get_mut(&peer) {
            peer.node_id = Some(node_id);
        }
    }

    pub(crate) fn closed(&self, peer: PeerId) {
        self.lock().remove(&peer);
    }

    pub(crate) fn peer(&self, peer: PeerId) -> Option<Peer> {
        self.lock().get(&peer).cloned()
    }

    /// Those to ask for records, `first` first.
    pub(crate) fn with_registry(&self, first: Option<PeerId>) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = self
            .lock()
            .iter()
            .filter(|(_, peer)| peer.has_registry())
            .map(|(id, _)| *id)
            .collect();
        peers.sort_by_key(|id| Some(*id) != first);
        peers
    }

    /// Those that the operator named.
    pub(crate) fn dialled(&self) -> Vec<PeerId> {
        self.lock()
            .iter()
            .filter(|(_, peer)| peer.direction == Direction::Dialled)
            .map(|(id, _)| *id)
            .collect()
    }

    /// All connections.
    pub(crate) fn all(&self) -> Vec<Peer> {
        self.lock().values().cloned().collect()
    }
}
