//! Values on their way into the store: many in one transaction, one transaction under way while
//! the next is gathered.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};

use gun::graph::Entry;
use gun::{Key, Node, Soul, Value};
use oip_record::{Candidate, read};
use oip_store::{Committed, Op, Store, Transaction, WriteError};

use super::{ImportError, Stored};
use crate::admission::is_whole_record;
use crate::clock;
use crate::deletions;
use crate::metrics::Metrics;
use crate::migrate::backup::{Import, Report, Shown};
use crate::sync::marks::{IMPORTED, Marks};

/// Values in a transaction: enough that the sync at its end costs little beside them.
const VALUES_MAX: usize = 5_000;

/// Bytes in a transaction, so that long values make it no larger than short ones do. A value
/// longer than this has one to itself.
const BYTES_MAX: usize = 2 << 20;

/// Deletion marks of one folder that are followed: 100 MB of names. More than any deployed node deleted.
const MARKED_MAX: usize = 1_000_000;

/// Records of one folder that are looked at for being announced; the others are judged at the next start.
const RECORDS_MAX: usize = 1_000_000;

/// What a value costs beside its texts, at most.
const OVERHEAD_BYTES: usize = 192;

/// What is not stored yet, and what became of the rest.
pub(super) struct Batches {
    store: Store,
    wanted_before: u64,
    transaction: Transaction,
    /// The node that values are added to, with the keys it has: each may be in it once.
    node: Option<(Node, HashSet<Key>)>,
    values: usize,
    bytes: usize,
    under_way: Option<mpsc::Receiver<Result<Committed, WriteError>>>,
    /// Records that the folder's deletion registry marks.
    marked: BTreeSet<Soul>,
    /// Records that lie in the folder.
    records: BTreeSet<Soul>,
    stored: Stored,
}

impl Batches {
    pub(super) fn new(store: Store) -> Self {
        Self {
            wanted_before: store.wanted_len(),
            store,
            transaction: Transaction::new(),
            node: None,
            values: 0,
            bytes: 0,
            under_way: None,
            marked: BTreeSet::new(),
            records: BTreeSet::new(),
            stored: Stored::default(),
        }
    }

    /// Adds a value; stores first what has gathered if it is enough.
    pub(super) fn add(&mut self, soul: Soul, entry: Entry) -> Result<(), WriteError> {
        let bytes = size(&soul, &entry);
        if self.values == VALUES_MAX || (self.values > 0 && self.bytes + bytes > BYTES_MAX) {
            self.submit()?;
        }
        self.values += 1;
        self.bytes += bytes;
        if let Some((record, true)) =
            deletions::read_change(soul.as_str(), entry.key.as_str(), &entry.value)
            && self.marked.len() < MARKED_MAX
        {
            self.marked.insert(record);
        }
        if entry.key.as_str() == "oip"
            && is_whole_record(soul.as_str())
            && self.records.len() < RECORDS_MAX
        {
            self.records.insert(soul.clone());
        }
        let key = entry.key.clone();
        let open = self.node.as_mut();
        let fits = open.is_some_and(|(node, keys)| node.soul == soul && keys.insert(key.clone()));
        if !fits {
            self.close_node();
            let entries = Vec::new();
            self.node = Some((Node { soul, entries }, HashSet::from([key])));
        }
        if let Some((node, _)) = &mut self.node {
            node.entries.push(entry);
        }
        Ok(())
    }

    fn close_node(&mut self) {
        if let Some((node, _)) = self.node.take() {
            let graph = vec![node];
            self.transaction.ops.push(Op::Merge { graph });
        }
    }

