//! Percentiles of latencies, and median and range over runs.

use std::time::Duration;

/// Latencies of one measurement.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    millis: Vec<f64>,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.millis.push(latency.as_secs_f64() * 1e3);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.millis.len()
    }

    /// p50, p99 and the largest, in milliseconds; NaN without any.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let mut sorted = self.millis.clone();
        sorted.sort_by(f64::total_cmp);
        Percentiles {
            p50: nearest(&sorted, 50),
            p99: nearest(&sorted, 99),
            max: nearest(&sorted, 100),
        }
    }
}

impl Extend<Duration> for Latencies {
    fn extend<T: IntoIterator<Item = Duration>>(&mut self, latencies: T) {
        for latency in latencies {
            self.add(latency);
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Percentiles {
    /// Half are no slower.
    pub p50: f64,
    /// One in a hundred is slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Nearest rank: always a value that was measured.
fn nearest(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Median and range of one number over runs.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The middle, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` if none is a number.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut latencies = Latencies::default();
        latencies.extend((1..=200).map(Duration::from_millis));
        let found = latencies.percentiles();
        assert_eq!((found.p50, found.p99, found.max), (100.0, 198.0, 200.0));
        assert!(Latencies::default().percentiles().p50.is_nan());
    }

    #[test]
    fn the_median_of_an_even_number_of_runs_lies_between_the_middle_two() {
        let spread = Spread::of(&[4.0, 1.0, f64::NAN, 2.0, 10.0]).expect("there are numbers");
        assert_eq!((spread.median, spread.min, spread.max), (3.0, 1.0, 10.0));
        assert!(Spread::of(&[f64::NAN]).is_none());
    }
}
