//! Deletions that a record's owner signs: taken where the version stands that names him, and nowhere on his word.

use oip_index::Access;
use oip_node::backup::restore;
use oip_record::CreatorKey;
use oip_record::keys::PublicKey;
use serde_json::{Value, json};

use crate::own_backup::back_up;
use crate::support::{
    Author, PATIENCE, TestNode, Version, config, eventually, graph_shows, join, node, node_on,
    now_ms, owned_text, put, submission, text,
};

/// A user as deployed nodes know them.
fn user(seed: u8) -> Author {
    Author {
        key: CreatorKey::secp256k1([seed; 32]).unwrap(),
    }
}

/// His key as access control names it.
fn digits(user: &Author) -> String {
    let key = PublicKey::of_creator(user.key.creator()).unwrap();
    key.owner().as_str().to_owned()
}

fn owned_by(user: &Author, at_ms: u64) -> Version {
    Author::new(1).version("tides", owned_text(&digits(user), "one"), at_ms)
}

async fn shown_on(nodes: &[&TestNode], version: &Version) {
    put(&mut nodes[0].client().await, version.announced(now_ms())).await;
    for node in nodes {
        node.shows(&version.did, &version.document).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_deletes_on_every_node_for_good_and_the_creator_publishes_again() {
    let (b, owner, now) = (node(&[]).await, user(7), now_ms());
    let a = node(&[&b]).await;
    let version = owned_by(&owner, now - 3_000);
    shown_on(&[&b, &a], &version).await;
    let tombstone = owner.tombstone_of_his(&version, now - 2_000);
    put(&mut a.client().await, taken_back(&tombstone, now_ms() + 5)).await;
    for node in [&a, &b] {
        graph_shows(&mut node.client().await, &tombstone).await;
        node.hides(&version.did).await;
    }

    // It stands after a restart, and against the version that it deleted.
    let b = b.restart(&[]).await;
    let mut client = b.client().await;
    put(&mut client, version.announced(now_ms() + 15)).await;
    b.counted("records_healed_total", 1).await;
    graph_shows(&mut client, &tombstone).await;
    b.hides(&version.did).await;

    let data = owned_text(&digits(&owner), "two");
    let revived = Author::new(1).version("tides", data, now_ms());
    put(&mut client, revived.announced(now_ms() + 30)).await;
    b.shows(&revived.did, &revived.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_the_owner_deletes_nothing_and_is_refused_by_name() {
    type Forgery = fn(&Version, &Author, u64) -> Value;
    let by_a_stranger: Forgery = |victim, _, at| user(8).tombstone_of_his(victim, at).record(at);
    let in_the_owners_name: Forgery = |victim, owner, at| {
        let mut oip = user(8).tombstone_of_his(victim, at).oip();
        oip["deletedBy"] = owner.key.creator().to_value();
        altered(victim, &oip, at)
    };
    let in_the_creators_name: Forgery = |victim, owner, at| {
        let mut oip = owner.tombstone_of_his(victim, at).oip();
        oip.as_object_mut().unwrap().remove("deletedBy");
        oip["scheme"] = json!("oip-record-1/public");
        altered(victim, &oip, at)
    };
    let by_an_address_of_another_key: Forgery = |victim, owner, at| {
        let mut oip = owner.tombstone_of_his(victim, at).oip();
        oip["deletedBy"]["didAddress"] = victim.oip()["creator"]["didAddress"].clone();
        altered(victim, &oip, at)
    };
    for (forgery, reason) in [
        (by_a_stranger, "not-owner"),
        (in_the_owners_name, "bad-signature"),
        (in_the_creators_name, "bad-signature"),
        (by_an_address_of_another_key, "bad-member"),
    ] {
        let (node, owner, now) = (node(&[]).await, user(7), now_ms());
        let victim = owned_by(&owner, now - 1_000);
        shown_on(&[&node], &victim).await;
        let mut client = node.client().await;
        put(&mut client, forgery(&victim, &owner, now_ms() + 5)).await;
        node.refuses(reason).await;
        graph_shows(&mut client, &victim).await;
        assert_eq!(
            node.get(&victim.did).await.unwrap(),
            Some(victim.document.clone()),
            "{reason}"
        );
    }
}

/// A tombstone, and the index that names its record no more, as a client writes both.
fn taken_back(tombstone: &Version, at: u64) -> Value {
    let null = [(tombstone.soul.as_str(), Value::Null)];
    join(
        tombstone.record(at),
        testkit::raw::node("oip:registry:index:post", &null, at),
    )
}

fn altered(victim: &Version, oip: &Value, at: u64) -> Value {
    victim.altered(
        &[("data", Value::Null), ("oip", json!(oip.to_string()))],
        at,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_owner_deletes_nothing_and_what_took_it_from_him_brings_it_back() {
    let (node, owner, now) = (node(&[]).await, user(7), now_ms());
    let mut client = node.client().await;
    let first = owned_by(&owner, now - 9_000);
    let taken = Author::new(1).version("tides", text("nobody's"), now - 5_000);
    let tombstone = owner.tombstone_of_his(&first, now - 1_000);
    shown_on(&[&node], &first).await;
    // Here the version that names him no more comes after his deletion, though it is older.
    put(&mut client, tombstone.record(now_ms())).await;
    node.hides(&first.did).await;
    put(&mut client, taken.announced(now_ms() + 5)).await;
    node.shows(&taken.did, &taken.document).await;
    put(&mut client, tombstone.record(now_ms() + 10)).await;
    node.refuses("not-owner").await;
    assert_eq!(
        node.get(&taken.did).await.unwrap(),
        Some(taken.document.clone())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owners_deletion_is_not_believed_before_the_version_that_names_him() {
    let (node, owner, now) = (node(&[]).await, user(7), now_ms());
    let mut client = node.client().await;
    let version = owned_by(&owner, now - 2_000);
    let tombstone = owner.tombstone_of_his(&version, now - 1_000);
    put(&mut client, tombstone.record(now - 1_000)).await;
    node.refuses("owner-unknown").await;
    eventually("it waits", || async {
        (node.health().wanted == 1).then_some(())
    })
    .await;
    shown_on(&[&node], &version).await;
    put(&mut client, tombstone.record(now_ms() + 5)).await;
    node.hides(&version.did).await;
    node.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_creator_deletes_what_is_sealed() {
    let b = node(&[]).await;
    let (a, owner) = (node(&[&b]).await, user(7));
    let mut data = owned_text(&digits(&owner), "a needle");
    data["accessControl"]["access_level"] = json!("private");
    let published = a.publish(submission("p", data)).await.unwrap();
    assert!(published.encrypted);
    b.counted("records_synced_total", 1).await;
    let shown = eventually("ciphertext on the other node", || async {
        let mut client = b.client().await;
        let node = client.get(published.soul.as_str(), PATIENCE).await;
        let oip = node.unwrap()?["oip"].as_str()?.to_owned();
        serde_json::from_str::<Value>(&oip).ok()
    })
    .await;
    let key = shown["creator"]["publicKey"].as_str().unwrap();
    let creator = oip_record::Creator {
        did_address: shown["creator"]["didAddress"].as_str().unwrap().to_owned(),
        public_key: key.to_owned(),
    };
    let mut victim = owned_by(&owner, now_ms());
    victim.0.soul = published.soul.clone();
    victim.0.creator = creator;
    let tombstone = owner.tombstone_of_his(&victim, now_ms() + 1_000);
    // The publisher could read whose it is; the others could not follow it. A healing of one may come before what is put
    // on the other, which is put again then.
    for node in [&b, &a] {
        eventually("a refusal as not-owner", || async {
            let mut client = node.client().await;
            put(&mut client, tombstone.record(now_ms() + 5)).await;
            (node.rejected("not-owner") > 0).then_some(())
        })
        .await;
    }
    let held = a.get_as(&published.did, &Access::Everything).await;
    assert!(held.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_that_published_takes_back_what_its_owner_deleted() {
    let (node, owner) = (node(&[]).await, user(7));
    let data = owned_text(&digits(&owner), "one");
    let published = node.publish(submission("p", data)).await.unwrap();
    node.shows(&published.did, &published.document).await;
    let mut client = node.client().await;
    let lies = client.get(published.soul.as_str(), PATIENCE).await.unwrap();
    let oip: Value = serde_json::from_str(lies.unwrap()["oip"].as_str().unwrap()).unwrap();
    let mut of = owned_by(&owner, now_ms());
    of.0.soul = published.soul.clone();
    of.0.creator = oip_record::Creator {
        did_address: oip["creator"]["didAddress"].as_str().unwrap().to_owned(),
        public_key: oip["creator"]["publicKey"].as_str().unwrap().to_owned(),
    };
    let tombstone = owner.tombstone_of_his(&of, now_ms() + 1_000);
    put(&mut client, tombstone.record(now_ms() + 5)).await;
    node.hides(&published.did).await;
    let index = client.get("oip:registry:index:post", PATIENCE).await;
    assert_eq!(
        index.unwrap().unwrap()[published.soul.as_str()],
        Value::Null
    );
    // As after any deletion, publishing it again brings it back.
    let data = owned_text(&digits(&owner), "two");
    let revived = node.publish(submission("p", data)).await.unwrap();
    node.shows(&revived.did, &revived.document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owners_deletion_survives_a_backup_and_its_restoring() {
    let (node, owner, now) = (node(&[]).await, user(7), now_ms());
    let version = owned_by(&owner, now - 3_000);
    shown_on(&[&node], &version).await;
    let tombstone = owner.tombstone_of_his(&version, now - 2_000);
    put(&mut node.client().await, tombstone.record(now_ms())).await;
    node.hides(&version.did).await;
    let file = back_up(&node, "whole.backup").await;
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let report = restore(&config(dir.path()), &file, |_| {}).unwrap();
    assert_eq!((report.records.taken, report.records.found), (1, 1));
    let restored = node_on(dir, &[], |_| {}).await;
    let mut client = restored.client().await;
    put(&mut client, version.announced(now_ms() + 5)).await;
    graph_shows(&mut client, &tombstone).await;
    restored.hides(&version.did).await;
}
