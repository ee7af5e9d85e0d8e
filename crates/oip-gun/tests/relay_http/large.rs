//! Large nodes: given whole, in parts, within bounded memory.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{Relay, answer, file_of_process};

const KEYS: usize = 100_000;
const INDEX: &str = "oip:registry:index:post";

/// A body that puts an index as a deployed publisher writes it back.
fn whole_index() -> String {
    let mut body = format!("{{\"soul\":\"{INDEX}\",\"data\":{{");
    for number in 0..KEYS {
        let comma = if number > 0 { "," } else { "" };
        let soul = format!("0123456789ab:{number:06}");
        write!(body, "{comma}\"{soul}\":{{\"#\":\"{INDEX}/{soul}\"}}").unwrap();
    }
    body.push_str("}}");
    body
}

#[tokio::test]
async fn an_index_of_100000_keys_is_given_whole_and_memory_stays_flat() {
    let mut relay = Relay::open("relay").await;
    let body = whole_index();
    let put = answer(relay.http.post(relay.url("/put")).body(body.clone())).await;
    assert_eq!(put.status, 200, "{}", put.body);
    // What putting it took is no part of what giving it takes.
    relay.node.restart().await.unwrap();
    let url = relay.url(&format!("/get?soul={INDEX}"));
    let first = relay.http.get(&url).send().await.unwrap();
    assert_eq!(first.status(), 200);
    // A length known at the start would mean that the whole was made in memory.
    assert_eq!(first.headers().get("content-length"), None);
    let whole: Value = serde_json::from_str(&first.text().await.unwrap()).unwrap();
    let expected: Value = serde_json::from_str(&body).unwrap();
    assert!(whole["data"] == expected["data"]);
    let before = peak_kib(&relay);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let request = relay.http.get(&url);
        readers.spawn(async move { request.send().await.unwrap().bytes().await.unwrap().len() });
    }
    let length = whole.to_string().len();
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.unwrap(), length);
    }
    let grown = peak_kib(&relay) - before;
    // Sixteen whole answers would be 140 MB.
    assert!(grown < 40 * 1024, "memory grew by {grown} KiB");
}

/// The most memory the process ever had.
fn peak_kib(relay: &Relay) -> usize {
    let status = file_of_process(relay.node.id().unwrap(), "status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn nulls_are_left_out_however_many_stand_before_the_first_value() {
    let relay = Relay::open("relay").await;
    let nulls: String = (0..5_000).fold(String::new(), |mut nulls, number| {
        write!(nulls, "\"{number:05}\":null,").unwrap();
        nulls
    });
    let put = async |soul: &str, last: &str| {
        let body = format!("{{\"soul\":\"{soul}\",\"data\":{{{nulls}{last}}}}}");
        let put = answer(relay.http.post(relay.url("/put")).body(body)).await;
        assert_eq!(put.status, 200, "{}", put.body);
    };
    put("x:last", "\"zz\":1").await;
    assert_eq!(
        relay.node_at("x:last").await,
        Some(serde_json::json!({"zz": 1}))
    );
    put("x:none", "\"zz\":null").await;
    assert_eq!(relay.node_at("x:none").await, None);
}
