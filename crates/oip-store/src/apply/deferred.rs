//! Values whose state lies ahead of the clock: kept aside, durably, until their time.

use gun::graph::Entry;
use gun::{Node, Soul, ham};

use super::{Bound, Run};
use crate::error::{ReadError, WriteError};
use crate::rows::{deferred, graph};
use crate::tables::Table;

/// Values decided in one operation; a batch stays short although ten minutes' worth may
/// fall due at once after the clock was set.
const RELEASE_MAX: usize = 1_000;

impl Run<'_, '_> {
    /// Keeps a value aside, unless its time is too far off or the table is full.
    pub(super) fn defer(&mut self, soul: &Soul, entry: &Entry) -> Result<(), WriteError> {
        let ahead_ms = entry.state.as_f64() - self.now.as_f64();
        if ahead_ms > self.options.future_ms_max as f64 {
            self.committed.too_far += 1;
            return Ok(());
        }
        let row = deferred::row(entry.state, soul, &entry.key);
        match self
            .stage
            .decoded(Table::Deferred, &row, graph::decode_value)?
        {
            // Same key, same state: only the greater text can win when the time comes.
            Some((_, held)) if ham::compare_values(&entry.value, &held).is_le() => {
                self.committed.same += 1;
                return Ok(());
            }
            Some(_) => {}
            None if self.stage.counters.deferred >= self.options.deferred_max => {
                self.committed.over_quota += 1;
                return Ok(());
            }
            None => self.stage.counters.deferred += 1,
        }
        self.committed.deferred += 1;
        self.stage.put(
            Table::Deferred,
            row,
            graph::encode_value(entry.state, &entry.value),
        );
        Ok(())
    }

    /// Decides on the values whose time has come, the oldest first.
    pub(super) fn release_deferred(&mut self) -> Result<(), WriteError> {
        let due: Vec<_> = self
            .stage
            .stored_up_to(Table::Deferred, deferred::behind(self.now))
            .take(RELEASE_MAX)
            .collect::<Result<_, _>>()
            .map_err(ReadError::Engine)?;
        for (row, _) in due {
            let damaged = |fault| ReadError::damaged(Table::Deferred, &row, fault);
            // A release earlier in this batch may have taken it.
            let Some(value) = self.stage.get(Table::Deferred, &row)? else {
                continue;
            };
            let (_, soul, key) = deferred::parse(&row).map_err(damaged)?;
            let (state, value) = graph::decode_value(&value).map_err(damaged)?;
            self.stage.remove(Table::Deferred, row.to_vec());
            self.stage.counters.deferred = self.stage.counters.deferred.saturating_sub(1);
            let entries = vec![Entry { key, state, value }];
            // It was held against its account when it came; bounds decide again, now that it counts.
            self.merge(Node { soul, entries }, Bound::Accounts)?;
        }
        Ok(())
    }
}
