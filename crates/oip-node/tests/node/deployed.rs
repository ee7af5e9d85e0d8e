//! Records as nodes in the field write them: RSA over the data text, unsigned, nested.

use oip_record::{CreatorKey, Did, SignaturePolicy};
use serde_json::{Map, Value, json};
use testkit::raw;

use crate::support::{
    Author, TestNode, entry, eventually, join, node, node_with, now_ms, put, store_of, text,
};

/// The graph of a deployed relay after its node published a signed record.
fn captured() -> Map<String, Value> {
    let file = include_str!("../../../../testdata/vectors/oip/relay-graph-after-publish.json");
    serde_json::from_str(file).unwrap()
}

/// One captured node with the state `state_ms`, since the clock here may be behind that of the capture.
fn part(graph: &Map<String, Value>, soul: &str, state_ms: u64) -> Value {
    let values: Vec<(&str, Value)> = graph[soul]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| *key != "_")
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    raw::node(soul, &values, state_ms)
}

const SIGNED: &str = "92d7138abcac:sig-1";

fn signed_record(state_ms: u64) -> Value {
    let graph = captured();
    let parts = [SIGNED, "92d7138abcac:sig-1/meta"].map(|soul| part(&graph, soul, state_ms));
    let [record, meta] = parts;
    join(join(record, meta), entry_of(SIGNED, state_ms))
}

fn entry_of(soul: &str, state_ms: u64) -> Value {
    entry("post", &gun::Soul::new(soul).unwrap(), "node-a", state_ms)
}

fn did(soul: &str) -> Did {
    Did::from_soul(&gun::Soul::new(soul).unwrap())
}

/// An unsigned record in an author's name, as deployed nodes write when signing fails.
fn unsigned(author: &Author, local_id: &str, state_ms: u64) -> (Did, Value) {
    let soul = format!("{}:{local_id}", author.key.soul_prefix());
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": "2026-01-01T00:00:00.000Z", "creator": creator(author),
    });
    let values = [
        ("data", json!(text("unsigned").to_string())),
        ("oip", json!(oip.to_string())),
    ];
    let graph = join(
        raw::node(&soul, &values, state_ms),
        entry_of(&soul, state_ms),
    );
    (did(&soul), graph)
}

