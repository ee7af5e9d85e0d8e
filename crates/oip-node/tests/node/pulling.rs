//! Records of deployed nodes that expose only `/gun-relay/get`: read over HTTP, each once.

use oip_node::SyncMode;
use oip_record::{CreatorKey, Did};
use serde_json::{Value, json};
use testkit::{DeployedNode, DeployedRecord};

use crate::support::{Author, TestNode, eventually, node, node_on, node_with, now_ms, text};

/// The wallet by which a deployed node signs.
pub(crate) fn wallet() -> CreatorKey {
    let file = include_str!("../../../../testdata/vectors/own/throw-away-wallet.json");
    CreatorKey::from_file_json(file).unwrap()
}

/// A record as a deployed node publishes it: signed by its wallet over the data text alone.
pub(crate) fn signed(key: &CreatorKey, local_id: &str, data: &Value, at_ms: u64) -> DeployedRecord {
    let data = data.to_string();
    let signature = key.sign(data.as_bytes()).unwrap();
    record(key, local_id, data, at_ms, Some(signature))
}

fn record(
    key: &CreatorKey,
    local_id: &str,
    data: String,
    at_ms: u64,
    signature: Option<String>,
) -> DeployedRecord {
    let soul = format!("{}:{local_id}", key.soul_prefix());
    let creator = key.creator();
    let stamp = oip_record::Stamp::from_ms(i64::try_from(at_ms).unwrap());
    let mut oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "indexedAt": stamp.as_str(), "ver": "0.8.0",
        "signature": signature,
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
        "didTx": format!("did:gun:{soul}"),
    });
    if signature.is_none() {
        oip.as_object_mut().unwrap().remove("signature");
    }
    DeployedRecord {
        soul,
        record_type: "post".into(),
        data,
        oip: oip.to_string(),
    }
}

/// The same by an author whose signatures cost less than those of a wallet; deployed readers take any.
fn plain(author: &Author, local_id: &str) -> DeployedRecord {
    let data = text(local_id).to_string();
    record(&author.key, local_id, data, now_ms() - 60_000, None)
}

pub(crate) fn did(record: &DeployedRecord) -> Did {
    Did::from_soul(&gun::Soul::new(&*record.soul).unwrap())
}

/// A deployed node that wastes no time on waits.
pub(crate) async fn deployed() -> DeployedNode {
    let node = DeployedNode::start("deployed-a").await.unwrap();
    node.set(|faults| faults.absent_wait = std::time::Duration::from_millis(5));
    node
}

/// A node that pulls from it, a round every 200 ms.
pub(crate) async fn puller(from: &DeployedNode) -> TestNode {
    let peers = gun_net::parse_peers(&from.base()).unwrap();
    node_with(&[], |config| {
        config.peers = peers;
        config.sync.interval_ms = 200;
    })
    .await
}

/// Waits until the index holds the record.
pub(crate) async fn arrives(node: &TestNode, record: &DeployedRecord) -> Value {
    let did = did(record);
    eventually(&format!("{did}"), || node.found(&did)).await
}

