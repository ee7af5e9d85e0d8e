//! A deployed OIP node of our own making. It stands for the JavaScript node where that can't be had,
//! in CI above all: it behaves as observed of that one (`oip-formats` 2, 3, 6, 10 and 11), faults
//! included, and proves nothing about the real thing beyond that description.
//!
//! * [`DeployedNode`]: its relay and API over HTTP, as a peer that we pull from
//! * [`syncer`]: its sync, as a peer that pulls from us; counts what it asks
//! * [`graph`]: what its relay holds, put and shown in its forms
//!
//! Speaks no WebSocket: for that there is the real gun.js ([`crate::relay`]). Keeps no fixed waits
//! but those that a caller of its API meets.

pub mod graph;
mod server;
pub mod syncer;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

pub use graph::Graph;
pub use syncer::{CycleReport, Source, Syncer};

/// How long a deployed relay waits before it says that it has nothing.
pub const ABSENT_WAIT: Duration = Duration::from_secs(3);

/// The soul of the deployed deletion registry; its root is fixed.
pub const DELETIONS: &str = "oip:deleted:records:index";

/// A record as a deployed publisher puts it: both texts are its own, signed by whoever made them.
#[derive(Debug, Clone)]
pub struct DeployedRecord {
    /// Where it lies.
    pub soul: String,
    /// Its type.
    pub record_type: String,
    /// The packed data.
    pub data: String,
    /// The packed `oip`.
    pub oip: String,
}

/// What goes wrong, and how it shows.
#[derive(Debug, Clone)]
pub struct Faults {
    /// The wait before an absent soul is told.
    pub absent_wait: Duration,
    /// For each soul, how many keys the next answers show: what a relay reads first from its disk.
    pub partial: HashMap<String, VecDeque<usize>>,
    /// Souls that are never answered.
    pub hanging: HashSet<String>,
    /// Souls that are answered with 500, for another reason than that they are absent.
    pub failing: HashSet<String>,
    /// Connections are cut without an answer.
    pub down: bool,
    /// Answers bear the ETag that the proxy's web framework gives them.
    pub etags: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            absent_wait: ABSENT_WAIT,
            partial: HashMap::new(),
            hanging: HashSet::new(),
            failing: HashSet::new(),
            down: false,
            etags: true,
        }
    }
}

/// One request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The soul it was for.
    pub soul: String,
    /// How it was answered; 0 if it was not.
    pub status: u16,
}

/// A running node: relay at [`relay`](Self::relay), API with its proxy at [`base`](Self::base).
#[derive(Debug)]
pub struct DeployedNode {
    shared: Arc<Shared>,
    address: SocketAddr,
    node_id: String,
    task: JoinHandle<()>,
}

/// What its server works with.
#[derive(Debug, Default)]
struct Shared {
    graph: Mutex<Graph>,
    faults: Mutex<Faults>,
    asked: Mutex<Vec<Asked>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DeployedNode {
    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(node_id: &str) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            node_id: node_id.to_owned(),
            task,
        })
    }

    /// What peers are given to pull from: `http://127.0.0.1:PORT/gun-relay`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}/gun-relay", self.address)
    }

    /// The base of its relay's own HTTP API.
    #[must_use]
    pub fn relay(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what goes wrong.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// Publishes as `publishToGun` does: the record, its node entry, and the whole index read,
    /// extended by one key and put back.
    pub fn publish(&self, record: &DeployedRecord) {
        let mut graph = lock(&self.shared.graph);
        let local_id = record.soul.split_once(':').map(|(_, id)| id);
        graph.put(
            &record.soul,
            json!({
                "data": record.data, "oip": record.oip,
                "meta": {"created": 1_768_903_200_000_u64, "localId": local_id, "encrypted": false},
            }),
        );
        self.register(&mut graph, &record.soul, &record.record_type);
    }

    /// Only the registry entry: what is left of a record that was lost.
    pub fn register_only(&self, soul: &str, record_type: &str) {
        self.register(&mut lock(&self.shared.graph), soul, record_type);
    }

    fn register(&self, graph: &mut Graph, soul: &str, record_type: &str) {
        let entry = format!("oip:registry:nodes:{}:{soul}", self.node_id);
        graph.put(
            &entry,
            json!({
                "did": format!("did:gun:{soul}"), "soul": soul, "recordType": record_type,
                "nodeId": self.node_id, "timestamp": 1_768_903_200_000_u64, "oipVersion": "0.8.0",
            }),
        );
        let index = format!("oip:registry:index:{record_type}");
        let mut whole = graph.shown(&index).unwrap_or_default();
        whole.insert(
            soul.to_owned(),
            json!({"soul": soul, "nodeId": self.node_id, "timestamp": 1_768_903_200_000_u64}),
        );
        graph.put(&index, Value::Object(whole));
    }

    /// Deletes as the API does: both nodes of the deletion registry are written, and neither the
    /// record nor its registry entry is touched.
    pub fn delete(&self, soul: &str, deleted_at_ms: u64) {
        let did = format!("did:gun:{soul}");
        let mut graph = lock(&self.shared.graph);
        graph.put(
            &format!("oip:deleted:records:{did}"),
            json!({
                "deletedAt": deleted_at_ms, "deletedBy": "PK",
                "timestamp": "2026-01-20T10:00:00.000Z", "did": did,
            }),
        );
        let mut flags = Map::new();
        flags.insert(did, Value::Bool(true));
        graph.put(DELETIONS, Value::Object(flags));
    }

    /// Has an index show one entry itself in place of a link to it, as the origin design does.
    pub fn show_targets(&self, index: &str, soul: &str, entry: Value) {
        lock(&self.shared.graph).set(index, soul, entry);
    }

    /// Puts data as any client may.
    pub fn put(&self, soul: &str, data: Value) {
        lock(&self.shared.graph).put(soul, data);
    }

    /// A node as `/get` shows it.
    #[must_use]
    pub fn shown(&self, soul: &str) -> Option<Map<String, Value>> {
        lock(&self.shared.graph).shown(soul)
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// How many requests were for records and their parts: for anything but the registries.
    #[must_use]
    pub fn record_reads(&self) -> usize {
        let asked = self.asked();
        asked
            .iter()
            .filter(|asked| !asked.soul.starts_with("oip:"))
            .count()
    }

    /// How many requests were for one soul.
    #[must_use]
    pub fn reads_of(&self, soul: &str) -> usize {
        let asked = self.asked();
        asked.iter().filter(|asked| asked.soul == soul).count()
    }
}

impl Drop for DeployedNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}
