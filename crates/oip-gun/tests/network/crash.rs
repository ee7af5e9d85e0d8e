//! kill -9 while publishing at full speed: what was acknowledged is there, searchable, and arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::journey::{ARRIVAL, Published, arrives, counter, node};

/// Kills per test run.
const ROUNDS: u64 = 20;

/// Publishers at once.
const WRITERS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_records_survive_kill_9_and_reach_the_other_node() {
    let b = node("b", "").await;
    let mut a = node("a", b.relay()).await;
    let mut acknowledged: Vec<Published> = Vec::new();
    // Odd times, so that kills fall into every phase of a batch; the seed is in the failure message.
    let mut moment = u64::from(std::process::id());
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicU64::new(0));
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..WRITERS {
            writers.spawn(write(
                a.api().to_owned(),
                round,
                Arc::clone(&next),
                Arc::clone(&stop),
            ));
        }
        moment = moment
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(30 + (moment >> 33) % 300)).await;
        a.kill9().await.unwrap();
        stop.store(true, Ordering::Relaxed);
        while let Some(written) = writers.join_next().await {
            acknowledged.extend(written.unwrap());
        }
        a.restart().await.unwrap();
        for record in &acknowledged {
            let answer = a
                .get(&format!(
                    "/api/records?hideDateReadable=true&did={}",
                    record.did
                ))
                .await
                .unwrap();
            assert_eq!(
                answer.body["records"][0]["data"], record.data,
                "round {round}, {}",
                record.did
            );
        }
    }
    assert!(
        acknowledged.len() > 100,
        "only {} records were acknowledged",
        acknowledged.len()
    );
    for record in acknowledged
        .iter()
        .rev()
        .take(20)
        .chain(acknowledged.iter().take(20))
    {
        arrives(&a, record).await;
    }
    // Each record is indexed once on both, and B has every one: also those A did not get to acknowledge.
    let held = total(&a).await;
    assert!(held >= acknowledged.len() as u64);
    for node in [&a, &b] {
        wait_until(ARRIVAL, "every record is searchable", || async {
            let total = total(node).await;
            if total == held {
                Ok(())
            } else {
                Err(format!("{total} of {held}"))
            }
        })
        .await;
    }
    for record in &acknowledged {
        let answer = b
            .get(&format!(
                "/api/records?hideDateReadable=true&did={}",
                record.did
            ))
            .await
            .unwrap();
        assert_eq!(
            answer.body["records"][0]["data"], record.data,
            "on B: {}",
            record.did
        );
    }
    assert_eq!(
        counter(&b, "records_synced").await,
        held,
        "nothing arrives twice"
    );
}

async fn total(node: &testkit::NodeProcess) -> u64 {
    let page = node.get("/api/records?limit=1").await.unwrap();
    page.body["searchResults"].as_u64().unwrap()
}

/// Publishes until told to stop or the node is gone; returns what was acknowledged.
async fn write(
    api: String,
    round: u64,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<Published> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let local_id = format!("crash-{round}-{number}");
        let data = json!({"basic": {"name": local_id, "tagItems": ["crash", round]}, "post": {"articleText": "x".repeat(600)}});
        let url =
            format!("{api}/api/records/newRecord?recordType=post&localId={local_id}&storage=gun");
        let Ok(answer) = http.post(url).json(&data).send().await else {
            break;
        };
        if answer.status() != 200 {
            break;
        }
        let Ok(body) = answer.json::<Value>().await else {
            break;
        };
        let did = body["did"].as_str().unwrap().to_owned();
        acknowledged.push(Published {
            did,
            record_type: "post".into(),
            local_id,
            data,
        });
    }
    acknowledged
}
