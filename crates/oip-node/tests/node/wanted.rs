//! What was announced and can't be had yet: it hides nothing else, is written down, and is taken
//! when it appears.

use std::time::Duration;

use serde_json::json;
use testkit::RawGun;

use crate::support::{
    Author, TestNode, Version, eventually, node, now_ms, put, relay, store_of, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dangling_entry_hides_no_other_and_is_taken_when_its_record_appears() {
    let relay = relay().await;
    let author = Author::new(1);
    let now = now_ms();
    let dangling = author.version("0-first-of-all", text("dangling"), now);
    let mut client = relay.client().await;
    put(&mut client, dangling.entry(now)).await;
    let good: Vec<Version> = (0..10)
        .map(|n| author.version(&format!("good-{n}"), text("good"), now))
        .collect();
    for version in &good {
        put(&mut client, version.announced(now)).await;
    }
    let reader = node(&[&relay]).await;
    for version in &good {
        reader.shows(&version.did, &version.document).await;
    }
    eventually("only the dangling one is wanted", || async {
        (reader.health().wanted == 1).then_some(())
    })
    .await;
    let health = reader.health();
    assert_eq!((health.metrics.total_errors, health.quarantine), (0, 0));
    assert_eq!(health.status, "healthy");

    // A restart forgets nothing, and with nobody to ask nothing is lost.
    let reader = reader.restart(&[]).await;
    assert_eq!(reader.health().wanted, 1);
    let dir = reader.stop().await;
    let row = store_of(&dir).wanted(&dangling.soul).unwrap().unwrap();
    assert!(row.attempts > 0 && row.record_type.as_deref() == Some("post"));

    put(&mut client, dangling.record(now)).await;
    let reader = crate::support::node_on(dir, &[&relay], |_| {}).await;
    reader.shows(&dangling.did, &dangling.document).await;
    reader.settles().await;
}

/// A peer that says that it is a node and answers what it is asked.
struct Foreign {
    client: RawGun,
}

impl Foreign {
    async fn linked_to(node: &TestNode) -> Self {
        let mut client = node.client().await;
        let hello = json!({"#": "hello", "dam": "oip:hello", "body": {"v": 1, "node": "foreign"}});
        client.send(&hello).await.unwrap();
        Self { client }
    }

    /// The next question for `soul`.
    async fn asked(&mut self, soul: &str) -> serde_json::Value {
        self.client
            .find(Duration::from_secs(20), |message| {
                message["get"]["#"] == soul
            })
            .await
            .unwrap()["#"]
            .clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_announced_anew_while_it_is_asked_for_in_vain_is_asked_for_again_at_once() {
    let node = node(&[]).await;
    let now = now_ms();
    let version = Author::new(1).version("p", text("late"), now);
    let soul = version.soul.as_str();
    let mut peer = Foreign::linked_to(&node).await;
    put(&mut peer.client, version.entry(now - 10)).await;
    // In vain so often that the next try by itself would be far away.
    for _ in 0..3 {
        let question = peer.asked(soul).await;
        peer.client
            .send(&json!({"#": "none", "@": question}))
            .await
            .unwrap();
    }
    let question = peer.asked(soul).await;
    put(&mut peer.client, version.entry(now)).await;
    let none = json!({"#": "none2", "@": question});
    peer.client.send(&none).await.unwrap();
    let asked_ms = now_ms();
    let question = peer.asked(soul).await;
    assert!(now_ms() - asked_ms < 4_000, "not after the backoff of 8 s");
    let answer = json!({"#": "data", "@": question, "put": version.record(now)});
    peer.client.send(&answer).await.unwrap();
    node.shows(&version.did, &version.document).await;
    node.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_the_record_is_judged_as_any_other() {
    let node = node(&[]).await;
    let now = now_ms();
    let version = Author::new(1).version("p", text("true"), now);
    let mut peer = Foreign::linked_to(&node).await;
    put(&mut peer.client, version.entry(now)).await;
    let question = peer.asked(version.soul.as_str()).await;
    let data = version.data_text.as_ref().unwrap().replace("true", "false");
    let false_answer = version.altered(&[("data", json!(data))], now);
    let answer = json!({"#": "data", "@": question, "put": false_answer});
    peer.client.send(&answer).await.unwrap();
    node.refuses("bad-signature").await;
    assert_eq!(node.get(&version.did).await.unwrap(), None);
    // The record itself is still taken.
    put(&mut node.client().await, version.record(now_ms() + 5)).await;
    node.shows(&version.did, &version.document).await;
}
