//! What was written and what of it can be found: a server shows it after a refresh.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::backend::locked;
use super::error::ElasticError;
use super::generations::{Generation, Place};
use super::server::Patience;

/// Time between two refreshes that we ask for: each makes a part of the index that has to be merged.
const REFRESH_PAUSE: Duration = Duration::from_millis(50);

/// What was written and what of it can be found.
#[derive(Default)]
pub(super) struct Freshness {
    written: AtomicU64,
    /// How much of `written` the refreshes so far cover, and when the last one began.
    refreshed: Mutex<(u64, Option<Instant>)>,
}

impl Freshness {
    /// Something was written.
    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes what was written before this call searchable, unless it is.
    pub(super) async fn freshen(
        &self,
        place: Place<'_>,
        generation: &Generation,
        patience: Patience,
    ) -> Result<(), ElasticError> {
        let wanted = self.written.load(Ordering::Acquire);
        loop {
            let since = {
                let mut refreshed = locked(&self.refreshed);
                if refreshed.0 >= wanted {
                    return Ok(());
                }
                match refreshed.1.map(|at| at.elapsed()) {
                    Some(since) if since < REFRESH_PAUSE => Some(since),
                    _ => {
                        refreshed.1 = Some(Instant::now());
                        None
                    }
                }
            };
            if let Some(since) = since {
                tokio::time::sleep(REFRESH_PAUSE.saturating_sub(since)).await;
                continue;
            }
            // What is written while the refresh runs may or may not be in it.
            let covers = self.written.load(Ordering::Acquire);
            place.refresh(&generation.name, patience).await?;
            let mut refreshed = locked(&self.refreshed);
            refreshed.0 = refreshed.0.max(covers);
        }
    }
}
