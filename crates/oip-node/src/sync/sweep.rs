//! The sweep: asks peers for the whole registry. Live pushes make sync fast, the sweep makes it
//! sure: after a reconnect, a partial answer of a relay's disk, or a push that was dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gun::mesh::{Direction, PeerId};
use gun::wire::{Get, Lex};
use gun::{Key, Soul};
use oip_store::Store;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::judge::signed_ms;
use super::marks::Marks;
use super::pull::{Effort, Puller};
use super::trust::Trust;
use crate::clock;
use crate::config::TypeFilter;
use crate::deletions;
use crate::hub::{Fetched, HubHandle};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::registry::{DEPLOYED_TYPES, Registry};

/// Types read from the directory; deployed networks know 37 and their chain some 55.
pub(super) const TYPES_MAX: usize = 1_000;

/// How long a forced sweep waits until what it found is worked off.
const SETTLE: Duration = Duration::from_secs(30);

/// Sweeps of nodes of our own kind are rarer: their pushes are ordered, and a push they had to drop
/// closes the link. Every so many intervals still catches what no rule foresaw.
const OWN_KIND_EVERY: u64 = 10;

/// A byte budget for a range that is meant to match nothing.
const PROBE_BYTES: u64 = 1;

/// What a sweep did.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepReport {
    /// Peers that were asked.
    pub peers_asked: usize,
    /// Peers that did not answer every question in time.
    pub peers_silent: usize,
    /// Record versions found meanwhile.
    pub discovered: u64,
    /// Record versions kept meanwhile, deletions included.
    pub synced: u64,
    /// Records that could not be taken meanwhile.
    pub errors: u64,
    /// Souls still to be fetched when the sweep ended.
    pub wanted: u64,
    /// How long it took.
    pub duration_ms: u64,
}

/// What sweeping works with.
pub(crate) struct Sweeper {
    pub store: Store,
    pub hub: HubHandle,
    pub peers: Arc<Peers>,
    pub registry: Arc<Registry>,
    pub types: TypeFilter,
    pub metrics: Arc<Metrics>,
    pub marks: Arc<Marks>,
    /// Whose statements are asked for, and so followed.
    pub trust: Arc<Trust>,
    /// Peers that are asked over HTTP, each on a schedule of its own.
    pub pulled: Vec<Arc<Puller>>,
    /// No sweep starts while one runs.
    pub running: Mutex<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everyone,
    RelaysOnly,
}

/// Why a sweep runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Timer,
    Asked,
}

