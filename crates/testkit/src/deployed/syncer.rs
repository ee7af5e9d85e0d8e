//! The sync of a deployed node: what it asks of a peer, what it takes, and where it gives up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::raw::RawGun;

/// How long it waits for an index, and for a record.
const INDEX_MAX: Duration = Duration::from_secs(5);
const RECORD_MAX: Duration = Duration::from_secs(10);

/// How long it does not ask again for an index that was not there.
const MISSING_INDEX: Duration = Duration::from_secs(3_600);

/// The types that it looks for.
pub const TYPES: [&str; 37] = [
    "basic",
    "creatorRegistration",
    "associatedURLOnWeb",
    "text",
    "image",
    "video",
    "post",
    "podcast",
    "jfkFilesPageOfDocument",
    "jfkFilesDocument",
    "exercise",
    "workout",
    "recipe",
    "nutritionalInfo",
    "podcastShow",
    "modelProvider",
    "conversationSession",
    "multiResolutionGif",
    "organization",
    "fitnessEquipment",
    "userFitnessProfile",
    "workoutSchedule",
    "mealPlan",
    "exerciseResult",
    "workoutCompletion",
    "weightEntry",
    "shoppingList",
    "userFitnessAchievment",
    "accessControl",
    "music",
    "summaryNutritionalInfoPerServing",
    "exerciseMETvalues",
    "notes",
    "audio",
    "transcriptionEngine",
    "noteChunks",
    "musicReleaseSimple",
];

/// Where it reads a peer's graph.
#[derive(Debug)]
pub enum Source {
    /// The base of a peer's HTTP API, ending in `/gun-relay`.
    Http(String),
    /// Its own relay, whose graph it is shown as its relay's HTTP server reads it: a peer of the real
    /// gun.js relay at this address.
    Relay(Box<RawGun>),
}

/// What a cycle asked and brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CycleReport {
    /// Requests for indexes.
    pub index_reads: usize,
    /// Requests for records.
    pub record_reads: usize,
    /// Records that are indexed now and were not.
    pub indexed: usize,
    /// Records that failed the check of their form.
    pub refused: usize,
    /// Types of which the rest was dropped at a record that could not be had.
    pub given_up: Vec<String>,
}

/// The sync of one node, with what it has indexed.
#[derive(Debug)]
pub struct Syncer {
    source: Source,
    http: reqwest::Client,
    missing: BTreeMap<String, Instant>,
    index: BTreeMap<String, Value>,
}

/// A record or index could not be had; everything behind it in its type is dropped.
struct GaveUp;

impl Syncer {
    /// A sync that has seen nothing yet.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            // Built from constants; a client without a proxy can't fail to be made.
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .unwrap_or_default(),
            missing: BTreeMap::new(),
            index: BTreeMap::new(),
        }
    }

    /// What is indexed under a DID.
    #[must_use]
    pub fn indexed(&self, did: &str) -> Option<&Value> {
        self.index.get(did)
    }

    /// One cycle over all types.
    pub async fn cycle(&mut self) -> CycleReport {
        self.cycle_over(&TYPES).await
    }

    /// One cycle over some types.
    pub async fn cycle_over(&mut self, types: &[&str]) -> CycleReport {
        let mut report = CycleReport::default();
        for record_type in types.iter().copied() {
            let fresh = |at: &Instant| at.elapsed() < MISSING_INDEX;
            if self.missing.get(record_type).is_some_and(fresh) {
                continue;
            }
            report.index_reads += 1;
            let index = format!("oip:registry:index:{record_type}");
            match self.read(&index, INDEX_MAX).await {
                Ok(Some(index)) => self.take_type(record_type, &index, &mut report).await,
                Ok(None) => {
                    self.missing.insert(record_type.to_owned(), Instant::now());
                }
                Err(GaveUp) => report.given_up.push(record_type.to_owned()),
            }
        }
        report
    }

    async fn take_type(
        &mut self,
        record_type: &str,
        index: &Map<String, Value>,
        report: &mut CycleReport,
    ) {
        for (key, entry) in index {
            if key.starts_with(['_', '#']) {
                continue;
            }
            let soul = entry["soul"].as_str().unwrap_or(key);
            let did = format!("did:gun:{soul}");
            // An edit is never seen: what is indexed is skipped.
            if self.index.contains_key(&did) {
                continue;
            }
            report.record_reads += 1;
            let Ok(Some(record)) = self.read(soul, RECORD_MAX).await else {
                report.given_up.push(record_type.to_owned());
                return;
            };
            if !is_taken(&record) {
                report.refused += 1;
                continue;
            }
            self.index.insert(did, document(record));
            report.indexed += 1;
        }
    }

    /// A node as the relay's HTTP server shows it; `Ok(None)` for 404.
    async fn read(
        &mut self,
        soul: &str,
        patience: Duration,
    ) -> Result<Option<Map<String, Value>>, GaveUp> {
        match &mut self.source {
            Source::Http(base) => {
                let mut url = reqwest::Url::parse(&format!("{base}/get")).map_err(|_| GaveUp)?;
                url.query_pairs_mut().append_pair("soul", soul);
                let request = self.http.get(url).timeout(patience);
                let response = request.send().await.map_err(|_| GaveUp)?;
                let status = response.status().as_u16();
                let text = response.text().await.map_err(|_| GaveUp)?;
                match status {
                    200 => {
                        let mut body: Value = serde_json::from_str(&text).map_err(|_| GaveUp)?;
                        match body["data"].take() {
                            Value::Object(node) => Ok(Some(node)),
                            _ => Err(GaveUp),
                        }
                    }
                    404 => Ok(None),
                    _ => Err(GaveUp),
                }
            }
            Source::Relay(peer) => {
                let node = peer.get(soul, patience).await.map_err(|_| GaveUp)?;
                let mut graph = super::Graph::default();
                if let Some(mut node) = node {
                    node.remove("_");
                    graph.put(soul, Value::Object(node));
                }
                Ok(graph.shown(soul))
            }
        }
    }
}

/// The deployed check of form; nothing else is checked.
fn is_taken(record: &Map<String, Value>) -> bool {
    let record = Value::Object(record.clone());
    let oip = &record["oip"];
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let creator = &oip["creator"];
    let is_named = (is_text(&creator["publicKey"]) && is_text(&creator["didAddress"]))
        || (is_text(&oip["creator_publicKey"]) && is_text(&oip["creator_didAddress"]));
    let ver = oip["ver"].as_str().unwrap_or_default();
    ver.starts_with("0.8")
        && is_text(&oip["recordType"])
        && is_named
        && !record["data"].is_null()
        && record["data"] != ""
}

/// The index form, arrays restored by the look of their texts, and that twice.
fn document(mut record: Map<String, Value>) -> Value {
    let data = record.remove("data").map(restore).map(restore);
    let mut oip = record.remove("oip").unwrap_or_default();
    oip["storage"] = "gun".into();
    let mut document = Map::new();
    document.insert("data".to_owned(), data.unwrap_or_default());
    document.insert("oip".to_owned(), oip);
    Value::Object(document)
}

fn restore(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('[') && text.ends_with(']') => {
            match serde_json::from_str(&text) {
                Ok(array @ Value::Array(_)) => array,
                _ => Value::String(text),
            }
        }
        Value::Array(items) => items.into_iter().map(restore).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, restore(member)))
            .collect(),
        other => other,
    }
}
