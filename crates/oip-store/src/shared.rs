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
    pub(crate) tallies: Tallies,
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
