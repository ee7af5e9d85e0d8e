//! Wanted souls.

use gun::Soul;

use super::Run;
use crate::error::{ReadError, WriteError};
use crate::model::{Wanted, WantedRow};
use crate::rows::wanted;
use crate::tables::Table;

impl Run<'_, '_> {
    fn wanted_row(&self, soul: &Soul) -> Result<Option<WantedRow>, ReadError> {
        self.stage
            .decoded(Table::Wanted, &wanted::soul_row(soul), |row| {
                wanted::decode(soul.clone(), row)
            })
    }

    fn put_wanted(&mut self, before: Option<u64>, row: &WantedRow) {
        if let Some(due_ms) = before.filter(|due_ms| *due_ms != row.due_ms) {
            self.stage
                .remove(Table::Wanted, wanted::due_row(due_ms, &row.soul));
        }
        self.stage.put(
            Table::Wanted,
            wanted::due_row(row.due_ms, &row.soul),
            Vec::new(),
        );
        self.stage.put(
            Table::Wanted,
            wanted::soul_row(&row.soul),
            wanted::encode(row),
        );
    }

    /// Makes a soul wanted and due now.
    pub(super) fn want(&mut self, wanted: Wanted) -> Result<(), WriteError> {
        let held = self.wanted_row(&wanted.soul)?;
        if held.is_none() {
            if self.stage.counters.wanted >= self.options.wanted_max {
                self.committed.over_limit += 1;
                return Ok(());
            }
            self.stage.counters.wanted += 1;
        }
        self.stage.counters.generation += 1;
        let due_before = held.as_ref().map(|row| row.due_ms);
        let fresh = WantedRow {
            soul: wanted.soul,
            record_type: wanted.record_type,
            at_ms: wanted.at_ms,
            attempts: 0,
            due_ms: self.now_ms,
            reason: None,
            generation: self.stage.counters.generation,
        };
        let row = match held {
            // What a peer says anew may lack what another said before.
            Some(held) => WantedRow {
                record_type: fresh.record_type.or(held.record_type),
                at_ms: fresh.at_ms.or(held.at_ms),
                attempts: held.attempts,
                reason: held.reason,
                ..fresh
            },
            None => fresh,
        };
        self.put_wanted(due_before, &row);
        Ok(())
    }

    pub(super) fn wanted_remove(&mut self, soul: &Soul) -> Result<(), WriteError> {
        if let Some(row) = self.wanted_row(soul)? {
            self.stage.counters.wanted = self.stage.counters.wanted.saturating_sub(1);
            self.stage
                .remove(Table::Wanted, wanted::due_row(row.due_ms, soul));
            self.stage.remove(Table::Wanted, wanted::soul_row(soul));
        }
        Ok(())
    }

    pub(super) fn wanted_done(&mut self, soul: &Soul, generation: u64) -> Result<(), WriteError> {
        match self.wanted_row(soul)? {
            Some(row) if row.generation == generation => self.wanted_remove(soul),
            _ => Ok(()),
        }
    }

    pub(super) fn wanted_retry(
        &mut self,
        soul: &Soul,
        generation: u64,
        attempts: u32,
        due_ms: u64,
        reason: String,
    ) -> Result<(), WriteError> {
        let held = self.wanted_row(soul)?;
        if let Some(held) = held.filter(|row| row.generation == generation) {
            let row = WantedRow {
                attempts,
                due_ms,
                reason: Some(reason),
                ..held
            };
            self.put_wanted(Some(held.due_ms), &row);
        }
        Ok(())
    }
}
