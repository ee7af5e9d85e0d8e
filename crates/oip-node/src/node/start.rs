//! How a node is put together: store, index and keys are opened, every task is started, each with what it works with.
//!
//! Owns the order: the store's lock before keys are made, the node's statement before any record, what lies in the graph
//! before any peer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use gun_net::{
    Background, NetConfig, Network, PullPeer, Router, ServeOptions, ServeStats, Transport,
};
use oip_index::embedded::EmbeddedIndex;
use oip_index::{ElasticIndex, Index, IndexError, Templates};
use oip_record::NodeIdentity;
use oip_store::{Op, Store, Transaction};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::searches::Searches;
use super::{Inner, Node, guarded, keys};
use crate::allowance::Allowances;
use crate::audit::Audit;
use crate::clock;
use crate::config::{IndexBackend, NodeConfig, SyncMode};
use crate::hub::{self, Hub, HubHandle};
use crate::indexer::feeder::Feeder;
use crate::indexer::scope::Scope;
use crate::indexer::{self, Indexer, Rebuilds};
use crate::keyring::{Keyring, KeyringError};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::publish::{Publisher, Turns as PublishTurns};
use crate::relay::{Relay, RelayParts};
use crate::statements::{Asked, OwnPointer, OwnStatementError, Rivals, Statements};
use crate::storage;
use crate::sync::heal::{Healer, Turns};
use crate::sync::intake::Intake;
use crate::sync::judge::Judge;
use crate::sync::links::Links;
use crate::sync::log::LogBudget;
use crate::sync::marks::{self, Marks};
use crate::sync::pull::Puller;
use crate::sync::sweep::Sweeper;
use crate::sync::trust::Trust;
use crate::sync::trust::watch::TrustWatch;
use crate::sync::uplink::Uplink;
use crate::vault::Vault;

/// Frames that wait for the hub. Each holds at most one frame's messages; sockets are not read
/// beyond it.
const NET_EVENTS_MAX: usize = 256;

/// Registry changes that wait for discovery; beyond it the durable list alone tells of them.
const NOTICES_MAX: usize = 8_192;

/// New types that wait to be asked for; the sweep finds what does not fit.
const NEW_TYPES_MAX: usize = 256;

