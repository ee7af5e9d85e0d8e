//! What every topology has to carry: the project's public records, an edit, a deletion, each once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{NodeOptions, NodeProcess, wait_until};

/// Far above what any topology needs; a loaded machine must not fail a test.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(60);

/// A record as the project ships it.
pub(crate) struct Fixture {
    pub record_type: String,
    pub local_id: String,
    pub data: Value,
}

/// A record that was published on some node.
pub(crate) struct Published {
    pub did: String,
    pub record_type: String,
    pub local_id: String,
    pub data: Value,
}

/// The records that can be published in this version: those that ask for no privacy.
pub(crate) fn public_records() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/records");
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let index = read("index.json");
    let all = index.as_array().unwrap().iter().map(|entry| Fixture {
        record_type: entry["recordType"].as_str().unwrap().to_owned(),
        local_id: entry["localId"].as_str().unwrap().to_owned(),
        data: read(entry["file"].as_str().unwrap()),
    });
    let public: Vec<_> = all.filter(|record| !is_private(&record.data)).collect();
    assert!(
        public.len() >= 8,
        "only {} records are public",
        public.len()
    );
    public
}

/// The plain flags that the shipped records use; the node's own reading is stricter.
fn is_private(data: &Value) -> bool {
    let level = &data["accessControl"]["access_level"];
    (!level.is_null() && level != "public")
        || data["accessControl"]["private"] == true
        || data["conversationSession"]["is_private"] == true
}

/// Starts a node with these peers.
pub(crate) async fn node(name: &str, peers: &str) -> NodeProcess {
    let options = NodeOptions::named(name)
        .env("GUN_PEERS", peers)
        // Sweeps stay out of the way: what arrives in time was pushed, or asked for on connect.
        .env("GUN_SYNC_INTERVAL", "5000");
    NodeProcess::start(binary(), options).await.unwrap()
}

pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_oip-gun"))
}

pub(crate) async fn publish(
    node: &NodeProcess,
    record_type: &str,
    local_id: &str,
    data: &Value,
) -> Published {
    let path =
        format!("/api/records/newRecord?recordType={record_type}&localId={local_id}&storage=gun");
    let answer = node.post(&path, data).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let did = answer.body["did"].as_str().unwrap().to_owned();
    Published {
        did,
        record_type: record_type.into(),
        local_id: local_id.into(),
        data: data.clone(),
    }
}

pub(crate) async fn publish_all(node: &NodeProcess, fixtures: &[Fixture]) -> Vec<Published> {
    let mut published = Vec::new();
    for fixture in fixtures {
        published.push(publish(node, &fixture.record_type, &fixture.local_id, &fixture.data).await);
    }
    published
}

/// The record as a search on the node finds it, not as the store holds it.
pub(crate) async fn searched(node: &NodeProcess, did: &str, record_type: &str) -> Option<Value> {
    let mut page = 1;
    loop {
        let path = format!(
            "/api/records?recordType={record_type}&hideDateReadable=true&limit=100&page={page}"
        );
        let answer = node.get(&path).await.ok()?;
        let records = answer.body["records"].as_array()?;
        if let Some(found) = records.iter().find(|record| record["oip"]["did"] == did) {
            return Some(found.clone());
        }
        if records.len() < 100 {
            return None;
        }
        page += 1;
    }
}

/// Waits until a search on the node finds the record with exactly this data.
pub(crate) async fn arrives(node: &NodeProcess, record: &Published) -> Value {
    let what = format!(
        "{} {} arrives as it was published",
        record.record_type, record.did
    );
    wait_until(ARRIVAL, &what, || async {
        match searched(node, &record.did, &record.record_type).await {
            Some(found) if found["data"] == record.data => Ok(found),
            Some(found) => Err(format!("data is {}", found["data"])),
            None => Err(format!("not found; health {}", health(node).await)),
        }
    })
    .await
}

/// Waits until neither search nor DID find the record.
pub(crate) async fn is_gone(node: &NodeProcess, record: &Published) {
    wait_until(ARRIVAL, &format!("{} is gone", record.did), || async {
        let held = node
            .get(&format!(
                "/api/records?hideDateReadable=true&did={}",
                record.did
            ))
            .await
            .map_err(|e| e.to_string())?;
        match (
            searched(node, &record.did, &record.record_type).await,
            held.body["searchResults"].as_u64(),
        ) {
            (None, Some(0)) => Ok(()),
            (found, total) => Err(format!(
                "search finds {found:?}, {total:?} by DID; {}",
                health(node).await
            )),
        }
    })
    .await;
}

pub(crate) async fn health(node: &NodeProcess) -> Value {
    node.get("/api/health/gun-sync")
        .await
        .map_or(Value::Null, |answer| answer.body)
}

/// One counter of `/metrics`.
pub(crate) async fn counter(node: &NodeProcess, name: &str) -> u64 {
    let text = reqwest::get(format!("{}/metrics", node.api()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("oip_gun_{name}_total ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no counter {name} in\n{text}"))
}

/// The records arrive on `to`, equal field by field and each once.
pub(crate) async fn all_arrive_once(to: &NodeProcess, published: &[Published]) {
    for record in published {
        let found = arrives(to, record).await;
        assert_eq!(found["oip"]["storage"], "gun");
        assert_eq!(found["oip"]["recordType"], record.record_type.as_str());
    }
    assert_eq!(
        counter(to, "records_synced").await,
        published.len() as u64,
        "each version is kept once"
    );
    let types = to.get("/api/records/recordTypes").await.unwrap().body;
    assert_eq!(types["totalRecords"], published.len() as u64, "{types}");
}

/// An edit and a deletion on `from` reach `to`, and nothing comes twice.
pub(crate) async fn edit_and_delete_arrive(
    from: &NodeProcess,
    to: &NodeProcess,
    published: &[Published],
) {
    let before = counter(to, "records_synced").await;
    let first = &published[0];
    let mut data = first.data.clone();
    data["basic"]["name"] = json!("Edited, with an \"edge\"");
    data["basic"]["tagItems"] = json!(["edited", "[\"looks like\",\"an array\"]"]);
    let edited = publish(from, &first.record_type, &first.local_id, &data).await;
    assert_eq!(edited.did, first.did, "an edit keeps its DID");
    arrives(to, &edited).await;
    assert_eq!(
        counter(to, "records_synced").await,
        before + 1,
        "an edit is one version"
    );

    let last = published.last().unwrap();
    let answer = from
        .post(
            "/api/records/deleteRecord",
            &json!({"delete": {"did": last.did}}),
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    is_gone(from, last).await;
    is_gone(to, last).await;
    let types = to.get("/api/records/recordTypes").await.unwrap().body;
    assert_eq!(types["totalRecords"], published.len() as u64 - 1, "{types}");
}
