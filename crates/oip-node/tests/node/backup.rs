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
    let mut unsigned = document("unsigned", &text("x"), at_ms);
    unsigned["oip"]
        .as_object_mut()
        .unwrap()
        .shift_remove("signature");
    documents.push(unsigned);
    let files = write(dir.path(), "backup.json", &json!(documents).to_string());

    let mut node_config = config(dir.path());
    node_config.wallet_file = Some(WALLET.into());
    let looked = inspect(&node_config, &files, |_| {}).unwrap();
    assert_eq!(
        (looked.found, looked.not_on_graph, looked.taken),
        (54, 1, 51)
    );
    assert!(looked.dry_run && !dir.path().join("store").exists());
    let mut seen = 0;
    let report = import(&node_config, &files, |progress| seen = progress.done).unwrap();
    assert_eq!(seen, 54);
    // Over a copy, a signature that fails proves nothing: it is taken and marked, and nobody's own.
    assert_eq!(
        (report.taken, report.own, report.known),
        (51, 50, 0),
        "{report:?}"
    );
    assert_eq!(report.signatures["verified"], 50);
    assert_eq!(report.signatures["unverifiable"], 1);
    assert_eq!(report.refused["prefix-mismatch"], 1);
    // Once the creator is known to sign, what was never signed is refused.
    assert_eq!(report.refused["unsigned"], 1);
    // The dry run promised what the import did.
    let promised = oip_node::migrate::backup::Report {
        dry_run: false,
        ..looked
    };
    assert_eq!(promised, report);
    let again = import(&node_config, &files, |_| {}).unwrap();
    assert_eq!((again.taken, again.known), (0, 51));
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
        assert_eq!((report.found, report.known), (54, 51), "{name}");
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

/// As an API shows it: with a date that people can read.
fn readable(mut document: Value) -> Value {
    document["data"]["basic"]["dateReadable"] = json!("2026-01-20T10:00:00.000Z");
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_an_api_are_taken_with_their_signatures_though_it_made_the_date_readable() {
    let at_ms = now_ms() - 600_000;
    let data = json!({"basic": {"name": "Isla", "date": 1_768_903_200, "tagItems": ["a"]}});
    let mut said = data.clone();
    said["basic"]["dateReadable"] = json!("long ago");
    let author = Author::new(3);
    let ours = author.version("ours", data.clone(), at_ms);
    let records = json!([
        readable(document("theirs", &data, at_ms)),
        readable(ours.document.clone()),
        // This one was published so.
        document("said", &said, at_ms),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let files = write(
        dir.path(),
        "page.json",
        &json!({"records": records}).to_string(),
    );
    let report = import(&config(dir.path()), &files, |_| {}).unwrap();
    assert_eq!(report.signatures.get("verified"), Some(&3), "{report:?}");
    let node = node_on(std::sync::Arc::new(dir), &[], |_| {}).await;
    for (did, data) in [
        (did(&signed(&wallet(), "theirs", &data, at_ms)), &data),
        (ours.did.clone(), &data),
        (did(&signed(&wallet(), "said", &data, at_ms)), &said),
    ] {
        let found = eventually("the record", || node.found(&did)).await;
        assert_eq!(found["data"], *data);
    }
}

#[test]
fn a_record_lies_at_the_soul_that_its_index_noted_whatever_its_did_says() {
    let dir = tempfile::tempdir().unwrap();
    let key = wallet();
    let soul = format!("{}:h:0123456789ab", key.soul_prefix());
    let mut split = document("h:ba9876543210", &text("split"), now_ms() - 600_000);
    split["oip"]["soul"] = json!(soul);
    let files = write(dir.path(), "split.json", &json!([split]).to_string());
    let report = import(&config(dir.path()), &files, |_| {}).unwrap();
    assert_eq!(report.signatures.get("verified"), Some(&1), "{report:?}");
    let store = store_of(&dir);
    let row = store.record(&gun::Soul::new(soul).unwrap()).unwrap();
    assert!(row.is_some());
}
