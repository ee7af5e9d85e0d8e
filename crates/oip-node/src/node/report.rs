//! What a node reports of itself: health and metrics, read from its parts at the moment of asking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gun::mesh::Direction;
use gun_net::{LinkPhase, LinkStatus};
use oip_record::Stamp;

use super::Node;
use crate::clock;
use crate::config::SyncMode;
use crate::health::{self, Health, PeerView, Present, RegistryView, SyncMetrics, SyncSettings};
use crate::metrics::Levels;
use crate::sync;
use crate::sync::judge::signed_ms;

/// One peer as health shows it.
fn view(
    direction: &'static str,
    link: LinkStatus,
    node_id: Option<Arc<str>>,
    lag: Option<(u64, u64)>,
) -> PeerView {
    PeerView {
        address: link.label,
        direction,
        state: match link.phase {
            LinkPhase::Connected => "connected",
            LinkPhase::Refused(_) => "refused",
            _ => "connecting",
        },
        node_id: node_id.map(|id| id.to_string()),
        last_heard_ago_ms: link
            .last_heard_ms
            .map(|at| clock::wall_ms().saturating_sub(at)),
        lag_records: lag.map(|lag| lag.0),
        lag_seconds: lag.map(|lag| lag.1),
        last_error: link.last_error,
        attempts: link.attempts,
        bytes_in: link.traffic.bytes_in,
        bytes_out: link.traffic.bytes_out,
    }
}

impl Node {
    /// How the node is, at this moment.
    #[must_use]
    pub fn health(&self) -> Health {
        let inner = &self.inner;
        let now_ms = signed_ms(clock::wall_ms());
        let stats = inner.store.stats();
        let peers = self.peer_views();
        let index = self.index();
        let present = Present {
            sync_on: inner.config.sync.mode == SyncMode::On,
            now_ms,
            last_error_ms: inner.metrics.last_error_ms.load(Ordering::Relaxed),
            index_lag: index.lag,
            index_trouble: index.trouble.clone(),
            wanted: inner.store.wanted_len(),
            store_poisoned: stats.poisoned,
        };
        let reasons = health::reasons(&present, &peers);
        let counts = inner.searches.counts(&*inner.index);
        let by_type: BTreeMap<String, u64> = counts.by_type.into_iter().collect();
        Health {
            service: "gun-sync",
            status: if reasons.is_empty() {
                "healthy"
            } else {
                "unhealthy"
            },
            running: present.sync_on,
            node_id: inner.node_id.to_string(),
            reasons,
            metrics: self.sync_metrics(now_ms),
            configuration: SyncSettings {
                private_records_enabled: present.sync_on
                    && inner.config.private.foreign == crate::config::ForeignSealed::Open,
                trusted_nodes: inner.judge.trust.given(),
                cache_max_age: 0,
                cache_max_age_minutes: 0,
                sync_interval: inner.config.sync.interval_ms,
            },
            registry: RegistryView {
                node_id: inner.node_id.to_string(),
                registry_root: inner.config.registry_root.clone(),
                total_records_registered: by_type.values().sum(),
                records_by_type: by_type,
            },
            peers,
            trust: inner.judge.trust.standings(),
            rivals: inner.statements.rivals.met(),
            untrusted: inner.metrics.untrusted.get(),
            exposed: counts.exposed,
            index_lag: index.lag,
            index,
            wanted: present.wanted,
            quarantine: inner.store.quarantine_len(),
        }
    }

    /// The counters as OpenMetrics text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let inner = &self.inner;
        let (mesh, traffic) = (inner.metrics.mesh(), inner.network.traffic());
        inner.metrics.text(&Levels {
            records: inner.store.count_records(),
            wanted: inner.store.wanted_len(),
            quarantine: inner.store.quarantine_len(),
            index_lag: self.index_lag(),
            peers: inner.peers.all().len() as u64,
            subscriptions: mesh.subscriptions as u64,
            outbox_bytes: inner.network.outbox_bytes() as u64,
            relay_refused: vec![
                ("too_many_connections", inner.relay_stats.turned_away()),
                ("unauthorized", inner.relay_stats.unauthorized()),
                ("frame_too_large", traffic.frames_too_large),
                ("frame_unfinished", traffic.frames_unfinished),
                ("push_to_slow_reader", traffic.pushes_dropped),
                ("reader_too_slow", traffic.closed_full),
                ("subscription", mesh.subscriptions_refused),
            ],
        })
    }

    pub(super) fn index_lag(&self) -> u64 {
        self.inner
            .store
            .feed_head()
            .saturating_sub(*self.inner.indexed.borrow())
    }

    fn sync_metrics(&self, now_ms: i64) -> SyncMetrics {
        let metrics = &self.inner.metrics;
        let (found, failed) = (metrics.discovered.get(), metrics.errors.get());
        let kept = metrics.synced.get() + metrics.deleted.get();
        let rate = if found + failed == 0 {
            100.0
        } else {
            100.0 * kept as f64 / (found + failed) as f64
        };
        let last = metrics.last_sweep_ms.load(Ordering::Relaxed);
        SyncMetrics {
            total_discovered: found,
            total_synced: kept,
            total_errors: failed,
            success_rate: format!("{rate:.0}%"),
            last_sync_time: (last > 0).then(|| Stamp::from_ms(last).as_str().to_owned()),
            last_sync_ago: (last > 0).then(|| format!("{}s ago", (now_ms - last).max(0) / 1_000)),
            average_sync_time: format!("{}ms", metrics.sweep_took_ms.load(Ordering::Relaxed)),
            sync_cycles: metrics.sweeps.get(),
        }
    }

    fn peer_views(&self) -> Vec<PeerView> {
        let inner = &self.inner;
        let connected = inner.peers.all();
        let node_id_of = |link: &LinkStatus| {
            let peer = connected.iter().find(|peer| *peer.label == *link.label);
            peer.and_then(|peer| peer.node_id.clone())
        };
        // Of those who dialled us, the nodes of our kind; apps come by the thousand.
        let accepted = inner.network.inbound();
        let nodes = accepted
            .into_iter()
            .filter(|link| node_id_of(link).is_some());
        let links = inner.network.links().into_iter().chain(nodes);
        let pulled = inner.sweeper.pulled.iter().map(|puller| {
            // Nothing is told to it: it comes and asks.
            view("pulled", puller.peer.status(), None, None)
        });
        links
            .map(|link| {
                let node_id = node_id_of(&link);
                let dialled = link.direction == Direction::Dialled;
                let lag = dialled.then(|| self.lag(&link.label)).flatten();
                let direction = if dialled { "dialled" } else { "accepted" };
                view(direction, link, node_id, lag)
            })
            .chain(pulled)
            .collect()
    }

    /// Own records that a dialled peer has not acknowledged, and how old the oldest is in seconds.
    fn lag(&self, address: &str) -> Option<(u64, u64)> {
        sync::uplink::lag(&self.inner.store, address, clock::wall_ms()).ok()
    }
}
