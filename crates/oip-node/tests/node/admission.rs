//! Which puts the relay port takes, and from whom.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gun::{Soul, State};
use oip_node::Admission;
use serde_json::{Value, json};
use testkit::raw;

use crate::support::{PATIENCE, node, node_with, now_ms, put, put_refused};

/// A user in the sense of GUN, with a space of its own.
struct User {
    key: EcdsaKeyPair,
    public: String,
}

impl User {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = key.public_key().as_ref();
        let public = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..65])
        );
        Self { key, public }
    }

    fn space(&self) -> String {
        format!("~{}", self.public)
    }

    /// A value of this user's space with its signature, as SEA writes it.
    fn signed(&self, soul: &str, key: &str, text: &str, state_ms: u64) -> Value {
        let message = gun::sea::signed_text(
            &Soul::new(soul).unwrap(),
            key,
            &gun::Value::text(text),
            State::from_millis(state_ms),
        );
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.as_bytes());
        let signature = self.key.sign(&SystemRandom::new(), hash.as_ref()).unwrap();
        json!(json!({":": text, "~": STANDARD.encode(signature.as_ref())}).to_string())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn souls_that_are_not_of_oip_are_refused_by_default_and_taken_when_open() {
    let strict = node(&[]).await;
    let open = node_with(&[], |config| config.admission = Admission::Open).await;
    let now = now_ms();
    for soul in [
        "chat/room-1",
        "~no-key-at-all",
        "0123456789ab",
        "other:registry:index",
    ] {
        let graph = raw::node(soul, &[("k", json!("v"))], now);
        let mut client = strict.client().await;
        let err = put_refused(&mut client, graph.clone()).await;
        assert_eq!(err, "this relay does not take such souls");
        assert_eq!(client.get(soul, PATIENCE).await.unwrap(), None, "{soul}");
        let mut client = open.client().await;
        put(&mut client, graph).await;
        assert!(
            client.get(soul, PATIENCE).await.unwrap().is_some(),
            "{soul}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_with_one_soul_that_is_not_admitted_changes_nothing() {
    let node = node(&[]).await;
    let now = now_ms();
    let graph = crate::support::join(
        raw::node("index:0123456789ab", &[("k", json!("v"))], now),
        raw::node("chat", &[("k", json!("v"))], now),
    );
    let mut client = node.client().await;
    put_refused(&mut client, graph).await;
    assert_eq!(
        client.get("index:0123456789ab", PATIENCE).await.unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_users_space_takes_that_users_signatures_and_no_others_in_either_mode() {
    let (alice, mallory) = (User::new(), User::new());
    for admission in [Admission::Oip, Admission::Open] {
        let node = node_with(&[], |config| config.admission = admission).await;
        let mut client = node.client().await;
        let now = now_ms();
        let soul = format!("{}/profile", alice.space());
        let good = alice.signed(&soul, "name", "Alice", now);
        put(
            &mut client,
            raw::node(&soul, &[("name", good.clone())], now),
        )
        .await;

        let other_key = [("role", good.clone())];
        let other_state = [("name", good.clone())];
        let by_another = [("name", mallory.signed(&soul, "name", "Mallory", now + 2))];
        let unsigned = [("name", json!("Mallory"))];
        for (entry, state) in [
            (&other_key, now),
            (&other_state, now + 1),
            (&by_another, now + 2),
            (&unsigned, now + 3),
        ] {
            put_refused(&mut client, raw::node(&soul, entry, state)).await;
        }
        let space = client.get(&soul, PATIENCE).await.unwrap().unwrap();
        assert_eq!(space.len(), 1);
        assert_eq!(space["name"], good);
        assert!(node.metrics().contains("reason=\"unverified\"} 4"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_gun_js_signed_passes_and_its_tampered_forms_do_not() {
    let node = node(&[]).await;
    let mut client = node.client().await;
    let file = include_str!("../../../../testdata/vectors/gun/52-sea-relay-checks.jsonl");
    let mut spoiled = None;
    let mut puts = 0;
    for line in file.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(note) = line["note"].as_str() {
            spoiled = ["bad", "good"]
                .iter()
                .position(|word| note.starts_with(word));
        }
        let is_put = line["dir"] == "client->relay" && line["conn"] == "a";
        let message: Value = line["frame"]
            .as_str()
            .filter(|_| is_put)
            .map_or(Value::Null, |frame| serde_json::from_str(frame).unwrap());
        let (Some(good), true) = (spoiled, message["put"].is_object()) else {
            continue;
        };
        puts += 1;
        let ack = client.put(message["put"].clone(), PATIENCE).await.unwrap();
        let unverified = ack["err"]
            .as_str()
            .is_some_and(|err| err == "Unverified data.");
        // A clock behind the capture refuses what is signed well for another reason.
        assert_eq!(unverified, good == 0, "{line} got {ack}");
    }
    assert!(puts > 3, "{puts}");
}
