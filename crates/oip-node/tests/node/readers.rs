//! Readers who ask for more than they read.

use std::collections::BTreeSet;

use serde_json::json;
use testkit::raw;
use testkit::raw::message_id;

use crate::support::{PATIENCE, now_ms, put, relay};

/// More than an outbox holds (48 MiB).
const GETS: usize = 80;

const TEXT_BYTES: usize = 1 << 20;

const DROPPED: &str = "relay_refused{reason=\"push_to_slow_reader\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_puts_and_asks_in_one_breath_reads_what_he_wrote() {
    let node = relay().await;
    let mut client = node.client().await;
    for round in 1..=20 {
        let soul = format!("b{round}");
        let (put, get, range) = (message_id(), message_id(), message_id());
        let graph = raw::node(&soul, &[("k", json!(round))], now_ms());
        let frame = json!([
            {"#": put, "put": graph},
            {"#": get, "get": {"#": soul}},
            {"#": range, "get": {"#": {"*": soul}}},
        ]);
        client.send(&frame).await.unwrap();
        for id in [&get, &range] {
            let answer = client.find(PATIENCE, |message| message["@"] == id.as_str());
            let answer = answer.await.unwrap();
            assert_eq!(answer["put"][&soul]["k"], round, "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_more_than_an_outbox_holds_is_answered_as_he_reads() {
    let node = relay().await;
    let mut slow = node.client().await;
    let text = json!("z".repeat(TEXT_BYTES));
    put(&mut slow, raw::node("large", &[("data", text)], now_ms())).await;
    let get = |id: &str| json!({"#": id, "get": {"#": "large"}});
    let ids: Vec<String> = (0..GETS).map(|_| message_id()).collect();
    for id in &ids {
        slow.send(&get(id)).await.unwrap();
    }
    // Of the same address, so that it is served after all of them.
    let mut other = node.client().await;
    assert_eq!(other.get("nothing", PATIENCE).await.unwrap(), None);
    let waiting = node.metric("outbox_bytes");
    assert!(
        waiting < 8 << 20,
        "{waiting} bytes were made for a reader who doesn't read"
    );
    for id in &ids {
        let answer = slow
            .find(PATIENCE, |message| message["@"] == id.as_str())
            .await;
        let answer = answer.unwrap();
        assert_eq!(
            answer["put"]["large"]["data"].as_str().unwrap().len(),
            TEXT_BYTES
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_larger_than_an_outbox_is_read_to_its_end_by_a_slow_reader() {
    const KEYS: usize = 4_000;
    let node = relay().await;
    let mut writer = node.client().await;
    let now = now_ms();
    let text = json!("y".repeat(20_000));
    for first in (0..KEYS).step_by(200) {
        let names: Vec<String> = (first..first + 200).map(|key| format!("k{key}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), text.clone()))
            .collect();
        put(&mut writer, raw::node("list", &entries, now)).await;
    }
    let mut slow = node.client().await;
    let id = message_id();
    slow.send(&json!({"#": id, "get": {"#": "list"}}))
        .await
        .unwrap();
    let mut keys = 0;
    loop {
        let part = slow
            .find(PATIENCE, |message| message["put"]["list"].is_object())
            .await;
        let part = part.unwrap();
        keys += part["put"]["list"].as_object().unwrap().len() - 1;
        let waiting = node.metric("outbox_bytes");
        assert!(waiting < 12 << 20, "{waiting} bytes wait");
        if part.get("%").is_none() {
            break;
        }
    }
    assert_eq!(keys, KEYS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_too_slowly_for_what_he_follows_is_given_its_latest_values_in_the_end() {
    const SOULS: usize = 50;
    let node = relay().await;
    let mut slow = node.client().await;
    for soul in 0..SOULS {
        // One of them by a key alone.
        let get = match soul {
            0 => json!({"#": "s0", ".": "round"}),
            _ => json!({"#": format!("s{soul}")}),
        };
        let id = message_id();
        slow.send(&json!({"#": id, "get": get})).await.unwrap();
        let answer = slow.find(PATIENCE, |message| message["@"] == id.as_str());
        answer.await.unwrap();
    }
    let mut writer = node.client().await;
    let text = json!("w".repeat(100_000));
    let mut write = async |round: u64| {
        for soul in 0..SOULS {
            let values = [("round", json!(round)), ("text", text.clone())];
            let graph = raw::node(&format!("s{soul}"), &values, now_ms() + round);
            put(&mut writer, graph).await;
        }
    };
    let mut rounds = 0;
    while node.metric(DROPPED) == 0 {
        assert!(rounds < 40, "200 MB wait for a reader who doesn't read");
        rounds += 1;
        write(rounds).await;
    }
    rounds += 1;
    write(rounds).await;
    let mut behind: BTreeSet<String> = (0..SOULS).map(|soul| format!("s{soul}")).collect();
    while !behind.is_empty() {
        let push = slow.find(PATIENCE, |message| message["put"].is_object());
        let push = push
            .await
            .unwrap_or_else(|_| panic!("never came: {behind:?}"));
        for (soul, values) in push["put"].as_object().unwrap() {
            assert!(soul != "s0" || values.get("text").is_none(), "{push}");
            if values["round"] == rounds {
                behind.remove(soul);
            }
        }
    }
}
