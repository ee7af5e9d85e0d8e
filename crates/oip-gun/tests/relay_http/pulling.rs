//! Deployed nodes that pull from this one over `/gun-relay`.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use testkit::{raw, wait_until};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{PATIENCE, Relay, answer, options};

#[tokio::test]
async fn nested_records_come_inline_to_those_who_pull_and_as_they_lie_to_others() {
    let relay = Relay::open("relay").await;
    let record = json!({
        "data": {"basic": {"name": "Nested", "tagItems": "[\"a\"]"}},
        "oip": {"ver": "0.8.0", "recordType": "post", "creator": {"publicKey": "PK"}},
        "meta": {"encrypted": true}
    });
    relay.put("0123456789ab:n", record.clone()).await;
    let mut expected = record;
    // A reader that sees `encrypted` would try to open the record.
    expected["meta"] = json!({"#": "0123456789ab:n/meta"});
    assert_eq!(relay.pulled("0123456789ab:n").await, Some(expected));
    let links = json!({
        "data": {"#": "0123456789ab:n/data"},
        "oip": {"#": "0123456789ab:n/oip"},
        "meta": {"#": "0123456789ab:n/meta"}
    });
    assert_eq!(relay.node_at("0123456789ab:n").await, Some(links));
    // Parts of a record are nodes like others.
    let part = relay.pulled("0123456789ab:n/data").await;
    assert_eq!(
        part,
        Some(json!({"basic": {"#": "0123456789ab:n/data/basic"}}))
    );
}

#[tokio::test]
async fn a_record_without_one_of_its_parts_is_not_found_by_those_who_pull() {
    let relay = Relay::open("relay").await;
    let missing = json!({"#": "0123456789ab:m/data/gone"});
    relay
        .put(
            "0123456789ab:m",
            json!({"data": {"basic": missing}, "oip": "{\"ver\":\"0.8.0\"}"}),
        )
        .await;
    assert_eq!(relay.pulled("0123456789ab:m").await, None);
    assert!(relay.node_at("0123456789ab:m").await.is_some());
    // A record that holds itself never ends.
    let itself = json!({"#": "0123456789ab:c/data"});
    relay
        .put(
            "0123456789ab:c",
            json!({"data": {"again": itself}, "oip": "{}"}),
        )
        .await;
    assert_eq!(relay.pulled("0123456789ab:c").await, None);
}

#[tokio::test]
async fn an_index_names_to_those_who_pull_only_what_they_will_get() {
    let relay = Relay::open("relay").await;
    let index = "oip:registry:index:post";
    let link = |soul: &str| json!({"#": format!("{index}/{soul}")});
    relay
        .put(
            index,
            json!({"0123456789ab:gone": link("0123456789ab:gone")}),
        )
        .await;
    // Held, and yet nothing of it can be given: an answer of 404 would be remembered for an hour.
    assert_eq!(relay.pulled(index).await, Some(json!({})));
    relay
        .put("0123456789ab:here", json!({"data": "{}", "oip": "{}"}))
        .await;
    relay
        .put(
            index,
            json!({"0123456789ab:here": link("0123456789ab:here")}),
        )
        .await;
    assert_eq!(
        relay.pulled(index).await,
        Some(json!({"0123456789ab:here": link("0123456789ab:here")}))
    );
    // A relay gives what it has, the entry that leads nowhere last.
    let text = relay.http.get(relay.url(&format!("/get?soul={index}")));
    let text = text.send().await.unwrap().text().await.unwrap();
    let places = ["0123456789ab:here", "0123456789ab:gone"].map(|soul| text.find(soul));
    assert!(places[0].is_some() && places[0] < places[1], "{text}");
}

#[tokio::test]
async fn a_deployed_node_behind_this_relay_gets_all_records_though_one_entry_leads_nowhere() {
    let relay = Relay::open("relay").await;
    let index = "oip:registry:index:post";
    let entry = |soul: &str| json!({"soul": soul, "nodeId": "n", "timestamp": 1});
    // It comes first.
    relay
        .put(
            index,
            json!({"0123456789ab:0-gone": entry("0123456789ab:0-gone")}),
        )
        .await;
    for number in 1..=10 {
        let soul = format!("0123456789ab:r{number}");
        let record = json!({
            "data": "{\"basic\":{\"name\":\"x\"}}",
            "oip": "{\"ver\":\"0.8.0\",\"recordType\":\"post\",\"creator\":{\"didAddress\":\"d\",\"publicKey\":\"PK\"}}",
        });
        relay.put(&soul, record).await;
        relay.put(index, json!({soul.clone(): entry(&soul)})).await;
    }
    let base = relay.url("/get").trim_end_matches("/get").to_owned();
    let mut syncer = testkit::Syncer::new(testkit::deployed::Source::Http(base));
    let report = syncer.cycle().await;
    // It gives up at the entry that leads nowhere, which comes last.
    let given_up = vec!["post".to_owned()];
    assert_eq!((report.indexed, report.given_up), (10, given_up));
}

