//! Verified records and their feed.

use gun::Soul;

use super::Run;
use crate::error::WriteError;
use crate::model::RecordRow;
use crate::rows::record;
use crate::tables::Table;

impl Run<'_, '_> {
    /// Fails unless the record is the one that was decided on.
    pub(super) fn expect_record(&mut self, soul: Soul, seq: Option<u64>) -> Result<(), WriteError> {
        let key = soul.as_str().as_bytes();
        let stored = self
            .stage
            .decoded(Table::Records, key, record::decode_seq)?;
        if stored == seq {
            Ok(())
        } else {
            Err(WriteError::Superseded(soul))
        }
    }

    /// Stores a record and moves it to the head of the feed.
    pub(super) fn put_record(&mut self, mut row: RecordRow) -> Result<(), WriteError> {
        let key = row.soul.as_str().as_bytes().to_vec();
        match self
            .stage
            .decoded(Table::Records, &key, record::decode_seq)?
        {
            Some(seq) => self.stage.remove(Table::Feed, seq.to_be_bytes().to_vec()),
            None => self.stage.counters.records += 1,
        }
        self.stage.counters.feed_head += 1;
        row.seq = self.stage.counters.feed_head;
        self.stage
            .put(Table::Feed, row.seq.to_be_bytes().to_vec(), key.clone());
        self.stage.put(Table::Records, key, record::encode(&row));
        Ok(())
    }
}
