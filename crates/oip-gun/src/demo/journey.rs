//! What the demo does with two nodes that reach each other: publish on A, find on B, edit,
//! delete. Owns the times: from the moment the publish is sent to A until a search on B finds it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use oip_record::canonical::canonical;
use serde::Serialize;
use serde_json::{Value, json};

use super::compare::first_difference;
use super::outsider::{self, Outsider};
use super::processes::NodeProcess;
use super::records::Shipped;
use crate::client::{Client, ClientError};

/// The longest a record may take to B; it takes milliseconds, and a first link some seconds.
const ARRIVAL_TIME_MAX: Duration = Duration::from_secs(60);
/// Between two looks at B: what the measured times are blurred by.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// The record that is edited, and the one that is deleted afterwards.
const EDITED: &str = "post.json";
const DELETED: &str = "recipe.json";

/// What became of one record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) record: String,
    pub(super) record_type: String,
    pub(super) outcome: Outcome,
}

/// How it went.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(super) enum Outcome {
    /// On B.
    #[serde(rename_all = "camelCase")]
    Arrived {
        did: String,
        searchable_after_ms: f64,
        /// Path of the first field that differs.
        difference: Option<String>,
        /// Whether it travelled as ciphertext, and is found on B with its token alone.
        sealed: bool,
    },
    /// Something that is not right.
    Failed { why: String },
}

/// Everything that happened between two nodes.
#[derive(Debug, Serialize)]
pub(super) struct Journey {
    pub(super) records: Vec<Row>,
    pub(super) edit: Row,
    pub(super) delete: Row,
    /// What a node makes of a private record that is not for it.
    pub(super) outsider: Option<Outsider>,
}

/// Sends `records` from `a` to `b`; `c` hears of them too, and is named by none.
pub(super) async fn travel(
    records: &[Shipped],
    a: &NodeProcess,
    b: &NodeProcess,
    c: &NodeProcess,
) -> anyhow::Result<Journey> {
    let keys: Value = b.client.get("/api/keys", &[]).await?;
    let reader = keys["nodeId"].as_str().context("B tells no id")?;
    let mut rows = Vec::new();
    for record in records {
        let record = for_reader(record, reader);
        rows.push(row(&record, publish_and_find(&record, a, b).await));
    }
    let edited = edited_version(records)?;
    let edit = row(&edited, publish_and_find(&edited, a, b).await);
    let deleted = find(records, DELETED)?;
    let gone = delete_and_miss(deleted, &rows, &a.client, &b.client).await;
    let mut journey = Journey {
        records: rows,
        edit,
        delete: row(deleted, gone),
        outsider: None,
    };
    journey.outsider = Some(outsider::look(records, &journey, b, c).await?);
    Ok(journey)
}

fn row(record: &Shipped, outcome: anyhow::Result<Outcome>) -> Row {
    Row {
        record: record.file.clone(),
        record_type: record.record_type.clone(),
        outcome: outcome.unwrap_or_else(|error| Outcome::Failed {
            why: crate::api::causes(error.as_ref()),
        }),
    }
}

pub(super) fn find<'a>(records: &'a [Shipped], file: &str) -> anyhow::Result<&'a Shipped> {
    records
        .iter()
        .find(|record| record.file == file)
        .with_context(|| format!("no shipped record is called {file}"))
}

fn edited_version(records: &[Shipped]) -> anyhow::Result<Shipped> {
    let mut edited = find(records, EDITED)?.clone();
    let name = edited
        .data
        .pointer_mut("/basic/name")
        .with_context(|| format!("{EDITED} has no name to edit"))?;
    *name = json!("Tidal gauge refurbished, second edition");
    Ok(edited)
}

fn asks_for_privacy(record: &Shipped) -> bool {
    oip_record::privacy::asks_for_privacy(&record.data, &serde_json::Map::new()).is_some()
}

/// A record that asks for privacy is sealed to B too. The friends that some name exist nowhere.
fn for_reader(record: &Shipped, reader: &str) -> Shipped {
    let mut record = record.clone();
    if asks_for_privacy(&record) {
        let access = &mut record.data["accessControl"];
        access["authorized_nodes"] = json!([reader]);
        if access["shared_with"].is_array() {
            access["shared_with"] = json!([]);
        }
    }
    record
}

