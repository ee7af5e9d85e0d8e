//! What each operation does to the rows. Runs on the writer thread only.
//!
//! Owns the rules of writing: merges are decided against what is stored and what the batch
//! staged before, own values get the next state, bounded tables stay within their bounds. A
//! transaction is staged whole or not at all.

mod account;
mod deferred;
mod graph;
mod quarantine;
mod record;
mod wanted;

use std::collections::HashMap;

use gun::graph::Entry;
use gun::{Graph, Key, Node, Soul, State, Value};

use crate::error::WriteError;
use crate::model::{Change, Committed};
use crate::options::StoreOptions;
use crate::rows::quarantine::Kind;
use crate::stage::Stage;
use crate::tables::Table;
use crate::transaction::{Op, Transaction};

/// Longest name of a cursor, in bytes; a row key of the engine could be much longer.
const CURSOR_NAME_BYTES_MAX: usize = 255;
const CURSOR_PREFIX: u8 = b'/';

/// Row key of a cursor in the meta table.
pub(crate) fn cursor_row(name: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + name.len());
    row.push(CURSOR_PREFIX);
    row.extend_from_slice(name.as_bytes());
    row
}

/// Stages one transaction; rolls it back if any of its operations fails.
pub(crate) fn transaction(
    stage: &mut Stage<'_>,
    options: &StoreOptions,
    transaction: Transaction,
    now_ms: u64,
) -> Result<Committed, WriteError> {
    stage.begin();
    let mut run = Run {
        stage,
        options,
        now_ms,
        now: State::from_millis(now_ms),
        changes: Changes::default(),
        committed: Committed::default(),
    };
    for op in transaction.ops {
        if let Err(error) = run.op(op) {
            run.stage.roll_back();
            return Err(error);
        }
    }
    let mut committed = run.committed;
    committed.changed = run.changes.graph;
    committed.feed_head = run.stage.counters.feed_head;
    Ok(committed)
}

/// What bounds the values that are merged or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// Nothing: they are this node's own, or verified.
    None,
    /// The accounts they are charged to.
    Accounts,
}

/// A transaction being staged.
struct Run<'r, 'a> {
    stage: &'r mut Stage<'a>,
    options: &'r StoreOptions,
    now_ms: u64,
    now: State,
    changes: Changes,
    committed: Committed,
}

impl Run<'_, '_> {
    fn op(&mut self, op: Op) -> Result<(), WriteError> {
        match op {
            Op::Merge { graph } => graph
                .into_iter()
                .try_for_each(|node| self.merge(node, Bound::None)),
            Op::Offer { graph } => graph
                .into_iter()
                .try_for_each(|node| self.merge(node, Bound::Accounts)),
            Op::Write { soul, entries } => self.write(soul, entries, Bound::None),
            Op::OfferWrite { soul, entries } => self.write(soul, entries, Bound::Accounts),
            Op::ReleaseDeferred => self.release_deferred(),
            Op::ExpectRecord { soul, seq } => self.expect_record(soul, seq),
            Op::PutRecord(row) => self.put_record(row),
            Op::WantedAdd(wanted) => self.want(wanted),
            Op::WantedRemove(soul) => self.wanted_remove(&soul),
            Op::WantedDone { soul, generation } => self.wanted_done(&soul, generation),
            Op::WantedRetry {
                soul,
                generation,
                attempts,
                due_ms,
                reason,
            } => self.wanted_retry(&soul, generation, attempts, due_ms, reason),
            Op::QuarantineAdd(row) => self.quarantine_add(row, Kind::Refused),
            Op::QuarantineRemove(soul) => self.quarantine_remove(&soul, Kind::Refused),
            Op::UnindexedAdd(mut row) => {
                row.due_ms = None;
                self.quarantine_add(row, Kind::Unindexed)
            }
            Op::UnindexedRemove(soul) => self.quarantine_remove(&soul, Kind::Unindexed),
            Op::SetCursor { name, value } => self.set_cursor(&name, value),
        }
    }

    fn set_cursor(&mut self, name: &str, value: Vec<u8>) -> Result<(), WriteError> {
        if name.is_empty() || name.len() > CURSOR_NAME_BYTES_MAX {
            return Err(WriteError::Invalid(
                "the name of a cursor has 1 to 255 bytes",
            ));
        }
        self.stage.put(Table::Meta, cursor_row(name), value);
        Ok(())
    }

    /// A key won: counts it, notes it and asks the node whether it announces a record.
    fn changed(
        &mut self,
        soul: &Soul,
        key: &Key,
        state: State,
        value: &Value,
    ) -> Result<(), WriteError> {
        let change = Change {
            soul: soul.clone(),
            key: key.clone(),
            state,
            value: value.clone(),
        };
        self.committed.bytes += account::entry_bytes(key.as_str(), value);
        if let Some(wanted) = (self.options.watch)(&change) {
            self.want(wanted)?;
        }
        self.changes.note(change);
        Ok(())
    }
}

/// The keys that won in a transaction, as a graph in which each stands once.
#[derive(Default)]
struct Changes {
    graph: Graph,
    nodes: HashMap<Soul, usize>,
    entries: HashMap<(Soul, Key), usize>,
}

impl Changes {
    fn note(&mut self, change: Change) {
        let Change {
            soul,
            key,
            state,
            value,
        } = change;
        let node = *self.nodes.entry(soul.clone()).or_insert_with(|| {
            self.graph.push(Node {
                soul: soul.clone(),
                entries: Vec::new(),
            });
            self.graph.len() - 1
        });
        let entries = &mut self.graph[node].entries;
        let at = *self
            .entries
            .entry((soul, key.clone()))
            .or_insert(entries.len());
        let entry = Entry { key, state, value };
        match entries.get_mut(at) {
            Some(held) => *held = entry,
            None => entries.push(entry),
        }
    }
}
