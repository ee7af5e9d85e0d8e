//! How long to wait before dialling again: exponential, with full jitter, for ever.
//!
//! Pure: randomness comes in as a number, so that every schedule can be replayed.

use std::time::Duration;

/// Bounds of the waiting time between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

/// Doublings after which any sensible first wait has reached its bound; keeps the shift sane.
const DOUBLINGS_MAX: u32 = 20;

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The next wait: a share of `first`, doubled per failure up to `longest`. `random` is
    /// uniform; all of the wait is jitter, so that nodes which lost the same relay at the same
    /// moment come back spread out.
    pub(crate) fn next(&mut self, random: u32) -> Duration {
        let doublings = self.failures.min(DOUBLINGS_MAX);
        self.failures = self.failures.saturating_add(1);
        let bound = self.first.saturating_mul(1 << doublings).min(self.longest);
        bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// A connection held: the next failure starts the schedule anew.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn waits_double_up_to_the_bound_and_stay_there_for_ever() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let seconds: Vec<f64> = (0..8)
            .map(|_| backoff.next(u32::MAX).as_secs_f64())
            .collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        for _ in 0..100_000 {
            assert_eq!(backoff.next(u32::MAX), LONGEST);
        }
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next(u32::MAX), LONGEST);
    }

    #[test]
    fn all_of_a_wait_is_jitter() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(u32::MAX / 2).as_millis(), 500);
    }

    #[test]
    fn a_link_that_held_starts_the_schedule_anew() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for _ in 0..10 {
            backoff.next(0);
        }
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), FIRST);
    }
}
