//! How much peers may store, who may connect, and what `signed` admission takes.

use std::time::{Duration, Instant};

use gun::sea::{KeyPair, sign_value};
use gun::{Soul, State};
use gun_net::parse_peers;
use oip_node::{Admission, PeerToken, RelayQuotas, SyncMode};
use serde_json::{Value, json};
use testkit::{RawGun, raw};

use crate::support::{Author, PATIENCE, TestNode, node, node_with, now_ms, put, put_refused, text};

const QUOTA: &str = "the allowance of this connection is used up";

fn record_part(prefix: &str, number: usize) -> Value {
    let soul = format!("{prefix}:part-{number}");
    raw::node(&soul, &[("note", json!("x".repeat(100)))], now_ms())
}

async fn limited(quotas: RelayQuotas) -> TestNode {
    node_with(&[], |config| {
        config.sync.mode = SyncMode::Off;
        config.quotas = quotas;
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_has_so_many_souls_and_others_have_their_own() {
    let node = limited(RelayQuotas {
        author_souls: 3,
        ..RelayQuotas::default()
    })
    .await;
    let mut client = node.client().await;
    for number in 0..3 {
        put(&mut client, record_part("0123456789ab", number)).await;
    }
    let err = put_refused(&mut client, record_part("0123456789ab", 3)).await;
    assert_eq!(err, QUOTA);
    put(&mut client, record_part("ba9876543210", 0)).await;
    let kept = client.get("0123456789ab:part-3", PATIENCE).await.unwrap();
    assert_eq!(kept, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_used_up_its_day_is_refused_on_every_connection() {
    let node = limited(RelayQuotas {
        peer_bytes_per_day: 300,
        ..RelayQuotas::default()
    })
    .await;
    let mut client = node.client().await;
    for number in 0..3 {
        put(&mut client, record_part("0123456789ab", number)).await;
    }
    let mut again = node.client().await;
    let err = put_refused(&mut again, record_part("0123456789ab", 3)).await;
    assert_eq!(err, QUOTA);
    // Reading costs nothing.
    let read = again.get("0123456789ab:part-0", PATIENCE).await.unwrap();
    assert!(read.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_are_checked_for_one_address_up_to_its_allowance() {
    const KEYS: usize = 2_000;
    const AT_ONCE: usize = 100_000;
    let node = node(&[]).await;
    let pair = KeyPair::from_scalars(&[1; 32], &[2; 32]).unwrap();
    let soul = format!("~{}", pair.public());
    let now = now_ms();
    let signed = |key: usize| {
        let (of, state) = (Soul::new(&*soul).unwrap(), State::from_millis(now));
        let text = sign_value(
            &of,
            &format!("key-{key}"),
            &gun::Value::text("x"),
            state,
            &pair,
        );
        (format!("key-{key}"), json!(text.unwrap()))
    };
    let entries: Vec<_> = (0..KEYS).map(signed).collect();
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, text)| (&**key, text.clone()))
        .collect();
    let graph = raw::node(&soul, &entries, now);
    let mut client = node.client().await;
    // On a machine so slow that a minute's allowance comes back while it is used up, there is no refusal to see.
    let began = Instant::now();
    let mut checked = 0;
    while began.elapsed() < Duration::from_secs(20) {
        let ack = client.put(graph.clone(), PATIENCE).await.unwrap();
        if let Some(err) = ack["err"].as_str() {
            assert_eq!(err, QUOTA);
            assert!(checked >= AT_ONCE, "{checked}");
            break;
        }
        checked += KEYS;
        let back = began.elapsed().as_secs_f64() / 60.0 * AT_ONCE as f64;
        let allowed = AT_ONCE + back as usize + KEYS;
        assert!(checked <= allowed, "{checked} of {allowed}");
    }
    // What has no signatures is still taken.
    put(&mut client, record_part("0123456789ab", 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_node_is_bound_by_itself() {
    let node = limited(RelayQuotas {
        public_bytes: 400,
        ..RelayQuotas::default()
    })
    .await;
    let mut client = node.client().await;
    let entry = |index: &str, number: usize| {
        let key = format!("{number:012x}:r");
        let link = json!({"#": format!("oip:registry:index:{index}/{key}")});
        let soul = format!("oip:registry:index:{index}");
        raw::node(&soul, &[(&key, link)], now_ms())
    };
    let mut taken = 0;
    while taken < 50 {
        let ack = client.put(entry("post", taken), PATIENCE).await.unwrap();
        if ack.get("err").is_some() {
            assert_eq!(ack["err"], QUOTA);
            break;
        }
        taken += 1;
    }
    assert!((2..10).contains(&taken), "{taken} entries were taken");
    put(&mut client, entry("recipe", 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_admission_takes_a_signed_record_and_nothing_unsigned() {
    let node = node_with(&[], |config| config.admission = Admission::Signed).await;
    let mut client = node.client().await;
    let post = Author::new(7).version("signed", text("A text"), now_ms());
    let (soul, graph) = (post.soul.to_string(), post.announced(now_ms()));
    put(&mut client, graph.clone()).await;
    assert!(client.get(&soul, PATIENCE).await.unwrap().is_some());

    let err = put_refused(&mut client, record_part("0123456789ab", 0)).await;
    assert_eq!(err, "Unverified data.");
    let mut forged = graph.to_string();
    forged = forged.replace("A text", "B text");
    let forged = serde_json::from_str(&forged).unwrap();
    assert_eq!(put_refused(&mut client, forged).await, "Unverified data.");
    let part = raw::node("0123456789ab:x/meta", &[("k", json!(1))], now_ms());
    assert_eq!(put_refused(&mut client, part).await, "Unverified data.");
    let err = put_refused(&mut client, raw::node("chat", &[("k", json!(1))], now_ms())).await;
    assert_eq!(err, "this relay does not take such souls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_with_tokens_lets_in_their_holders_only() {
    let token = "a-token-that-nobody-guesses";
    let closed = node_with(&[], |config| {
        config.relay_tokens = vec![PeerToken::new(token).unwrap()];
    })
    .await;
    let relay = format!("ws://{}/gun", closed.relay_address());
    assert!(RawGun::connect(&relay).await.is_err());
    let wrong = format!("{relay}?token=another-token-that-is-wrong");
    assert!(RawGun::connect(&wrong).await.is_err());
    assert_eq!(
        closed.metric("relay_refused{reason=\"unauthorized\"}"),
        2,
        "{}",
        closed.metrics()
    );
    let mut client = RawGun::connect(&format!("{relay}?token={token}"))
        .await
        .unwrap();
    put(&mut client, record_part("0123456789ab", 0)).await;

    // A node carries the token in the address that it dials.
    let peers = format!("http://{}?token={token}", closed.relay_address());
    let dialling = node_with(&[], |config| config.peers = parse_peers(&peers).unwrap()).await;
    crate::support::eventually("the link with a token", || async {
        let health = serde_json::to_string(&dialling.health()).unwrap();
        assert!(!health.contains(token), "health shows the token");
        health.contains("\"connected\"").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_keys_and_of_souls_are_answered_within_their_budget() {
    let node = node(&[]).await;
    let mut client = node.client().await;
    let names: Vec<String> = (0..600).map(|number| format!("k{number:03}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), json!("0123456789")))
        .collect();
    put(
        &mut client,
        raw::node("0123456789ab:wide", &entries, now_ms()),
    )
    .await;
    for number in 0..300 {
        put(&mut client, record_part("0123456789ac", number)).await;
    }
    let cases = [
        (
            json!({"#": "0123456789ab:wide", ".": {"*": "k59"}, "%": 0}),
            10,
        ),
        (
            json!({"#": "0123456789ab:wide", ".": {"*": "k"}, "%": 0}),
            600,
        ),
        (json!({"#": "0123456789ab:wide", ".": {"*": "k"}}), 1),
        (
            json!({"#": "0123456789ab:wide", ".": {"*": "k"}, "%": 45}),
            5,
        ),
        (
            json!({"#": "0123456789ab:wide", ".": {">": "k100", "<": "k149"}, "%": 0}),
            50,
        ),
        (
            json!({"#": "0123456789ab:wide", ".": {"*": "k", ">": "590", "-": 1}, "%": 30}),
            3,
        ),
        (json!({"#": {"*": "0123456789ac:"}, "%": 0}), 300),
        (
            json!({"#": {"*": "0123456789ac:part-", ">": "10", "<": "12"}, "%": 0}),
            22,
        ),
        (json!({"#": {"*": "0123456789ad:"}, "%": 0}), 0),
    ];
    for (get, expected) in cases {
        assert_eq!(values(&mut client, &get).await, expected, "{get}");
    }
}

/// How many values the answer to a get holds, over all its parts.
async fn values(client: &mut RawGun, get: &Value) -> usize {
    let id = raw::message_id();
    client.send(&json!({"#": id, "get": get})).await.unwrap();
    let mut count = 0;
    loop {
        let part = client
            .find(PATIENCE, |message| message["@"] == id.as_str())
            .await
            .unwrap();
        let nodes = part["put"].as_object().into_iter().flatten();
        count += nodes
            .map(|(_, node)| node.as_object().unwrap().len() - 1)
            .sum::<usize>();
        if part.get("%").is_none() {
            return count;
        }
    }
}
