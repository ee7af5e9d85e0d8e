//! One record of a peer that is pulled from, read part by part. Owns what is asked for it; what it is worth is
//! decided as for every candidate.

use std::collections::HashMap;

use gun::Soul;
use gun_net::{PullError, Pulled};
use oip_record::{Candidate, Reject, read};
use serde_json::Value;

use super::{Ended, Open, Puller};
use crate::sync::settle::Shown;

/// Nodes of one nested record that are read at most; beyond it the record is refused as too large.
const PARTS_MAX: usize = 512;

impl Puller {
    pub(super) async fn read_record(&self, soul: &Soul, open: &Open) -> Ended {
        let mut parts: HashMap<Soul, Value> = HashMap::new();
        let record = match self.read_node(soul).await {
            Ok(Some(node)) => node,
            Ok(None) => return Ended::Absent,
            Err(error) => return Ended::Failed(error),
        };
        // What old ciphertext was made for stands in `meta`, which deployed relays show as a link.
        let meta = match linked_meta(&record) {
            Some(meta) if record["data"].get("encrypted").is_some() || linked_data(&record) => {
                match self.read_node(&meta).await {
                    Ok(meta) => meta,
                    Err(error) => return Ended::Failed(error),
                }
            }
            _ => None,
        };
        let raw = loop {
            match read::from_relay_json(&record, |part| parts.get(part).cloned()) {
                Ok(Candidate::Whole(mut raw)) => {
                    // Only ciphertext of old has a use for it.
                    if let Some(Value::Object(meta)) = meta
                        && raw.meta.is_empty()
                    {
                        raw.meta = meta;
                    }
                    break Ok(raw);
                }
                Ok(Candidate::NotYet { missing }) => {
                    if parts.len() + missing.len() > PARTS_MAX {
                        break Err(Reject::NestedTooLarge);
                    }
                    for part in missing {
                        match self.read_node(&part).await {
                            Ok(Some(node)) => drop(parts.insert(part, node)),
                            Ok(None) => return Ended::Absent,
                            Err(error) => return Ended::Failed(error),
                        }
                    }
                }
                Err(reject) => break Err(reject),
            }
        };
        let shown = Shown {
            soul: soul.clone(),
            record_type: open.record_type.clone(),
            raw,
            source: self.label(),
            node_id: open.node_id.clone(),
            attempts: open.attempts,
        };
        Ended::Took(self.intake.take_shown(shown).await)
    }

    pub(super) async fn read_node(&self, soul: &Soul) -> Result<Option<Value>, PullError> {
        self.intake.metrics.fetches.inc();
        Ok(match self.peer.get(soul.as_str(), None).await? {
            Pulled::Node { node, .. } => Some(Value::Object(node)),
            Pulled::Absent | Pulled::Unchanged => None,
        })
    }
}

/// Where the `meta` of a record as a relay shows it is to be found, if it is a link.
fn linked_meta(record: &Value) -> Option<Soul> {
    Soul::new(record["meta"]["#"].as_str()?).ok()
}

/// Whether its data is a node of its own, as ciphertext of old is.
fn linked_data(record: &Value) -> bool {
    record["data"]["#"].is_string()
}
