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

impl Transaction {
    /// About how many bytes it takes in memory, for the bounds of the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.ops.iter().map(Op::bytes).sum()
    }
}

/// What a value costs beyond its texts: the vectors, counts and pointers around it.
const OVERHEAD_BYTES: usize = 96;

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::Text(text) => text.len(),
        Value::Link(soul) => soul.as_str().len(),
    }
}

fn entry_bytes(key: &Key, value: &Value) -> usize {
    OVERHEAD_BYTES + key.as_str().len() + value_bytes(value)
}

fn text_bytes(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

impl Op {
    fn bytes(&self) -> usize {
        let soul_bytes = |soul: &Soul| OVERHEAD_BYTES + soul.as_str().len();
        match self {
            Self::Merge { graph } | Self::Offer { graph } => graph
                .iter()
                .map(|node| {
                    let entries = node.entries.iter();
                    soul_bytes(&node.soul)
                        + entries
                            .map(|entry| entry_bytes(&entry.key, &entry.value))
                            .sum::<usize>()
                })
                .sum(),
            Self::Write { soul, entries } | Self::OfferWrite { soul, entries } => {
                let entries = entries.iter();
                soul_bytes(soul)
                    + entries
                        .map(|(key, value)| entry_bytes(key, value))
                        .sum::<usize>()
            }
            Self::ExpectRecord { soul, .. } => soul_bytes(soul),
            Self::ReleaseDeferred => OVERHEAD_BYTES,
            Self::PutRecord(row) => {
                soul_bytes(&row.soul) + text_bytes(row.data.as_deref()) + row.oip.len()
            }
            Self::WantedAdd(wanted) => soul_bytes(&wanted.soul),
            Self::WantedRemove(soul)
            | Self::WantedDone { soul, .. }
            | Self::QuarantineRemove(soul)
            | Self::UnindexedRemove(soul) => soul_bytes(soul),
            Self::WantedRetry { soul, reason, .. } => soul_bytes(soul) + reason.len(),
            Self::QuarantineAdd(row) | Self::UnindexedAdd(row) => {
                soul_bytes(&row.soul)
                    + row.detail.len()
                    + text_bytes(row.data.as_deref())
                    + text_bytes(row.oip.as_deref())
            }
            Self::SetCursor { name, value } => OVERHEAD_BYTES + name.len() + value.len(),
        }
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
    /// The same for values that peers send: a node whose account is full is left as it is, and
    /// counted in [`crate::Committed::over_quota`].
    Offer {
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
    /// The same for values that others have this node write: if the account is full, the transaction
    /// fails with [`crate::WriteError::AccountFull`].
    OfferWrite {
        /// The node.
        soul: Soul,
        /// Its new values.
        entries: Vec<(Key, Value)>,
    },
    /// Decides on the deferred values whose time has come, at most a thousand at a time;
    /// [`crate::Store::next_deferred`] tells whether more are due.
    ReleaseDeferred,
    /// Fails the transaction with [`crate::WriteError::Superseded`] unless the record at `soul` is
    /// the one that the caller decided on: what was decided against an older version must not
    /// take the place of a newer one.
    ExpectRecord {
        /// The record.
        soul: Soul,
        /// Its number in the feed; `None` if there was no record.
        seq: Option<u64>,
    },
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
    /// Puts off a wanted soul after a failed attempt, unless it was wanted anew since its row was
    /// read: what was announced during the attempt is due now, whatever the attempt came to.
    /// Does nothing if the soul is not wanted.
    WantedRetry {
        /// The soul.
        soul: Soul,
        /// [`crate::WantedRow::generation`] as read.
        generation: u64,
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
    /// Notes that the index refuses a record that is held, or renews the note. It counts towards the
    /// quarantine's limit, stands beside a row of [`Self::QuarantineAdd`] for the same soul, and has no due time.
    UnindexedAdd(QuarantineRow),
    /// Takes that note back.
    UnindexedRemove(Soul),
    /// Stores a named value: a cursor, a setting of the node that must survive a restart.
    SetCursor {
        /// Its name, 1 to 255 bytes.
        name: String,
        /// Its value.
        value: Vec<u8>,
    },
}