    /// Hands over what has gathered, once what was handed over before is stored.
    fn submit(&mut self) -> Result<(), WriteError> {
        self.settle()?;
        self.close_node();
        let transaction = std::mem::take(&mut self.transaction);
        (self.values, self.bytes) = (0, 0);
        let (answer, answered) = mpsc::sync_channel(1);
        self.store
            .submit(transaction, clock::wall_ms(), move |outcome| {
                // Nobody waits any more when an import ends early.
                let _ = answer.send(outcome);
            });
        self.under_way = Some(answered);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), WriteError> {
        let Some(answered) = self.under_way.take() else {
            return Ok(());
        };
        let committed = answered.recv().map_err(|_| WriteError::Closed)??;
        let nodes = committed.changed.iter();
        self.stored.taken += nodes.map(|node| node.entries.len() as u64).sum::<u64>();
        self.stored.same += committed.same as u64;
        self.stored.older += committed.older as u64;
        self.stored.deferred += committed.deferred as u64;
        self.stored.over_limit += committed.over_limit as u64;
        Ok(())
    }

    /// Stores the rest and releases the data folder.
    pub(super) fn finish(mut self, import: Import) -> Result<Stored, ImportError> {
        self.submit()?;
        self.settle()?;
        let judged = self.judge_what_nothing_announces(import)?;
        (self.stored.registered, self.stored.own) = (judged.taken, judged.own);
        let marks = self.marks()?;
        self.stored.marked = marks.len() as u64;
        Marks {
            store: self.store.clone(),
            configured: BTreeSet::new(),
            metrics: Arc::new(Metrics::new()),
            ahead: AtomicU64::new(0),
        }
        .import(&marks)?;
        self.stored.wanted = self.store.wanted_len().saturating_sub(self.wanted_before);
        self.store.close()?;
        Ok(self.stored)
    }
}

impl Batches {
    /// Verifies and announces the records that no index names, so that other nodes find them, and takes
    /// those of the node's own wallet for its own. The others are judged when the node starts.
    fn judge_what_nothing_announces(&self, mut import: Import) -> Result<Report, ImportError> {
        for soul in &self.records {
            // A node of many keys is no record.
            let Ok(Some(node)) = self.store.node(soul) else {
                continue;
            };
            let resolve = |part: &Soul| self.store.node(part).ok().flatten();
            let Ok(Candidate::Whole(raw)) = read::candidate(&node, resolve) else {
                continue;
            };
            let oip: serde_json::Value = serde_json::from_str(&raw.oip_text).unwrap_or_default();
            let is_own = oip["creator"]["didAddress"].as_str() == Some(import.own());
            let index = oip["recordType"].as_str().and_then(|t| import.index(t));
            let key = Key::new(soul.as_str()).ok();
            let is_announced = match (index, key) {
                (Some(index), Some(key)) => {
                    let entry = self.store.value(&index, &key).map_err(WriteError::from)?;
                    matches!(entry, Some((_, Value::Link(_))))
                }
                // What can't be announced.
                _ => true,
            };
            if is_own || !is_announced {
                import.take_shown(Shown {
                    soul: soul.clone(),
                    raw: Ok(raw),
                    source: Some(IMPORTED.to_owned()),
                    first_seen_ms: None,
                    own: false,
                })?;
            }
        }
        Ok(import.leave()?)
    }

    /// Of the records that the folder marked, those that are marked now that everything is merged, and
    /// when each was deleted.
    fn marks(&self) -> Result<Vec<(Soul, u64)>, WriteError> {
        let index = deletions::index();
        let mut marks = Vec::new();
        for record in &self.marked {
            let Some(flag) = deletions::flag(record) else {
                continue;
            };
            let Some((state, Value::Bool(true))) = self.store.value(&index, &flag)? else {
                continue;
            };
            let said = match (deletions::entry(record), Key::new("deletedAt")) {
                (Some(entry), Ok(key)) => self.store.value(&entry, &key)?,
                _ => None,
            };
            let at_ms = match said {
                Some((_, Value::Number(at_ms))) => at_ms,
                _ => state.as_f64(),
            };
            marks.push((record.clone(), at_ms.max(0.0) as u64));
        }
        Ok(marks)
    }
}

fn size(soul: &Soul, entry: &Entry) -> usize {
    let value = match &entry.value {
        Value::Text(text) => text.len(),
        Value::Link(soul) => soul.as_str().len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    OVERHEAD_BYTES + soul.as_str().len() + entry.key.as_str().len() + value
}
