//! What a server that is down costs the node: time to catch up, and no memory.

use std::time::Duration;

use serde_json::json;
use testkit::{NodeOptions, NodeProcess, wait_until};

use super::{BINARY, PATIENCE};

/// Text of a record: so long that records waiting in memory would show.
const TEXT_BYTES: usize = 100_000;

/// What records that wait may cost: two batches of the feed as documents, and what the store keeps of
/// any writes. Ninety megabytes of records are several times as much as documents.
const MEMORY_KIB_MAX: u64 = 96 * 1_024;

async fn publish(node: &NodeProcess, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let record = json!({
            "basic": {"name": format!("gull {number}")},
            "post": {"articleText": format!("{number} ").repeat(TEXT_BYTES / 5)},
        });
        let path = format!("/api/records/newRecord?recordType=post&localId=gull-{number}");
        let answer = node.post(&path, &record).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// What is resident now.
fn memory_kib(node: &NodeProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_while_the_search_server_is_down() {
    // Nothing listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let options = NodeOptions::named("a")
        .env("OIP_INDEX", "elasticsearch")
        .env("ELASTICSEARCHHOST", format!("http://{address}"));
    let node = NodeProcess::start(BINARY, options).await.unwrap();
    publish(&node, 0..100).await;
    // The indexer has tried in vain what it takes at a time.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = memory_kib(&node);
    publish(&node, 100..1_000).await;
    wait_until(PATIENCE, "the lag shows", || async {
        let metrics = node.get("/metrics").await.unwrap().body.to_string();
        match metrics.contains("oip_gun_index_lag 1000") {
            true => Ok(()),
            false => Err("it does not"),
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = memory_kib(&node);
    assert!(
        after < before + MEMORY_KIB_MAX,
        "{before} KiB with 10 MB waiting, {after} KiB with 100 MB"
    );
}
