//! How records that no node of ours announced are found.

use serde_json::json;
use testkit::raw;

use crate::support::{
    Author, PATIENCE, eventually, node, node_with, now_ms, put, relay, submission, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_put_by_any_client_with_its_registry_entry_is_verified_and_indexed() {
    let node = node(&[]).await;
    let now = now_ms();
    let version = Author::new(1).version("tides", text("one"), now);
    put(&mut node.client().await, version.announced(now)).await;
    node.shows(&version.did, &version.document).await;
    assert_eq!(
        node.get(&version.did).await.unwrap(),
        Some(version.document.clone())
    );
    assert_eq!(version.document["oip"].get("verification"), None);
    let health = node.health();
    assert_eq!(
        (health.metrics.total_synced, health.metrics.total_errors),
        (1, 0)
    );
    assert_eq!((health.wanted, health.quarantine), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_form_of_registry_entry_leads_to_the_record_by_itself() {
    let relay = relay().await;
    let reader = node(&[&relay]).await;
    let now = now_ms();
    let author = Author::new(1);
    let names = ["by-index", "by-target", "alone"];
    let versions = names.map(|name| author.version(name, text(name), now));
    let mut on_relay = relay.client().await;
    for version in &versions {
        put(&mut on_relay, version.record(now)).await;
    }
    // The reader hears one entry of each form, and has to ask the relay for the record.
    let [by_index, by_target, alone] = versions.each_ref().map(|version| version.soul.as_str());
    let index = "oip:registry:index:post";
    let fields = |soul: &str| {
        [
            ("soul", json!(soul)),
            ("nodeId", json!("n")),
            ("timestamp", json!(now)),
        ]
    };
    let entries = [
        raw::node(
            index,
            &[(by_index, json!({"#": format!("{index}/{by_index}")}))],
            now,
        ),
        raw::node(&format!("{index}/{by_target}"), &fields(by_target), now),
        raw::node(&format!("{index}:{alone}"), &fields(alone), now),
    ];
    let mut on_reader = reader.client().await;
    for (entry, version) in entries.into_iter().zip(&versions) {
        put(&mut on_reader, entry).await;
        reader.shows(&version.did, &version.document).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_nobody_listed_is_found_through_the_directory_old_or_new() {
    let relay = relay().await;
    let mut client = relay.client().await;
    let author = Author::new(1);
    let now = now_ms();
    let old = author.version_of("tideTable", "old", text("old"), now);
    put(&mut client, old.announced(now)).await;
    let reader = node(&[&relay]).await;
    reader.shows(&old.did, &old.document).await;
    // The directory is followed: a type that turns up later is found without a sweep.
    let new = author.version_of("moonTable", "new", text("new"), now);
    put(&mut client, new.announced(now)).await;
    reader.shows(&new.did, &new.document).await;
    assert_eq!(reader.metric("sweeps_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_root_of_its_own_keeps_networks_apart() {
    let with_root = |root: &'static str| {
        move |config: &mut oip_node::NodeConfig| config.registry_root = root.to_owned()
    };
    let a = node_with(&[], with_root("lab:registry")).await;
    let same = node_with(&[&a], with_root("lab:registry")).await;
    let other = node(&[&a]).await;
    let published = a.publish(submission("p", text("one"))).await.unwrap();
    eventually("the record in the same network", || {
        same.found(&published.did)
    })
    .await;
    other.sync_now().await.unwrap();
    assert_eq!(other.found(&published.did).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_is_fetched_once() {
    let a = node(&[]).await;
    let mut dids = Vec::new();
    for n in 0..10 {
        let published = a
            .publish(submission(&format!("old-{n}"), text("old")))
            .await;
        dids.push(published.unwrap().did);
    }
    let fetching = node(&[&a]).await;
    for did in &dids {
        eventually("a record that was there", || fetching.found(did)).await;
    }
    assert_eq!(fetching.metric("record_fetches_total"), 10);
    // An edit and a new record cost one question each, a sweep none.
    let edited = a.publish(submission("old-3", text("new"))).await.unwrap();
    fetching.shows(&edited.did, &edited.document).await;
    let new = a.publish(submission("new", text("new"))).await.unwrap();
    fetching.shows(&new.did, &new.document).await;
    fetching.sync_now().await.unwrap();
    assert_eq!(fetching.metric("record_fetches_total"), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_dialled_is_told_whole_records_and_needs_to_ask_for_nothing() {
    let a = node(&[]).await;
    let published = a.publish(submission("tides", text("told"))).await.unwrap();
    // A relay that knows nobody has what it was told, and nothing else.
    let told = relay().await;
    let a = a.restart(&[&told]).await;
    let index = "oip:registry:index:post";
    for (soul, key) in [
        (published.did.soul().as_str(), "oip"),
        (index, published.did.soul().as_str()),
    ] {
        eventually("what a relay is told", || async {
            let shown = told.client().await.get(soul, PATIENCE).await.unwrap()?;
            shown.contains_key(key).then_some(())
        })
        .await;
    }
    drop(a);
}