/// How often values of the future are looked at when none is known to fall due sooner.
const DEFERRED_LOOK: Duration = Duration::from_secs(60);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder can't be made.
    #[error("failed to make the data folder {path}: {source}; name another with OIP_GUN_DATA_DIR")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key is missing or damaged.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The system has no room for threads.
    #[error("failed to start threads: {0}; raise the limit of processes (ulimit -u) of this user")]
    Threads(#[source] std::io::Error),
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] oip_store::OpenError),
    /// The index did not open.
    #[error("failed to {0}")]
    Index(#[from] IndexError),
    /// A folder of templates can't be used.
    #[error("failed to {0}; name another folder with OIP_TEMPLATES_DIR")]
    Templates(#[from] oip_index::templates::TemplatesError),
    /// The relay port is taken.
    #[error(
        "failed to listen on {address} for GUN peers: {source}; name another port with GUN_RELAY_PORT (0 takes a free one)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configured peer is this node.
    #[error(transparent)]
    Peer(#[from] gun_net::AddressError),
    /// Peers can't be asked over HTTP.
    #[error(transparent)]
    Pull(#[from] gun_net::pull::SetUpError),
    /// The node can't say what it is.
    #[error(transparent)]
    Statement(#[from] OwnStatementError),
    /// The registry root can't name anything in the graph.
    #[error(
        "the registry root `{0}` can't be used: set GUN_REGISTRY_ROOT to letters, digits, `:`, `-` or `_`, such as oip:registry"
    )]
    RegistryRoot(String),
}

impl Node {
    /// Starts a node and returns once it serves; discovery goes on in the background. Its relay
    /// port speaks GUN only.
    ///
    /// # Errors
    /// [`StartError`], whose message names the cure.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        Self::start_with(config, |_| Router::new()).await
    }

    /// The same with more HTTP routes on the relay port than GUN's own.
    ///
    /// # Errors
    /// [`StartError`], whose message names the cure.
    pub async fn start_with(
        config: NodeConfig,
        routes: impl FnOnce(Relay) -> Router,
    ) -> Result<Self, StartError> {
        // The store's lock comes before keys are made: two nodes on one folder never get that far.
        let (store, registry) = storage::open(&config, config.sync.mode)?;
        let keys = Keyring::open(&config)?;
        let templates = match &config.templates_dir {
            Some(folder) => Templates::with_folder(folder)?,
            None => Templates::known(),
        };
        let index = open_index(&config, templates, &keys.identity, &store).await?;
        let node_id: Arc<str> = config
            .node_id_override
            .clone()
            .unwrap_or_else(|| keys.identity.node_id())
            .into();
        let key = Arc::new(keys.creator);
        let identity = Arc::new(keys.identity);
        let vault = Arc::new(Vault::new(keys.encryption, &config.private, store.clone()));
        let (audit, audit_events) = Audit::new(store.clone(), Arc::clone(&identity));
        let metrics = Arc::new(Metrics::new());
        let peers = Arc::new(Peers::default());

        let (listener, relay_address) = listen(&config).await?;

        let accepting = CancellationToken::new();
        let accepting_tasks = TaskTracker::new();
        let (net_events, net_event_queue) = mpsc::channel(NET_EVENTS_MAX);
        let background = Background::new().map_err(StartError::Threads)?;
        let network = Network::start(
            NetConfig {
                listening: vec![relay_address],
                ..NetConfig::new(config.peers.clone())
            },
            net_events,
            accepting.clone(),
            accepting_tasks.clone(),
            background.clone(),
        );
        let (events, event_queue) = mpsc::unbounded_channel();
        let (notices, notice_queue) = mpsc::channel(NOTICES_MAX);
        let deferred = Arc::new(Notify::new());
        let misled = Arc::new(Notify::new());
        let hub = Hub {
            store: store.clone(),
            network: network.clone(),
            background: background.clone(),
            mesh: hub::mesh(config.admission, &registry),
            registry: Arc::clone(&registry),
            types: config.types.clone(),
            admission: config.admission,
            allowances: Allowances::new(&config.quotas),
            metrics: Arc::clone(&metrics),
            node_id: Arc::clone(&node_id),
            identity_id: identity.node_id().into(),
            misled: Arc::clone(&misled),
            events,
            notices,
            deferred: Arc::clone(&deferred),
        };
        let (hub, hub_task) = hub.start(net_event_queue, accepting.clone());
        // A thread of its own: it always has work under load, and would keep the sockets of a worker waiting.
        let runtime = tokio::runtime::Handle::current();
        accepting_tasks.spawn_blocking(move || runtime.block_on(hub_task));
        let pulled = pull_peers(&config)?;
        let statements = Statements {
            store: store.clone(),
            hub: hub.clone(),
            peers: Arc::clone(&peers),
            registry: Arc::clone(&registry),
            asked: Asked::default(),
            expects_peers: config
                .peers
                .iter()
                .any(|peer| peer.transport() != Transport::Pull),
            rivals: Rivals::default(),
        };
        // Before any record: who seals to this node, or wonders who made it, finds this first.
        let introduction = statements
            .publish_own(
                &identity,
                &vault.ring(),
                config.node_id_override.as_deref(),
                vec![key.creator().did_address.clone()],
            )
            .await?;
        let introduction = Arc::new(std::sync::RwLock::new(introduction));
        keys::reconsider_sealed(&store, &vault).await?;
        let marks = Arc::new(Marks {
            store: store.clone(),
            configured: marks::counted(&config.peers, &config.deletes_from),
            metrics: Arc::clone(&metrics),
            ahead: AtomicU64::new(0),
        });
        let relay = Relay::new(RelayParts {
            store: store.clone(),
            pulled: pulled.clone(),
            hub: hub.clone(),
            network: network.clone(),
            background,
            registry: Arc::clone(&registry),
            admission: config.admission,
            metrics: Arc::clone(&metrics),
            marks: Arc::clone(&marks),
            deletes_from: config.deletes_from.clone(),
            tracker: accepting_tasks.clone(),
        });
        let relay_stats = ServeStats::default();
        accepting_tasks.spawn(gun_net::serve(
            listener,
            guarded(
                network.router().merge(routes(relay.clone())),
                &config,
                &relay_stats,
            ),
            ServeOptions::default(),
            relay_stats.clone(),
            accepting.clone(),
            accepting_tasks.clone(),
        ));
        accepting_tasks.spawn(release_deferred(
            store.clone(),
            hub.clone(),
            deferred,
            accepting.clone(),
        ));

        let trust = Trust::new(
            config.sync.trusted.clone(),
            key.creator().did_address.clone(),
        );
        // From what is here: what lies in the graph is judged before any peer is reached.
        trust.learn(
            trust
                .look(&store, &registry)
                .map_err(OwnStatementError::from)?,
        );
        let trust = Arc::new(trust);
        let judge = Judge {
            store: store.clone(),
            registry: Arc::clone(&registry),
            types: config.types.clone(),
            signatures: config.sync.signatures,
            trust: Arc::clone(&trust),
            vault: Arc::clone(&vault),
        };
        let listed = Arc::new(Notify::new());
        let mut pullers = Vec::new();
        let (new_types, new_type_queue) = mpsc::channel(NEW_TYPES_MAX);
        if config.sync.mode == SyncMode::On {
            let healer = Healer {
                judge: judge.clone(),
                hub: hub.clone(),
                node_id: Arc::clone(&node_id),
                metrics: Arc::clone(&metrics),
                turns: Turns::default(),
            };
            let intake = Arc::new(Intake {
                judge: judge.clone(),
                healer: Arc::new(healer),
                marks: Arc::clone(&marks),
                quotas: config.quotas,
                hub: hub.clone(),
                peers: Arc::clone(&peers),
                metrics: Arc::clone(&metrics),
                audit: Arc::clone(&audit),
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                listed: Arc::clone(&listed),
                log: LogBudget::default(),
                new_types,
            });
            let interval = Duration::from_millis(config.sync.interval_ms);
            for peer in pulled {
                let puller = Arc::new(Puller::new(
                    peer,
                    Arc::clone(&intake),
                    Arc::clone(&marks),
                    Arc::clone(&registry),
                    config.types.clone(),
                ));
                accepting_tasks.spawn(Arc::clone(&puller).run(interval, accepting.clone()));
                pullers.push(puller);
            }
            accepting_tasks.spawn(intake.run(notice_queue, accepting.clone()));
            let watch = TrustWatch {
                trust: Arc::clone(&trust),
                store: store.clone(),
                registry: Arc::clone(&registry),
                types: config.types.clone(),
                hub: hub.clone(),
                peers: Arc::clone(&peers),
                listed: Arc::clone(&listed),
                pulled: pullers.clone(),
            };
            accepting_tasks.spawn(watch.run(interval, accepting.clone()));
        }
        let sweeper = Arc::new(Sweeper {
            store: store.clone(),
            hub: hub.clone(),
            peers: Arc::clone(&peers),
            registry: Arc::clone(&registry),
            types: config.types.clone(),
            metrics: Arc::clone(&metrics),
            marks: Arc::clone(&marks),
            trust,
            pulled: pullers,
            running: Mutex::new(()),
        });
        if config.sync.mode == SyncMode::On {
            let interval = Duration::from_millis(config.sync.interval_ms);
            accepting_tasks.spawn(Arc::clone(&sweeper).run(interval, accepting.clone()));
        }
        let links = Links {
            peers: Arc::clone(&peers),
            sweeper: Arc::clone(&sweeper),
            uplink: Arc::new(Uplink {
                store: store.clone(),
                hub: hub.clone(),
                registry: Arc::clone(&registry),
                node_id: Arc::clone(&node_id),
                metrics: Arc::clone(&metrics),
            }),
            mode: config.sync.mode,
            introduction: Arc::clone(&introduction),
            own_pointer: registry.pointer_soul(&identity.node_id()),
            hub: hub.clone(),
            tracker: accepting_tasks.clone(),
            new_types: new_type_queue,
        };
        accepting_tasks.spawn(links.run(event_queue, accepting.clone()));
        let own_pointer = OwnPointer {
            statements: statements.clone(),
            identity: Arc::clone(&identity),
            alias: config.node_id_override.clone(),
            introduction: Arc::clone(&introduction),
            misled,
        };
        accepting_tasks.spawn(own_pointer.run(accepting.clone()));

        let indexing = CancellationToken::new();
        let indexing_tasks = TaskTracker::new();
        let (reached, indexed) = watch::channel(0);
        let (rebuilds, rebuilds_seen) = watch::channel(Rebuilds::default());
        let (index_requests, requests) = mpsc::channel(indexer::REQUESTS_MAX);
        let scope = Scope {
            types: config.types.clone(),
            marks: Arc::clone(&marks),
            vault: Arc::clone(&vault),
        };
        let indexer = Indexer {
            feeder: Arc::new(Feeder::new(
                store.clone(),
                Arc::clone(&index),
                scope.clone(),
                Arc::clone(&audit),
                Arc::clone(&metrics),
            )),
            reached,
            rebuilds,
            requests,
            gather: config.index_commit,
        };
        indexing_tasks.spawn(indexer.run(indexing.clone()));
        indexing_tasks.spawn(Arc::clone(&audit).run(audit_events, indexing.clone()));

        let looking = Arc::clone(&marks);
        accepting_tasks.spawn(async move {
            if let Err(error) = looking.look_again().await {
                tracing::error!(%error, "failed to look through what deletion marks hide");
            }
        });

        let publisher = Publisher {
            store: store.clone(),
            hub: hub.clone(),
            registry,
            key: Arc::clone(&key),
            node_id: Arc::clone(&node_id),
            privacy_default: config.privacy_default,
            sealing: config.private.sealing,
            vault: Arc::clone(&vault),
            statements: statements.clone(),
            audit: Arc::clone(&audit),
            metrics: Arc::clone(&metrics),
            turns: PublishTurns::default(),
        };
        let inner = Inner {
            config,
            store,
            index,
            network,
            peers,
            metrics,
            scope,
            judge,
            publisher,
            sweeper,
            listed,
            key,
            identity,
            key_folder: keys.folder,
            statements,
            audit,
            introduction,
            node_id,
            relay_address,
            relay,
            relay_stats,
            indexed,
            rebuilds: rebuilds_seen,
            searches: Searches::default(),
            index_requests,
            accepting,
            accepting_tasks,
            indexing,
            indexing_tasks,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

async fn open_index(
    config: &NodeConfig,
    templates: Templates,
    identity: &NodeIdentity,
    store: &Store,
) -> Result<Arc<dyn Index>, StartError> {
    Ok(match &config.index {
        IndexBackend::Embedded => {
            let folder = config.data_dir.join("index");
            Arc::new(EmbeddedIndex::open_with(&folder, templates)?)
        }
        IndexBackend::Elastic(settings) => {
            let mut settings = (**settings).clone();
            // The derived id: an alias is no proof against another node's having it too.
            settings.owner = identity.node_id().to_string();
            settings.store = indexer::store_id(store).await?;
            Arc::new(ElasticIndex::new(settings, Arc::new(templates))?)
        }
    })
}

/// Takes the relay port, which must be none of a configured peer.
async fn listen(config: &NodeConfig) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = config.relay_listen;
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let taken = listener.local_addr().map_err(failed)?;
    gun_net::address::refuse_ourselves(&config.peers, &[taken])?;
    Ok((listener, taken))
}

/// The peers that are asked over HTTP; none on a node that does not sync.
fn pull_peers(config: &NodeConfig) -> Result<Vec<Arc<PullPeer>>, StartError> {
    let addresses = config.peers.iter();
    addresses
        .filter(|address| address.transport() == Transport::Pull)
        .filter(|_| config.sync.mode == SyncMode::On)
        .map(|address| Ok(Arc::new(PullPeer::new(address.clone())?)))
        .collect()
}

/// Merges values of the future when their time comes, and lets subscribers hear of them.
async fn release_deferred(
    store: Store,
    hub: HubHandle,
    more: Arc<Notify>,
    cancel: CancellationToken,
) {
    loop {
        let now = clock::wall_ms();
        let wait = match store.next_deferred() {
            Ok(Some(due)) if due <= now => {
                match store
                    .commit(Transaction::from(Op::ReleaseDeferred), now)
                    .await
                {
                    Ok(committed) => hub.changed(committed.changed).await,
                    Err(error) => {
                        tracing::error!(%error, "failed to release values whose time has come")
                    }
                }
                // At most once a millisecond, the unit of states.
                Duration::from_millis(1)
            }
            Ok(Some(due)) => Duration::from_millis(due - now),
            Ok(None) => DEFERRED_LOOK,
            Err(error) => {
                tracing::error!(%error, "failed to read the values of the future");
                DEFERRED_LOOK
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait.min(DEFERRED_LOOK)) => {}
            () = more.notified() => {}
            () = cancel.cancelled() => return,
        }
    }
}
