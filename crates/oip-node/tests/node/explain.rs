//! What a node says of one record: how it stands, and what was decided about it.

use oip_index::Access;
use oip_record::Did;
use serde_json::json;
use testkit::raw;

use crate::support::{Author, TestNode, eventually, node, now_ms, put, submission, text};

/// The decisions on a record by name, once there are so many.
async fn decided(node: &TestNode, did: &Did, count: usize) -> Vec<String> {
    eventually("the decisions", || async {
        let explained = node
            .explain(did, &Access::Everything)
            .await
            .unwrap()
            .unwrap();
        let decisions = explained.decisions;
        (decisions.len() >= count).then(|| {
            decisions
                .into_iter()
                .map(|decision| decision.what)
                .collect()
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_on_a_record_is_told_and_outlives_a_restart() {
    let node = node(&[]).await;
    let author = Author::new(3);
    let now = now_ms();
    let first = author.version("v", text("first"), now - 60_000);
    let mut client = node.client().await;
    put(&mut client, first.announced(now - 60_000)).await;
    node.shows(&first.did, &first.document).await;
    let second = author.version("v", text("second"), now - 30_000);
    put(&mut client, second.announced(now - 30_000)).await;
    node.shows(&second.did, &second.document).await;
    // Somebody overwrites it.
    let forged = json!({"basic": {"name": "forged"}}).to_string();
    let values = [("data", json!(forged)), ("oip", json!(second.oip_text))];
    put(&mut client, raw::node(second.soul.as_str(), &values, now)).await;
    node.counted("records_healed_total", 1).await;
    let decisions = decided(&node, &first.did, 4).await;
    assert_eq!(decisions[..2], ["taken", "taken"]);
    assert_eq!(decisions[2..], ["refused", "healed"]);
    let node = node.restart(&[]).await;
    let explained = node
        .explain(&first.did, &Access::Everything)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(explained.decisions.len(), 4);
    assert!(explained.shown && explained.registered && !explained.marked_deleted);
    assert_eq!(explained.graph.as_deref(), Some("the version that is held"));
    assert_eq!(
        explained.summary,
        "held and shown; its signature is verified"
    );
    let held = explained.held.unwrap();
    assert_eq!(
        (held.signature, held.precedence, held.own),
        ("verified", "ours", false)
    );
    assert_eq!(held.creator, author.key.creator().did_address);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_shown_is_explained_too() {
    let node = node(&[]).await;
    let unknown = Did::parse("did:gun:0123456789ab:unknown").unwrap();
    let explained = node
        .explain(&unknown, &Access::Everything)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(explained.summary, "unknown here: no peer has announced it");
    assert!(!explained.shown && explained.held.is_none() && explained.decisions.is_empty());
    // Refused: the quarantine has the reason.
    let author = Author::new(3);
    let version = author.version("v", text("x"), now_ms() - 60_000);
    let mut graph = version.announced(now_ms() - 60_000);
    graph[version.soul.as_str()]["data"] = json!(text("another").to_string());
    put(&mut node.client().await, graph).await;
    node.refuses("bad-signature").await;
    let explained = eventually("the quarantine", || async {
        let explained = node
            .explain(&version.did, &Access::Everything)
            .await
            .unwrap()
            .unwrap();
        explained.quarantine.is_some().then_some(explained)
    })
    .await;
    assert_eq!(explained.quarantine.unwrap().reason, "bad-signature");
    assert!(
        explained.summary.starts_with("not taken: "),
        "{}",
        explained.summary
    );
    // Deleted.
    let ours = node
        .publish(submission("ours", text("ours")))
        .await
        .unwrap();
    node.delete(&ours.did).await.unwrap();
    let explained = node
        .explain(&ours.did, &Access::Everything)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(explained.summary, "deleted by a signed tombstone");
    assert!(explained.marked_deleted && !explained.shown);
    let whats: Vec<_> = explained
        .decisions
        .iter()
        .map(|d| d.what.as_str())
        .collect();
    assert_eq!(whats, ["published", "deleted"]);
}
