//! The handle to an open store.

use std::path::Path;

use gun::graph::Entry;
use gun::{Key, Node, Soul, State, Value};

use crate::error::{OpenError, ReadError, WriteError};
use crate::model::{
    Committed, KeysPage, PageLimit, QuarantineRow, RecordRow, Stats, WantedRow,
};
use crate::options::StoreOptions;
use crate::transaction::Transaction;

/// An open store. Cheap to clone; all clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {}

#[expect(missing_docs, clippy::unimplemented, clippy::missing_errors_doc, clippy::unused_async, reason = "signatures first")]
impl Store {
    pub fn open(_path: &Path, _options: StoreOptions) -> Result<Self, OpenError> { unimplemented!() }
    pub fn submit(&self, _transaction: Transaction, _now_ms: u64, _reply: impl FnOnce(Result<Committed, WriteError>) + Send + 'static) { unimplemented!() }
    pub async fn commit(&self, _transaction: Transaction, _now_ms: u64) -> Result<Committed, WriteError> { unimplemented!() }
    /// Drains, syncs, joins the writer, releases the folder. Blocks: call it off the reactor.
    pub fn close(&self) -> Result<(), WriteError> { unimplemented!() }
    pub fn value(&self, _soul: &Soul, _key: &Key) -> Result<Option<(State, Value)>, ReadError> { unimplemented!() }
    /// Whole node; `NodeTooLarge` over 20,000 keys or 16 MiB.
    pub fn node(&self, _soul: &Soul) -> Result<Option<Node>, ReadError> { unimplemented!() }
    pub fn keys(&self, _soul: &Soul, _after: Option<&Key>, _limit: usize) -> Result<Vec<Entry>, ReadError> { unimplemented!() }
    pub fn keys_page(&self, _soul: &Soul, _prefix: &str, _after: Option<&Key>, _limit: PageLimit) -> Result<KeysPage, ReadError> { unimplemented!() }
    pub fn souls(&self, _prefix: &str, _after: Option<&Soul>, _limit: usize) -> Result<Vec<Soul>, ReadError> { unimplemented!() }
    pub fn record(&self, _soul: &Soul) -> Result<Option<RecordRow>, ReadError> { unimplemented!() }
    pub fn feed(&self, _after_seq: u64, _limit: usize) -> Result<Vec<(u64, Soul)>, ReadError> { unimplemented!() }
    pub fn feed_head(&self) -> u64 { unimplemented!() }
    pub fn watch_feed(&self) -> tokio::sync::watch::Receiver<u64> { unimplemented!() }
    pub fn count_records(&self) -> u64 { unimplemented!() }
    pub fn wanted_due(&self, _now_ms: u64, _limit: usize) -> Result<Vec<WantedRow>, ReadError> { unimplemented!() }
    pub fn wanted_len(&self) -> u64 { unimplemented!() }
    pub fn is_wanted(&self, _soul: &Soul) -> Result<bool, ReadError> { unimplemented!() }
    pub fn wanted(&self, _soul: &Soul) -> Result<Option<WantedRow>, ReadError> { unimplemented!() }
    pub fn quarantine(&self, _after: Option<&Soul>, _limit: usize) -> Result<Vec<QuarantineRow>, ReadError> { unimplemented!() }
    pub fn quarantined(&self, _soul: &Soul) -> Result<Option<QuarantineRow>, ReadError> { unimplemented!() }
    pub fn quarantine_due(&self, _now_ms: u64, _limit: usize) -> Result<Vec<QuarantineRow>, ReadError> { unimplemented!() }
    pub fn quarantine_len(&self) -> u64 { unimplemented!() }
    pub fn cursor(&self, _name: &str) -> Result<Option<Vec<u8>>, ReadError> { unimplemented!() }
    pub fn next_deferred(&self) -> Result<Option<u64>, ReadError> { unimplemented!() }
    pub fn stats(&self) -> Stats { unimplemented!() }
}
