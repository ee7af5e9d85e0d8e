//! Taking over what a deployed node backed up.

use oip_node::migrate::backup::{ImportError, import, inspect};
use serde_json::{Value, json};

use crate::pulling::{did, signed, wallet};
use crate::support::{Author, config, eventually, node_on, now_ms, store_of, text};

const WALLET: &str = "../../testdata/vectors/own/throw-away-wallet.json";

/// The index form of a deployed record, as its node's index holds it.
fn document(local_id: &str, data: &Value, at_ms: u64) -> Value {
    let packed = oip_record::arrays::pack(data).0;
    let record = signed(&wallet(), local_id, &packed, at_ms);
    let mut oip: Value = serde_json::from_str(&record.oip).unwrap();
    oip["storage"] = json!("gun");
    oip["syncedAt"] = json!("2026-01-20T10:00:00.000Z");
    json!({"data": data, "oip": oip})
}

fn write(dir: &std::path::Path, name: &str, text: &str) -> Vec<std::path::PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    vec![path]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_taken_over_with_ids_times_and_signatures_and_importing_again_changes_nothing()
{
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let at_ms = now_ms() - 600_000;
    let mut documents: Vec<Value> = (0..50)
        .map(|n| document(&format!("r{n}"), &text(&format!("text {n}")), at_ms + n))
        .collect();
    // On a chain, of another key's prefix, and changed after it was signed.
    documents.push(json!({"oip": {"did": "did:arweave:abc", "recordType": "post"}, "data": {}}));
    let mut foreign = document("foreign", &text("x"), at_ms);
    foreign["oip"]["did"] = json!("did:gun:0123456789ab:foreign");
    documents.push(foreign);
    let mut changed = document("changed", &text("x"), at_ms);
    changed["data"]["post"]["articleText"] = json!("another");
    documents.push(changed);
    let files = write(dir.path(), "backup.json", &json!(documents).to_string());

    let mut node_config = config(dir.path());
    node_config.wallet_file = Some(WALLET.into());
    let looked = inspect(&node_config, &files, |_| {}).unwrap();
    assert_eq!(
        (looked.found, looked.not_on_graph, looked.taken),
        (53, 1, 51)
    );
    assert!(looked.dry_run && !dir.path().join("store").exists());
    let mut seen = 0;
    let report = import(&node_config, &files, |progress| seen = progress.done).unwrap();
    assert_eq!(seen, 53);
    // Once the creator is known to sign, what does not verify is refused.
    assert_eq!(
        (report.taken, report.own, report.known),
        (50, 50, 0),
        "{report:?}"
    );
    assert_eq!(report.signatures["verified"], 50);
    assert_eq!(report.refused["prefix-mismatch"], 1);
    assert_eq!(report.refused["unsigned"], 1);
    let again = import(&node_config, &files, |_| {}).unwrap();
    assert_eq!((again.taken, again.known), (0, 50));
    // Lines, an answer of the API, and one of Elasticsearch hold the same.
    let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    let hits: Vec<Value> = documents
        .iter()
        .map(|d| json!({"_id": "x", "_source": d}))
        .collect();
    for (name, text) in [
        ("lines.json", lines.join("\n")),
        ("page.json", json!({"records": documents}).to_string()),
        (
            "hits.json",
            json!({"hits": {"total": 1, "hits": hits}}).to_string(),
        ),
    ] {
        let files = write(dir.path(), name, &text);
        let report = import(&node_config, &files, |_| {}).unwrap();
        assert_eq!((report.found, report.known), (53, 50), "{name}");
    }

    let store = store_of(&dir);
    let record = did(&signed(&wallet(), "r7", &text("x"), 0));
    let row = store.record(record.soul()).unwrap().unwrap();
    assert_eq!(
        (row.own, row.at_ms),
        (true, i64::try_from(at_ms + 7).unwrap())
    );
    store.close().unwrap();

    // The node shows them, and another one learns of them.
    let node = node_on(dir, &[], |config| config.wallet_file = Some(WALLET.into())).await;
    let found = eventually("the record", || node.found(&record)).await;
    assert_eq!(found["data"], text("text 7"));
    assert_eq!(found["oip"]["signature"], documents[7]["oip"]["signature"]);
    assert_eq!(found["oip"]["indexedAt"], documents[7]["oip"]["indexedAt"]);
    let other = crate::support::node(&[&node]).await;
    eventually("the record elsewhere", || other.found(&record)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_never_takes_a_later_version_away_and_needs_the_node_to_be_stopped() {
    let author = Author::new(5);
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let now = now_ms();
    let old = author.version("v", text("old"), now - 60_000);
    let files = write(dir.path(), "b.json", &json!([old.document]).to_string());
    let first = import(&config(dir.path()), &files, |_| {}).unwrap();
    assert_eq!((first.taken, first.own), (1, 0), "{first:?}");
    let node = node_on(dir, &[], |_| {}).await;
    node.shows(&old.did, &old.document).await;
    let new = author.version("v", text("new"), now - 30_000);
    crate::support::put(&mut node.client().await, new.announced(now)).await;
    node.shows(&new.did, &new.document).await;
    let running = import(&config(node.dir.path()), &files, |_| {});
    assert!(
        matches!(running, Err(ImportError::NodeRuns(_))),
        "{running:?}"
    );
    let dir = node.stop().await;
    let report = import(&config(dir.path()), &files, |_| {}).unwrap();
    assert_eq!((report.taken, report.known), (0, 1));
    let node = node_on(dir, &[], |_| {}).await;
    node.shows(&new.did, &new.document).await;
}

#[tokio::test]
async fn what_is_no_backup_is_refused_with_what_one_looks_like() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("a", "{\"x\": 1}"), ("b", "hello"), ("c", "{\"hits\": {}}")] {
        let files = write(dir.path(), name, text);
        let error = inspect(&config(dir.path()), &files, |_| {}).unwrap_err();
        assert!(
            error.to_string().contains("a JSON array of records"),
            "{error}"
        );
    }
    let error = inspect(&config(dir.path()), &[dir.path().join("gone")], |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("name the JSON file of a backup"),
        "{error}"
    );
}
