//! Healing: verified versions are written back over what others put in their place, and neither
//! an attacker nor the nodes among themselves can make a flood of it.

use serde_json::json;

use crate::support::{
    Author, eventually, graph_shows, node, now_ms, put, store_of, submission, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soul_is_healed_once_a_minute_and_the_next_overwrite_waits_for_its_turn() {
    let now = now_ms();
    let held = Author::new(1).version("tides", text("one"), now - 1_000);
    let node = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, held.announced(now - 1_000)).await;
    node.shows(&held.did, &held.document).await;
    put(&mut client, held.altered(&[("data", json!(null))], now)).await;
    graph_shows(&mut client, &held).await;
    node.counted("records_healed_total", 1).await;

    let refused = node.metric("sync_errors_total");
    let again = held.altered(&[("oip", json!("noise"))], now_ms() + 5);
    put(&mut client, again).await;
    node.counted("sync_errors_total", refused + 1).await;
    let waiting = eventually("the soul on the list", || async {
        Some(node.health().wanted).filter(|wanted| *wanted == 1)
    });
    waiting.await;
    assert_eq!(node.metric("records_healed_total"), 1);
    assert_eq!(
        node.get(&held.did).await.unwrap(),
        Some(held.document.clone())
    );
    let dir = node.stop().await;
    let row = store_of(&dir).wanted(&held.soul).unwrap().unwrap();
    let wait = row.due_ms - now;
    assert!((50_000..90_000).contains(&wait), "its turn is in {wait} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_signed_is_not_defended() {
    let author = Author::new(1);
    let creator = author.key.creator();
    let soul = format!("{}:plain", author.key.soul_prefix());
    let record = |name: &str, at: &str, state| {
        let oip = json!({
            "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0", "indexedAt": at,
            "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
        });
        let values = [
            ("data", json!(text(name).to_string())),
            ("oip", json!(oip.to_string())),
        ];
        testkit::raw::node(&soul, &values, state)
    };
    let node = node(&[]).await;
    let mut client = node.client().await;
    let now = now_ms();
    let did = oip_record::Did::from_soul(&gun::Soul::new(soul.as_str()).unwrap());
    put(
        &mut client,
        record("new", "2026-01-02T00:00:00.000Z", now - 1_000),
    )
    .await;
    eventually("the unsigned record", || node.found(&did)).await;
    put(&mut client, record("old", "2026-01-01T00:00:00.000Z", now)).await;
    node.counted("records_skipped_total", 1).await;
    node.settles().await;
    assert_eq!(node.metric("records_healed_total"), 0);
    let document = node.get(&did).await.unwrap().unwrap();
    assert_eq!(document["data"]["post"]["articleText"], "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_of_a_record_with_slashes_in_its_name_is_healed_too() {
    let node = node(&[]).await;
    let name = "notes/2026/01.md";
    let published = node.publish(submission(name, text("one"))).await.unwrap();
    let mut client = node.client().await;
    let soul = published.soul.as_str();
    let before = client
        .get(soul, crate::support::PATIENCE)
        .await
        .unwrap()
        .unwrap();
    let overwrite = testkit::raw::node(soul, &[("data", json!("{}"))], now_ms() + 5);
    put(&mut client, overwrite).await;
    node.counted("records_healed_total", 1).await;
    let after = client
        .get(soul, crate::support::PATIENCE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overwrite_that_reached_two_nodes_is_healed_on_both_without_a_quarrel() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    let published = a.publish(submission("p", text("one"))).await.unwrap();
    b.shows(&published.did, &published.document).await;
    let soul = published.soul.as_str();
    let overwrite = testkit::raw::node(soul, &[("data", json!(null))], now_ms() + 5);
    for node in [&a, &b] {
        put(&mut node.client().await, overwrite.clone()).await;
    }
    let oip = oip_text(&a, soul).await;
    for node in [&a, &b] {
        let mut client = node.client().await;
        client
            .get_until(soul, crate::support::PATIENCE, |_| true)
            .await
            .unwrap();
        eventually("the graph as it was signed", || async {
            let shown = node
                .client()
                .await
                .get(soul, crate::support::PATIENCE)
                .await;
            shown
                .unwrap()
                .filter(|node| node["data"].is_string() && node["oip"] == oip)
                .map(drop)
        })
        .await;
        node.settles().await;
    }
    let healed = [&a, &b].map(|node| node.metric("records_healed_total"));
    assert!(healed.iter().all(|count| *count <= 1), "{healed:?}");
}

async fn oip_text(node: &crate::support::TestNode, soul: &str) -> serde_json::Value {
    let shown = node
        .client()
        .await
        .get(soul, crate::support::PATIENCE)
        .await;
    shown.unwrap().unwrap()["oip"].clone()
}
