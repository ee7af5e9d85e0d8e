//! Publishers that use a node's HTTP API as apps do. Owns when a record is due, and what came of it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};
use testkit::NodeProcess;

use crate::corpus::RECORD_TYPE;

/// A record that the node has acknowledged.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its DID.
    pub did: String,
    /// When it was due.
    pub due: Instant,
    /// When the answer 200 had come.
    pub acked: Instant,
}

/// When records are published.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many publishers, each with its next record as soon as the last was acknowledged.
    Closed {
        /// Publishers.
        publishers: usize,
    },
    /// A constant rate, whatever is unanswered; a record counts from when it was due.
    Open {
        /// Records per second.
        per_second: u32,
    },
}

/// Requests of an open loop that may wait for their answer: far above what a node that keeps up needs.
const UNANSWERED_MAX: usize = 1_000;

/// Publishes all records; the acknowledged ones in no order.
///
/// # Errors
/// At the first record that is refused.
pub async fn publish_all(
    node: &NodeProcess,
    records: &[String],
    pace: Pace,
) -> Result<Vec<Published>> {
    let started = Instant::now();
    let in_flight = match pace {
        Pace::Closed { publishers } => publishers,
        Pace::Open { .. } => UNANSWERED_MAX,
    };
    let work = records
        .iter()
        .enumerate()
        .map(|(number, record)| async move {
            let due = match pace {
                Pace::Closed { .. } => Instant::now(),
                Pace::Open { per_second } => {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    let due = started + Duration::from_secs(1) * number / per_second.max(1);
                    tokio::time::sleep_until(due.into()).await;
                    due
                }
            };
            publish(node, record, due).await
        });
    let mut published = Vec::with_capacity(records.len());
    let mut answers = stream::iter(work).buffer_unordered(in_flight);
    while let Some(answer) = answers.next().await {
        published.push(answer?);
    }
    Ok(published)
}

async fn publish(node: &NodeProcess, record: &str, due: Instant) -> Result<Published> {
    let path = format!("/api/records/newRecord?recordType={RECORD_TYPE}&storage=gun");
    let answer = node.post_text(&path, record).await?;
    let acked = Instant::now();
    ensure!(answer.status == 200, "not published: {}", answer.body);
    let did = answer.body["did"]
        .as_str()
        .context("an answer without did")?;
    Ok(Published {
        did: did.to_owned(),
        due,
        acked,
    })
}
