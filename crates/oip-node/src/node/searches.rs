//! Bounds the searches under way: each takes a thread of the pool that publishing uses too, and a search
//! server that hangs keeps it for seconds. What health counts by searching is kept for such times.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oip_index::{Access, Condition, Index, IndexError, Query};
use tokio::sync::Semaphore;

use super::{ReadError, off_reactor};
use crate::vault;

/// Searches at once. They take all cores for milliseconds each where the index is well; the pool has 512
/// threads.
const SEARCHES_MAX: usize = 32;

/// How long a search waits for its turn before the caller is told that the node is busy: a burst passes
/// within it.
const TURN_MAX: Duration = Duration::from_secs(1);

/// The searches of a node.
pub(super) struct Searches {
    turns: Arc<Semaphore>,
    counts: Mutex<Counts>,
}

/// What health counts in the index.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Public records by type.
    pub(super) by_type: Vec<(String, u64)>,
    /// Documents that say of themselves that they are exposed, less those of which everybody may see it:
    /// their makers wrote it there.
    pub(super) exposed: u64,
}

impl Default for Searches {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(SEARCHES_MAX)),
            counts: Mutex::default(),
        }
    }
}

impl Searches {
    /// Runs a search off the reactor, when its turn has come.
    ///
    /// # Errors
    /// [`ReadError::Busy`], or what the search says.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        search: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN_MAX, turn).await else {
            let max = SEARCHES_MAX;
            return Err(ReadError::Busy { max });
        };
        off_reactor(move || {
            let found = search();
            drop(turn);
            Ok(found?)
        })
        .await
    }

    /// What health counts; as it was last where the index does not work or is busy. Blocks.
    pub(super) fn counts(&self, index: &dyn Index) -> Counts {
        let lock = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(_turn) = self.turns.try_acquire() else {
            return lock().clone();
        };
        if index.status().trouble.is_some() {
            return lock().clone();
        }
        match count(index) {
            Ok(counts) => {
                *lock() = counts.clone();
                counts
            }
            Err(_told_by_its_status) => lock().clone(),
        }
    }
}

fn count(index: &dyn Index) -> Result<Counts, IndexError> {
    // Anybody may ask for health: what is private is not counted here.
    let by_type = index.record_types(&Access::public())?;
    let exposed = |access: Access| {
        let field = "oip.privacy".parse().expect("a constant path is a path");
        index.count(&Query {
            access,
            ..Query::of(Condition::exact(field, [vault::EXPOSED]))
        })
    };
    let all = exposed(Access::Everything)?;
    Ok(Counts {
        by_type,
        exposed: all.saturating_sub(exposed(Access::public())?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_searches_than_there_are_turns_are_told_that_the_node_is_busy() {
        let searches = Arc::new(Searches::default());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let hanging: Vec<_> = (0..SEARCHES_MAX)
            .map(|_| {
                let (searches, held) = (Arc::clone(&searches), Arc::clone(&held));
                tokio::spawn(async move {
                    let wait = move || {
                        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
                        let _ = held.recv();
                        Ok(())
                    };
                    searches.run(wait).await
                })
            })
            .collect();
        while searches.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = searches.run(|| Ok(())).await.unwrap_err();
        assert!(matches!(refused, ReadError::Busy { .. }), "{refused}");
        drop(release);
        for one in hanging {
            one.await.unwrap().unwrap();
        }
        searches.run(|| Ok(())).await.unwrap();
    }
}
