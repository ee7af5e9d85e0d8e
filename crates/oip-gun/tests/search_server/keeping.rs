//! What operators see of an index on a real server: rebuilding, comparing, the quarantine, and a server that hangs.

use std::process::Output;

use serde_json::{Value, json};
use testkit::search_server::call;
use testkit::{NodeOptions, NodeProcess, SearchOptions, SearchServer, search_servers, wait_until};
use tokio::process::Command;

use crate::gate::Gate;
use crate::{BINARY, PATIENCE, found, health, publish};

async fn server() -> Option<SearchServer> {
    let distribution = search_servers().into_iter().next()?;
    let start = move || SearchServer::start(&distribution, SearchOptions::default());
    Some(tokio::task::spawn_blocking(start).await.unwrap().unwrap())
}

async fn node(search_host: &str) -> NodeProcess {
    let options = NodeOptions::named("a")
        .env("OIP_INDEX", "elasticsearch")
        .env("ELASTICSEARCHHOST", search_host);
    NodeProcess::start(BINARY, options).await.unwrap()
}

async fn verb(node: &NodeProcess, arguments: &[&str]) -> Output {
    let command = Command::new(BINARY)
        .args(arguments)
        .args(["--url", node.api()])
        .current_dir(node.folder())
        .env_clear()
        .env("HOME", node.folder())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE, command)
        .await
        .unwrap()
        .unwrap()
}

async fn index(node: &NodeProcess) -> Value {
    node.get("/api/index").await.unwrap().body
}

#[tokio::test(flavor = "multi_thread")]
async fn private_records_that_stay_out_are_told_and_are_no_differences() {
    let Some(server) = server().await else { return };
    let gate = Gate::before(&server.url()).await;
    // Leads to this machine, and isn't known to.
    let elsewhere = gate.url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let mut node = node(&elsewhere).await;
    publish(&node, 0).await;
    let private = json!({
        "basic": {"name": "gull nest", "description": "where it is"},
        "accessControl": {"access_level": "private"},
    });
    let path = "/api/records/newRecord?recordType=post&localId=nest";
    let token = node.admin_token().unwrap();
    let answer = node.call("POST", path, &token, Some(&private));
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    found(&node, 1).await;
    for restarted in [false, true] {
        if restarted {
            node.terminate().await.unwrap();
            node.restart().await.unwrap();
        }
        wait_until(PATIENCE, "health says what stays out", || async {
            let told = health(&node).await.to_string();
            match told.contains("OIP_ELASTICSEARCH_PRIVATE") {
                true => Ok(()),
                false => Err(told),
            }
        })
        .await;
        let output = verb(&node, &["verify", "index", "--json"]).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let compared: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(compared["keptOut"], json!(1), "{text}");
        assert_eq!(compared["differencesTotal"], json!(0), "{text}");
        assert_eq!(output.status.code(), Some(0));
    }
}

/// An index that another program made, with one document of its own in it.
fn theirs(url: &str) {
    let index = json!({
        "settings": {"index.number_of_replicas": 0},
        "mappings": {"properties": {"data": {
            "type": "nested",
            "properties": {"own": {"properties": {"x": {"type": "long"}}}},
        }}},
    });
    let (status, answer) = call(url, "PUT", "/records", Some(index)).unwrap();
    assert_eq!(status, 200, "{answer}");
    let document = json!({"data": {"basic": {"name": "theirs"}}, "oip": {"did": "did:arweave:x"}});
    let (status, answer) = call(url, "PUT", "/records/_doc/theirs", Some(document)).unwrap();
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reindex_tells_why_and_another_mapping_empties_the_quarantine() {
    let Some(server) = server().await else { return };
    let url = server.url();
    theirs(&url);
    let node = node(&url).await;
    publish(&node, 0).await;
    found(&node, 1).await;

    let output = verb(&node, &["reindex"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("1 documents") && told.contains("OIP_ELASTICSEARCH_INDEX"),
        "{told}"
    );
    let status = index(&node).await;
    assert_eq!(status["rebuildsGivenUp"], json!(1), "{status}");
    let why = status["rebuildGivenUp"].as_str().unwrap();
    assert!(why.contains("OIP_ELASTICSEARCH_INDEX"), "{status}");
    assert_eq!(status["trouble"], json!(null), "{status}");
    let log = String::from_utf8_lossy(&node.log()).into_owned();
    assert!(log.contains("OIP_ELASTICSEARCH_INDEX"), "{log}");

    let record = json!({"basic": {"name": "gull of another kind"}, "own": {"x": "many"}});
    let path = "/api/records/newRecord?recordType=post&localId=other";
    assert_eq!(node.post(path, &record).await.unwrap().status, 200);
    let quarantined = || async {
        let listed = node.get("/api/quarantine?kind=index").await.unwrap().body;
        listed["records"].as_array().map_or(0, Vec::len)
    };
    wait_until(PATIENCE, "the refusal", || async {
        match quarantined().await {
            1 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let lenient = json!({"properties": {"data": {
        "type": "nested",
        "properties": {"own": {"properties": {"x": {"type": "long", "ignore_malformed": true}}}},
    }}});
    let (status, answer) = call(&url, "PUT", "/records/_mapping", Some(lenient)).unwrap();
    assert_eq!(status, 200, "{answer}");
    wait_until(PATIENCE, "it is tried again by itself", || async {
        match quarantined().await {
            0 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    found(&node, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_up_neither_publishing_nor_health() {
    const SEARCHES: usize = 80;
    let Some(server) = server().await else { return };
    let gate = Gate::before(&server.url()).await;
    let node = node(&gate.url).await;
    publish(&node, 0).await;
    found(&node, 1).await;

    gate.hold("_search");
    let search = || node.get("/api/records?search=gull");
    let searching = futures_util::future::join_all((0..SEARCHES).map(|_| search()));
    let publishing = async {
        for number in 1..10 {
            publish(&node, number).await;
        }
        health(&node).await
    };
    let (answers, _) = tokio::join!(searching, publishing);
    let statuses: Vec<u16> = answers.into_iter().map(|one| one.unwrap().status).collect();
    assert!(statuses.iter().all(|status| *status >= 500), "{statuses:?}");
    assert!(
        statuses.contains(&503),
        "more than are let in: {statuses:?}"
    );
    let told = health(&node).await.to_string();
    assert!(told.contains("no answer within"), "{told}");
    gate.open();
    found(&node, 10).await;

    // Progress is there to be read while the new index is filled.
    gate.hold("records-v2/_bulk");
    let begun = verb(&node, &["reindex", "--no-wait"]).await;
    assert_eq!(begun.status.code(), Some(0));
    wait_until(PATIENCE, "the rebuild", || async {
        let status = index(&node).await;
        match (&status["rebuild"]["done"], &status["rebuild"]["total"]) {
            (done, total) if *done == json!(0) && *total == json!(10) => Ok(()),
            _ => Err(status.to_string()),
        }
    })
    .await;
    gate.open();
    wait_until(PATIENCE, "its end", || async {
        let status = index(&node).await;
        match status["rebuildsFinished"] == json!(1) {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })
    .await;
    found(&node, 10).await;
}
