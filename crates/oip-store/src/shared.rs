//! What the writer tells the handles: counters, tallies, the feed's head, and whether a write failed.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use crate::error::WriteError;
use crate::rows::counters::Counters;

/// State between the writer and the handles.
pub(crate) struct Shared {
    counters: Mutex<Counters>,
    feed: watch::Sender<u64>,
    failure: OnceLock<Arc<str>>,
    wanted_floor: Mutex<Floor>,
    pub(crate) tallies: Tallies,
}

/// No row of the wanted list is due before this time. Where rows are removed, the engine keeps a mark
/// until it compacts, and every look from the list's beginning would step over all of them: a first
/// sync of n records would cost n squared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) due_ms: u64,
    /// Commits that added due rows: what a reader saw before such a commit says nothing after it.
    additions: u64,
}

/// What happened since the store was opened.
#[derive(Default)]
pub(crate) struct Tallies {
    pub(crate) transactions: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) row_bytes: AtomicU64,
    pub(crate) busy: AtomicU64,
}

impl Shared {
    pub(crate) fn new(counters: Counters) -> Self {
        Self {
            counters: Mutex::new(counters),
            feed: watch::Sender::new(counters.feed_head),
            failure: OnceLock::new(),
            wanted_floor: Mutex::new(Floor {
                due_ms: 0,
                additions: 0,
            }),
            tallies: Tallies::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        // Plain numbers: a panic elsewhere can't leave them half-written.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of the last commit.
    pub(crate) fn counters(&self) -> Counters {
        *self.lock()
    }

    pub(crate) fn set_counters(&self, counters: Counters) {
        *self.lock() = counters;
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.wanted_floor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to begin looking. To be read before the snapshot that is looked at is taken.
    pub(crate) fn wanted_floor(&self) -> Floor {
        *self.floor()
    }

    /// Called by the writer once rows that are due from this time on are visible, before anyone is told
    /// of them. Not earlier: a reader could still take a snapshot without them, and raise the floor.
    pub(crate) fn lower_wanted_floor(&self, due_ms: u64) {
        let mut floor = self.floor();
        floor.due_ms = floor.due_ms.min(due_ms);
        floor.additions += 1;
    }

    /// Called by a reader that found nothing due before this time, beginning at `seen`.
    pub(crate) fn raise_wanted_floor(&self, seen: Floor, due_ms: u64) {
        let mut floor = self.floor();
        if *floor == seen {
            floor.due_ms = floor.due_ms.max(due_ms);
        }
    }

    /// Tells the watchers of the feed if its head moved.
    pub(crate) fn publish_feed(&self) {
        let head = self.counters().feed_head;
        self.feed
            .send_if_modified(|seen| std::mem::replace(seen, head) != head);
    }

    pub(crate) fn watch_feed(&self) -> watch::Receiver<u64> {
        self.feed.subscribe()
    }

    /// Ends writing for good.
    pub(crate) fn poison(&self, cause: &str) -> WriteError {
        let cause = self.failure.get_or_init(|| cause.into());
        WriteError::Poisoned {
            cause: cause.clone(),
        }
    }

    /// The error that every write gets, once one has failed.
    pub(crate) fn poisoned(&self) -> Option<WriteError> {
        self.failure.get().map(|cause| WriteError::Poisoned {
            cause: cause.clone(),
        })
    }
}
