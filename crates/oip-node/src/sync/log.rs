//! How much is said about single records. Owns the log's budget, so that a first sync of a million records
//! does not fill a disk; counters have none.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lines about single records in one second; more are counted and summed up in one line. A person
/// reads no more, and a burst of publishes stays below.
const LINES_PER_SECOND: u64 = 50;

/// How many lines about single records were written in this second, and how many held back.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    second: AtomicU64,
    written: AtomicU64,
    held_back: AtomicU64,
}

impl LogBudget {
    /// Whether a line may be written now; a new second starts with what the last one held back.
    pub(super) fn allows(&self, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.written.store(0, Ordering::Relaxed);
            let held_back = self.held_back.swap(0, Ordering::Relaxed);
            if held_back > 0 {
                tracing::info!(held_back, "{held_back} more lines about records");
            }
        }
        let allowed = self.written.fetch_add(1, Ordering::Relaxed) < LINES_PER_SECOND;
        if !allowed {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_a_budget_for_each_second() {
        let budget = LogBudget::default();
        let allowed = |now_ms| (0..200).filter(|_| budget.allows(now_ms)).count() as u64;
        assert_eq!(allowed(5_000), LINES_PER_SECOND);
        assert_eq!(allowed(5_999), 0);
        assert_eq!(allowed(6_000), LINES_PER_SECOND);
    }
}
