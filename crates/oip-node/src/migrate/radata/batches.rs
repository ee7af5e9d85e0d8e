//! Values on their way into the store: many in one transaction, one transaction under way while
//! the next is gathered.

use std::collections::HashSet;
use std::sync::mpsc;

use gun::graph::Entry;
use gun::{Key, Node, Soul, Value};
use oip_store::{Committed, Op, Store, Transaction, WriteError};

use super::Stored;
use crate::clock;

/// Values in a transaction: enough that the sync at its end costs little beside them.
const VALUES_MAX: usize = 5_000;

/// Bytes in a transaction, so that long values make it no larger than short ones do. A value
/// longer than this has one to itself.
const BYTES_MAX: usize = 2 << 20;

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
    pub(super) fn finish(mut self) -> Result<Stored, WriteError> {
        self.submit()?;
        self.settle()?;
        self.stored.wanted = self.store.wanted_len().saturating_sub(self.wanted_before);
        self.store.close()?;
        Ok(self.stored)
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
