//! Settings of the store, with defaults that keep the process small.

use std::fmt;

use gun::Soul;

use crate::model::{Account, Change, Wanted};

/// Tells from a winning change which record it announces, if any. Called on the writer
/// thread: it must be quick, must not panic, and must not call the store.
pub type Watch = Box<dyn Fn(&Change) -> Option<Wanted> + Send + Sync>;

/// Tells which account a soul is charged to, if any. The same conditions as for [`Watch`] hold.
pub type Accounts = Box<dyn Fn(&Soul) -> Option<Account> + Send + Sync>;

/// States more than ten minutes ahead are never stored (`trust-and-privacy` 3.4 and the
/// lessons on pinned values).
const FUTURE_MS_MAX: u64 = 600_000;

/// Block cache. 32 MiB holds the hot index blocks of a million records; the whole process
/// is to stay under 256 MiB.
const CACHE_BYTES: u64 = 32 * 1_024 * 1_024;

/// Memory for rows not yet in tables, for each of the two large tables. A quarter of the
/// engine's default; smaller ones made no difference to the rate of writing, which syncs bound.
const MEMTABLE_BYTES: u64 = 16 * 1_024 * 1_024;

/// Values that wait for their time: ten minutes of them from peers with fast clocks. Anyone
/// can send them, so they are few.
const DEFERRED_MAX: u64 = 10_000;

/// Wanted souls: a first sync of a million records, with room for noise.
const WANTED_MAX: u64 = 2_000_000;

/// Quarantined records: enough to see a pattern, too few to fill a disk.
const QUARANTINE_MAX: u64 = 100_000;

/// Settings of a [`crate::Store`].
pub struct StoreOptions {
    /// Which changes announce a record that is to be fetched.
    pub watch: Watch,
    /// Which account a soul is charged to; see [`crate::Op::Offer`].
    pub accounts: Accounts,
    /// Bytes of the block cache.
    pub cache_bytes: u64,
    /// Bytes of rows that are kept in memory per large table before they go to a table file.
    pub memtable_bytes: u64,
    /// How far the states of own values lie behind the clock, in ms, at least 0 and below 1. Two
    /// nodes that differ in it never write with equal states: what they write for one key in the
    /// same millisecond is one version after the other everywhere, not a mixture.
    pub own_lag_ms: f64,
    /// States further ahead of the clock than this are refused.
    pub future_ms_max: u64,
    /// Values kept aside until their time, at most.
    pub deferred_max: u64,
    /// Wanted souls, at most; what is over is found again by a later sweep.
    pub wanted_max: u64,
    /// Quarantined records, at most.
    pub quarantine_max: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            watch: Box::new(|_| None),
            accounts: Box::new(|_| None),
            cache_bytes: CACHE_BYTES,
            memtable_bytes: MEMTABLE_BYTES,
            own_lag_ms: 0.0,
            future_ms_max: FUTURE_MS_MAX,
            deferred_max: DEFERRED_MAX,
            wanted_max: WANTED_MAX,
            quarantine_max: QUARANTINE_MAX,
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("cache_bytes", &self.cache_bytes)
            .field("memtable_bytes", &self.memtable_bytes)
            .field("own_lag_ms", &self.own_lag_ms)
            .field("future_ms_max", &self.future_ms_max)
            .field("deferred_max", &self.deferred_max)
            .field("wanted_max", &self.wanted_max)
            .field("quarantine_max", &self.quarantine_max)
            .finish_non_exhaustive()
    }
}
