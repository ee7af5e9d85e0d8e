//! Signed records of every era, brought to a node that knows their wallet to sign.
//!
//! The fixtures in `testdata/eras` bear no signature. Here each gets the one its publisher made: over the data
//! as it was packed, whatever form it lies in since.

use oip_node::migrate::backup;
use oip_record::{Did, SignaturePolicy};
use serde_json::{Value, json};

use crate::deployed::signed_by_wallet;
use crate::pulling::{deployed, wallet};
use crate::support::{
    PATIENCE, TestNode, config, entry, eventually, join, node, node_with, now_ms, put,
};

/// Those in which a record lies in clear.
const ERAS: [&str; 6] = [
    include_str!("../../../../testdata/eras/1-nested-2025-08.json"),
    include_str!("../../../../testdata/eras/2-flat-creator-2025-11-18.json"),
    include_str!("../../../../testdata/eras/3-text-creator-2025-11-18.json"),
    include_str!("../../../../testdata/eras/4-packed-since-2025-11-18.json"),
    include_str!("../../../../testdata/eras/5-packed-creator-twice-2025-11-18.json"),
    include_str!("../../../../testdata/eras/6-restored.json"),
];

struct Era {
    name: String,
    soul: String,
    /// Its nodes, with the signature in `oip`.
    graph: Value,
    /// As an index shows it.
    data: Value,
}

impl Era {
    fn did(&self) -> Did {
        Did::from_soul(&gun::Soul::new(&*self.soul).unwrap())
    }

    /// Whether its text is as it was signed, or can be made so without doubt.
    fn is_packed(&self) -> bool {
        self.graph[&self.soul]["data"].is_string()
    }

    fn announced(&self) -> Value {
        let soul = gun::Soul::new(&*self.soul).unwrap();
        join(self.graph.clone(), entry("post", &soul, "node-a", now_ms()))
    }
}

/// The data as its publisher signed it: each array as its text, keys in the order of the user's.
fn packed(data: &Value) -> String {
    let mut data = data.clone();
    for template in data.as_object_mut().unwrap().values_mut() {
        for field in template.as_object_mut().unwrap().values_mut() {
            if field.is_array() {
                *field = json!(field.to_string());
            }
        }
    }
    data.to_string()
}

fn eras() -> Vec<Era> {
    let key = wallet();
    let signed = |fixture: &str| {
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let soul = fixture["soul"].as_str().unwrap().to_owned();
        assert!(soul.starts_with(&key.soul_prefix()), "{soul}");
        let signature = key.sign(packed(&fixture["data"]).as_bytes()).unwrap();
        let mut graph = fixture["graph"].clone();
        let at = &mut graph[&soul]["oip"];
        if let Some(text) = at.as_str() {
            let mut oip: Value = serde_json::from_str(text).unwrap();
            oip["signature"] = json!(signature);
            *at = json!(oip.to_string());
        } else {
            let node = at["#"].as_str().unwrap().to_owned();
            let state = graph[&node]["_"][">"]["ver"].clone();
            graph[&node]["signature"] = json!(signature);
            graph[&node]["_"][">"]["signature"] = state;
        }
        Era {
            name: fixture["era"].as_str().unwrap().to_owned(),
            soul,
            graph,
            data: fixture["data"].clone(),
        }
    };
    ERAS.into_iter().map(signed).collect()
}

/// Has the node see the wallet sign.
async fn knows_the_wallet(node: &TestNode) {
    let (did, record) = signed_by_wallet("seen", "2025-01-01T00:00:00.000Z", now_ms() - 60_000);
    put(&mut node.client().await, record).await;
    let document = eventually("the wallet's record", || node.found(&did)).await;
    assert_eq!(document["oip"].get("verification"), None);
}

