//! When a node's search first shows a record: its HTTP search is asked over and over for the newest
//! records, as an app would, so that nothing counts that a user could not have found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use testkit::NodeProcess;

use crate::corpus::RECORD_TYPE;

/// Pause between two looks; the resolution of what is measured, besides the search's own time.
const PAUSE: Duration = Duration::from_millis(1);

/// Records looked at per question, newest first. If the answer counts more than were seen so far,
/// the next page is looked at too: records come in another order than they were published.
const PAGE: usize = 20;

/// Without anything new for so long, the bench gives up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    search_results: usize,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    oip: Oip,
}

#[derive(Deserialize)]
struct Oip {
    did: String,
}

/// A watch on a node's search.
#[derive(Debug)]
pub struct Sightings {
    http: reqwest::Client,
    url: String,
    /// When each DID was first seen.
    pub seen: HashMap<String, Instant>,
}

impl Sightings {
    /// A watch that has seen nothing.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn of(node: &NodeProcess) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: format!("{}/api/records?recordType={RECORD_TYPE}", node.api()),
            seen: HashMap::new(),
        })
    }

    /// Watches until so many records have been seen in all.
    ///
    /// # Errors
    /// When nothing new shows for a minute, or the node does not answer.
    pub async fn watch(&mut self, count: usize) -> Result<()> {
        let mut last_new = Instant::now();
        while self.seen.len() < count {
            let before = self.seen.len();
            self.look().await?;
            if self.seen.len() > before {
                last_new = Instant::now();
            } else if last_new.elapsed() > SILENCE_MAX {
                bail!("search shows {before} of {count} records and nothing new");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Looks at pages until all that the search counts were seen.
    async fn look(&mut self) -> Result<()> {
        for page in 1.. {
            let url = format!("{}&limit={PAGE}&page={page}", self.url);
            let answer = self.http.get(url).send().await?.error_for_status()?;
            let text = answer.text().await?;
            let now = Instant::now();
            let found: Page = serde_json::from_str(&text).context("a page of records")?;
            let is_last = found.records.len() < PAGE;
            for record in found.records {
                self.seen.entry(record.oip.did).or_insert(now);
            }
            if is_last || found.search_results <= self.seen.len() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How many records a search on the node finds in all.
///
/// # Errors
/// When the node does not answer.
pub async fn searchable(node: &NodeProcess) -> Result<u64> {
    let path = format!("/api/records?recordType={RECORD_TYPE}&limit=1");
    let answer = node.get(&path).await?;
    answer.body["searchResults"]
        .as_u64()
        .with_context(|| format!("no count in {}", answer.body))
}