#[tokio::test]
async fn own_records_and_tombstones_are_given_to_those_who_pull() {
    let relay = Relay::start(options("node")).await;
    let path = "/api/records/newRecord?recordType=post&localId=p";
    let data = json!({"basic": {"name": "Ours", "tagItems": ["a", "b"]}, "post": {"bylineWriter": "Isla"}});
    let published = relay.node.post(path, &data).await.unwrap();
    let soul = published.body["soul"].as_str().unwrap().to_owned();
    let pulled = relay.pulled(&soul).await.unwrap();
    assert_eq!(pulled["data"]["basic"]["tagItems"], "[\"a\",\"b\"]");
    assert_eq!(pulled["oip"]["recordType"], "post");
    let index = relay.pulled("oip:registry:index:post").await.unwrap();
    assert!(index[&soul].is_object(), "{index}");
    let request = json!({"delete": {"did": published.body["did"]}});
    let deleted = relay
        .node
        .post("/api/records/deleteRecord", &request)
        .await
        .unwrap();
    assert_eq!(deleted.status, 200);
    // Not 404, at which a deployed node gives up on all records of the type.
    let tombstone = relay.pulled(&soul).await.unwrap();
    assert!(tombstone.get("data").is_none() && tombstone["oip"].is_object());
}

#[tokio::test]
async fn the_graph_is_not_served_on_the_api_port_when_that_is_switched_off() {
    let relay = Relay::start(options("off").env("DISABLE_GUN_RELAY_PROXY", "true")).await;
    let api = |path: &str| format!("{}{path}", relay.node.api());
    let get = answer(relay.http.get(api("/gun-relay/get?soul=x"))).await;
    let put = answer(relay.http.post(api("/gun-relay/put")).body("{}")).await;
    assert_eq!((get.status, put.status), (503, 503));
    assert_eq!(get.body["reason"], "gun-relay-off");
}

#[tokio::test]
async fn where_peers_need_a_token_so_does_the_graph_on_both_ports() {
    let token = "a-token-of-peers";
    let relay = Relay::start(options("closed").env("OIP_GUN_RELAY_TOKENS", token)).await;
    let api = format!("{}/gun-relay/get?soul=media:aa", relay.node.api());
    let port = relay.url("/get?soul=media:aa");
    for url in [&api, &port] {
        assert_eq!(answer(relay.http.get(url)).await.status, 401, "{url}");
        let named = relay.http.get(format!("{url}&token={token}"));
        assert_eq!(answer(named).await.status, 404, "{url}");
    }
    // What is not the graph asks for no such token.
    assert_eq!(relay.node.get("/api/health").await.unwrap().status, 200);
    assert_eq!(relay.node.get("/nothing").await.unwrap().status, 404);
}

#[tokio::test]
async fn what_is_not_held_is_asked_of_the_peers_that_were_dialled() {
    let far = Relay::open("far").await;
    far.put("x:far", json!({"name": "Corran"})).await;
    let near = options("near")
        .env("OIP_GUN_RELAY_ADMISSION", "open")
        .env("GUN_PEERS", far.node.relay());
    let near = Relay::start(near).await;
    testkit::wait_until(crate::support::PATIENCE, "the link is up", || async {
        let status = near.get("/peers/status").await.body;
        match status["connectedCount"].as_u64() {
            Some(1) => Ok(()),
            _ => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(near.node_at("x:far").await, Some(json!({"name": "Corran"})));
    assert_eq!(near.node_at("x:nowhere").await, None);
    let status = near.get("/peers/status").await.body;
    assert_eq!(status["configuredPeers"], json!([far.node.relay()]));
    assert_eq!(
        (&status["peerCount"], &status["isolationMode"]),
        (&json!(1), &json!("multi-node"))
    );
    assert_eq!(status["allowedDomains"], json!(["127.0.0.1"]));
    assert_eq!(status["peers"][0]["state"], "connected");
    let status = far.get("/peers/status").await.body;
    assert_eq!(
        (&status["peerCount"], &status["acceptedCount"]),
        (&json!(0), &json!(1))
    );
}

/// A relay that is dialled, asked for one node, and gives the rest of it when told to.
async fn hesitant_relay(listener: TcpListener, soul: &'static str, go_on: Arc<Notify>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let part = |id: &str, to: &str, key: &str| json!({"#": id, "@": to, "put": raw::node(soul, &[(key, json!(1))], 1)});
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        let heard: Value = serde_json::from_str(&text).unwrap();
        if heard["get"]["#"] != soul {
            continue;
        }
        let asked = heard["#"].as_str().unwrap();
        let mut first = part("first0000", asked, "a");
        first["%"] = json!("next00000");
        socket.send(Message::text(first.to_string())).await.unwrap();
        go_on.notified().await;
        let last = part("next00000", asked, "b").to_string();
        socket.send(Message::text(last)).await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_comes_in_pieces_is_shown_when_it_is_whole() {
    const SOUL: &str = "0123456789ab:pieces";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = format!("ws://{}/gun", listener.local_addr().unwrap());
    let go_on = Arc::new(Notify::new());
    let other = tokio::spawn(hesitant_relay(listener, SOUL, Arc::clone(&go_on)));
    let relay = Relay::start(options("relay").env("GUN_PEERS", peer)).await;
    let path = format!("/get?soul={SOUL}");
    // Nothing is known of the node until the link is up.
    let early = wait_until(PATIENCE, "the first part", || async {
        match relay.get(&path).await {
            answer if answer.status == 503 => Ok(answer),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    let told = early.body["error"].as_str().unwrap();
    assert!(told.contains("ask again"), "{told}");
    assert_eq!(
        relay.get(&path).await.status,
        503,
        "not the part as the whole"
    );
    go_on.notify_one();
    let whole = wait_until(PATIENCE, "the rest", || async {
        match relay.get(&path).await {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(format!("{answer:?}")),
        }
    })
    .await;
    assert_eq!(whole.body["data"], json!({"a": 1, "b": 1}));
    other.abort();
}
