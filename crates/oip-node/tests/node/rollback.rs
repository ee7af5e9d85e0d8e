//! No way back: whatever states an old version is given, the newest that was seen stands.

use oip_index::Access;
use serde_json::json;

use crate::support::{
    Author, PATIENCE, eventually, graph_shows, node, now_ms, put, submission, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_signed_version_with_newer_states_replaces_nothing_and_is_healed() {
    let now = now_ms();
    let author = Author::new(1);
    let old = author.version("tides", text("one"), now - 2_000);
    let new = author.version("tides", text("two"), now - 1_000);
    let node = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, old.announced(now - 2_000)).await;
    node.shows(&old.did, &old.document).await;
    put(&mut client, new.announced(now - 1_000)).await;
    node.shows(&new.did, &new.document).await;

    put(&mut client, old.announced(now)).await;
    node.counted("records_healed_total", 1).await;
    graph_shows(&mut client, &new).await;
    node.indexed().await;
    assert_eq!(node.found(&new.did).await, Some(new.document.clone()));
    assert_eq!(
        node.get(&new.did).await.unwrap(),
        Some(new.document.clone())
    );
    assert_eq!(node.metric("sync_errors_total"), 0, "old is not wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_of_many_versions_wins_in_whatever_order_they_come() {
    let now = now_ms();
    let author = Author::new(1);
    let version = |n: u64| author.version("tides", text(&n.to_string()), now - 1_000 + n);
    let node = node(&[]).await;
    let mut client = node.client().await;
    // The states rise, the versions don't.
    for (step, n) in [5, 2, 9, 1, 9, 4, 3].into_iter().enumerate() {
        put(&mut client, version(n).announced(now - 500 + step as u64)).await;
    }
    let newest = version(9);
    node.shows(&newest.did, &newest.document).await;
    // An overwrite is answered at once, but not twice within a minute: where discovery saw an earlier one
    // by itself, the last waits for its turn.
    eventually("the newest in the graph, or its healing noted", || async {
        let mut client = node.client().await;
        let shown = client.get(newest.soul.as_str(), PATIENCE).await.unwrap();
        let is_shown = shown.unwrap_or_default().get("oip") == Some(&json!(newest.oip_text));
        let told = node.explain(&newest.did, &Access::Everything).await;
        let waits = told.unwrap().unwrap().wanted.and_then(|row| row.reason);
        let is_noted = waits.as_deref() == Some("healed a moment ago");
        (is_shown || is_noted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_seen_before_a_restart_still_stands_after_it() {
    let now = now_ms();
    let author = Author::new(1);
    let old = author.version("tides", text("one"), now - 2_000);
    let new = author.version("tides", text("two"), now - 1_000);
    let node = node(&[]).await;
    put(&mut node.client().await, new.announced(now - 1_000)).await;
    node.shows(&new.did, &new.document).await;
    let node = node.restart(&[]).await;
    let mut client = node.client().await;
    put(&mut client, old.announced(now)).await;
    graph_shows(&mut client, &new).await;
    assert_eq!(
        node.get(&new.did).await.unwrap(),
        Some(new.document.clone())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nulls_over_a_record_with_newer_states_hide_nothing() {
    let node = node(&[]).await;
    let published = node.publish(submission("p", text("one"))).await.unwrap();
    let mut client = node.client().await;
    let soul = published.soul.as_str();
    let before = client
        .get(soul, crate::support::PATIENCE)
        .await
        .unwrap()
        .unwrap();
    let null = [("data", json!(null)), ("meta", json!(null))];
    put(&mut client, testkit::raw::node(soul, &null, now_ms() + 5)).await;
    node.counted("records_healed_total", 1).await;
    let after = client
        .get(soul, crate::support::PATIENCE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&after["data"], &after["oip"]),
        (&before["data"], &before["oip"])
    );
    node.indexed().await;
    assert_eq!(node.found(&published.did).await, Some(published.document));
}