/// A record as a deployed node signs it: with its wallet, over the data text alone.
pub(crate) fn signed_by_wallet(name: &str, indexed_at: &str, state_ms: u64) -> (Did, Value) {
    let wallet = include_str!("../../../../testdata/vectors/own/throw-away-wallet.json");
    let key = CreatorKey::from_file_json(wallet).unwrap();
    let soul = format!("{}:dated", key.soul_prefix());
    let data = text(name).to_string();
    let creator = key.creator();
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0", "indexedAt": indexed_at,
        "signature": key.sign(data.as_bytes()).unwrap(),
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let values = [("data", json!(data)), ("oip", json!(oip.to_string()))];
    let graph = join(
        raw::node(&soul, &values, state_ms),
        entry_of(&soul, state_ms),
    );
    (did(&soul), graph)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_deployed_data_under_a_new_date_is_not_taken_again() {
    let node = node(&[]).await;
    let mut client = node.client().await;
    let now = now_ms();
    let holds = async |did: &Did, name: &str| {
        let expected = text(name);
        eventually("the version", || async {
            let held = node.get(did).await.unwrap()?;
            (held["data"] == expected).then_some(())
        })
        .await;
    };
    let (did, first) = signed_by_wallet("first", "2026-01-01T00:00:00.000Z", now - 30);
    put(&mut client, first).await;
    holds(&did, "first").await;
    let (_, second) = signed_by_wallet("second", "2026-01-02T00:00:00.000Z", now - 20);
    put(&mut client, second).await;
    holds(&did, "second").await;
    let (_, dated_anew) = signed_by_wallet("first", "2026-01-03T00:00:00.000Z", now - 10);
    put(&mut client, dated_anew).await;
    node.counted("records_healed_total", 1).await;
    holds(&did, "second").await;
    let (_, third) = signed_by_wallet("third", "2026-01-04T00:00:00.000Z", now_ms() + 1);
    put(&mut client, third).await;
    holds(&did, "third").await;
}

fn creator(author: &Author) -> Value {
    let creator = author.key.creator();
    json!({"didAddress": creator.did_address, "publicKey": creator.public_key})
}

async fn node_that(policy: SignaturePolicy) -> TestNode {
    node_with(&[], |config| config.sync.signatures = policy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_record_with_an_rsa_signature_is_verified_even_where_signatures_are_required() {
    let graph = captured();
    let oip: Value = serde_json::from_str(graph[SIGNED]["oip"].as_str().unwrap()).unwrap();
    let stamp = oip_record::Stamp::parse(oip["indexedAt"].as_str().unwrap()).unwrap();
    if stamp.ms() > i64::try_from(now_ms()).unwrap() {
        // A clock behind the capture holds it back, and rightly so.
        return;
    }
    let node = node_that(SignaturePolicy::Require).await;
    put(&mut node.client().await, signed_record(now_ms())).await;
    let did = did(SIGNED);
    let document = eventually("the signed record", || node.found(&did)).await;
    assert_eq!(
        document["data"],
        json!({"basic": {"name": "S1", "tagItems": ["a"], "price": 1.5}, "post": {"articleText": "x"}})
    );
    assert_eq!(document["oip"].get("verification"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployed_record_whose_text_was_changed_is_refused() {
    let node = node(&[]).await;
    let mut record = signed_record(now_ms());
    let data = captured()[SIGNED]["data"]
        .as_str()
        .unwrap()
        .replace("1.5", "1.6");
    record[SIGNED]["data"] = json!(data);
    put(&mut node.client().await, record).await;
    node.refuses("bad-signature").await;
    assert_eq!(node.get(&did(SIGNED)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_record_is_marked_where_signatures_are_preferred_and_quarantined_where_required()
 {
    let author = Author::new(3);
    let (did, graph) = unsigned(&author, "u", now_ms());

    let prefers = node_that(SignaturePolicy::Prefer).await;
    put(&mut prefers.client().await, graph.clone()).await;
    let document = eventually("the unsigned record", || prefers.found(&did)).await;
    assert_eq!(document["oip"]["verification"], "unverified");

    let requires = node_that(SignaturePolicy::Require).await;
    put(&mut requires.client().await, graph).await;
    requires.refuses("unsigned").await;
    assert_eq!(requires.get(&did).await.unwrap(), None);
    let dir = requires.stop().await;
    let row = store_of(&dir).quarantined(did.soul()).unwrap().unwrap();
    assert_eq!(row.reason, "unsigned");
    assert!(
        row.detail.contains("signatures are required"),
        "{}",
        row.detail
    );
    assert!(row.oip.is_some() && row.data.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_creator_was_seen_signing_an_unsigned_record_in_its_name_is_refused() {
    let author = Author::new(3);
    let node = node(&[]).await;
    let mut client = node.client().await;
    let now = now_ms();
    let signed = author.version("s", text("signed"), now);
    put(&mut client, signed.announced(now)).await;
    node.shows(&signed.did, &signed.document).await;
    // The mark is durable.
    drop(client);
    let node = node.restart(&[]).await;
    let (did, graph) = unsigned(&author, "u", now_ms());
    put(&mut node.client().await, graph).await;
    node.refuses("unsigned").await;
    assert_eq!(node.get(&did).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_record_in_the_name_of_a_node_that_publishes_is_refused_there() {
    let node = node(&[]).await;
    let ours = node.publish(submission_of_ours()).await.unwrap();
    let prefix = ours.soul.as_str().split(':').next().unwrap();
    let soul = format!("{prefix}:forged");
    let creator = node.creator();
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": "2026-01-01T00:00:00.000Z",
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let values = [
        ("data", json!(text("forged").to_string())),
        ("oip", json!(oip.to_string())),
    ];
    put(
        &mut node.client().await,
        raw::node(&soul, &values, now_ms()),
    )
    .await;
    node.refuses("unsigned").await;
    assert_eq!(node.get(&did(&soul)).await.unwrap(), None);
}

fn submission_of_ours() -> oip_node::Submission {
    crate::support::submission("ours", text("ours"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_in_the_nested_layout_arrives_in_whatever_order_its_nodes_do() {
    let author = Author::new(4);
    let now = now_ms();
    let soul = format!("{}:nested", author.key.soul_prefix());
    let link = |part: &str| json!({"#": format!("{soul}/{part}")});
    let node_at =
        |part: &str, values: &[(&str, Value)]| raw::node(&format!("{soul}{part}"), values, now);
    let creator = author.key.creator();
    let parts = [
        node_at("", &[("data", link("data")), ("oip", link("oip"))]),
        node_at(
            "/oip",
            &[
                ("recordType", json!("post")),
                ("ver", json!("0.8.0")),
                ("creator", link("oip/creator")),
            ],
        ),
        node_at("/data", &[("basic", link("data/basic"))]),
        node_at(
            "/data/basic",
            &[
                ("name", json!("Nested")),
                ("date", json!(1_700_000_000)),
                ("tagItems", json!("[\"a\",\"b\"]")),
            ],
        ),
        node_at(
            "/oip/creator",
            &[
                ("didAddress", json!(creator.did_address)),
                ("publicKey", json!(creator.public_key)),
            ],
        ),
    ];
    let node = node(&[]).await;
    let mut client = node.client().await;
    put(&mut client, entry_of(&soul, now)).await;
    for part in parts {
        put(&mut client, part).await;
    }
    let did = did(&soul);
    let document = eventually("the nested record", || node.found(&did)).await;
    assert_eq!(
        document["data"],
        json!({"basic": {"name": "Nested", "date": 1_700_000_000, "tagItems": ["a", "b"]}})
    );
    assert_eq!(document["oip"]["verification"], "unverified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_by_a_signed_tombstone_comes_back_by_a_signed_publish_alone() {
    let wallet = "../../testdata/vectors/own/throw-away-wallet.json";
    let ours = crate::support::submission("dated", text("ours"));
    // A deployed signature covers neither the time nor the soul: whatever the wallet ever signed could be
    // put here under a new date by anybody.
    let later = "2026-11-30T00:00:00.000Z";
    // A node each: a soul is healed once a minute, and stays wanted until then.
    for name in ["ours", "another"] {
        let node = node_with(&[], |config| config.wallet_file = Some(wallet.into())).await;
        let published = node.publish(ours.clone()).await.unwrap();
        node.delete(&published.did).await.unwrap();
        let (did, record) = signed_by_wallet(name, later, now_ms() + 1);
        assert_eq!(did, published.did);
        put(&mut node.client().await, record).await;
        node.settles().await;
        assert_eq!(node.get(&did).await.unwrap(), None, "{name}");
        let again = node.publish(ours.clone()).await.unwrap();
        assert_eq!(again.did, published.did);
        node.shows(&again.did, &again.document).await;
    }
}
