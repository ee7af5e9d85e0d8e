//! The rows and answers of the store, as plain data.
//!
//! Owns no rule: what a field means for OIP is the node's business.

use std::sync::Arc;

use gun::graph::Entry;
use gun::{Graph, Key, Soul, State, Value};

/// A key that won its merge.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The node.
    pub soul: Soul,
    /// The key.
    pub key: Key,
    /// Its new state.
    pub state: State,
    /// Its new value.
    pub value: Value,
}

/// A record soul that was discovered and is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The record's soul.
    pub soul: Soul,
    /// The type its registry entry names.
    pub record_type: Option<String>,
    /// The time its registry entry bears, ms since 1970.
    pub at_ms: Option<u64>,
}

/// A wanted soul as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRow {
    /// The record's soul.
    pub soul: Soul,
    /// The type its registry entry names.
    pub record_type: Option<String>,
    /// The time its registry entry bears, ms since 1970.
    pub at_ms: Option<u64>,
    /// How often fetching it failed.
    pub attempts: u32,
    /// When it is to be tried (again), ms since 1970.
    pub due_ms: u64,
    /// Why the last attempt failed.
    pub reason: Option<String>,
    /// Grows each time the soul is wanted anew; see [`crate::Op::WantedDone`].
    pub generation: u64,
}

/// The verified copy of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// The record's soul.
    pub soul: Soul,
    /// Its type.
    pub record_type: String,
    /// `didAddress` of its creator.
    pub creator: String,
    /// `oip.indexedAt`, ms since 1970.
    pub at_ms: i64,
    /// Its revision.
    pub revision: u64,
    /// SHA-256 of the signed body.
    pub digest: [u8; 32],
    /// Class of its signature: 0 none, 1 deployed, 2 ours.
    pub class: u8,
    /// Whether this version is a tombstone.
    pub deleted: bool,
    /// Whether this node published it.
    pub own: bool,
    /// When this node first saw the soul, ms since 1970.
    pub first_seen_ms: u64,
    /// Where it came from.
    pub source: Option<String>,
    /// How its signature was judged; numbers are the node's.
    pub verification: u8,
    /// The packed `data` text exactly as signed.
    pub data: Option<Arc<str>>,
    /// The `oip` text exactly as read.
    pub oip: Arc<str>,
    /// Its place in the feed; assigned by the store, ignored when writing.
    pub seq: u64,
}

/// A record that was refused for now, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// The record's soul; one row per soul.
    pub soul: Soul,
    /// Its type, as far as known.
    pub record_type: Option<String>,
    /// Its creator, as far as known.
    pub creator: Option<String>,
    /// Name of the reason, as in the metrics.
    pub reason: String,
    /// The reason in words, with the cure.
    pub detail: String,
    /// Where it came from.
    pub source: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came here, ms since 1970; kept when the row is written again.
    pub first_ms: u64,
    /// When it was last tried, ms since 1970.
    pub last_ms: u64,
    /// When it is to be tried again by itself, ms since 1970; `None`: only when asked to.
    pub due_ms: Option<u64>,
    /// The `data` text as read, for looking at it and for a replay.
    pub data: Option<Arc<str>>,
    /// The `oip` text as read.
    pub oip: Option<Arc<str>>,
}

/// What a transaction did, given out when it is durable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Committed {
    /// The keys that won, with their states and values.
    pub changed: Graph,
    /// Values that are stored, or wait for their time, already.
    pub same: usize,
    /// Values that lost to what is stored: older, or equally old and the lesser text.
    pub older: usize,
    /// Values kept aside until their time.
    pub deferred: usize,
    /// Values refused because their state is too far ahead.
    pub too_far: usize,
    /// Rows not stored because a bounded table (wanted, quarantine) is full.
    pub over_limit: usize,
    /// Nodes that were new.
    pub created: usize,
    /// Bytes of the values that won, with their keys.
    pub bytes: u64,
    /// Nodes left as they are because the account they are charged to is full, and values of the
    /// future for which there is no room.
    pub over_quota: usize,
    /// The newest number of the feed.
    pub feed_head: u64,
}

/// Whom a soul is charged to, and how much he may take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, at most 4,096 bytes.
    pub name: String,
    /// Nodes it may have.
    pub nodes_max: u64,
    /// Bytes of keys and values it may have.
    pub bytes_max: u64,
}

/// What an account takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Nodes.
    pub nodes: u64,
    /// Bytes of keys, values and states, before compression.
    pub bytes: u64,
}

/// How much of a node one page may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// At most this many keys.
    pub keys_max: usize,
    /// Stop after the key that brings the page to this many bytes of keys and values.
    pub bytes_max: usize,
}

/// A page of a node's keys, in byte order of the keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeysPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether more follow.
    pub more: bool,
}

/// Counters and sizes for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Nodes of the graph.
    pub nodes: u64,
    /// Verified records, tombstones included.
    pub records: u64,
    /// Wanted souls.
    pub wanted: u64,
    /// Quarantined records.
    pub quarantine: u64,
    /// Values waiting for their time.
    pub deferred: u64,
    /// The newest number of the feed.
    pub feed_head: u64,
    /// Transactions committed since the store was opened.
    pub transactions: u64,
    /// Batches written since then.
    pub batches: u64,
    /// Syncs to disk since then.
    pub syncs: u64,
    /// Bytes of rows handed to the engine since then.
    pub row_bytes: u64,
    /// Transactions in the queue.
    pub queue_len: usize,
    /// Transactions refused because the queue was full, since opening.
    pub busy: u64,
    /// Bytes on disk, journals included.
    pub disk_bytes: u64,
    /// Whether a write failed, so that only reads are served.
    pub poisoned: bool,
}
