//! The quarantine.

use gun::Soul;

use super::Run;
use crate::error::{ReadError, WriteError};
use crate::model::QuarantineRow;
use crate::rows::quarantine::{self, Kind, row_key};
use crate::rows::wanted;
use crate::tables::Table;

impl Run<'_, '_> {
    fn quarantine_row(&self, soul: &Soul, kind: Kind) -> Result<Option<QuarantineRow>, ReadError> {
        self.stage
            .decoded(Table::Quarantine, &row_key(kind, soul), |row| {
                quarantine::decode(soul.clone(), row)
            })
    }

    fn remove_due(&mut self, row: &QuarantineRow) {
        if let Some(due_ms) = row.due_ms {
            self.stage
                .remove(Table::Quarantine, wanted::due_row(due_ms, &row.soul));
        }
    }

    /// Puts a record in quarantine; a row that is there already keeps its first time.
    pub(super) fn quarantine_add(
        &mut self,
        mut row: QuarantineRow,
        kind: Kind,
    ) -> Result<(), WriteError> {
        match self.quarantine_row(&row.soul, kind)? {
            Some(held) => {
                row.first_ms = held.first_ms;
                self.remove_due(&held);
            }
            None if self.stage.counters.quarantine >= self.options.quarantine_max => {
                self.committed.over_limit += 1;
                return Ok(());
            }
            None => self.stage.counters.quarantine += 1,
        }
        if let Some(due_ms) = row.due_ms {
            self.stage.put(
                Table::Quarantine,
                wanted::due_row(due_ms, &row.soul),
                Vec::new(),
            );
        }
        self.stage.put(
            Table::Quarantine,
            row_key(kind, &row.soul),
            quarantine::encode(&row),
        );
        Ok(())
    }

    pub(super) fn quarantine_remove(&mut self, soul: &Soul, kind: Kind) -> Result<(), WriteError> {
        if let Some(row) = self.quarantine_row(soul, kind)? {
            self.stage.counters.quarantine = self.stage.counters.quarantine.saturating_sub(1);
            self.remove_due(&row);
            self.stage.remove(Table::Quarantine, row_key(kind, soul));
        }
        Ok(())
    }
}