impl Sweeper {
    /// Sweeps at every interval until cancelled.
    pub(crate) async fn run(self: Arc<Self>, interval: Duration, cancel: CancellationToken) {
        for round in 1_u64.. {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = cancel.cancelled() => return,
            }
            let reach = if round % OWN_KIND_EVERY == 0 {
                Reach::Everyone
            } else {
                Reach::RelaysOnly
            };
            tokio::select! {
                _ = self.sweep(reach, Cause::Timer) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// One sweep now over all peers, and what it found worked off.
    pub(crate) async fn sweep_now(&self) -> SweepReport {
        let started = Instant::now();
        let before = self.counts();
        let (asked, silent) = self.sweep(Reach::Everyone, Cause::Asked).await;
        while self.due() && started.elapsed() < SETTLE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let after = self.counts();
        SweepReport {
            peers_asked: asked,
            peers_silent: silent,
            discovered: after.0 - before.0,
            synced: after.1 - before.1,
            errors: after.2 - before.2,
            wanted: self.store.wanted_len(),
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let m = &self.metrics;
        (
            m.discovered.get(),
            m.synced.get() + m.deleted.get(),
            m.errors.get(),
        )
    }

    fn due(&self) -> bool {
        self.store
            .wanted_due(clock::wall_ms(), 1)
            .is_ok_and(|rows| !rows.is_empty())
    }

    async fn sweep(&self, reach: Reach, cause: Cause) -> (usize, usize) {
        let _running = self.running.lock().await;
        let started = Instant::now();
        // Quiet by default: a sweep that nobody asked for and that finds nothing leaves no line.
        match cause {
            Cause::Asked => tracing::info!(event = "syncStart", "sweep starts"),
            Cause::Timer => tracing::debug!(event = "syncStart", "sweep starts"),
        }
        let before = self.counts();
        let mut asks = tokio::task::JoinSet::new();
        let peers: Vec<PeerId> = self
            .peers
            .with_registry(None)
            .into_iter()
            .filter(|id| {
                reach == Reach::Everyone
                    || self
                        .peers
                        .peer(*id)
                        .is_some_and(|peer| peer.node_id.is_none())
            })
            .collect();
        let mut asked = peers.len();
        let mut rounds = tokio::task::JoinSet::new();
        if cause == Cause::Asked {
            asked += self.pulled.len();
            for puller in &self.pulled {
                let puller = Arc::clone(puller);
                rounds.spawn(async move { puller.round(Effort::Full).await });
            }
        }
        for peer in peers {
            let questions = self.questions(
                self.peers
                    .peer(peer)
                    .is_some_and(|peer| peer.node_id.is_some()),
            );
            let (hub, marks) = (self.hub.clone(), self.ask_marks(peer));
            asks.spawn(async move {
                let (all, ()) = tokio::join!(ask_all(hub, peer, questions), marks);
                all
            });
        }
        let mut silent = 0;
        while let Some(round) = rounds.join_next().await {
            silent += usize::from(!matches!(round, Ok(round) if !round.is_down));
        }
        while let Some(answered) = asks.join_next().await {
            silent += usize::from(!matches!(answered, Ok(true)));
        }
        let after = self.counts();
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.metrics.sweeps.inc();
        self.metrics
            .last_sweep_ms
            .store(signed_ms(clock::wall_ms()), Ordering::Relaxed);
        self.metrics.sweep_took_ms.store(took, Ordering::Relaxed);
        let (synced, total) = (after.1 - before.1, after.0 - before.0);
        match cause {
            Cause::Timer if total == 0 => {
                tracing::debug!(
                    event = "syncComplete",
                    synced,
                    total,
                    peers = asked,
                    silent,
                    took_ms = took,
                    "sweep complete"
                );
            }
            _ => {
                tracing::info!(
                    event = "syncComplete",
                    synced,
                    total,
                    peers = asked,
                    silent,
                    took_ms = took,
                    "sweep complete"
                );
            }
        }
        (asked, silent)
    }

    /// Asks one peer for directory and indexes, which subscribes to them.
    pub(crate) async fn ask_registry(&self, peer: PeerId) -> bool {
        for soul in self.trust.souls(&self.store, &self.registry) {
            self.hub.ask(peer, Get::node(soul)).await;
        }
        // The directory first: it may name types that are new here.
        self.hub
            .ask(peer, Get::node(self.registry.directory()))
            .await;
        let own_kind = self
            .peers
            .peer(peer)
            .is_some_and(|peer| peer.node_id.is_some());
        self.ask_marks(peer).await;
        ask_all(self.hub.clone(), peer, self.questions(own_kind)).await
    }

    /// Asks a peer that the operator named for its deletion registry, which subscribes to it. What it
    /// shows counts as shown by it, also where this node knew it already from somebody else.
    fn ask_marks(&self, peer: PeerId) -> impl Future<Output = ()> + use<> {
        let (hub, marks) = (self.hub.clone(), Arc::clone(&self.marks));
        let dialled = self.peers.peer(peer);
        let dialled = dialled.filter(|peer| peer.direction == Direction::Dialled);
        async move {
            let Some(dialled) = dialled else { return };
            let index = deletions::index();
            let Fetched::Data(graph) = hub.ask(peer, Get::node(index.clone())).await else {
                return;
            };
            let shown = graph.iter().filter(|node| node.soul == index);
            for entry in shown.flat_map(|node| &node.entries) {
                let change =
                    deletions::read_change(index.as_str(), entry.key.as_str(), &entry.value);
                let at_ms = entry.state.as_f64().max(0.0) as u64;
                match change {
                    Some((soul, true)) => marks.set(&soul, &dialled.label, at_ms).await,
                    Some((soul, false)) => marks.clear(&soul, &dialled.label).await,
                    None => {}
                }
            }
        }
    }

    /// Asks every peer for the index of a type that became known.
    pub(crate) async fn ask_type_everywhere(&self, record_type: &str) {
        let Some(index) = self
            .registry
            .index(record_type)
            .filter(|_| self.types.wants(record_type))
        else {
            return;
        };
        for peer in self.peers.with_registry(None) {
            self.hub.ask(peer, Get::node(index.clone())).await;
        }
    }

    /// The gets of one sweep of one peer.
    fn questions(&self, own_kind: bool) -> Vec<Get> {
        let mut gets = vec![Get::node(self.registry.directory())];
        for record_type in self.known_types(own_kind) {
            let Some(index) = self.registry.index(&record_type) else {
                continue;
            };
            if !own_kind {
                gets.extend(probe(&index));
            }
            gets.push(Get::node(index));
        }
        gets
    }

    /// The types to ask for: those of the directory, and for relays that deployed nodes use, those
    /// that deployed nodes know without a directory.
    fn known_types(&self, own_kind: bool) -> BTreeSet<String> {
        let directory = self
            .store
            .keys(&self.registry.directory(), None, TYPES_MAX)
            .unwrap_or_default();
        let named = directory
            .into_iter()
            .map(|entry| entry.key.as_str().to_owned());
        let deployed = if own_kind {
            &[][..]
        } else {
            &DEPLOYED_TYPES[..]
        };
        named
            .chain(deployed.iter().map(|t| (*t).to_owned()))
            .filter(|t| crate::registry::is_type_name(t) && self.types.wants(t))
            .collect()
    }
}

/// A range that matches nothing. A gun.js relay that has part of a node answers from it and asks
/// nobody; what it has nothing for, it passes on to its own relays, which then push to it.
fn probe(index: &Soul) -> Option<Get> {
    let nothing = Lex {
        exact: Some("?".into()),
        ..Lex::default()
    };
    Key::new("?")
        .ok()
        .map(|_| Get::range(index.clone(), nothing, PROBE_BYTES))
}

/// Asks one peer all questions; whether each was answered in time.
async fn ask_all(hub: HubHandle, peer: PeerId, questions: Vec<Get>) -> bool {
    let mut answers = tokio::task::JoinSet::new();
    for get in questions {
        let hub = hub.clone();
        answers.spawn(async move { hub.ask(peer, get).await });
    }
    let mut all = true;
    while let Some(answer) = answers.join_next().await {
        all &= matches!(answer, Ok(Fetched::Data(_) | Fetched::Nothing));
    }
    all
}
