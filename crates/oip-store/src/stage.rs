//! The rows that the transactions of one batch want to write, seen as if they were stored.
//!
//! Later transactions of the batch read what earlier ones staged. A transaction that fails is
//! rolled back alone. Invariant: each row is staged at most once, with its last value.

use std::collections::HashMap;

use crate::error::{Engine, ReadError};
use crate::folder::COUNTERS_ROW;
use crate::rows::Fault;
use crate::rows::counters::Counters;
use crate::tables::{Bytes, RowWrite, Table, Tables};

type Rows = HashMap<Vec<u8>, Option<Bytes>>;

/// Staged rows over the stored ones.
pub(crate) struct Stage<'a> {
    tables: &'a Tables,
    rows: [Rows; Table::ALL.len()],
    /// What the running transaction replaced: `None` where nothing was staged.
    undo: Vec<(Table, Vec<u8>, Option<Option<Bytes>>)>,
    pub(crate) counters: Counters,
    stored_counters: Counters,
    begin_counters: Counters,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(tables: &'a Tables, counters: Counters) -> Self {
        Self {
            tables,
            rows: Default::default(),
            undo: Vec::new(),
            counters,
            stored_counters: counters,
            begin_counters: counters,
        }
    }

    /// Starts a transaction: what was staged before stays.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
        self.begin_counters = self.counters;
    }

    /// Takes back what was staged since [`Self::begin`].
    pub(crate) fn roll_back(&mut self) {
        self.counters = self.begin_counters;
        for (table, key, before) in self.undo.drain(..).rev() {
            let rows = &mut self.rows[table as usize];
            match before {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    /// A row as the running transaction sees it.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, ReadError> {
        match self.rows[table as usize].get(key) {
            Some(staged) => Ok(staged.clone()),
            None => self.tables.newest(table, key).map_err(ReadError::Engine),
        }
    }

    /// A row, decoded; a fault in it names the row.
    pub(crate) fn decoded<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, ReadError> {
        self.get(table, key)?
            .map(|row| decode(&row).map_err(|fault| ReadError::damaged(table, key, fault)))
            .transpose()
    }

    /// The stored rows of a table from its start up to a key, with their keys; staged changes
    /// to them are seen by asking for each again.
    pub(crate) fn stored_up_to(
        &self,
        table: Table,
        end: Vec<u8>,
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), Engine>> + use<> {
        use std::ops::Bound;
        let snapshot = self.tables.snapshot();
        self.tables
            .range(&snapshot, table, (Bound::Unbounded, Bound::Excluded(end)))
    }

    pub(crate) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.set(table, key, Some(value.into()));
    }

    pub(crate) fn remove(&mut self, table: Table, key: Vec<u8>) {
        self.set(table, key, None);
    }

    fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Bytes>) {
        let before = self.rows[table as usize].insert(key.clone(), value);
        self.undo.push((table, key, before));
    }

    /// Everything staged, counters included. Nothing if no row changed.
    pub(crate) fn into_rows(mut self) -> (Vec<RowWrite>, Counters) {
        if self.counters != self.stored_counters {
            self.put(Table::Meta, COUNTERS_ROW.to_vec(), self.counters.encode());
        }
        let rows = Table::ALL
            .into_iter()
            .zip(self.rows)
            .flat_map(|(table, rows)| {
                rows.into_iter()
                    .map(move |(key, value)| RowWrite { table, key, value })
            })
            .collect();
        (rows, self.counters)
    }
}
