//! The node's counters, for `/metrics` and for health. Each counts one fact.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use gun::mesh::MeshCounts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Standing {
    signature: String,
}

/// All counters of one node.
pub(crate) struct Metrics {
    registry: Registry,
    pub discovered: Counter,
    pub synced: Counter,
    pub deleted: Counter,
    pub published: Counter,
    pub skipped: Counter,
    pub untrusted: Counter,
    pub exposed: Counter,
    pub fetches: Counter,
    pub healed: Counter,
    pub hidden: Counter,
    pub errors: Counter,
    pub told: Counter,
    pub indexed: Counter,
    pub index_refused: Counter,
    pub index_failures: Counter,
    pub sealed_opened: Counter,
    pub sealed_kept: Counter,
    rejected_messages: Family<Reason, Counter>,
    rejected_records: Family<Reason, Counter>,
    verifications: Family<Standing, Counter>,
    relay_refused: Family<Reason, Gauge>,
    records: Gauge,
    wanted: Gauge,
    quarantine: Gauge,
    index_lag: Gauge,
    peers: Gauge,
    subscriptions: Gauge,
    outbox_bytes: Gauge,
    mesh: Mutex<MeshCounts>,
    pub sweeps: Counter,
    /// When the last sweep ended, in milliseconds since 1970; 0 before the first.
    pub last_sweep_ms: AtomicI64,
    /// How long the last sweep took.
    pub sweep_took_ms: AtomicU64,
    /// When records or sweeps last failed; health looks at the present, not at all time.
    pub last_error_ms: AtomicI64,
}

/// What is read from the store and the network at the moment of asking.
pub(crate) struct Levels {
    pub records: u64,
    pub wanted: u64,
    pub quarantine: u64,
    pub index_lag: u64,
    pub peers: u64,
    /// Subscriptions of all peers.
    pub subscriptions: u64,
    pub outbox_bytes: u64,
    /// What the relay port refused or dropped, by name.
    pub relay_refused: Vec<(&'static str, u64)>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("oip_gun");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let discovered = counter(
            "records_discovered",
            "Record versions of other nodes that were found",
        );
        let synced = counter(
            "records_synced",
            "Record versions of other nodes that were verified and kept",
        );
        let deleted = counter(
            "records_deleted",
            "Tombstones of other nodes that were verified and kept",
        );
        let published = counter("records_published", "Record versions published here");
        let skipped = counter("records_skipped", "Candidates that held nothing new");
        let untrusted = counter(
            "records_untrusted",
            "Record versions put aside since no trusted node made them",
        );
        let exposed = counter(
            "records_exposed",
            "Record versions of others kept for their readers that ask for privacy and lie in clear",
        );
        let fetches = counter("record_fetches", "Questions to peers for a record");
        let healed = counter(
            "records_healed",
            "Invalid overwrites answered with the verified version",
        );
        let hidden = counter(
            "records_hidden",
            "Records that a deployed node's deletion mark began to hide",
        );
        let errors = counter("sync_errors", "Records that could not be taken");
        let told = counter("records_told", "Own records acknowledged by a dialled peer");
        let indexed = counter("index_operations", "Operations applied to the index");
        let index_refused = counter("index_refused", "Documents the index refused");
        let index_failures = counter("index_failures", "Failures to update the index");
        let sealed_opened = counter(
            "sealed_opened",
            "Sealed records of others that were opened for the index",
        );
        let sealed_kept = counter("sealed_kept", "Sealed records that were kept as ciphertext");
        let sweeps = counter("sweeps", "Sweeps over the registries of all peers");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let records = gauge("records", "Verified records held, tombstones included");
        let wanted = gauge("wanted", "Records discovered and not yet fetched");
        let quarantine = gauge("quarantine", "Records refused and kept with their reason");
        let index_lag = gauge("index_lag", "Changes the index has yet to apply");
        let peers = gauge("peers", "Open connections");
        let subscriptions = gauge("subscriptions", "Souls and keys that peers follow");
        let outbox_bytes = gauge("outbox_bytes", "Bytes that wait for peers to read them");
        let relay_refused = Family::<Reason, Gauge>::default();
        registry.register(
            "relay_refused",
            "What the relay port refused or dropped since the start, messages apart",
            relay_refused.clone(),
        );
        let rejected_messages = Family::<Reason, Counter>::default();
        registry.register(
            "messages_rejected",
            "Messages of peers that were refused",
            rejected_messages.clone(),
        );
        let rejected_records = Family::<Reason, Counter>::default();
        registry.register(
            "records_rejected",
            "Records that were refused",
            rejected_records.clone(),
        );
        let verifications = Family::<Standing, Counter>::default();
        registry.register(
            "records_by_signature",
            "Record versions of other nodes that were kept, by what is known about their signature",
            verifications.clone(),
        );
        Self {
            registry,
            verifications,
            discovered,
            synced,
            deleted,
            published,
            skipped,
            untrusted,
            exposed,
            fetches,
            healed,
            hidden,
            errors,
            told,
            indexed,
            index_refused,
            index_failures,
            sealed_opened,
            sealed_kept,
            rejected_messages,
            rejected_records,
            relay_refused,
            records,
            wanted,
            quarantine,
            index_lag,
            peers,
            subscriptions,
            outbox_bytes,
            mesh: Mutex::default(),
            sweeps,
            last_sweep_ms: AtomicI64::new(0),
            sweep_took_ms: AtomicU64::new(0),
            last_error_ms: AtomicI64::new(0),
        }
    }

    /// Takes note of the mesh's own counters.
    pub(crate) fn set_mesh(&self, counts: MeshCounts) {
        *self.mesh.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// The mesh's counters as last noted.
    pub(crate) fn mesh(&self) -> MeshCounts {
        *self.mesh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused message by its reason.
    pub(crate) fn reject(&self, reason: &'static str) {
        self.rejected_messages
            .get_or_create(&Reason {
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// Counts a refused record by its reason.
    pub(crate) fn reject_record(&self, reason: &str, now_ms: i64) {
        self.errors.inc();
        self.last_error_ms.store(now_ms, Ordering::Relaxed);
        self.rejected_records
            .get_or_create(&Reason {
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// Counts a kept record by what is known about its signature.
    pub(crate) fn verification(&self, label: &str) {
        let standing = Standing {
            signature: label.to_owned(),
        };
        self.verifications.get_or_create(&standing).inc();
    }

    /// The OpenMetrics text.
    pub(crate) fn text(&self, levels: &Levels) -> String {
        let set = |gauge: &Gauge, level: u64| {
            gauge.set(i64::try_from(level).unwrap_or(i64::MAX));
        };
        set(&self.records, levels.records);
        set(&self.wanted, levels.wanted);
        set(&self.quarantine, levels.quarantine);
        set(&self.index_lag, levels.index_lag);
        set(&self.peers, levels.peers);
        set(&self.subscriptions, levels.subscriptions);
        set(&self.outbox_bytes, levels.outbox_bytes);
        for (reason, count) in &levels.relay_refused {
            let reason = (*reason).to_owned();
            let refused = self.relay_refused.get_or_create(&Reason { reason });
            set(&refused, *count);
        }
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
