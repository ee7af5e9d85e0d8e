//! The node: what it consists of, and how it stops in order. How its parts are put together stands in `start`. What it
//! reports of itself is put together in `report`; what callers ask of it stands in `records`, `keys` and `index`, and how
//! many search at once in `searches`.

mod index;
mod keys;
mod records;
mod report;
mod searches;
mod start;

pub use index::{IndexReport, QuarantineKind, QuarantineReplay};
pub use keys::RotateError;
pub use start::StartError;

use self::searches::Searches;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gun_net::{Network, Router, ServeStats};
use oip_index::{Index, IndexError};
use oip_record::{Creator, CreatorKey, Did, NodeIdentity};
use oip_store::Store;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::config::{NodeConfig, SyncMode};
use crate::indexer::scope::Scope;
use crate::indexer::{self, Rebuilds};
use crate::keyring::KeyFolder;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::publish::Publisher;
use crate::relay::Relay;
use crate::statements::Statements;
use crate::sync::judge::Judge;
use crate::sync::marks::Marks;
use crate::sync::sweep::{SweepReport, Sweeper};

/// How long each step of a graceful stop may take.
const DRAIN: Duration = Duration::from_secs(10);

/// The node's statement and the pointers to it, as they are told to peers.
pub(crate) type Introduction = Arc<std::sync::RwLock<gun::Graph>>;

/// A running node. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: NodeConfig,
    store: Store,
    index: Arc<dyn Index>,
    network: Network,
    peers: Arc<Peers>,
    metrics: Arc<Metrics>,
    /// What belongs into the index.
    scope: Scope,
    judge: Judge,
    publisher: Publisher,
    sweeper: Arc<Sweeper>,
    /// Wakes the intake for what was put on its list from here.
    listed: Arc<Notify>,
    key: Arc<CreatorKey>,
    identity: Arc<NodeIdentity>,
    key_folder: KeyFolder,
    statements: Statements,
    audit: Arc<Audit>,
    /// What dialled peers are told first.
    introduction: Introduction,
    node_id: Arc<str>,
    relay_address: SocketAddr,
    relay: Relay,
    relay_stats: ServeStats,
    indexed: watch::Receiver<u64>,
    rebuilds: watch::Receiver<Rebuilds>,
    searches: Searches,
    index_requests: mpsc::Sender<indexer::Request>,
    /// Ends what takes new work: sockets, hub, discovery.
    accepting: CancellationToken,
    accepting_tasks: TaskTracker,
    /// Ends the index once it holds what the store holds.
    indexing: CancellationToken,
    indexing_tasks: TaskTracker,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store failed.
    #[error("failed to read the store: {0}")]
    Store(#[from] oip_store::ReadError),
    /// The index failed or refused the query.
    #[error("failed to {0}")]
    Index(#[from] IndexError),
    /// A stored record can't be decoded.
    #[error("the stored record {did} is damaged: {source}")]
    Damaged {
        /// Which.
        did: Did,
        /// How.
        source: oip_record::Reject,
    },
    /// What is to be tried again can't be written down.
    #[error("failed to have records tried again: {0}")]
    Replay(#[source] oip_store::WriteError),
    /// As many searches as the node runs at once are under way.
    #[error("the node is busy: {max} searches are under way; try again in a moment")]
    Busy {
        /// How many.
        max: usize,
    },
    /// A task was lost, as happens while the process ends.
    #[error("the node is stopping")]
    Stopping,
}

/// Sync was asked for on a node that has it switched off.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("sync is switched off: start the node with GUN_SYNC_ENABLED=true")]
pub struct SyncOff;

impl Node {
    /// Where GUN peers connect.
    #[must_use]
    pub fn relay_address(&self) -> SocketAddr {
        self.inner.relay_address
    }

    /// The graph of this node, as the HTTP API of a relay reads and writes it.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.inner.relay
    }

    /// `routes` behind the same tokens as the relay port: for what gives out and takes the graph on
    /// another port.
    pub fn guarded(&self, routes: Router) -> Router {
        guarded(routes, &self.inner.config, &self.inner.relay_stats)
    }

    /// The id, or alias, that registry entries of this node bear.
    #[must_use]
    pub fn node_id(&self) -> &str {
        &self.inner.node_id
    }

    /// Who signs the records published here.
    #[must_use]
    pub fn creator(&self) -> &Creator {
        self.inner.key.creator()
    }

    /// What explaining a record looks at.
    pub(crate) fn parts_to_explain(&self) -> (&Store, &Judge, &Marks) {
        (
            &self.inner.store,
            &self.inner.judge,
            &self.inner.scope.marks,
        )
    }

    /// Asks all peers for their registry now, and waits until what was found is worked off.
    ///
    /// # Errors
    /// [`SyncOff`] on a node that does not sync.
    pub async fn sync_now(&self) -> Result<SweepReport, SyncOff> {
        match self.inner.config.sync.mode {
            SyncMode::On => Ok(self.inner.sweeper.sweep_now().await),
            SyncMode::Off => Err(SyncOff),
        }
    }

    /// Stops in order: no new work, store durable, index in step. Safe to call twice.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.accepting.cancel();
        inner.accepting_tasks.close();
        if tokio::time::timeout(DRAIN, inner.accepting_tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some tasks did not stop in time");
        }
        inner.indexing.cancel();
        inner.indexing_tasks.close();
        if tokio::time::timeout(DRAIN, inner.indexing_tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("the index did not catch up in time; it goes on at the next start");
        }
        let store = inner.store.clone();
        match tokio::task::spawn_blocking(move || store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "failed to close the store"),
            Err(error) => tracing::error!(%error, "failed to close the store"),
        }
    }

    /// Waits until the index holds every change that the store holds now.
    pub async fn indexed(&self) {
        let head = self.inner.store.feed_head();
        let mut indexed = self.inner.indexed.clone();
        // The sender lives as long as the indexer; a stopping node has nothing to wait for.
        let _ = indexed.wait_for(|reached| *reached >= head).await;
    }
}

fn guarded(routes: Router, config: &NodeConfig, stats: &ServeStats) -> Router {
    let tokens = config.relay_tokens.iter();
    let tokens = tokens.map(|token| token.text().to_owned()).collect();
    gun_net::guard(routes, tokens, stats.clone())
}

async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ReadError::Stopping)?
}
