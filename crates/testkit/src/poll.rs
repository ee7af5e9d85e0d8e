//! Waiting for a fact: ask again and again until it holds, or fail with what was waited for.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// Pause between two questions: short against every latency the tests look at, long enough
/// to leave the two cores to the processes under test.
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` until it gives `Ok`, and returns its value.
///
/// `probe` answers `Err(why)` while the fact does not hold yet; the last reason stands in the
/// failure message.
///
/// # Panics
/// When the fact does not hold within `deadline`: names `what`, the time and the last reason.
pub async fn wait_until<T, E, F>(deadline: Duration, what: &str, mut probe: impl FnMut() -> F) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    loop {
        let why = match tokio::time::timeout(deadline, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(why)) => why.to_string(),
            Err(_) => "the question itself was not answered in time".to_owned(),
        };
        assert!(
            started.elapsed() < deadline,
            "waited {:.1} s for: {what}; last seen: {why}",
            started.elapsed().as_secs_f64(),
        );
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fact_that_comes_true_later_is_returned() {
        let mut asked = 0;
        let found = wait_until(Duration::from_secs(5), "third question", || {
            asked += 1;
            let asked = asked;
            async move {
                if asked == 3 {
                    Ok(asked)
                } else {
                    Err("not yet")
                }
            }
        })
        .await;
        assert_eq!(found, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "for: pigs to fly; last seen: still on the ground")]
    async fn a_fact_that_never_comes_true_fails_with_its_name_and_reason() {
        wait_until(Duration::from_millis(60), "pigs to fly", || async {
            Err::<(), _>("still on the ground")
        })
        .await;
    }
}
