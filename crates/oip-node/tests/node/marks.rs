//! Deletion marks of deployed nodes: unsigned, so that they hide and no more.

use oip_node::SyncMode;
use oip_record::Did;
use serde_json::{Value, json};
use testkit::raw;

use crate::pulling::{arrives, deployed, did, puller, signed, wallet};
use crate::support::{
    Author, TestNode, eventually, node, node_on, now_ms, put, relay, submission, text,
};

const INDEX: &str = "oip:deleted:records:index";

/// The mark of a record, as a deployed node puts it through its relay.
fn mark(did: &Did, flag: Value, at_ms: u64) -> Value {
    raw::node(INDEX, &[(&did.to_string(), flag)], at_ms)
}

/// Waits until the quarantine holds so many.
async fn quarantines(node: &TestNode, count: u64) {
    eventually("the quarantine", || async {
        (node.health().quarantine == count).then_some(())
    })
    .await;
}

/// What the deletion registry of a node says of a record.
async fn flag_at(node: &TestNode, did: &Did) -> Option<Value> {
    let mut client = node.client().await;
    let flags = client.get(INDEX, crate::support::PATIENCE).await.unwrap();
    flags.and_then(|flags| flags.get(&did.to_string()).cloned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_seen_over_http_hides_a_record_until_it_is_cleared() {
    let peer = deployed().await;
    let record = signed(&wallet(), "marked", &text("x"), now_ms() - 60_000);
    let did = did(&record);
    peer.publish(&record);
    let node = puller(&peer).await;
    arrives(&node, &record).await;
    peer.delete(&record.soul, now_ms() - 1_000);
    node.hides(&did).await;
    quarantines(&node, 1).await;
    assert_eq!(node.metric("records_hidden_total"), 1);
    // As our own nodes clear a mark; deployed ones mean to and fail.
    let gone = json!({"deletedAt": null, "deletedBy": null, "timestamp": null, "did": null});
    peer.put(&format!("oip:deleted:records:{did}"), gone);
    // It was the only mark: deployed relays say then that there is no such node.
    peer.put(INDEX, json!({did.to_string(): null}));
    arrives(&node, &record).await;
    quarantines(&node, 0).await;
    assert!(node.get(&did).await.unwrap().is_some());
    // Deleted again.
    peer.delete(&record.soul, now_ms() - 500);
    node.hides(&did).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_is_set_to_false_hides_no_more() {
    let peer = deployed().await;
    let record = signed(&wallet(), "marked", &text("x"), now_ms() - 60_000);
    let did = did(&record);
    peer.publish(&record);
    peer.delete(&record.soul, now_ms() - 1_000);
    let node = puller(&peer).await;
    quarantines(&node, 1).await;
    // The entry stays: only the flag says it.
    peer.put(INDEX, json!({did.to_string(): false}));
    arrives(&node, &record).await;
    quarantines(&node, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_deleted_again_is_hidden_again() {
    let peer = deployed().await;
    let key = wallet();
    let first = signed(&key, "again", &text("first"), now_ms() - 60_000);
    let did = did(&first);
    peer.publish(&first);
    peer.delete(&first.soul, now_ms() - 30_000);
    let node = puller(&peer).await;
    quarantines(&node, 1).await;
    let second = signed(&key, "again", &text("second"), now_ms() - 10_000);
    let values = [("data", json!(second.data)), ("oip", json!(second.oip))];
    put(
        &mut node.client().await,
        raw::node(&second.soul, &values, now_ms()),
    )
    .await;
    arrives(&node, &second).await;
    // The flag says what it said before.
    peer.delete(&second.soul, now_ms() - 1_000);
    node.hides(&did).await;
    quarantines(&node, 1).await;
}

/// The record of a wallet, brought by an import to the node that signs with the same wallet.
async fn imported(node_dir: &std::sync::Arc<tempfile::TempDir>, at_ms: u64) -> (Did, TestNode) {
    let wallet_file = node_dir.path().join("wallet.json");
    let jwk = include_str!("../../../../testdata/vectors/own/throw-away-wallet.json");
    std::fs::write(&wallet_file, jwk).unwrap();
    let packed = oip_record::arrays::pack(&text("moved")).0;
    let record = signed(&wallet(), "moved", &packed, at_ms);
    let mut oip: Value = serde_json::from_str(&record.oip).unwrap();
    oip["storage"] = json!("gun");
    let data = text("moved");
    let file = node_dir.path().join("records.json");
    std::fs::write(&file, json!([{"data": data, "oip": oip}]).to_string()).unwrap();
    let mut config = crate::support::config(node_dir.path());
    config.wallet_file = Some(wallet_file.clone());
    let report = oip_node::migrate::backup::import(&config, &[file], |_| {}).unwrap();
    assert_eq!((report.taken, report.own), (1, 1), "{report:?}");
    let node = node_on(std::sync::Arc::clone(node_dir), &[], |config| {
        config.wallet_file = Some(wallet_file);
        config.deletes_from = vec![oip_node::config::AddressRange::parse("127.0.0.1").unwrap()];
    })
    .await;
    (did(&record), node)
}

/// Puts a deletion as a deployed node does through its relay.
async fn delete_through(node: &TestNode, did: &Did) {
    for (soul, data) in [
        (
            format!("oip:deleted:records:{did}"),
            json!({"deletedAt": now_ms(), "deletedBy": "PK", "did": did.to_string()}),
        ),
        (INDEX.to_owned(), json!({did.to_string(): true})),
    ] {
        let nested = oip_node::relay::Nested::read(
            &data.to_string(),
            &soul,
            oip_node::relay::Arrays::Refused,
        )
        .unwrap();
        let from = Some(std::net::IpAddr::from([127, 0, 0, 1]));
        node.relay().put(&soul, nested, from).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deployed_node_behind_this_relay_deletes_is_hidden_though_its_wallet_is_ours() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let (did, node) = imported(&dir, now_ms() - 60_000).await;
    eventually("the imported record", || node.found(&did)).await;
    delete_through(&node, &did).await;
    node.hides(&did).await;
    quarantines(&node, 1).await;
    let rows = node.quarantined(&did).await.unwrap();
    assert_eq!(rows[0].1.source.as_deref(), Some("this relay"));
    // Where nobody is named any more, what was put there is worth nothing.
    let wallet_file = dir.path().join("wallet.json");
    drop(dir);
    let node = node_on(node.stop().await, &[], |config| {
        config.wallet_file = Some(wallet_file);
    })
    .await;
    eventually("the record again", || node.found(&did)).await;
    delete_through(&node, &did).await;
    node.settles().await;
    assert!(node.get(&did).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_later_than_the_mark_is_shown() {
    let peer = deployed().await;
    let key = wallet();
    let first = signed(&key, "again", &text("first"), now_ms() - 60_000);
    peer.publish(&first);
    peer.delete(&first.soul, now_ms() - 30_000);
    let node = puller(&peer).await;
    // The mark may come before the record: both orders hide it.
    quarantines(&node, 1).await;
    node.hides(&did(&first)).await;
    let second = signed(&key, "again", &text("second"), now_ms() - 10_000);
    let state_ms = now_ms();
    let values = [("data", json!(second.data)), ("oip", json!(second.oip))];
    put(
        &mut node.client().await,
        raw::node(&second.soul, &values, state_ms),
    )
    .await;
    let document = arrives(&node, &second).await;
    assert_eq!(document["data"], text("second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_configured_peer_can_hide_and_only_as_long_as_it_is_one() {
    let relay = relay().await;
    let node = node(&[&relay]).await;
    let author = Author::new(3);
    let at_ms = now_ms() - 60_000;
    let version = author.version("v", text("x"), at_ms);
    let mut stranger = node.client().await;
    put(&mut stranger, version.announced(at_ms)).await;
    node.shows(&version.did, &version.document).await;
    // Somebody who dialled us: noted in the graph, and worth nothing.
    let other = Did::parse("did:gun:0123456789ab:nobody").unwrap();
    put(&mut stranger, mark(&other, json!(true), now_ms())).await;
    put(&mut stranger, mark(&version.did, json!(true), now_ms())).await;
    node.settles().await;
    node.shows(&version.did, &version.document).await;
    assert_eq!(node.health().quarantine, 0);
    // The relay that the operator named.
    put(
        &mut relay.client().await,
        mark(&version.did, json!(true), now_ms()),
    )
    .await;
    node.hides(&version.did).await;
    quarantines(&node, 1).await;
    // Durable, and taken back by the same relay.
    let node = node.restart(&[&relay]).await;
    node.hides(&version.did).await;
    let later = now_ms() + 1;
    put(
        &mut relay.client().await,
        mark(&version.did, Value::Null, later),
    )
    .await;
    node.shows(&version.did, &version.document).await;
    put(
        &mut relay.client().await,
        mark(&version.did, json!(true), now_ms() + 2),
    )
    .await;
    node.hides(&version.did).await;
    // Without the peer its marks are worth nothing.
    let node = node_on(node.stop().await, &[], |_| {}).await;
    node.shows(&version.did, &version.document).await;
    quarantines(&node, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_published_itself_is_hidden_by_nobody() {
    let relay = relay().await;
    let node = node(&[&relay]).await;
    let ours = node
        .publish(submission("ours", text("ours")))
        .await
        .unwrap();
    let author = Author::new(3);
    let theirs = author.version("t", text("t"), now_ms() - 60_000);
    put(
        &mut node.client().await,
        theirs.announced(now_ms() - 60_000),
    )
    .await;
    node.shows(&theirs.did, &theirs.document).await;
    let mut client = relay.client().await;
    put(&mut client, mark(&ours.did, json!(true), now_ms())).await;
    put(&mut client, mark(&theirs.did, json!(true), now_ms())).await;
    // Both marks have come by the time one of them works.
    node.hides(&theirs.did).await;
    node.shows(&ours.did, &ours.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_here_is_marked_for_deployed_nodes_and_a_publish_after_it_clears_the_mark() {
    let far = relay().await;
    let node = node(&[&far]).await;
    let reader = crate::support::node_with(&[&far], |config| config.sync.mode = SyncMode::On).await;
    let first = node
        .publish(submission("again", text("first")))
        .await
        .unwrap();
    reader.shows(&first.did, &first.document).await;
    assert_eq!(flag_at(&node, &first.did).await, None);
    node.delete(&first.did).await.unwrap();
    reader.hides(&first.did).await;
    eventually("the mark on the relay", || async {
        flag_at(&far, &first.did)
            .await
            .filter(|flag| *flag == json!(true))
    })
    .await;
    let mut client = far.client().await;
    let entry = format!("oip:deleted:records:{}", first.did);
    let entry = client.get(&entry, crate::support::PATIENCE).await.unwrap();
    let entry = entry.unwrap();
    assert_eq!(entry["did"], first.did.to_string());
    assert_eq!(entry["deletedBy"], node.creator().public_key);
    assert!(entry["deletedAt"].as_u64().unwrap() > 1_600_000_000_000);
    // Published anew: later, and visible again everywhere.
    let second = node
        .publish(submission("again", text("second")))
        .await
        .unwrap();
    assert_eq!(second.did, first.did);
    reader.shows(&second.did, &second.document).await;
    eventually("the mark is cleared", || async {
        (flag_at(&far, &first.did).await == Some(Value::Null)).then_some(())
    })
    .await;
}
