//! Every way in which two nodes may be joined, with what may happen to the joints.

use std::time::Duration;

use serde_json::json;
use testkit::{GunRelay, Interop, RawGun, RelayOptions, interop, raw, wait_until};

use crate::journey::{
    ARRIVAL, all_arrive_once, edit_and_delete_arrive, health, node, public_records, publish_all,
};

async fn relay(interop: &Interop, peers: Vec<String>) -> GunRelay {
    let touch = (!peers.is_empty()).then(|| "oip:registry:index".to_owned());
    let options = RelayOptions {
        peers,
        touch,
        ..RelayOptions::default()
    };
    GunRelay::start(interop, options).await.unwrap()
}

#[tokio::test]
async fn two_nodes_linked_directly_by_the_publisher() {
    let b = node("b", "").await;
    let a = node("a", b.relay()).await;
    let published = publish_all(&a, &public_records()).await;
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn two_nodes_linked_directly_by_the_reader() {
    let a = node("a", "").await;
    let b = node("b", a.relay()).await;
    let published = publish_all(&a, &public_records()).await;
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn three_nodes_in_a_row() {
    let b = node("b", "").await;
    let a = node("a", b.relay()).await;
    let c = node("c", b.relay()).await;
    let published = publish_all(&a, &public_records()).await;
    all_arrive_once(&b, &published).await;
    all_arrive_once(&c, &published).await;
    edit_and_delete_arrive(&a, &c, &published).await;
}

#[tokio::test]
async fn a_gun_js_relay_between_two_nodes() {
    let Some(interop) = interop() else { return };
    let relay = relay(&interop, Vec::new()).await;
    let a = node("a", &relay.url()).await;
    let b = node("b", &relay.url()).await;
    let published = publish_all(&a, &public_records()).await;
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn two_gun_js_relays_between_two_nodes() {
    let Some(interop) = interop() else { return };
    let near = relay(&interop, Vec::new()).await;
    let far = relay(&interop, vec![near.url()]).await;
    let a = node("a", &near.url()).await;
    let b = node("b", &far.url()).await;
    let published = publish_all(&a, &public_records()).await;
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn a_node_that_starts_long_after_finds_what_a_restarted_relay_holds() {
    let Some(interop) = interop() else { return };
    let mut relay = relay(&interop, Vec::new()).await;
    let a = node("a", &relay.url()).await;
    let published = publish_all(&a, &public_records()).await;
    acknowledged(&a).await;
    relay.restart().await.unwrap();
    let b = node("b", &relay.url()).await;
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn a_reader_that_restarts_in_the_middle() {
    let Some(interop) = interop() else { return };
    let relay = relay(&interop, Vec::new()).await;
    let a = node("a", &relay.url()).await;
    let mut b = node("b", &relay.url()).await;
    let fixtures = public_records();
    let (first, second) = fixtures.split_at(fixtures.len() / 2);
    let mut published = publish_all(&a, first).await;
    all_arrive_once(&b, &published).await;
    assert_eq!(
        b.terminate().await.unwrap(),
        Some(0),
        "SIGTERM drains and exits 0"
    );
    let missed = publish_all(&a, second).await;
    b.restart().await.unwrap();
    // Counters begin anew: what was kept before the restart must not be taken again.
    for record in &missed {
        crate::journey::arrives(&b, record).await;
    }
    assert_eq!(
        crate::journey::counter(&b, "records_synced").await,
        missed.len() as u64
    );
    published.extend(missed);
    for record in &published {
        crate::journey::arrives(&b, record).await;
    }
    edit_and_delete_arrive(&a, &b, &published).await;
}

#[tokio::test]
async fn a_relay_that_restarts_in_the_middle() {
    let Some(interop) = interop() else { return };
    let mut relay = relay(&interop, Vec::new()).await;
    let a = node("a", &relay.url()).await;
    let b = node("b", &relay.url()).await;
    let fixtures = public_records();
    let (first, second) = fixtures.split_at(fixtures.len() / 2);
    let mut published = publish_all(&a, first).await;
    all_arrive_once(&b, &published).await;
    relay.stop().await.unwrap();
    published.extend(publish_all(&a, second).await);
    relay.restart().await.unwrap();
    all_arrive_once(&b, &published).await;
    edit_and_delete_arrive(&a, &b, &published).await;
}

/// Waits until the relay has acknowledged everything that was published on the node.
async fn acknowledged(node: &testkit::NodeProcess) {
    wait_until(
        ARRIVAL,
        "the relay has acknowledged every record",
        || async {
            let health = health(node).await;
            let lag = health["peers"][0]["lagRecords"].as_u64();
            if lag == Some(0) {
                Ok(())
            } else {
                Err(format!("{lag:?} records are not acknowledged: {health}"))
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_a_client_follows_arrives_from_a_relay_behind_and_after_its_restart() {
    const SOUL: &str = "0123456789ab:followed";
    let Some(interop) = interop() else { return };
    let mut relay = relay(&interop, Vec::new()).await;
    let node = node("a", &relay.url()).await;
    let mut client = RawGun::connect(node.relay()).await.unwrap();
    let value = |text: &str, at_ms: u64| raw::node(SOUL, &[("data", json!(text))], at_ms);
    // It is here from the beginning, so that no miss asks for it.
    client.put(value("first", 1_000), ARRIVAL).await.unwrap();
    client.get(SOUL, ARRIVAL).await.unwrap();
    for (number, text) in ["second", "third"].into_iter().enumerate() {
        // The relay knows whom to push to once it was asked: until then the change is repeated under new times.
        let mut at_ms = 2_000 + 1_000_000 * number as u64;
        let heard = loop {
            at_ms += 1;
            let mut writer = RawGun::connect(&relay.url()).await.unwrap();
            writer.put(value(text, at_ms), ARRIVAL).await.unwrap();
            let pushed = client.find(Duration::from_secs(1), |message| {
                message["put"][SOUL]["data"] == *text
            });
            if let Ok(message) = pushed.await {
                break message;
            }
            assert!(at_ms % 1_000 < 60, "{text} did not arrive within a minute");
        };
        assert!(heard["@"].is_null(), "{heard}");
        relay.kill9().await.unwrap();
        relay.restart().await.unwrap();
    }
}
