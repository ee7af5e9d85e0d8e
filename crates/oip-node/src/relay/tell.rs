//! What is put over HTTP is told the peers that this node dials: who writes so has no connection to
//! them, and a deployed relay passes it on.
//!
//! Told once, to those that are connected: states make up for what is lost when somebody asks. Owns
//! the bound on what is under way; beyond it nothing is told, and the put stands all the same.

use std::sync::Arc;

use gun::{Graph, Value};
use tokio::sync::Semaphore;

use super::Relay;

/// Bytes of puts that are being told: as many as may wait for one peer beside everything else.
const TELLING_BYTES_MAX: usize = 8 << 20;

/// Counted for each value beside its text.
const ENTRY_BYTES: usize = 64;

/// What is being told.
#[derive(Debug)]
pub(super) struct Telling {
    room: Arc<Semaphore>,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(TELLING_BYTES_MAX)),
        }
    }
}

impl Relay {
    /// Tells the dialled peers what was written; returns before they have it.
    pub(super) fn tell(&self, graph: &Graph) {
        let peers = self.links().into_iter().filter_map(|link| link.peer);
        for peer in peers {
            let bytes = weight(graph).min(TELLING_BYTES_MAX);
            let share = u32::try_from(bytes).unwrap_or(u32::MAX);
            let Ok(room) = Arc::clone(&self.telling.room).try_acquire_many_owned(share) else {
                tracing::debug!(
                    peer = peer.0,
                    "too much is being told: a peer has to ask for a put"
                );
                return;
            };
            let (hub, graph) = (self.parts.hub.clone(), graph.clone());
            self.parts.tracker.spawn(async move {
                // What a relay had already it does not acknowledge; what it refuses is its own matter.
                let told = hub.tell(peer, graph).await;
                tracing::trace!(peer = peer.0, ?told, "told a put");
                drop(room);
            });
        }
    }
}

fn weight(graph: &Graph) -> usize {
    let entries = graph.iter().flat_map(|node| &node.entries);
    let weigh = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Link(soul) => soul.as_str().len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    entries
        .map(|entry| ENTRY_BYTES + entry.key.as_str().len() + weigh(&entry.value))
        .sum()
}
