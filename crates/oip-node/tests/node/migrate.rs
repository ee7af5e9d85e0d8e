//! Import of a gun.js relay's folder into a data folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gun::radata::Reason;
use gun::text::value_text;
use gun::{Key, Soul};
use oip_node::migrate::radata::{self, ImportError, Refusal, Report, Stored};
use oip_node::{NodeConfig, SyncMode};
use oip_store::{QUEUE_BYTES_MAX, Store};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::{Author, config, join, node, node_on, now_ms, store_of, text};

const MINUTE: u64 = 60_000;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/gun")
}

/// A folder with the recorded files, and an empty data folder.
fn sample() -> (TempDir, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(radata(&folder)).unwrap();
    for file in fs::read_dir(vectors().join("radata-sample")).unwrap() {
        let file = file.unwrap();
        // Not `fs::copy`: the recorded files may be read-only.
        let content = fs::read(file.path()).unwrap();
        fs::write(radata(&folder).join(file.file_name()), content).unwrap();
    }
    (folder, tempfile::tempdir().unwrap())
}

fn radata(folder: &TempDir) -> PathBuf {
    folder.path().join("radata")
}

/// A folder whose first file holds a graph in the form of a `put`.
fn folder_of(graph: &Value) -> TempDir {
    let mut tree = Map::new();
    for (soul, node) in graph.as_object().unwrap() {
        for (key, value) in node.as_object().unwrap() {
            if key != "_" {
                let record = json!({":": value, ">": node["_"][">"][key]});
                tree.insert(format!("{soul}\u{1b}{key}"), json!({"": record}));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(radata(&folder)).unwrap();
    write(&folder, "!", &Value::Object(tree).to_string());
    write(&folder, "%1C", r#"{"!":{"":1}}"#);
    folder
}

fn write(folder: &TempDir, file: &str, content: &str) {
    fs::write(radata(folder).join(file), content).unwrap();
}

fn try_import(folder: &TempDir, config: &NodeConfig) -> Result<Report, ImportError> {
    radata::import(config, &radata(folder), |_| {})
}

fn import(folder: &TempDir, data_dir: &TempDir) -> Report {
    try_import(folder, &config(data_dir.path())).unwrap()
}

fn stored(report: &Report) -> Stored {
    report.stored.clone().unwrap()
}

/// A value's JSON text and its state.
fn value(store: &Store, soul: &str, key: &str) -> Option<(String, f64)> {
    let (soul, key) = (Soul::new(soul).unwrap(), Key::new(key).unwrap());
    let (state, value) = store.value(&soul, &key).unwrap()?;
    Some((value_text(&value), state.as_f64()))
}

#[test]
fn the_recorded_folder_is_imported_exactly_and_again_without_a_change() {
    let (folder, data_dir) = sample();
    let mut bytes = Vec::new();
    let report = radata::import(&config(data_dir.path()), &radata(&folder), |progress| {
        bytes.push((progress.bytes_done, progress.bytes_total));
    });
    let report = report.unwrap();
    assert_eq!((report.files.read, report.files.bytes), (7, 18_057));
    assert_eq!(bytes.last(), Some(&(18_057, 18_057)));
    assert_eq!((report.values.found, report.values.sound), (360, 360));
    let taken = Stored {
        taken: 360,
        ..Stored::default()
    };
    assert_eq!(stored(&report), taken);
    let nothing_else = Report {
        files: report.files.clone(),
        values: report.values.clone(),
        stored: None,
    };
    assert_eq!(
        radata::inspect(&radata(&folder), |_| {}).unwrap(),
        nothing_else
    );

    let expected = fs::read_to_string(vectors().join("radata-sample.expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let store = store_of(&data_dir);
    let mut compared = 0;
    for (soul, node) in expected.as_object().unwrap() {
        for (key, wanted) in node
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| *key != "_")
        {
            let (text, state) = value(&store, soul, key).unwrap();
            let found: Value = serde_json::from_str(&text).unwrap();
            assert!(
                found == *wanted || found.as_f64() == wanted.as_f64(),
                "{soul} {key}"
            );
            assert_eq!(Some(state), node["_"][">"][key].as_f64(), "{soul} {key}");
            compared += 1;
        }
    }
    assert_eq!(compared, 360);
    store.close().unwrap();

    let same = Stored {
        same: 360,
        ..Stored::default()
    };
    assert_eq!(stored(&import(&folder, &data_dir)), same);
}

#[test]
fn newer_values_win_over_those_of_the_folder_and_within_it() {
    let record = |value: &str, state: u64| {
        format!(r#"{{"s\u001b":{{"k":{{"":{{":":"{value}",">":{state}}}}}}}}}"#)
    };
    let folder = folder_of(&json!({}));
    let data_dir = tempfile::tempdir().unwrap();
    write(&folder, "!", &record("old", 1_000));
    write(&folder, "a", &record("newest", 3_000));
    write(&folder, "b", &record("newer", 2_000));
    let report = import(&folder, &data_dir);
    assert_eq!(report.files.unlisted, 2);
    let seen = stored(&report);
    // The winner counts once, though it took the place of another on its way.
    assert_eq!((seen.taken, seen.older, seen.same), (1, 1, 0));
    let is_newest = || {
        let store = store_of(&data_dir);
        assert_eq!(
            value(&store, "s", "k"),
            Some((r#""newest""#.into(), 3_000.0))
        );
        store.close().unwrap();
    };
    is_newest();
    let seen = stored(&import(&folder, &data_dir));
    assert_eq!((seen.taken, seen.older, seen.same), (0, 2, 1));
    is_newest();
}

#[test]
fn damage_is_counted_by_kind_and_the_rest_is_taken() {
    let (folder, data_dir) = sample();
    let folder_path = radata(&folder);
    let cut = "s%C3%B6ul%2010%1Bgone";
    let content = fs::read(folder_path.join(cut)).unwrap();
    fs::write(folder_path.join(cut), &content[..content.len() / 2]).unwrap();
    fs::remove_file(folder_path.join("s%C3%B6ul%2034%1Bn")).unwrap();
    write(&folder, "plain%20%F0%9F%98%81%2F1%1Bgone", "");
    write(&folder, "notes", "these are no values");
    write(&folder, "old.tmp", "{");
    fs::write(folder.path().join("radata-%21-x7f.tmp"), "{").unwrap();
    fs::write(folder.path().join("other-%21-x7f.tmp"), "{").unwrap();
    fs::create_dir(folder_path.join("a-folder")).unwrap();
    let garbled = concat!(
        r#"{"z":{"\u001bk":{"":{":":1,"undefined":1700000000000}},"no-separator":{"":{":":1,">":2}},"#,
        r#""\u001bl":{"":{":":1}},"\u001bm":{"":{":":[],">":1}},"\u001bn":{"":{":":1,">":"x"}}}}"#
    );
    write(&folder, "z%1Bk", garbled);

    let report = import(&folder, &data_dir);
    let damaged = &report.files.damaged;
    let named = damaged
        .first
        .iter()
        .map(|file| (file.file.as_str(), file.damage.as_str()));
    let named: Vec<_> = named.collect();
    assert_eq!(
        named,
        [
            ("notes", "garbled from byte 0 on"),
            ("plain%20%F0%9F%98%81%2F1%1Bgone", "cut off"),
            (cut, "cut off"),
        ]
    );
    assert_eq!(report.files.missing.first, ["söul 34\u{1b}n"]);
    assert_eq!((report.files.unlisted, report.files.temporary), (2, 2));
    let refused = BTreeMap::from([
        (Refusal::Form(Reason::BogusSoul), 1),
        (Refusal::Form(Reason::MissingState), 1),
        (Refusal::Form(Reason::BadValue), 1),
        (Refusal::Form(Reason::BadState), 1),
    ]);
    assert_eq!(report.values.refused, refused);
    assert_eq!(report.values.repaired, 1);
    assert_eq!(stored(&report).taken, report.values.sound);
    let store = store_of(&data_dir);
    let (repaired, state) = value(&store, "z", "k").unwrap();
    assert_eq!((repaired.as_str(), state), ("1", 1_700_000_000_000.0));
    assert!(
        value(&store, "söul 10", "title").is_some(),
        "before the cut"
    );
    assert!(value(&store, "söul 30", "title").is_none(), "behind it");
    assert!(value(&store, "app/doc/12", "title").is_some());
}

#[test]
fn a_damaged_directory_hides_no_file_and_values_in_the_wrong_file_are_counted() {
    let (folder, data_dir) = sample();
    write(
        &folder,
        "%1C",
        r#"{"!":{"":1},"app/doc/0\u001bn":{"":1},"s"#,
    );
    let report = import(&folder, &data_dir);
    assert_eq!((report.values.sound, report.files.unlisted), (360, 5));
    assert_eq!(report.files.damaged.first[0].file, "%1C");
    assert_eq!(report.values.misplaced, 0, "nobody can say");

    let (folder, data_dir) = sample();
    fs::remove_file(radata(&folder).join("%1C")).unwrap();
    let report = import(&folder, &data_dir);
    assert_eq!((report.values.sound, report.files.unlisted), (360, 7));
    assert_eq!(report.files.damaged.count, 1);

    let (folder, data_dir) = sample();
    write(&folder, "!", r#"{"zz\u001bk":{"":{":":1,">":2}}}"#);
    let report = import(&folder, &data_dir);
    assert_eq!(report.values.misplaced, 1);
    assert_eq!(stored(&report).taken, report.values.sound);
}

#[test]
fn values_in_user_spaces_need_their_owners_signature() {
    let vectors = fs::read_to_string(vectors().join("51-sea-vectors.json")).unwrap();
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let signed: Vec<&Value> = vectors["wire"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|wire| wire["signedBy"].is_string())
        .filter(|wire| {
            let owner = gun::sea::owner(wire["soul"].as_str().unwrap());
            owner.as_deref() == wire["signedBy"].as_str()
        })
        .collect();
    assert!(signed.len() >= 10);
    let mut tree = Map::new();
    for wire in &signed {
        let name = |soul: &str| format!("{soul}\u{1b}{}", wire["key"].as_str().unwrap());
        let soul = wire["soul"].as_str().unwrap();
        let record = json!({"": {":": wire["value"], ">": wire["state"]}});
        tree.insert(name(soul), record.clone());
        // The same value elsewhere in the space is not what was signed.
        tree.insert(name(&format!("{soul}/copy")), record);
    }
    let values = tree.len() as u64;
    let folder = folder_of(&json!({}));
    write(&folder, "!", &Value::Object(tree).to_string());
    let report = import(&folder, &tempfile::tempdir().unwrap());
    assert_eq!(report.values.found, values);
    let unverified = report.values.refused[&Refusal::Unverified];
    assert_eq!(report.values.refused.len(), 1);
    assert_eq!(
        (stored(&report).taken, unverified),
        (values / 2, values / 2)
    );
}

#[test]
fn values_of_the_future_wait_or_are_left_out() {
    let now = now_ms();
    let soon = testkit::raw::node("s", &[("soon", json!(1))], now + 5 * MINUTE);
    let far = testkit::raw::node("t", &[("far", json!(1))], now + 11 * MINUTE);
    let folder = folder_of(&join(soon, far));
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(&folder, &data_dir);
    assert_eq!(
        report.values.refused,
        BTreeMap::from([(Refusal::FutureState, 1)])
    );
    assert_eq!((stored(&report).deferred, stored(&report).taken), (1, 0));
    let again = stored(&import(&folder, &data_dir));
    assert_eq!((again.deferred, again.same), (0, 1));
    let store = store_of(&data_dir);
    assert_eq!(store.next_deferred().unwrap(), Some(now + 5 * MINUTE));
}

#[test]
fn a_text_as_large_as_the_store_takes_is_imported_and_a_larger_one_is_counted() {
    let max = QUEUE_BYTES_MAX - 8_192;
    let text = |bytes: usize| json!("x".repeat(bytes));
    let values = [
        ("a", json!(1)),
        ("b", text(max)),
        ("c", json!(3)),
        ("d", text(max + 1)),
    ];
    let folder = folder_of(&testkit::raw::node("s", &values, 1_000));
    let report = import(&folder, &tempfile::tempdir().unwrap());
    assert_eq!(
        report.values.refused,
        BTreeMap::from([(Refusal::TooLarge, 1)])
    );
    assert_eq!(stored(&report).taken, 3);
}

#[test]
fn a_folder_of_many_values_goes_into_the_store_in_many_transactions() {
    let values: Vec<(String, Value)> = (0..12_000).map(|n| (format!("k{n}"), json!(n))).collect();
    let values: Vec<(&str, Value)> = values
        .iter()
        .map(|(key, v)| (key.as_str(), v.clone()))
        .collect();
    let folder = folder_of(&testkit::raw::node("large", &values, 1_000));
    let data_dir = tempfile::tempdir().unwrap();
    assert_eq!(stored(&import(&folder, &data_dir)).taken, 12_000);
    let store = store_of(&data_dir);
    for key in ["k0", "k4999", "k5000", "k11999"] {
        assert_eq!(value(&store, "large", key).unwrap().0, key[1..]);
    }
}

#[test]
fn what_is_no_folder_of_gun_js_is_refused_before_anything_is_made() {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("data");
    let missing = radata::import(&config(&data_dir), &here.path().join("no"), |_| {});
    let message = missing.unwrap_err().to_string();
    assert!(
        message.contains("name the folder in which the gun.js relay"),
        "{message}"
    );
    fs::write(here.path().join("notes.txt"), "{}").unwrap();
    let foreign = radata::import(&config(&data_dir), here.path(), |_| {});
    let message = foreign.unwrap_err().to_string();
    assert!(message.contains("is no radata folder"), "{message}");
    assert!(!data_dir.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_a_running_node_is_left_alone() {
    let node = node(&[]).await;
    let (folder, _) = sample();
    let refused = try_import(&folder, &config(node.dir.path()));
    let message = refused.unwrap_err().to_string();
    assert!(
        message.starts_with("a node runs on the data folder"),
        "{message}"
    );
    assert!(message.contains("stop it"), "{message}");
    let dir = node.stop().await;
    assert_eq!(stored(&import(&folder, &dir)).taken, 360);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_records_are_verified_when_the_node_starts() {
    let now = now_ms();
    let good = Author::new(1).version("good", text("good"), now);
    let forged = Author::new(2).version("forged", text("forged"), now);
    let lie = forged.altered(&[("data", json!(r#"{"post":{"articleText":"lie"}}"#))], now);
    let registry = join(good.announced(now), lie);
    let folder = folder_of(&registry);
    let data_dir = tempfile::tempdir().unwrap();
    // Also where the node did not sync at the time.
    let mut quiet = config(data_dir.path());
    quiet.sync.mode = SyncMode::Off;
    let report = try_import(&folder, &quiet).unwrap();
    assert_eq!(stored(&report).wanted, 2);
    assert_eq!(stored(&import(&folder, &data_dir)).wanted, 0);

    let node = node_on(data_dir.into(), &[], |_| {}).await;
    node.shows(&good.did, &good.document).await;
    node.settles().await;
    assert_eq!(node.get(&forged.did).await.unwrap(), None);
    assert_eq!(node.health().quarantine, 1);
}

/// A deletion as a deployed node writes it into its relay's folder.
fn deleted(did: &oip_record::Did, deleted_at_ms: u64) -> Value {
    let entry = format!("oip:deleted:records:{did}");
    let fields = [
        ("deletedAt", json!(deleted_at_ms)),
        ("deletedBy", json!("PK")),
        ("did", json!(did.to_string())),
    ];
    let flag = [(did.to_string(), json!(true))];
    let flag: Vec<_> = flag
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    join(
        testkit::raw::node(&entry, &fields, deleted_at_ms),
        testkit::raw::node("oip:deleted:records:index", &flag, deleted_at_ms),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_folder_marks_as_deleted_stays_hidden_until_somebody_wants_it_back() {
    let now = now_ms();
    let gone = Author::new(1).version("gone", text("gone"), now - 2 * MINUTE);
    let kept = Author::new(2).version("kept", text("kept"), now - 2 * MINUTE);
    let graph = join(
        gone.announced(now - 2 * MINUTE),
        kept.record(now - 2 * MINUTE),
    );
    let folder = folder_of(&join(graph, deleted(&gone.did, now - MINUTE)));
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(&folder, &data_dir);
    assert_eq!(stored(&report).marked, 1);

    let node = node_on(data_dir.into(), &[], |_| {}).await;
    node.shows(&kept.did, &kept.document).await;
    node.hides(&gone.did).await;
    node.quarantines(1).await;
    let rows = node.quarantined(&gone.did).await.unwrap();
    let (_, row) = &rows[0];
    assert_eq!(row.reason, "deletion-mark");
    assert_eq!(row.source.as_deref(), Some("imported"));
    assert!(
        row.detail.contains("was imported with a relay's folder"),
        "{}",
        row.detail
    );
    let explained = node
        .explain(&gone.did, &oip_index::Access::Everything)
        .await
        .unwrap();
    assert_eq!(explained.unwrap().hidden.unwrap().by, "imported");
    // Trying everything again is no wish to see it.
    node.replay_quarantine(None).await.unwrap();
    node.quarantines(1).await;
    assert_eq!(node.get(&gone.did).await.unwrap(), None);
    // It is reversible, and stays reversed: also over a start.
    node.replay_quarantine(Some(&gone.did)).await.unwrap();
    node.shows(&gone.did, &gone.document).await;
    let node = node.restart(&[]).await;
    node.shows(&gone.did, &gone.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_later_than_the_folders_mark_is_shown() {
    let now = now_ms();
    let author = Author::new(1);
    let again = author.version("again", text("again"), now - MINUTE);
    let folder = folder_of(&join(
        again.announced(now - MINUTE),
        deleted(&again.did, now - 2 * MINUTE),
    ));
    let data_dir = tempfile::tempdir().unwrap();
    import(&folder, &data_dir);
    let node = node_on(data_dir.into(), &[], |_| {}).await;
    node.shows(&again.did, &again.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_no_index_names_are_announced_by_the_import() {
    let now = now_ms();
    let alone = Author::new(1).version("alone", text("alone"), now - MINUTE);
    let silent = Author::new(2).version("silent", text("silent"), now - MINUTE);
    // As entries stood before there was an index.
    let entry = format!("oip:registry:index:post:{}", alone.soul);
    let fields = [("soul", json!(alone.soul.as_str())), ("nodeId", json!("n"))];
    let graph = join(
        alone.record(now - MINUTE),
        testkit::raw::node(&entry, &fields, now - MINUTE),
    );
    let folder = folder_of(&join(graph, silent.record(now - MINUTE)));
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(&folder, &data_dir);
    assert_eq!(stored(&report).registered, 2);
    let node = node_on(data_dir.into(), &[], |_| {}).await;
    // Whoever asks the index finds them.
    let other = crate::support::node(&[&node]).await;
    for version in [&alone, &silent] {
        node.shows(&version.did, &version.document).await;
        other.shows(&version.did, &version.document).await;
        let index = node
            .client()
            .await
            .get("oip:registry:index:post", crate::support::PATIENCE)
            .await
            .unwrap()
            .unwrap();
        assert!(index.contains_key(version.soul.as_str()), "{index:?}");
    }
}

#[test]
fn what_the_nodes_wallet_signed_is_its_own_when_a_folder_is_imported() {
    let now = now_ms();
    let (did, graph) =
        crate::deployed::signed_by_wallet("mine", "2026-01-01T00:00:00.000Z", now - MINUTE);
    let folder = folder_of(&graph);
    let data_dir = tempfile::tempdir().unwrap();
    let mut config = config(data_dir.path());
    config.wallet_file = Some("../../testdata/vectors/own/throw-away-wallet.json".into());
    let report = try_import(&folder, &config).unwrap();
    assert_eq!(stored(&report).own, 1);
    let store = store_of(&data_dir);
    let row = store.record(did.soul()).unwrap().unwrap();
    assert!(row.own);
    // But not made here: a peer's mark hides it.
    assert_eq!(row.source.as_deref(), Some("imported"));
}
