//! What is not a record, or not its creator's: refused by name, counted, kept to be looked at; what
//! is held stays, and the graph shows it again.

use serde_json::{Value, json};

use crate::support::{
    Author, TestNode, Version, graph_shows, join, node, now_ms, put, store_of, text,
};

/// A node that holds a version, whose state in the graph is `at`.
async fn holding(version: &Version, at: u64) -> TestNode {
    let node = node(&[]).await;
    put(&mut node.client().await, version.announced(at)).await;
    node.shows(&version.did, &version.document).await;
    node
}

/// Puts an overwrite over a held version; it has to end in nothing but a quarantined row.
async fn overwrite_is_refused(spoil: impl Fn(&Version, u64) -> Value, reason: &str) {
    let now = now_ms();
    let held = Author::new(1).version("tides", text("one"), now - 1_000);
    let node = holding(&held, now - 1_000).await;
    let mut client = node.client().await;
    put(&mut client, spoil(&held, now)).await;
    node.refuses(reason).await;
    graph_shows(&mut client, &held).await;
    node.counted("records_healed_total", 1).await;
    node.shows(&held.did, &held.document).await;
    assert_eq!(
        node.get(&held.did).await.unwrap(),
        Some(held.document.clone())
    );
    let dir = node.stop().await;
    let store = store_of(&dir);
    let row = store.quarantined(&held.soul).unwrap().unwrap();
    assert_eq!(row.reason, reason);
    assert_eq!(
        *store.record(&held.soul).unwrap().unwrap().oip,
        *held.oip_text
    );
}

/// The last letter but the padding, changed: still base64.
fn spoiled_signature(version: &Version) -> String {
    let mut oip = version.oip();
    let signature = oip["signature"].as_str().unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    oip["signature"] = json!(format!("{other}{}", &signature[1..]));
    oip.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_fails_is_refused_and_the_graph_healed() {
    overwrite_is_refused(
        |held, at| held.altered(&[("oip", json!(spoiled_signature(held)))], at),
        "bad-signature",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_data_under_the_old_signature_is_refused_and_the_graph_healed() {
    overwrite_is_refused(
        |held, at| {
            let data = held.data_text.as_ref().unwrap().replace("one", "two");
            held.altered(&[("data", json!(data))], at)
        },
        "bad-signature",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_one_version_with_the_oip_of_another_is_torn_and_the_graph_healed() {
    overwrite_is_refused(
        |held, at| {
            let newer = Author::new(1).version("tides", text("two"), at);
            let oip = [("oip", json!(newer.oip_text))];
            testkit::raw::node(held.soul.as_str(), &oip, at)
        },
        "torn",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_or_oip_that_lead_nowhere_are_refused_and_the_graph_healed() {
    let nowhere = |held: &Version| json!({"#": format!("{}/nowhere", held.soul)});
    overwrite_is_refused(
        |held, at| held.altered(&[("data", nowhere(held))], at),
        "torn",
    )
    .await;
    overwrite_is_refused(
        |held, at| held.altered(&[("oip", nowhere(held))], at),
        "torn",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_record_at_all_in_place_of_one_is_refused_and_the_graph_healed() {
    let nothing = |held: &Version, at| held.altered(&[("oip", json!(null))], at);
    overwrite_is_refused(nothing, "not-oip").await;
    let noise =
        |held: &Version, at| held.altered(&[("oip", json!("noise")), ("data", json!(5))], at);
    overwrite_is_refused(noise, "not-an-object").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_can_not_write_over_a_record_whatever_it_claims() {
    let attacker = Author::new(66);
    // Signed by the attacker for the soul it may not write.
    overwrite_is_refused(
        |held, at| {
            let theirs = attacker.version("tides", text("mine now"), at);
            let values = [
                ("oip", json!(theirs.oip_text)),
                ("data", json!(theirs.data_text)),
            ];
            held.altered(&values, at)
        },
        "prefix-mismatch",
    )
    .await;
    // In the victim's name, with the attacker's signature.
    overwrite_is_refused(
        |held, at| {
            let theirs = attacker.version("tides", text("mine now"), at);
            let mut oip = theirs.oip();
            for member in ["creator", "did", "didTx"] {
                oip[member] = held.oip()[member].clone();
            }
            let values = [
                ("oip", json!(oip.to_string())),
                ("data", json!(theirs.data_text)),
            ];
            held.altered(&values, at)
        },
        "bad-signature",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_at_a_soul_that_is_not_its_creators_is_refused_and_leaves_others_alone() {
    let now = now_ms();
    let version = Author::new(1).version("tides", text("one"), now);
    let elsewhere = "0123456789ab0123456789ab01234567:tides";
    let values = [
        ("data", json!(version.data_text)),
        ("oip", json!(version.oip_text)),
    ];
    let node = node(&[]).await;
    let moved = testkit::raw::node(elsewhere, &values, now);
    let good = Author::new(2).version("good", text("good"), now);
    put(&mut node.client().await, join(moved, good.announced(now))).await;
    node.refuses("prefix-mismatch").await;
    node.shows(&good.did, &good.document).await;
    let soul = gun::Soul::new(elsewhere).unwrap();
    let did = oip_record::Did::from_soul(&soul);
    assert_eq!(node.get(&did).await.unwrap(), None);
    node.quarantines(1).await;
    let health = node.health();
    assert_eq!(health.metrics.total_errors, 1);
    assert_eq!(health.status, "unhealthy", "a refusal just now shows");
    let dir = node.stop().await;
    let row = store_of(&dir).quarantined(&soul).unwrap().unwrap();
    assert_eq!(row.reason, "prefix-mismatch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_leaves_quarantine_when_its_whole_version_arrives() {
    let now = now_ms();
    let author = Author::new(1);
    let first = author.version("tides", text("one"), now - 2_000);
    let second = author.version("tides", text("two"), now - 1_000);
    let node = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, first.announced(now - 2_000)).await;
    node.shows(&first.did, &first.document).await;
    let oip = [("oip", json!(second.oip_text))];
    put(
        &mut client,
        testkit::raw::node(first.soul.as_str(), &oip, now - 1_000),
    )
    .await;
    node.refuses("torn").await;
    node.quarantines(1).await;
    node.counted("records_healed_total", 1).await;
    put(&mut client, second.record(now_ms() + 5)).await;
    node.shows(&second.did, &second.document).await;
    node.quarantines(0).await;
    node.settles().await;
}
