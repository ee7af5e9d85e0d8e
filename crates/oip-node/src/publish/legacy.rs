//! Sealing anew what is private and lies in clear, or under a scheme of the past, where this node holds
//! the key that made it.
//!
//! Owns what is reported of those that stay as they are. Whoever had such a record could read it, and
//! sealing it anew takes nothing back: only later readers are kept out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gun::Soul;
use oip_record::{Did, Submission, privacy, publish, soul};
use oip_store::RecordRow;
use oip_vault::access;
use oip_vault::audit::Action;
use serde::Serialize;
use serde_json::{Map, Value};

use super::private::Sealable;
use super::{Owner, PublishError, Publisher};
use crate::vault::{self, Closed, Shown};

/// Records looked at in one go.
const ROWS_MAX: usize = 10_000;

/// Private ones among them that are sealed in one go: each may wait seconds for a recipient's key.
const SEALED_MAX: u64 = 50;

/// Time after which a go ends with the record it is at, so that whoever asked has an answer.
const GO_MAX: Duration = Duration::from_secs(20);

/// Parameters of the request that deployed nodes stored beside the templates.
const PARAMETERS: [&str; 3] = ["storage", "localId", "blockchain"];

/// Rows read at a time.
const PAGE_ROWS: usize = 500;

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reseal {
    /// Nothing: only told.
    DryRun,
    /// What can be sealed is.
    Write,
}

/// What one go found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResealReport {
    /// Private records that are not sealed.
    pub found: u64,
    /// Of these, those under a scheme of the past; the others lie in clear.
    pub legacy: u64,
    /// The DIDs of those sealed anew, or that would be.
    pub sealed: Vec<String>,
    /// Those that stay as they are.
    pub left: Vec<Left>,
    /// Where the next go begins; `None` after the last one.
    pub next: Option<String>,
}

/// A record that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Which.
    pub did: String,
    /// Why, in words.
    pub why: String,
}

impl Publisher {
    /// One go, behind the record at `after`.
    pub(crate) async fn reseal(
        &self,
        after: Option<Soul>,
        mode: Reseal,
    ) -> Result<ResealReport, PublishError> {
        let mut report = ResealReport::default();
        let (mut at, mut looked_at) = (after, 0);
        let started = Instant::now();
        let is_over = |found: u64| found >= SEALED_MAX || started.elapsed() >= GO_MAX;
        loop {
            let rows = self.store.records(at.as_ref(), PAGE_ROWS)?;
            if rows.is_empty() {
                return Ok(report);
            }
            looked_at += rows.len();
            for row in rows {
                at = Some(row.soul.clone());
                if !vault::is_exposed(&row) {
                    continue;
                }
                report.found += 1;
                report.legacy += u64::from(vault::is_legacy(&row));
                let did = Did::from_soul(&row.soul).to_string();
                match self.reseal_one(row, mode).await {
                    Ok(()) => report.sealed.push(did),
                    Err(why) => report.left.push(Left { did, why }),
                }
                if is_over(report.found) {
                    break;
                }
            }
            if looked_at >= ROWS_MAX || is_over(report.found) {
                report.next = at.map(|soul| soul.as_str().to_owned());
                return Ok(report);
            }
        }
    }

    async fn reseal_one(&self, row: RecordRow, mode: Reseal) -> Result<(), String> {
        if row.creator != self.key.creator().did_address {
            return Err(format!(
                "{} made it, and only he can seal it anew: run this on the node that holds his key",
                row.creator
            ));
        }
        let mut data = match self.vault.read(&row) {
            Ok(Shown::Guarded(guarded)) => {
                // To sign for it would vouch for what anybody could have written in this creator's name.
                if let Some(doubt) = guarded.document["oip"]["verification"].as_str() {
                    return Err(format!(
                        "its signature does not prove who made it ({doubt}): look at it, and publish it anew if it is yours"
                    ));
                }
                guarded.data
            }
            Ok(Shown::Closed {
                why: Closed::Setting,
                ..
            }) => {
                return Err("this node opens nothing of others (GUN_SYNC_PRIVATE_RECORDS, GUN_DECRYPT_FOREIGN_RECORDS)".to_owned());
            }
            Ok(Shown::Closed { .. }) => {
                return Err("its key is not known: give it in OIP_LEGACY_KEYS_FILE".to_owned());
            }
            Ok(Shown::Public(_)) => return Ok(()),
            Err(reject) => return Err(reject.to_string()),
        };
        take_out_parameters(&mut data);
        access::as_objects(&mut data);
        let mut params = Map::new();
        if privacy::asks_for_privacy(&data, &params).is_none() {
            // That it was encrypted is all that asked for it.
            params.insert("access_level".to_owned(), Value::from("private"));
        }
        let Some(reason) = privacy::asks_for_privacy(&data, &params) else {
            return Err("nothing in it asks for privacy".to_owned());
        };
        let local_id = soul::local_id(&row.soul).map(str::to_owned);
        let here = publish::soul_for(&self.key, local_id.as_deref(), [0; 16]);
        if !here.is_ok_and(|here| here == row.soul) {
            return Err("this node's key makes no records under that soul any more".to_owned());
        }
        let submission = Submission {
            record_type: row.record_type,
            local_id,
            data,
            params,
        };
        let outcome = match mode {
            Reseal::DryRun => self.could_seal(submission, reason).await,
            Reseal::Write => self
                .publish_private(submission, reason, &Owner::Operator, Action::Migrated)
                .await
                .map(drop),
        };
        outcome.map_err(|error| error.to_string())
    }

    /// Seals it and throws it away: what can't be sealed is told now.
    async fn could_seal(
        &self,
        submission: Submission,
        reason: privacy::Reason,
    ) -> Result<(), PublishError> {
        let (submission, found) = self.sealable(submission, reason, &Owner::Operator).await?;
        let sealing = Sealable {
            level: access::wish(&submission.data).level,
            submission: Arc::new(submission),
            keys: Arc::new(self.with_own(found)),
            random: [0; 16],
            existing: None,
        };
        self.sealed_form(None, sealing).await.map(drop)
    }
}

/// Takes the request's parameters out of the data, where deployed nodes stored them (`oip-formats` 2): they are no
/// templates, and say nothing of the record.
fn take_out_parameters(data: &mut Value) {
    if let Some(templates) = data.as_object_mut() {
        templates.retain(|name, value| !(PARAMETERS.contains(&name.as_str()) && is_scalar(value)));
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}
