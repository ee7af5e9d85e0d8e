//! This node as a relay that is spoken to over HTTP: what `/put`, `/get`, `/list`, `/media` and
//! `/peers/status` of deployed relays mean (`oip-formats` 2, `docs/relay-http.md`).
//!
//! Owns the meaning: nested objects as nodes, nodes as JSON. The routes, their shapes and the limits
//! on requests are the program's. What is written passes the same admission as puts of peers.
//!
//! `nested` reads what is put, `write` stores it, `tell` tells it to linked relays, `read` shows nodes and lists in parts, `shown` is
//! their form, `ask` asks peers for what is not held, `media` names the souls of media.

mod ask;
mod media;
mod nested;
mod read;
mod shown;
mod tell;
mod write;

use std::fmt;
use std::sync::Arc;

use gun_net::{Background, LinkStatus, Network, PullPeer};
use oip_store::Store;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::config::{AddressRange, Admission};
use crate::hub::HubHandle;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::sync::marks::Marks;
use ask::Asking;
use tell::Telling;

pub use media::{Manifest, MediaError, Presence};
pub use nested::{Arrays, Nested, NestedError};
pub use read::{GetError, LIST_MAX, LIST_OFFSET_MAX, ListError, Listing, Parts};
pub use write::PutError;

/// How a node is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As it stands: links are links. Index entries whose record is not held come last: behind them deployed nodes
    /// that pull see nothing. What the relay port shows.
    Graph,
    /// As a deployed node needs it that pulls over HTTP: `data` and `oip` of a record inline, whatever
    /// the layout, and no such entry at all. What `/gun-relay/get` shows.
    Pull,
}

/// The graph of a node, as a relay gives it out and takes it. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    parts: Arc<RelayParts>,
    asking: Arc<Asking>,
    telling: Arc<Telling>,
    /// Whose turn it is to have nodes looked through.
    listing: Arc<Mutex<()>>,
}

/// What a [`Relay`] works with.
pub(crate) struct RelayParts {
    pub store: Store,
    pub hub: HubHandle,
    pub network: Network,
    /// Does what takes long.
    pub background: Background,
    /// Peers that are asked over HTTP, for what is said of links.
    pub pulled: Vec<Arc<PullPeer>>,
    pub registry: Arc<Registry>,
    pub admission: Admission,
    pub metrics: Arc<Metrics>,
    pub marks: Arc<Marks>,
    /// From where deletion marks that are put over HTTP count (`OIP_GUN_RELAY_DELETES_FROM`).
    pub deletes_from: Vec<AddressRange>,
    /// Writes run here, so that a graceful stop waits for them.
    pub tracker: TaskTracker,
}

impl Relay {
    pub(crate) fn new(parts: RelayParts) -> Self {
        Self {
            parts: Arc::new(parts),
            asking: Arc::default(),
            telling: Arc::default(),
            listing: Arc::default(),
        }
    }

    /// The configured peers and how each link stands.
    #[must_use]
    pub fn links(&self) -> Vec<LinkStatus> {
        let pulled = self.parts.pulled.iter().map(|peer| peer.status());
        self.parts
            .network
            .links()
            .into_iter()
            .chain(pulled)
            .collect()
    }

    /// How many peers have dialled this node.
    #[must_use]
    pub fn inbound_count(&self) -> usize {
        self.parts.network.inbound_count()
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Relay").finish_non_exhaustive()
    }
}
