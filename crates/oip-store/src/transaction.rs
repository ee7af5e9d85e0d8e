//! What can be written: operations, joined in transactions that are stored whole or not at all.

use gun::{Graph, Key, Soul, Value};

use crate::model::{QuarantineRow, RecordRow, Wanted};

/// Operations that are committed together, in this order. Each sees what those before it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transaction {
    /// The operations.
    pub ops: Vec<Op>,
}

impl Transaction {
    /// An empty transaction.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation.
    #[must_use]
    pub fn with(mut self, op: Op) -> Self {
        self.ops.push(op);
        self
    }
}

impl From<Op> for Transaction {
    fn from(op: Op) -> Self {
        Self { ops: vec![op] }
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Values of others, with their states: each is decided by the merge rule against what is
    /// stored. A state ahead of the clock waits in the deferred table, one too far ahead is
    /// refused and counted.
    Merge {
        /// The values.
        graph: Graph,
    },
    /// Values of this node's own: each gets the state `max(now, successor of the stored one)`.
    Write {
        /// The node.
        soul: Soul,
        /// Its new values.
        entries: Vec<(Key, Value)>,
    },
    /// Decides on the deferred values whose time has come, at most a thousand at a time;
    /// [`crate::Store::next_deferred`] tells whether more are due.
    ReleaseDeferred,
    /// Stores the verified copy of a record and moves it to the head of the feed.
    PutRecord(RecordRow),
    /// Makes a soul wanted, due now. One that is wanted already becomes due now and keeps its
    /// count of attempts.
    WantedAdd(Wanted),
    /// Takes a soul off the wanted table.
    WantedRemove(Soul),
    /// Takes a soul off the wanted table unless it was wanted anew since its row was read:
    /// an edit announced while the version before it was being fetched is not forgotten.
    WantedDone {
        /// The soul.
        soul: Soul,
        /// [`crate::WantedRow::generation`] as read.
        generation: u64,
    },
    /// Puts off a wanted soul after a failed attempt. Does nothing if it is not wanted.
    WantedRetry {
        /// The soul.
        soul: Soul,
        /// Attempts so far.
        attempts: u32,
        /// When to try again, ms since 1970.
        due_ms: u64,
        /// Why it failed.
        reason: String,
    },
    /// Puts a record in quarantine, or renews its row.
    QuarantineAdd(QuarantineRow),
    /// Takes a record out of quarantine.
    QuarantineRemove(Soul),
    /// Stores a named value: a cursor, a setting of the node that must survive a restart.
    SetCursor {
        /// Its name, 1 to 255 bytes.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
}
