//! What a third node makes of a private record that is not for it: it keeps and serves ciphertext, finds nothing, and
//! nobody learns a word from what it serves.

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::journey::{self, Journey, Outcome};
use super::processes::NodeProcess;
use super::records::Shipped;
use crate::client::ClientError;

/// The private record that is looked for.
const RECORD: &str = "notes.json";
/// Texts of the record that are shorter may stand in any ciphertext by chance.
const WORD_CHARS_MIN: usize = 6;
/// So much of the ciphertext is shown.
const SHOWN_CHARS: usize = 48;

/// How it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outsider {
    pub(super) record: String,
    pub(super) did: String,
    /// Its name, as B finds it with its token.
    pub(super) name_on_b: Option<String>,
    /// Records that a search for that name finds on C, with C's own token.
    pub(super) found_on_c: usize,
    /// What C holds and serves of it at `/get` of its relay port: the start of its ciphertext.
    pub(super) ciphertext: String,
    /// How long the whole answer is.
    pub(super) bytes: usize,
    /// Keys that can open it: this says who, not what.
    pub(super) recipients: usize,
    /// A text of the record that stands in the answer.
    pub(super) leaked: Option<String>,
}

impl Outsider {
    /// Whether C has the record, and knows nothing of it.
    pub(super) fn is_well(&self) -> bool {
        self.name_on_b.is_some()
            && self.found_on_c == 0
            && self.leaked.is_none()
            && !self.ciphertext.is_empty()
    }
}

/// Looks for the private record on `b`, which may read it, and on `c`, which may not.
pub(super) async fn look(
    records: &[Shipped],
    travelled: &Journey,
    b: &NodeProcess,
    c: &NodeProcess,
) -> anyhow::Result<Outsider> {
    let record = journey::find(records, RECORD)?;
    let row = travelled.records.iter().find(|row| row.record == RECORD);
    let did = row
        .and_then(|row| match &row.outcome {
            Outcome::Arrived { did, .. } => Some(did.clone()),
            Outcome::Failed { .. } => None,
        })
        .with_context(|| format!("{RECORD} had not arrived on B"))?;
    let soul = did.trim_start_matches("did:gun:");
    let answer: Value = journey::wait_for(&format!("{did} on C"), async || {
        match c.relay_http.get("/get", &[("soul", soul)]).await {
            Err(ClientError::NotANode { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    })
    .await?;
    let sealed = answer
        .pointer("/data/data")
        .filter(|data| data["encrypted"].is_string())
        .context("what C serves of the record is not in the sealed form")?;
    let name = record.data.pointer("/basic/name").and_then(Value::as_str);
    let name = name.unwrap_or_default();
    let query = [("search", name), ("limit", "100")];
    let on_b: Value = b.client.get("/api/records", &query).await?;
    let on_c: Value = c.client.get("/api/records", &query).await?;
    let text = answer.to_string();
    let mut words = Vec::new();
    collect_texts(&record.data, &mut words);
    let ciphertext = sealed["encrypted"].as_str().unwrap_or_default();
    Ok(Outsider {
        record: record.file.clone(),
        name_on_b: journey::data_of(&on_b, &did)
            .and_then(|data| data.pointer("/basic/name"))
            .and_then(|name| name.as_str().map(str::to_owned)),
        found_on_c: on_c["records"].as_array().map_or(0, Vec::len),
        ciphertext: ciphertext.chars().take(SHOWN_CHARS).collect(),
        bytes: text.len(),
        recipients: sealed
            .pointer("/seal/recipients")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
        leaked: words.into_iter().find(|word| text.contains(word.as_str())),
        did,
    })
}

/// The texts that only who can open the record knows.
fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= WORD_CHARS_MIN => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        // The level of access is told in clear.
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "access_level")
            .for_each(|(_, member)| collect_texts(member, texts)),
        _ => {}
    }
}
