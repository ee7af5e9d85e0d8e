//! A node beside a real search server: its index lies there, and it starts, publishes and answers while the server is
//! down; and the index of a deployed node is taken over from there.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it must be"
)]

mod down;
mod gate;
mod keeping;
mod moving;

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{NodeOptions, NodeProcess, SearchOptions, SearchServer, search_servers, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_oip-gun");
/// The longest anything here may take on a loaded machine; a server starts within it too.
const PATIENCE: Duration = Duration::from_secs(180);

async fn publish(node: &NodeProcess, number: u32) {
    let record =
        json!({"basic": {"name": format!("gull {number}"), "description": "seen at the pier"}});
    let path = format!("/api/records/newRecord?recordType=post&localId=gull-{number}");
    let answer = node.post(&path, &record).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn found(node: &NodeProcess, wanted: u64) {
    wait_until(PATIENCE, "the records are found", || async {
        let answer = node.get("/api/records?search=gull").await.unwrap();
        match answer.body["totalRecords"].as_u64() {
            Some(total) if total == wanted => Ok(()),
            _ => Err(answer.body.to_string()),
        }
    })
    .await;
}

async fn health(node: &NodeProcess) -> Value {
    node.get("/api/health/gun-sync").await.unwrap().body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_while_its_search_server_is_down_and_nothing_is_lost() {
    let Some(distribution) = search_servers().into_iter().next() else {
        return;
    };
    let start = move || SearchServer::start(&distribution, SearchOptions::default());
    let mut server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let options = NodeOptions::named("a")
        .env("OIP_INDEX", "elasticsearch")
        .env("ELASTICSEARCHHOST", server.url());
    let mut node = NodeProcess::start(BINARY, options).await.unwrap();
    publish(&node, 0).await;
    found(&node, 1).await;

    server.kill9().unwrap();
    for number in 1..20 {
        publish(&node, number).await;
    }
    wait_until(PATIENCE, "health says what is wrong", || async {
        let told = health(&node).await.to_string();
        match told.contains("ELASTICSEARCHHOST") {
            true => Ok(()),
            false => Err(told),
        }
    })
    .await;
    // A node that starts now serves too, and loses nothing.
    node.terminate().await.unwrap();
    node.restart().await.unwrap();
    publish(&node, 20).await;

    let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server));
    let _server = server.await.unwrap().unwrap();
    found(&node, 21).await;
    wait_until(PATIENCE, "health is itself again", || async {
        let told = health(&node).await.to_string();
        match told.contains("ELASTICSEARCHHOST") {
            true => Err(told),
            false => Ok(()),
        }
    })
    .await;
}
