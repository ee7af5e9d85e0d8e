//! Which types are synced, and nodes that don't sync at all.

use std::collections::BTreeSet;

use oip_node::{SyncMode, TypeFilter};
use serde_json::json;

use crate::support::{
    Author, PATIENCE, eventually, node, node_with, now_ms, put, relay, submission, text,
};

fn types(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_types_hold_for_what_others_publish() {
    let relay = relay().await;
    let author = Author::new(1);
    let now = now_ms();
    let post = author.version("p", text("post"), now);
    let recipe = author.version_of("recipe", "r", text("recipe"), now);
    let mut client = relay.client().await;
    for version in [&post, &recipe] {
        put(&mut client, version.announced(now)).await;
    }
    let only = node_with(&[&relay], |config| {
        config.types = TypeFilter::Only(types(&["recipe"]));
    })
    .await;
    let except = node_with(&[&relay], |config| {
        config.types = TypeFilter::Except(types(&["post"]));
    })
    .await;
    for node in [&only, &except] {
        node.shows(&recipe.did, &recipe.document).await;
        node.sync_now().await.unwrap();
        assert_eq!(node.get(&post.did).await.unwrap(), None);
        assert_eq!(node.metric("record_fetches_total"), 1, "not even fetched");
        // Put on the node itself, without or with an entry, it is no more wanted.
        let mut client = node.client().await;
        put(&mut client, post.record(now)).await;
        put(&mut client, post.entry(now + 1)).await;
        node.settles().await;
        assert_eq!(node.get(&post.did).await.unwrap(), None);
        assert_eq!(node.health().quarantine, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_sync_publishes_and_relays_and_discovers_nothing() {
    let a = node(&[]).await;
    let on_a = a.publish(submission("on-a", text("a"))).await.unwrap();
    let quiet = node_with(&[&a], |config| config.sync.mode = SyncMode::Off).await;
    let c = node(&[&quiet]).await;

    // Publishes: told to whom it dials, found by who dials it.
    let own = quiet.publish(submission("own", text("own"))).await.unwrap();
    a.shows(&own.did, &own.document).await;
    c.shows(&own.did, &own.document).await;

    // Relays: what it does not have it asks for, and gives to the asker.
    let soul = on_a.soul.as_str();
    let mut client = quiet.client().await;
    let record = eventually("the record through the relay", || async {
        let shown = quiet.client().await.get(soul, PATIENCE).await.unwrap();
        shown.filter(|node| node.contains_key("oip"))
    })
    .await;
    assert!(record["data"].is_string());

    // Discovers nothing: the record lies in its graph, announced, and stays foreign data.
    let entry = crate::support::entry("post", &on_a.soul, "n", now_ms());
    put(&mut client, entry).await;
    assert_eq!(quiet.health().wanted, 0);
    assert_eq!(quiet.get(&on_a.did).await.unwrap(), None);
    quiet.indexed().await;
    assert_eq!(quiet.found(&on_a.did).await, None);
    let error = quiet.sync_now().await.unwrap_err().to_string();
    assert!(error.contains("GUN_SYNC_ENABLED=true"), "{error}");
    assert!(!quiet.health().running);
    assert_eq!(quiet.health().status, "healthy");
    assert_eq!(
        json!(quiet.health().configuration.private_records_enabled),
        json!(false)
    );
}
