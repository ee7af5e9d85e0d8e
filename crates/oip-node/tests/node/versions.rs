//! Versions made here: found at once, in one order, whatever is published at the same time.

use std::collections::BTreeSet;

use crate::support::{Author, node, now_ms, put, submission, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_got_at_once_after_publish_edit_and_delete() {
    let node = node(&[]).await;
    let first = node.publish(submission("p", text("one"))).await.unwrap();
    assert_eq!(node.get(&first.did).await.unwrap(), Some(first.document));
    let second = node.publish(submission("p", text("two"))).await.unwrap();
    assert_eq!(second.did, first.did);
    assert!(second.edited && !first.edited);
    assert_eq!(node.get(&first.did).await.unwrap(), Some(second.document));
    node.delete(&first.did).await.unwrap();
    assert_eq!(node.get(&first.did).await.unwrap(), None);
    let again = node.delete(&first.did).await.unwrap_err().to_string();
    assert!(again.contains("no record"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_within_one_millisecond_bear_later_and_later_times() {
    let node = node(&[]).await;
    let mut stamps = Vec::new();
    for n in 0..30 {
        let published = node
            .publish(submission("p", text(&n.to_string())))
            .await
            .unwrap();
        stamps.push(published.document["oip"]["indexedAt"].to_string());
    }
    let mut sorted = stamps.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(stamps, sorted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_stamped_after_a_version_that_lies_ahead_of_the_clock() {
    let ahead = now_ms() + 60_000;
    let key = Author::new(9);
    let version = key.version("p", text("from a clock ahead"), ahead);
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    let file = dir.path().join("keys/creator.json");
    std::fs::write(file, key.key.to_file_json()).unwrap();
    let node = crate::support::node_on(dir, &[], |_| {}).await;
    put(&mut node.client().await, version.announced(now_ms())).await;
    node.shows(&version.did, &version.document).await;
    let edited = node.publish(submission("p", text("edited"))).await.unwrap();
    assert!(edited.edited && edited.did == version.did);
    let at = edited.document["oip"]["indexedAt"].as_str().unwrap();
    let at = oip_record::Stamp::parse(at).unwrap().ms();
    assert_eq!(at, i64::try_from(ahead).unwrap() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_name_published_many_times_at_once_ends_as_one_record_on_both_nodes() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let node = a.node.clone();
        tasks.spawn(async move { node.publish(submission("p", text(&n.to_string()))).await });
    }
    let all: Vec<_> = tasks
        .join_all()
        .await
        .into_iter()
        .map(|done| done.unwrap())
        .collect();
    let stamp = |document: &serde_json::Value| document["oip"]["indexedAt"].to_string();
    let stamps: BTreeSet<String> = all.iter().map(|done| stamp(&done.document)).collect();
    assert_eq!(stamps.len(), 16, "each has a time of its own");
    let newest = all.iter().max_by_key(|done| stamp(&done.document)).unwrap();
    assert_eq!(all.iter().filter(|done| !done.edited).count(), 1);
    assert_eq!(
        a.get(&newest.did).await.unwrap().as_ref(),
        Some(&newest.document)
    );
    for node in [&a, &b] {
        node.shows(&newest.did, &newest.document).await;
        assert_eq!(node.health().registry.total_records_registered, 1);
    }
}
