//! Deletions: signed, final against older copies, and by nobody but the creator.

use serde_json::{Value, json};

use crate::support::{
    Author, PATIENCE, TestNode, Version, eventually, graph_shows, node, now_ms, put, submission,
    text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_does_not_bring_a_deleted_record_back_and_a_later_publish_does() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    let published = a.publish(submission("p", text("one"))).await.unwrap();
    b.shows(&published.did, &published.document).await;
    let soul = published.soul.as_str();
    let copy = a.client().await.get(soul, PATIENCE).await.unwrap().unwrap();

    a.delete(&published.did).await.unwrap();
    assert_eq!(a.get(&published.did).await.unwrap(), None);
    for node in [&a, &b] {
        node.hides(&published.did).await;
    }

    // The copy comes back with newer states, announced anew.
    let values: Vec<(&str, Value)> = copy.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    let again = crate::support::join(
        testkit::raw::node(soul, &values, now_ms() + 5),
        crate::support::entry("post", &published.soul, "somebody", now_ms() + 5),
    );
    put(&mut b.client().await, again).await;
    eventually("the copy was met", || async {
        let healed = [&a, &b].map(|node| node.metric("records_healed_total"));
        (healed.iter().sum::<u64>() > 0).then_some(())
    })
    .await;
    eventually("the tombstone in the graph", || async {
        let shown = b.client().await.get(soul, PATIENCE).await.unwrap().unwrap();
        let is_tombstone = shown["oip"].as_str().unwrap().contains("\"deleted\":true");
        (shown["data"].is_null() && is_tombstone).then_some(())
    })
    .await;
    for node in [&a, &b] {
        node.hides(&published.did).await;
    }

    let revived = a.publish(submission("p", text("two"))).await.unwrap();
    assert_eq!((&revived.did, revived.edited), (&published.did, false));
    for node in [&a, &b] {
        node.shows(&revived.did, &revived.document).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_tombstone_of_a_record_that_was_never_seen_is_kept_against_its_older_copy() {
    let now = now_ms();
    let author = Author::new(1);
    let version = author.version("tides", text("one"), now - 2_000);
    let tombstone = author.tombstone(&version, now - 1_000);
    let node = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, tombstone.record(now - 1_000)).await;
    node.counted("records_deleted_total", 1).await;
    put(&mut client, version.announced(now)).await;
    graph_shows(&mut client, &tombstone).await;
    node.hides(&version.did).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_tombstone_deletes_nothing() {
    type Forgery = fn(&Version, u64) -> Value;
    let unsigned: Forgery = |victim, at| {
        let mut oip = victim.oip();
        for member in ["signature", "scheme", "arrays"] {
            oip.as_object_mut().unwrap().remove(member);
        }
        forged(victim, &oip, at)
    };
    let under_the_old_signature: Forgery = |victim, at| forged(victim, &victim.oip(), at);
    let by_another_key: Forgery = |victim, at| forged(victim, &theirs(at).oip(), at);
    let by_another_key_in_the_victims_name: Forgery = |victim, at| {
        let mut oip = theirs(at).oip();
        for member in ["creator", "did", "didTx"] {
            oip[member] = victim.oip()[member].clone();
        }
        forged(victim, &oip, at)
    };
    for (forgery, reason) in [
        (unsigned, "unsigned"),
        (under_the_old_signature, "bad-signature"),
        (by_another_key, "prefix-mismatch"),
        (by_another_key_in_the_victims_name, "bad-signature"),
    ] {
        deletes_nothing(forgery, reason).await;
    }
}

/// A tombstone that another author signed for a record of his.
fn theirs(at: u64) -> Version {
    let attacker = Author::new(66);
    attacker.tombstone(&attacker.version("tides", text("mine"), at - 1), at)
}

fn forged(victim: &Version, oip: &Value, at: u64) -> Value {
    let mut oip = oip.clone();
    oip["deleted"] = json!(true);
    let values = [("data", json!(null)), ("oip", json!(oip.to_string()))];
    let null = [(victim.soul.as_str(), json!(null))];
    crate::support::join(
        testkit::raw::node(victim.soul.as_str(), &values, at),
        testkit::raw::node("oip:registry:index:post", &null, at),
    )
}

async fn deletes_nothing(forgery: fn(&Version, u64) -> Value, reason: &str) {
    let now = now_ms();
    let victim = Author::new(1).version("tides", text("one"), now - 1_000);
    let node: TestNode = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, victim.announced(now - 1_000)).await;
    node.shows(&victim.did, &victim.document).await;
    put(&mut client, forgery(&victim, now)).await;
    node.refuses(reason).await;
    graph_shows(&mut client, &victim).await;
    node.indexed().await;
    let found = node.found(&victim.did).await;
    assert_eq!(found, Some(victim.document.clone()), "{reason}");
    assert_eq!(node.get(&victim.did).await.unwrap(), found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_another_creator_can_not_be_deleted_here() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    let published = a.publish(submission("p", text("one"))).await.unwrap();
    b.shows(&published.did, &published.document).await;
    let error = b.delete(&published.did).await.unwrap_err().to_string();
    assert!(error.contains("another creator"), "{error}");
    let unknown = oip_record::Did::parse("did:gun:0123456789ab:none").unwrap();
    let error = b.delete(&unknown).await.unwrap_err().to_string();
    assert!(
        error.contains("no record did:gun:0123456789ab:none"),
        "{error}"
    );
    assert!(b.get(&published.did).await.unwrap().is_some());
}
