//! The verbs on private records as an operator runs them against a node: migrating old ones, sharing and revoking.

use std::path::{Path, PathBuf};

use oip_record::{CreatorKey, Stamp};
use serde_json::{Value, json};
use testkit::{NodeOptions, NodeProcess, RawGun, wait_until};
use tokio::process::Command;

use crate::actors::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_oip-gun");

/// The wallet that a deployed node had, and ours has.
fn wallet_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/own/throw-away-wallet.json")
}

/// Runs a verb as the node's operator: its exit code and what it answers.
async fn verb(node: &NodeProcess, arguments: &[&str]) -> (Option<i32>, Value) {
    let common = ["--json", "--url", node.api(), "--data-dir", "data"];
    let command = Command::new(BINARY)
        .args([arguments, &common].concat())
        .current_dir(node.folder())
        .env_clear()
        .env("HOME", node.folder())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, command).await;
    let output = output.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| {
        let told = String::from_utf8_lossy(&output.stderr);
        panic!("{arguments:?} wrote {text:?} and {told}")
    });
    (output.status.code(), answer)
}

/// Puts a record in clear as a deployed node with the wallet wrote it.
async fn in_clear(node: &NodeProcess, local_id: &str, data: &Value) -> String {
    let key = CreatorKey::from_file_json(&std::fs::read_to_string(wallet_file()).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_ms = u64::try_from(now.unwrap().as_millis()).unwrap() - 60_000;
    let soul = format!("{}:{local_id}", key.soul_prefix());
    let (data, creator) = (data.to_string(), key.creator());
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": Stamp::from_ms(i64::try_from(at_ms).unwrap()).as_str(),
        "signature": key.sign(data.as_bytes()).unwrap(),
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let values = [("data", json!(data)), ("oip", json!(oip.to_string()))];
    let graph = testkit::raw::node(&soul, &values, at_ms);
    let mut client = RawGun::connect(node.relay()).await.unwrap();
    let ack = client.put(graph, PATIENCE).await.unwrap();
    assert!(ack["err"].is_null(), "{ack}");
    let did = format!("did:gun:{soul}");
    wait_until(PATIENCE, &format!("{did} is held"), || async {
        match verb(node, &["get", &did]).await {
            (Some(0), _) => Ok(()),
            (_, told) => Err(told.to_string()),
        }
    })
    .await;
    did
}

/// All that anybody gets of a soul at the relay port.
async fn on_graph(node: &NodeProcess, did: &str) -> String {
    let mut client = RawGun::connect(node.relay()).await.unwrap();
    let soul = did.trim_start_matches("did:gun:");
    let values = client.get(soul, PATIENCE).await.unwrap();
    Value::from(values.unwrap_or_default()).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_seals_what_deployed_nodes_left_in_clear_and_does_so_once() {
    let wallet = wallet_file().display().to_string();
    let options = NodeOptions::named("migrating").env("WALLET_FILE", wallet);
    let node = NodeProcess::start(BINARY, options).await.unwrap();
    let private = json!({"access_level": "private"});
    let good = json!({
        "basic": {"name": "canary-of-the-migration"}, "accessControl": private,
        "storage": "gun", "localId": "good", "blockchain": "gun",
    });
    let good = in_clear(&node, "good", &good).await;
    let odd = json!({"basic": {"name": "odd"}, "accessControl": private, "odd": 5});
    let odd = in_clear(&node, "odd", &odd).await;
    assert!(on_graph(&node, &good).await.contains("canary-of"));
    let (code, dry) = verb(&node, &["migrate", "legacy-private", "--dry-run"]).await;
    assert_eq!((code, &dry["dryRun"]), (Some(1), &json!(true)), "{dry}");
    assert_eq!(dry["sealed"], json!([good]));
    assert_eq!(dry["left"][0]["did"], odd);
    assert!(dry["left"][0]["why"].to_string().contains("`odd`"), "{dry}");
    assert!(dry["warning"].is_string());
    assert!(
        on_graph(&node, &good).await.contains("canary-of"),
        "a dry run writes nothing"
    );
    let (code, done) = verb(&node, &["migrate", "legacy-private"]).await;
    assert_eq!(code, Some(1), "one is left");
    assert_eq!(
        (&done["sealed"], &done["left"]),
        (&dry["sealed"], &dry["left"])
    );
    let sealed = on_graph(&node, &good).await;
    assert!(
        sealed.contains("oip-sealed-1") && !sealed.contains("canary-of"),
        "{sealed}"
    );
    let (_, shown) = verb(&node, &["get", &good]).await;
    assert_eq!(shown["data"]["basic"]["name"], "canary-of-the-migration");
    let (_, listed) = verb(&node, &["audit", "list"]).await;
    let migrated = |entry: &&Value| entry["action"] == "migrated" && entry["did"] == good;
    assert_eq!(
        listed.as_array().unwrap().iter().filter(migrated).count(),
        1,
        "{listed}"
    );
    let (_, again) = verb(&node, &["migrate", "legacy-private"]).await;
    assert_eq!((&again["found"], &again["sealed"]), (&json!(1), &json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbs_share_with_another_node_and_take_it_back() {
    let a = NodeProcess::start(BINARY, NodeOptions::named("sharing"))
        .await
        .unwrap();
    let address = a
        .relay()
        .trim_end_matches("/gun")
        .replacen("ws://", "http://", 1);
    let options = NodeOptions::named("reading").env("GUN_PEERS", address);
    let b = NodeProcess::start(BINARY, options).await.unwrap();
    let record = json!({"basic": {"name": "For two"}, "post": {}, "accessControl": {"access_level": "private"}});
    std::fs::write(a.folder().join("letter.json"), record.to_string()).unwrap();
    let (code, report) = verb(&a, &["publish", "letter.json"]).await;
    assert_eq!(code, Some(0), "{report}");
    let did = report["published"][0]["did"].as_str().unwrap().to_owned();
    let (_, keys) = verb(&b, &["keys", "show"]).await;
    let reader = keys["nodeId"].as_str().unwrap().to_owned();
    let (code, shared) = verb(&a, &["share", &did, &reader]).await;
    assert_eq!(
        (code, &shared["recipients"]),
        (Some(0), &json!(2)),
        "{shared}"
    );
    let reads = async || {
        let (_, shown) = verb(&b, &["get", &did]).await;
        shown["data"]["basic"]["name"] == "For two"
    };
    wait_until(PATIENCE, "B reads", || async {
        reads().await.then_some(()).ok_or("not yet")
    })
    .await;
    let (code, revoked) = verb(&a, &["revoke", &did, &reader]).await;
    assert_eq!(
        (code, &revoked["recipients"]),
        (Some(0), &json!(1)),
        "{revoked}"
    );
    assert_eq!(revoked["resealed"], true);
    wait_until(PATIENCE, "B reads no more", || async {
        (!reads().await).then_some(()).ok_or("still")
    })
    .await;
}