async fn publish_and_find(
    record: &Shipped,
    a: &NodeProcess,
    b: &NodeProcess,
) -> anyhow::Result<Outcome> {
    let (a, anyone, b) = (&a.client, &b.anyone, &b.client);
    let sealed = asks_for_privacy(record);
    let began = Instant::now();
    let published: Result<Value, ClientError> = a
        .post(
            "/api/records/newRecord",
            &[
                ("recordType", &record.record_type),
                ("localId", &record.local_id),
                ("storage", "gun"),
            ],
            record.data.to_string(),
        )
        .await;
    let answer = published?;
    if sealed && answer.get("encrypted") != Some(&Value::Bool(true)) {
        bail!("A did not seal a record that asks for privacy");
    }
    let did = answer
        .get("did")
        .and_then(Value::as_str)
        .context("A's answer has no did")?
        .to_owned();
    let name = record
        .data
        .pointer("/basic/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let arrived = wait_for(&format!("{did} on B"), async || {
        let page: Value = b
            .get(
                "/api/records",
                &[
                    ("search", name),
                    ("recordType", &record.record_type),
                    ("hideDateReadable", "true"),
                ],
            )
            .await?;
        let data = data_of(&page, &did).cloned();
        // The version before an edit has the same DID and doesn't count.
        Ok(data.filter(|data| data.pointer("/basic/name") == record.data.pointer("/basic/name")))
    })
    .await?;
    let searchable_after_ms = milliseconds(began);
    if sealed {
        let page: Value = anyone
            .get("/api/records", &[("search", name), ("limit", "100")])
            .await?;
        let by_did: Value = anyone.get("/api/records", &[("did", &did)]).await?;
        if data_of(&page, &did).is_some() || data_of(&by_did, &did).is_some() {
            bail!("B shows a private record to somebody without a token");
        }
    }
    Ok(Outcome::Arrived {
        did,
        searchable_after_ms,
        // What is sealed is canonical JSON: 1.0 is 1 there, as for every JavaScript reader.
        difference: match sealed {
            true if canonical(&record.data) == canonical(&arrived) => None,
            _ => first_difference(&record.data, &arrived),
        },
        sealed,
    })
}

async fn delete_and_miss(
    record: &Shipped,
    rows: &[Row],
    a: &Client,
    b: &Client,
) -> anyhow::Result<Outcome> {
    let did = rows
        .iter()
        .find(|row| row.record == record.file)
        .and_then(|row| match &row.outcome {
            Outcome::Arrived { did, .. } => Some(did.clone()),
            Outcome::Failed { .. } => None,
        })
        .context("the record to delete had not arrived")?;
    let began = Instant::now();
    let request = json!({"delete": {"did": did}});
    let _: Value = a
        .post("/api/records/deleteRecord", &[], request.to_string())
        .await?;
    wait_for(&format!("{did} to be gone from B"), async || {
        let held: Value = b.get("/api/records", &[("did", &did)]).await?;
        let found: Value = b
            .get("/api/records", &[("recordType", &record.record_type)])
            .await?;
        let gone = data_of(&held, &did).is_none() && data_of(&found, &did).is_none();
        Ok(gone.then_some(()))
    })
    .await?;
    Ok(Outcome::Arrived {
        did,
        searchable_after_ms: milliseconds(began),
        difference: None,
        sealed: false,
    })
}

/// Looks until there is something to see.
pub(super) async fn wait_for<T>(
    what: &str,
    look: impl AsyncFn() -> Result<Option<T>, ClientError>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if began.elapsed() > ARRIVAL_TIME_MAX {
            bail!("waited {} s for {what}", ARRIVAL_TIME_MAX.as_secs());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The data of the record `did` on a page of records.
pub(super) fn data_of<'a>(page: &'a Value, did: &str) -> Option<&'a Value> {
    page.get("records")?
        .as_array()?
        .iter()
        .find(|record| record.pointer("/oip/did").and_then(Value::as_str) == Some(did))?
        .get("data")
}

fn milliseconds(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
}