async fn shows(node: &TestNode, era: &Era) {
    let did = era.did();
    let document = eventually(&era.name, || node.found(&did)).await;
    assert_eq!(document["data"], era.data, "{}", era.name);
    let verification = document["oip"].get("verification").and_then(Value::as_str);
    let expected = (!era.is_packed()).then_some("unverifiable");
    assert_eq!(verification, expected, "{}", era.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_records_of_every_era_are_taken_from_the_graph_of_a_known_signer() {
    let node = node(&[]).await;
    knows_the_wallet(&node).await;
    for era in eras() {
        put(&mut node.client().await, era.announced()).await;
        shows(&node, &era).await;
    }
    assert_eq!(node.health().quarantine, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_records_of_every_era_are_taken_over_http_from_a_known_signer() {
    let peer = deployed().await;
    let eras = eras();
    let peers = gun_net::parse_peers(&peer.base()).unwrap();
    let node = node_with(&[], |config| {
        config.peers = peers;
        config.sync.interval_ms = 200;
    })
    .await;
    knows_the_wallet(&node).await;
    for era in &eras {
        for (soul, node) in era.graph.as_object().unwrap() {
            let mut values = node.clone();
            values.as_object_mut().unwrap().shift_remove("_");
            peer.put(soul, values);
        }
        peer.register_only(&era.soul, "post");
        let did = era.did();
        let document = eventually(&era.name, || node.found(&did)).await;
        assert_eq!(document["data"], era.data, "{}", era.name);
    }
    assert_eq!(node.health().quarantine, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_over_a_copy_is_read_again_from_a_known_signer_and_left_alone_after_a_while() {
    let peer = deployed().await;
    let key = wallet();
    let at_ms = now_ms() - 60_000;
    let whole = crate::pulling::signed(&key, "two", &crate::support::text("second"), at_ms);
    // The time of one version with the data of another, as a relay shows it that has read only one.
    let mut mixed = whole.clone();
    mixed.data = crate::support::text("first").to_string();
    peer.publish(&mixed);
    let node = crate::pulling::puller(&peer).await;
    knows_the_wallet(&node).await;
    let did = crate::pulling::did(&whole);
    let document = eventually("the copy", || node.found(&did)).await;
    assert_eq!(document["oip"]["verification"], "unverifiable");
    // The entry stays what it was: nothing but reading again shows the rest.
    peer.put(&whole.soul, json!({"data": whole.data}));
    eventually("the whole version", || async {
        let document = node.found(&did).await?;
        document["oip"].get("verification").is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_cannot_be_verified_takes_no_verified_versions_place() {
    let node = node(&[]).await;
    let (did, record) = signed_by_wallet("seen", "2025-01-01T00:00:00.000Z", now_ms() - 60_000);
    put(&mut node.client().await, record).await;
    let document = eventually("the wallet's record", || node.found(&did)).await;
    let soul = did.soul().as_str().to_owned();
    let mut forged = eras().remove(0).graph;
    let mut text = forged.to_string();
    text = text
        .replace("4a0039a95bb0:nested", &soul)
        .replace("1763500000000", &now_ms().to_string());
    text = text.replace("2025-11-10T10:00:00.000Z", "2026-01-01T10:00:00.000Z");
    forged = serde_json::from_str(&text).unwrap();
    put(&mut node.client().await, forged).await;
    node.counted("records_healed_total", 1).await;
    assert_eq!(node.found(&did).await, Some(document));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_an_index_are_imported_from_a_known_signer_and_marked() {
    let first = node(&[]).await;
    knows_the_wallet(&first).await;
    let dir = first.stop().await;
    let file = dir.path().join("records.json");
    let key = wallet();
    let creator = key.creator();
    // Keys in an order that nobody knows any more: what an index gave back after a migration.
    let soul = format!("{}:copy", key.soul_prefix());
    let document = |signature: Option<String>, soul: &str| {
        json!({
            "data": {"basic": {"tagItems": ["a"], "name": "Copy"}},
            "oip": {
                "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
                "indexedAt": "2026-01-01T00:00:00.000Z", "signature": signature,
                "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
            },
        })
    };
    let signature = key
        .sign(br#"{"basic":{"name":"Copy","tagItems":"[\"a\"]"}}"#)
        .unwrap();
    let mut unsigned = document(None, &format!("{soul}-unsigned"));
    unsigned["oip"]
        .as_object_mut()
        .unwrap()
        .shift_remove("signature");
    let documents = json!([document(Some(signature), &soul), unsigned]);
    std::fs::write(&file, documents.to_string()).unwrap();
    let config = config(dir.path());
    let report = backup::import(&config, &[file], |_| {}).unwrap();
    assert_eq!(
        report.signatures.get("unverifiable"),
        Some(&1),
        "{report:?}"
    );
    // One that never had a signature is another matter.
    assert_eq!(report.refused.get("unsigned"), Some(&1), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_record_is_verified_where_signatures_are_required() {
    let node = node_with(&[], |config| {
        config.sync.signatures = SignaturePolicy::Require;
    })
    .await;
    let restored = eras().remove(5);
    put(&mut node.client().await, restored.announced()).await;
    shows(&node, &restored).await;
    let held = node
        .client()
        .await
        .get(&restored.soul, PATIENCE)
        .await
        .unwrap();
    let text = restored.graph[&restored.soul]["data"].clone();
    assert_eq!(
        held.unwrap()["data"],
        text,
        "what lies in the graph is not rewritten"
    );
}
