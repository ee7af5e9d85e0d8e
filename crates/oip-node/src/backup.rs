//! Backup of a node, made while it serves, and restoring it: what can't be fetched again from others.
//!
//! In it are the verified records as they were signed (sealed ones as ciphertext, tombstones too), what the node
//! has learned and must not unlearn (`KEPT`), and the audit trail. Not in it: keys, which are kept apart; the index,
//! which is made of the records; positions in this store's feed; what others put into the graph; notes of decisions; and
//! records in quarantine, which their peers still have. The form is `format`'s, and in `docs/backup.md`.

mod format;
mod restore;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oip_store::{ReadError, RecordRow, Store};

use crate::sync::owned;
use crate::{audit, clock};
pub use format::{Checked, Checker, End, FormatError, Header};
use format::{Line, Mark, Record, Writer};
pub use restore::{RestoreError, RestoreReport, inspect, restore};

/// What a node has learned and must not unlearn, by the beginning of its names: who has been seen signing, data once
/// superseded, whose key an alias and an encryption key is and was, whom
/// what was shared with, how far statements have come, which peers' marks
/// hide what, what lay beside records of old schemes, and whose a record was that its owner deleted.
const KEPT: [&str; 11] = [
    "signer:",
    "data:",
    "alias:",
    "statement:",
    "node-key:",
    "encryption-key:",
    "keys-of:",
    "shared:",
    "marks:",
    "legacy:",
    owned::PREFIX,
];

/// Records read at a time: sixteen of the largest are 128 MiB, and a look-up each costs little.
const RECORDS_AT_A_TIME: usize = 16;

/// Marks read at a time; each is some hundred bytes.
const MARKS_AT_A_TIME: usize = 1_000;

/// What a backup is made of. Cheap to clone.
#[derive(Clone)]
pub struct Source {
    pub(crate) store: Store,
    pub(crate) node_id: String,
    pub(crate) creator: String,
}

/// Whoever takes the parts of a backup has gone, or the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store failed to read.
    #[error("failed to read the store: {0}")]
    Read(#[from] ReadError),
    /// Nobody takes it any more.
    #[error("nobody takes the backup any more")]
    Gone,
}

impl Source {
    /// Writes the backup, a line at a time, to `out`, which says whether it wants more. Blocks. Everything that was
    /// acknowledged before this was called is in it; of what changes meanwhile, the version before or after.
    ///
    /// # Errors
    /// [`BackupError`]; what was written is then no whole backup, and can be told from one.
    pub fn write(&self, out: impl FnMut(String) -> bool) -> Result<End, BackupError> {
        let mut writer = Writer::new(out);
        let store = &self.store;
        let head = store.feed_head();
        writer.line(&Line::Header(Header {
            version: format::VERSION,
            node_id: self.node_id.clone(),
            creator: self.creator.clone(),
            at_ms: clock::wall_ms(),
            held: store.count_records(),
        }))?;
        let mut end = End::default();
        let mut after = None;
        loop {
            let page = store.records(after.as_ref(), RECORDS_AT_A_TIME)?;
            let Some(last) = page.last() else { break };
            after = Some(last.soul.clone());
            for row in page {
                end.marks += self.write_owner(&row, &mut writer)?;
                writer.line(&Line::Record(record_of(row)))?;
                end.records += 1;
            }
        }
        // What changed while the pages were read may stand behind the page it belongs to.
        let (mut at, until) = (head, store.feed_head());
        while at < until {
            let page = store.feed(at, RECORDS_AT_A_TIME)?;
            let Some((last, _)) = page.last() else { break };
            at = *last;
            for (_, soul) in page {
                if let Some(row) = store.record(&soul)? {
                    end.marks += self.write_owner(&row, &mut writer)?;
                    writer.line(&Line::Record(record_of(row)))?;
                    end.records += 1;
                }
            }
        }
        let mut keep = |name: String, value: Vec<u8>| {
            let value = STANDARD.encode(value);
            end.marks += 1;
            writer.line(&Line::Mark(Mark { name, value }))
        };
        // Whose a record was stands before its tombstone already.
        for prefix in KEPT.into_iter().filter(|prefix| *prefix != owned::PREFIX) {
            each_mark(store, prefix, None, &mut keep)?;
        }
        // What says how far the trail goes comes first: entries that are written meanwhile are left out.
        let mut last = None;
        for name in audit::BOUNDS {
            if let Some(value) = store.cursor(name)? {
                last = audit::last_entry(&value).or(last);
                keep(name.to_owned(), value)?;
            }
        }
        if let Some(last) = last {
            each_mark(store, audit::ENTRIES, Some(&last), &mut keep)?;
        }
        writer.line(&Line::End(end))?;
        Ok(end)
    }

    /// Writes whose a record was that its owner deleted, before the tombstone, which is judged by it. Gives how many
    /// lines that took.
    fn write_owner(
        &self,
        row: &RecordRow,
        writer: &mut Writer<impl FnMut(String) -> bool>,
    ) -> Result<u64, BackupError> {
        if !owned::is_an_owners(row) {
            return Ok(0);
        }
        let name = owned::mark(&row.soul);
        let Some(value) = self.store.cursor(&name)? else {
            return Ok(0);
        };
        let value = STANDARD.encode(value);
        writer.line(&Line::Mark(Mark { name, value }))?;
        Ok(1)
    }
}

/// The marks whose names begin so, up to `last`.
fn each_mark(
    store: &Store,
    prefix: &str,
    last: Option<&str>,
    keep: &mut impl FnMut(String, Vec<u8>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut after: Option<String> = None;
    loop {
        let page = store.cursors(prefix, after.as_deref(), MARKS_AT_A_TIME)?;
        let Some((name, _)) = page.last() else {
            return Ok(());
        };
        after = Some(name.clone());
        for (name, value) in page {
            if last.is_some_and(|last| *name > *last) {
                return Ok(());
            }
            keep(name, value)?;
        }
    }
}

fn record_of(row: RecordRow) -> Record {
    Record {
        soul: row.soul.as_str().to_owned(),
        oip: Arc::clone(&row.oip),
        data: row.data,
        own: row.own,
        first_seen_ms: row.first_seen_ms,
        source: row.source,
    }
}
