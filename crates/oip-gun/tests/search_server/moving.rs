//! `oip-gun migrate elasticsearch` and `migrate templates` from a real server, with indexes as a deployed node makes them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use oip_record::CreatorKey;
use serde_json::{Value, json};
use testkit::search_server::call;
use testkit::{NodeOptions, NodeProcess, SearchOptions, SearchServer, search_servers, wait_until};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::{BINARY, PATIENCE};

/// Records: two pages of a scroll and half a third.
const RECORDS: usize = 500;

/// The `records` index at its creation by a deployed node (`oip-formats` 6).
fn records_index() -> Value {
    json!({
        "settings": {"index": {
            "mapping.total_fields.limit": 5000, "mapping.nested_fields.limit": 100, "mapping.nested_objects.limit": 10000,
            "number_of_replicas": 0,
        }},
        "mappings": {"properties": {
            "data": {"type": "nested"},
            "oip": {"properties": {
                "recordType": {"type": "text"}, "didTx": {"type": "keyword"}, "inArweaveBlock": {"type": "long"},
                "indexedAt": {"type": "date"}, "ver": {"type": "text"}, "signature": {"type": "text"},
                "creator": {"properties": {
                    "creatorHandle": {"type": "text"}, "didAddress": {"type": "text"}, "didTx": {"type": "text"},
                }},
            }},
        }},
    })
}

