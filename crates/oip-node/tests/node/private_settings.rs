//! The settings on private records of others hold on every path by which they come: push, sweep, HTTP pull,
//! import. `GUN_SYNC_PRIVATE_RECORDS` and `GUN_DECRYPT_FOREIGN_RECORDS` are one setting of the node, and
//! `GUN_NODE_ENCRYPTION_KEY` is what it opens with here. (What is published is `privacy`'s.)

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_index::{Access, Query};
use oip_node::migrate::backup;
use oip_node::{ForeignSealed, NodeConfig, Secret};
use oip_record::publish::Built;
use oip_record::{Did, soul};
use serde_json::{Value, json};
use testkit::DeployedRecord;

use crate::attacks::{OPENS, says, sealed};
use crate::pulling::deployed;
use crate::support::{
    Author, TestNode, config, entry, eventually, graph, join, node_on, now_ms, put, relay,
};

/// How a record comes.
#[derive(Debug, Clone, Copy)]
enum Way {
    Push,
    Sweep,
    Pull,
    Import,
}

fn record() -> Built {
    let author = Author::new(8);
    let soul = soul::with_local_id(&author.key.soul_prefix(), "letter").unwrap();
    sealed(&author.key, &soul, "for one node", now_ms() - 10_000)
}

fn announced(built: &Built) -> Value {
    let at_ms = now_ms() - 10_000;
    join(
        graph(&built.entries, at_ms),
        entry("post", &built.soul, "n", at_ms),
    )
}

fn reads(foreign: ForeignSealed) -> impl Fn(&mut NodeConfig) {
    move |config| {
        config.private.foreign = foreign;
        config.private.encryption_key = Some(Secret::new(URL_SAFE_NO_PAD.encode(OPENS)));
        config.sync.interval_ms = 200;
    }
}

fn import(dir: &Path, built: &Built, foreign: ForeignSealed) {
    let file = dir.join("backup.json");
    let parsed = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let document = json!({
        "data": parsed(built.data_text.as_deref().unwrap()), "oip": parsed(&built.oip_text),
    });
    std::fs::write(&file, json!([document]).to_string()).unwrap();
    let mut importing = config(dir);
    reads(foreign)(&mut importing);
    let report = backup::import(&importing, &[file], |_| {}).unwrap();
    assert_eq!(report.taken, 1, "{report:?}");
}

/// A node to which the record comes, and the DID.
async fn reached(way: Way, foreign: ForeignSealed) -> (TestNode, Did) {
    let built = record();
    let did = built.did.clone();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let set = reads(foreign);
    let node = match way {
        Way::Push => {
            let node = node_on(dir, &[], set).await;
            put(&mut node.client().await, announced(&built)).await;
            node
        }
        Way::Sweep => {
            let relay = relay().await;
            put(&mut relay.client().await, announced(&built)).await;
            let node = node_on(dir, &[&relay], set).await;
            node.sync_now().await.unwrap();
            node
        }
        Way::Pull => {
            let peer = deployed().await;
            peer.publish(&DeployedRecord {
                soul: built.soul.as_str().to_owned(),
                record_type: "post".into(),
                data: built.data_text.clone().unwrap(),
                oip: built.oip_text.clone(),
            });
            let peers = gun_net::parse_peers(&peer.base()).unwrap();
            let node = node_on(dir, &[], |config| {
                set(config);
                config.peers = peers;
            })
            .await;
            eventually("the record is pulled", || async {
                node.get_as(&did, &Access::Everything).await.unwrap()
            })
            .await;
            node
        }
        Way::Import => {
            let folder = Arc::clone(&dir);
            let blocking = tokio::task::spawn_blocking(move || {
                import(folder.path(), &built, foreign);
            });
            blocking.await.unwrap();
            node_on(dir, &[], set).await
        }
    };
    (node, did)
}

const WAYS: [Way; 4] = [Way::Push, Way::Sweep, Way::Pull, Way::Import];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sealed_to_the_given_key_is_opened_by_whatever_way_it_comes() {
    for way in WAYS {
        let (node, did) = reached(way, ForeignSealed::Open).await;
        says(&node, &did, "for one node").await;
        assert_eq!(node.get(&did).await.unwrap(), None, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_private_records_of_others_are_not_read_they_stay_ciphertext_by_whatever_way_they_come()
 {
    for way in WAYS {
        let (node, did) = reached(way, ForeignSealed::Keep).await;
        let kept = eventually(&format!("it is kept, {way:?}"), || async {
            node.get_as(&did, &Access::Everything).await.unwrap()
        })
        .await;
        assert!(kept["data"]["encrypted"].is_string(), "{way:?}");
        node.indexed().await;
        let all = Query {
            access: Access::Everything,
            ..Query::default()
        };
        assert_eq!(node.search(all).await.unwrap().total, 0, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encryption_key_that_comes_later_opens_what_is_here_without_a_peer() {
    let built = record();
    let did = built.did.clone();
    let node = crate::support::node(&[]).await;
    put(&mut node.client().await, announced(&built)).await;
    node.counted("sealed_kept_total", 1).await;
    node.indexed().await;
    let all = Query {
        access: Access::Everything,
        ..Query::default()
    };
    assert_eq!(node.search(all).await.unwrap().total, 0);
    let node = node_on(node.stop().await, &[], reads(ForeignSealed::Open)).await;
    says(&node, &did, "for one node").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_record_in_the_nested_layout_is_verified_and_opened() {
    let built = record();
    let did = built.did.clone();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let node = node_on(dir, &[], reads(ForeignSealed::Open)).await;
    let data: Value = serde_json::from_str(built.data_text.as_deref().unwrap()).unwrap();
    let at_ms = now_ms() - 10_000;
    let mut parts = Vec::new();
    nested(built.soul.as_str(), "data", &data, at_ms, &mut parts);
    let root = [
        ("data", json!({"#": format!("{}/data", built.soul)})),
        ("oip", json!(built.oip_text)),
    ];
    parts.push(testkit::raw::node(built.soul.as_str(), &root, at_ms));
    parts.push(entry("post", &built.soul, "n", at_ms));
    for part in parts {
        put(&mut node.client().await, part).await;
    }
    says(&node, &did, "for one node").await;
}

/// An object as nodes of its own, as deployed nodes of the nested era wrote them: a list as its JSON text.
fn nested(above: &str, name: &str, object: &Value, at_ms: u64, parts: &mut Vec<Value>) {
    let soul = format!("{above}/{name}");
    let mut values = Vec::new();
    for (key, value) in object.as_object().unwrap() {
        let value = match value {
            Value::Object(_) => {
                nested(&soul, key, value, at_ms, parts);
                json!({"#": format!("{soul}/{key}")})
            }
            Value::Array(_) => json!(value.to_string()),
            other => other.clone(),
        };
        values.push((key.as_str(), value));
    }
    parts.push(testkit::raw::node(&soul, &values, at_ms));
}