/// Waits until the peer was asked for the index of posts this many times more.
async fn rounds(peer: &DeployedNode, more: usize) {
    let index = "oip:registry:index:post";
    let target = peer.reads_of(index) + more;
    eventually("more rounds", || async {
        (peer.reads_of(index) >= target).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_entries_cost_at_most_a_hundred_reads_and_an_idle_sweep_costs_none() {
    let peer = deployed().await;
    let author = Author::new(7);
    let records: Vec<_> = (0..100).map(|n| plain(&author, &format!("r{n}"))).collect();
    records.iter().for_each(|record| peer.publish(record));
    let node = puller(&peer).await;
    for record in &records {
        arrives(&node, record).await;
    }
    assert_eq!(peer.record_reads(), 100);
    rounds(&peer, 3).await;
    node.sync_now().await.unwrap();
    assert_eq!(peer.record_reads(), 100, "an idle sweep reads no record");
    // An index that did not change is not sent again.
    let asked = peer.asked();
    let last = asked
        .iter()
        .rfind(|asked| asked.soul == "oip:registry:index:post");
    assert_eq!(last.unwrap().status, 304);
    // What is held is known after a restart, too.
    let peers = gun_net::parse_peers(&peer.base()).unwrap();
    let dir = node.stop().await;
    let node = node_on(dir, &[], |config| {
        config.peers = peers;
        config.sync.interval_ms = 200;
    })
    .await;
    rounds(&peer, 3).await;
    assert_eq!(peer.record_reads(), 100);
    // One more costs one read.
    let more = plain(&author, "one-more");
    peer.publish(&more);
    arrives(&node, &more).await;
    assert_eq!(peer.record_reads(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_lead_nowhere_hide_no_others() {
    let peer = deployed().await;
    let author = Author::new(7);
    let gone = plain(&author, "0-gone");
    let broken = plain(&author, "1-broken");
    let silent = plain(&author, "2-silent");
    // They come first in the index.
    peer.register_only(&gone.soul, "post");
    peer.publish(&broken);
    peer.publish(&silent);
    peer.set(|faults| {
        faults.failing.insert(broken.soul.clone());
        faults.hanging.insert(silent.soul.clone());
    });
    let good: Vec<_> = (0..10).map(|n| plain(&author, &format!("g{n}"))).collect();
    good.iter().for_each(|record| peer.publish(record));
    let node = puller(&peer).await;
    for record in &good {
        arrives(&node, record).await;
    }
    // What was only broken is read again.
    peer.set(|faults| {
        faults.failing.remove(&broken.soul);
    });
    arrives(&node, &broken).await;
    // And what was lost is there again after a while.
    peer.publish(&gone);
    arrives(&node, &gone).await;
    assert_eq!(peer.reads_of(&good[0].soul), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parts_that_a_cold_relay_shows_of_its_index_are_put_together() {
    let peer = deployed().await;
    let author = Author::new(7);
    let records: Vec<_> = (0..40)
        .map(|n| plain(&author, &format!("r{n:02}")))
        .collect();
    records.iter().for_each(|record| peer.publish(record));
    let index = "oip:registry:index:post".to_owned();
    // As observed after a restart, a fiftieth of it; and never the whole at once.
    let parts = [4, 17, 1, 17, 17, 9, 12, 17, 1, 17].repeat(60);
    peer.set(|faults| drop(faults.partial.insert(index, parts.into())));
    let node = puller(&peer).await;
    for record in &records {
        arrives(&node, record).await;
    }
    assert_eq!(peer.record_reads(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_down_is_left_alone_and_shown_and_read_when_it_is_back() {
    let peer = deployed().await;
    let author = Author::new(7);
    let first = plain(&author, "first");
    peer.publish(&first);
    let node = puller(&peer).await;
    arrives(&node, &first).await;
    let state = |state: &'static str| {
        let node = &node;
        eventually(state, move || async move {
            let health = node.health();
            let view = health.peers.first()?.clone();
            (view.state == state).then_some((health, view))
        })
    };
    let (health, view) = state("connected").await;
    assert_eq!((view.address, view.direction), (peer.base(), "pulled"));
    assert!(view.bytes_in > 0 && view.last_heard_ago_ms.is_some());
    assert_eq!(health.status, "healthy", "{:?}", health.reasons);
    peer.set(|faults| faults.down = true);
    let (health, view) = state("connecting").await;
    assert!(view.last_error.is_some() && view.attempts > 0, "{view:?}");
    assert!(
        health.reasons[0].contains(&peer.base()),
        "{:?}",
        health.reasons
    );
    let second = plain(&author, "second");
    peer.publish(&second);
    peer.set(|faults| faults.down = false);
    arrives(&node, &second).await;
    state("connected").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_are_checked_over_what_json_shows_and_what_fails_there_is_unverifiable() {
    let peer = deployed().await;
    let key = wallet();
    let at_ms = now_ms() - 60_000;
    let data = json!({"basic": {"name": "Isla", "tagItems": "[\"a\",\"b\"]", "n": 1.5, "9": 1, "a": "é\u{1f600}"}});
    // JavaScript puts the key 9 first; so does a deployed publisher before it signs.
    let sorted = json!({"basic": {"9": 1, "name": "Isla", "tagItems": "[\"a\",\"b\"]", "n": 1.5, "a": "é\u{1f600}"}});
    let good = signed(&key, "good", &sorted, at_ms);
    let odd = signed(&Author::new(9).key, "odd", &data, at_ms);
    let mut other = signed(&key, "other", &text("x"), at_ms);
    other.data = text("y").to_string();
    peer.publish(&other);
    let node = puller(&peer).await;
    let document = arrives(&node, &other).await;
    assert_eq!(document["oip"]["verification"], "unverifiable");
    peer.publish(&good);
    let document = arrives(&node, &good).await;
    assert_eq!(document["oip"].get("verification"), None, "{document}");
    assert_eq!(document["data"]["basic"]["tagItems"], json!(["a", "b"]));
    let metrics = node.metrics();
    for (signature, count) in [("verified", 1), ("unverifiable", 1)] {
        let line = format!("records_by_signature_total{{signature=\"{signature}\"}} {count}");
        assert!(metrics.contains(&line), "{metrics}");
    }
    // The creator is known to sign by now.
    peer.publish(&odd);
    let mut forged = record(&key, "forged", text("z").to_string(), at_ms, None);
    forged.soul = format!("{}:forged", key.soul_prefix());
    peer.publish(&forged);
    node.refuses("unsigned").await;
    assert_eq!(node.found(&did(&forged)).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_the_nested_eras_are_read_part_by_part() {
    let peer = deployed().await;
    let author = Author::new(4);
    let creator = author.key.creator();
    let soul = format!("{}:nested", author.key.soul_prefix());
    let creators = json!({"didAddress": creator.did_address, "publicKey": creator.public_key});
    peer.put(
        &soul,
        json!({
            "data": {"basic": {"name": "Nested", "tagItems": "[\"a\"]"}, "post": {"articleText": "x"}},
            "oip": {"ver": "0.8.0", "recordType": "post", "creator": creators},
            "meta": {"encrypted": false},
        }),
    );
    peer.register_only(&soul, "post");
    let node = puller(&peer).await;
    let did = Did::from_soul(&gun::Soul::new(&*soul).unwrap());
    let document = eventually("the nested record", || node.found(&did)).await;
    assert_eq!(
        document["data"],
        json!({"basic": {"name": "Nested", "tagItems": ["a"]}, "post": {"articleText": "x"}})
    );
    assert_eq!(document["oip"]["creator"], creators);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_record_is_read_again_and_meanwhile_stands_in_quarantine() {
    let peer = deployed().await;
    let author = Author::new(7);
    let whole = plain(&author, "torn");
    // What a relay that just started shows of a record: some of its keys.
    peer.put(&whole.soul, json!({"oip": whole.oip}));
    peer.register_only(&whole.soul, "post");
    let node = puller(&peer).await;
    node.refuses("torn").await;
    eventually("the quarantine", || async {
        (node.health().quarantine == 1).then_some(())
    })
    .await;
    peer.put(&whole.soul, json!({"data": whole.data}));
    arrives(&node, &whole).await;
    assert_eq!(node.health().quarantine, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_entry_is_read_again_where_the_index_shows_times() {
    let peer = deployed().await;
    let author = Author::new(7);
    let now = now_ms();
    let of =
        |name: &str, at_ms: u64| record(&author.key, "edited", text(name).to_string(), at_ms, None);
    let direct = |record: &DeployedRecord, at_ms: u64| {
        // Entries in the index itself, as the origin design has them: a text that reads as such.
        json!({"soul": record.soul, "nodeId": "n", "timestamp": at_ms})
    };
    let first = of("first", now - 60_000);
    peer.publish(&first);
    let node = puller(&peer).await;
    assert_eq!(arrives(&node, &first).await["data"], text("first"));
    let second = of("second", now - 30_000);
    peer.publish(&second);
    // A link says nothing of its target; a peer that shows the target itself does.
    peer.show_targets(
        "oip:registry:index:post",
        &second.soul,
        direct(&second, now - 30_000),
    );
    let did = did(&second);
    eventually("the edit", || async {
        node.found(&did)
            .await
            .filter(|found| found["data"] == text("second"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_read_again_where_the_index_shows_links_and_an_idle_round_reads_no_record() {
    let peer = deployed().await;
    let author = Author::new(7);
    let now = now_ms();
    let of =
        |name: &str, at_ms: u64| record(&author.key, "edited", text(name).to_string(), at_ms, None);
    let others: Vec<_> = (0..20).map(|n| plain(&author, &format!("r{n}"))).collect();
    others.iter().for_each(|record| peer.publish(record));
    let first = of("first", now - 60_000);
    peer.publish(&first);
    let node = puller(&peer).await;
    for record in others.iter().chain([&first]) {
        arrives(&node, record).await;
    }
    rounds(&peer, 8).await;
    assert_eq!(peer.record_reads(), 21, "what is known is not read again");
    // Registered anew, as deployed nodes do at every edit: the index itself stays as it is.
    let second = of("second", now - 30_000);
    peer.publish(&second);
    let target = format!("oip:registry:index:post/{}", second.soul);
    peer.put(
        &target,
        json!({"soul": second.soul, "nodeId": "deployed-a", "timestamp": now_ms()}),
    );
    let did = did(&second);
    eventually("the edit", || async {
        node.found(&did)
            .await
            .filter(|found| found["data"] == text("second"))
    })
    .await;
    rounds(&peer, 8).await;
    assert_eq!(peer.record_reads(), 22);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pulled_reaches_nodes_that_are_linked_here() {
    let peer = deployed().await;
    let record = signed(&wallet(), "passed-on", &text("hello"), now_ms() - 60_000);
    let near = puller(&peer).await;
    let far = node(&[&near]).await;
    peer.publish(&record);
    arrives(&near, &record).await;
    let document = arrives(&far, &record).await;
    assert_eq!(document["data"], text("hello"));
    assert_eq!(document["oip"].get("verification"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_sync_asks_nobody() {
    let peer = deployed().await;
    let peers = gun_net::parse_peers(&peer.base()).unwrap();
    let node = node_with(&[], |config| {
        config.peers = peers;
        config.sync.mode = SyncMode::Off;
    })
    .await;
    assert!(node.sync_now().await.is_err());
    assert_eq!(node.health().status, "healthy");
    node.stop().await;
    assert_eq!(peer.asked(), []);
}
