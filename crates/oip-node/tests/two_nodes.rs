//! Two nodes in one process, linked over real sockets on loopback.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use oip_index::Query;
use oip_node::{Node, NodeConfig, Submission};
use oip_record::Did;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

struct Running {
    node: Node,
    _dir: TempDir,
}

async fn node(peers: &str) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let node = start(&dir, peers).await;
    Running { node, _dir: dir }
}

async fn start(dir: &TempDir, peers: &str) -> Node {
    let mut config = NodeConfig::new(dir.path().to_owned());
    config.relay_listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.peers = gun_net::parse_peers(peers).unwrap();
    Node::start(config).await.unwrap()
}

fn address(node: &Node) -> String {
    format!("http://{}", node.relay_address())
}

fn post(local_id: &str, data: Value) -> Submission {
    Submission {
        record_type: "post".into(),
        local_id: Some(local_id.into()),
        data,
        params: Map::new(),
    }
}

/// Polls until `check` gives something; the deadline is generous, since machines are noisy.
async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn found(node: &Node, did: &Did) -> Option<Value> {
    let page = node.search(Query::by_did(did.to_string())).await.unwrap();
    page.hits
        .into_iter()
        .next()
        .map(|hit| Value::clone(&hit.document))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_published_on_either_node_is_found_on_the_other_and_so_are_edit_and_delete() {
    let b = node("").await;
    let a = node(&address(&b.node)).await;
    for (from, to) in [(&a.node, &b.node), (&b.node, &a.node)] {
        let data = json!({"basic": {"name": "Gauge", "tagItems": ["tides", "[1,2]"]}, "post": {"articleText": "one"}});
        let published = from.publish(post("p-1", data.clone())).await.unwrap();
        let held = from.get(&published.did).await.unwrap().unwrap();
        assert_eq!(
            held, published.document,
            "found at once where it was published"
        );
        let there = eventually("the record arrives", || found(to, &published.did)).await;
        assert_eq!(there["data"], data);
        assert_eq!(there, held);

        let edited = json!({"basic": {"name": "Gauge"}, "post": {"articleText": "two"}});
        let again = from.publish(post("p-1", edited.clone())).await.unwrap();
        assert!(again.edited && again.did == published.did);
        eventually("the edit arrives", || async {
            found(to, &published.did)
                .await
                .filter(|document| document["data"] == edited)
        })
        .await;

        from.delete(&published.did).await.unwrap();
        assert_eq!(from.get(&published.did).await.unwrap(), None);
        eventually("the deletion arrives", || async {
            found(to, &published.did).await.is_none().then_some(())
        })
        .await;
    }
    a.node.stop().await;
    b.node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_late_finds_everything_and_keeps_it_over_a_restart() {
    let a = node("").await;
    let mut dids = Vec::new();
    for i in 0..50 {
        let data = json!({"basic": {"name": format!("record {i}")}, "post": {}});
        dids.push(
            a.node
                .publish(post(&format!("p-{i}"), data))
                .await
                .unwrap()
                .did,
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let b = start(&dir, &address(&a.node)).await;
    for did in &dids {
        eventually("an older record arrives", || found(&b, did)).await;
    }
    b.stop().await;
    drop(b);
    let b = start(&dir, "").await;
    for did in &dids {
        assert!(b.get(did).await.unwrap().is_some());
        assert!(found(&b, did).await.is_some());
    }
    assert_eq!(b.health().registry.total_records_registered, 50);
}