fn wallet() -> CreatorKey {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/own/throw-away-wallet.json");
    CreatorKey::from_file_json(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A record as a deployed node publishes and indexes it.
fn document(key: &CreatorKey, number: usize) -> Value {
    let data = json!({
        "basic": {"name": format!("Gauge {number}"), "date": 1_700_000_000 + number, "tagItems": ["tides", format!("t{number}")]},
        "post": {"articleText": "High water at six.", "imageItems": []},
    });
    let packed = oip_record::arrays::pack(&data).0;
    let signature = key.sign(packed.to_string().as_bytes()).unwrap();
    let (creator, did) = (
        key.creator(),
        format!("did:gun:{}:gauge-{number}", key.soul_prefix()),
    );
    json!({"data": data, "oip": {
        "did": did, "recordType": "post", "indexedAt": format!("2025-12-01T10:00:00.{:03}Z", number % 1000), "ver": "0.8.0",
        "signature": signature,
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
        "didTx": did, "storage": "gun",
    }})
}

async fn server() -> Option<SearchServer> {
    let distribution = search_servers().into_iter().next()?;
    let start = move || SearchServer::start(&distribution, SearchOptions::default());
    Some(tokio::task::spawn_blocking(start).await.unwrap().unwrap())
}

fn put(url: &str, path: &str, body: Value) {
    let (status, answer) = call(url, "PUT", path, Some(body)).unwrap();
    assert!((200..300).contains(&status), "{path}: {answer}");
}

fn migrate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .arg("migrate")
        .args(arguments)
        .arg("--json")
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("OIP_GUN_DATA_DIR", folder.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a migration that has to work reports.
async fn migrated(folder: &Path, arguments: &[&str]) -> Value {
    let output = migrate(folder, arguments).output();
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Stands before a server and answers for it, up to a number of calls; those after it wait for ever.
#[derive(Clone)]
struct Door {
    server: String,
    http: reqwest::Client,
    calls: Arc<AtomicUsize>,
    shut: Arc<Notify>,
}

/// Calls that a door lets through: the first page of a scroll and the second.
const CALLS: usize = 2;

async fn pass(State(door): State<Door>, request: Request) -> Response {
    if door.calls.fetch_add(1, Ordering::SeqCst) >= CALLS {
        door.shut.notify_one();
        std::future::pending::<()>().await;
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let answer = door
        .http
        .request(parts.method, format!("{}{}", door.server, parts.uri))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let body = Body::from(answer.bytes().await.unwrap());
    Response::builder().status(status).body(body).unwrap()
}

async fn door(server: &str) -> (String, Arc<Notify>) {
    let door = Door {
        server: server.to_owned(),
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        calls: Arc::default(),
        shut: Arc::default(),
    };
    let shut = Arc::clone(&door.shut);
    let router = Router::new().fallback(pass).with_state(door);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, shut)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_index_of_several_pages_is_taken_over_also_after_being_killed_in_the_middle() {
    let Some(server) = server().await else { return };
    let url = server.url();
    put(&url, "/records", records_index());
    let key = wallet();
    let documents: Vec<Value> = (0..RECORDS).map(|number| document(&key, number)).collect();
    for document in &documents {
        let id = document["oip"]["did"].as_str().unwrap();
        put(&url, &format!("/records/_doc/{id}"), document.clone());
    }
    put(
        &url,
        "/records/_doc/did:arweave:abc",
        json!({"data": {"basic": {"name": "on a chain"}}, "oip": {"didTx": "did:arweave:abc", "recordType": "post", "inArweaveBlock": 7}}),
    );
    let (status, _) = call(&url, "POST", "/records/_refresh", None).unwrap();
    assert_eq!(status, 200);

    let mut node = NodeProcess::start(
        BINARY,
        NodeOptions::named("heir").env("GUN_SYNC_SIGNATURES", "require"),
    )
    .await
    .unwrap();
    assert_eq!(node.terminate().await.unwrap(), Some(0));
    let folder: PathBuf = node.folder().to_owned();

    let looked = migrated(&folder, &["elasticsearch", &url, "--dry-run"]).await;
    assert_eq!(
        (&looked["found"], &looked["notOnGraph"]),
        (&json!(RECORDS + 1), &json!(1)),
        "{looked}"
    );

    // Killed while the third page is awaited.
    let (closing, shut) = door(&url).await;
    let mut killed = migrate(&folder, &["elasticsearch", &closing])
        .spawn()
        .unwrap();
    tokio::time::timeout(PATIENCE, shut.notified())
        .await
        .unwrap();
    killed.kill().await.unwrap();

    let report = migrated(&folder, &["elasticsearch", &url]).await;
    let number = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(
        number("taken") + number("known"),
        RECORDS as u64,
        "{report}"
    );
    assert_eq!(report["refused"], json!({}), "{report}");
    // With signatures required nothing else was taken.
    let again = migrated(&folder, &["elasticsearch", &url]).await;
    assert_eq!(
        (&again["taken"], &again["known"]),
        (&json!(0), &json!(RECORDS))
    );

    node.restart().await.unwrap();
    wait_until(PATIENCE, "all are searchable", || async {
        let answer = node
            .get("/api/records?recordType=post&limit=1")
            .await
            .unwrap();
        match answer.body["searchResults"] == json!(RECORDS) {
            true => Ok(()),
            false => Err(answer.body["searchResults"].to_string()),
        }
    })
    .await;
    for document in documents.iter().step_by(83) {
        let did = document["oip"]["did"].as_str().unwrap();
        let path = format!("/api/records?hideDateReadable=true&did={did}");
        let found = node.get(&path).await.unwrap().body["records"][0].clone();
        assert_eq!(found["data"], document["data"]);
        for member in [
            "did",
            "indexedAt",
            "signature",
            "creator",
            "recordType",
            "ver",
        ] {
            assert_eq!(
                found["oip"][member], document["oip"][member],
                "{did}: {member}"
            );
        }
    }
    // Registered as new ones are: the index of the type names each of them.
    let index = node
        .get("/gun-relay/get?soul=oip:registry:index:post")
        .await
        .unwrap();
    let index = index.body["data"].as_object().unwrap().clone();
    for document in &documents {
        let soul = &document["oip"]["did"].as_str().unwrap()["did:gun:".len()..];
        assert!(index.contains_key(soul), "{soul}");
    }

    templates(&url, &folder).await;
}

/// The index `templates`, as a deployed node makes it, as a folder of field types.
async fn templates(url: &str, folder: &Path) {
    put(
        url,
        "/templates",
        json!({"mappings": {"properties": {
            "data": {"type": "object", "properties": {
                "TxId": {"type": "text"}, "template": {"type": "text"}, "fields": {"type": "text"},
                "fieldsInTemplate": {"type": "object", "dynamic": true, "enabled": true},
                "fieldsInTemplateCount": {"type": "integer"}, "creator": {"type": "text"}, "creatorSig": {"type": "text"},
            }},
            "oip": {"type": "object", "properties": {"didTx": {"type": "keyword"}, "inArweaveBlock": {"type": "long"}}},
        }}}),
    );
    for number in 0..250 {
        let fields = json!({"height": "double", "index_height": 0, "remarks": "string", "index_remarks": 1, "kind": "enum", "index_kind": 2, "kindValues": ["a"]});
        let template = json!({
            "data": {"TxId": format!("tx{number}"), "template": format!("gauge{number}"), "fields": fields.to_string(), "creator": "did:arweave:x", "creatorSig": "s"},
            "oip": {"didTx": format!("did:arweave:tx{number}"), "inArweaveBlock": number},
        });
        put(url, &format!("/templates/_doc/tx{number}"), template);
    }
    let (status, _) = call(url, "POST", "/templates/_refresh", None).unwrap();
    assert_eq!(status, 200);
    let report = migrated(folder, &["templates", url, "--into", "types"]).await;
    assert_eq!(
        (&report["found"], &report["notTemplates"], &report["fields"]),
        (&json!(250), &json!(0), &json!(750)),
        "{report}"
    );
    // A node types its fields by them: they have an order.
    let options = NodeOptions::named("typed").env(
        "OIP_TEMPLATES_DIR",
        folder.join("types").display().to_string(),
    );
    let node = NodeProcess::start(BINARY, options).await.unwrap();
    for height in [1.5, 12.0, 3.0] {
        let record = json!({"basic": {"name": format!("{height}")}, "gauge7": {"height": height}});
        let path = format!("/api/records/newRecord?recordType=gauge7&localId=g{height}");
        assert_eq!(node.post(&path, &record).await.unwrap().status, 200);
    }
    wait_until(PATIENCE, "a range over the imported type", || async {
        let answer = node
            .get("/api/records?q=gauge7.height:%3E=3&sortBy=gauge7.height:asc")
            .await
            .unwrap();
        let names: Vec<_> = answer.body["records"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|record| record["data"]["basic"]["name"].clone())
            .collect();
        match names == [json!("3"), json!("12")] {
            true => Ok(()),
            false => Err(answer.body.to_string()),
        }
    })
    .await;
}
