//! What is refused, by which status, and what is listed.

use serde_json::{Value, json};

use crate::support::{Relay, answer, options};

#[tokio::test]
async fn puts_pass_the_same_admission_as_those_of_peers() {
    let relay = Relay::start(options("oip")).await;
    for (soul, status) in [
        ("0123456789ab:x", 200),
        ("oip:registry:index:post", 200),
        ("media:aa", 200),
        ("chat", 403),
        ("x:1", 403),
        ("~someone.else/post", 403),
    ] {
        let body = json!({"soul": soul, "data": {"a": 1}});
        let answer = relay.post("/put", &body).await;
        assert_eq!(answer.status, status, "{soul}: {}", answer.body);
        assert_eq!(relay.node_at(soul).await.is_some(), status == 200, "{soul}");
    }
    // A refused part refuses the whole.
    relay
        .put("0123456789ab:y", json!({"link": {"#": "chat"}}))
        .await;
    let body = json!({"soul": "0123456789ab:y", "data": {"b": 2, "link": {"c": 3}}});
    assert_eq!(relay.post("/put", &body).await.status, 403);
    assert_eq!(
        relay.node_at("0123456789ab:y").await,
        Some(json!({"link": {"#": "chat"}}))
    );
}

#[tokio::test]
async fn quotas_of_addresses_and_of_authors_hold_on_both_ports() {
    let relay = options("quotas").env("OIP_GUN_RELAY_AUTHOR_SOULS", "2");
    let relay = Relay::start(relay.env("OIP_GUN_RELAY_PEER_SOULS", "5")).await;
    let put = async |soul: &str, data: Value| {
        let body = json!({"soul": soul, "data": data});
        relay.post("/put", &body).await.status
    };
    assert_eq!(put("0123456789ab:1", json!({"a": 1})).await, 200);
    assert_eq!(put("0123456789ab:2", json!({"a": 1})).await, 200);
    assert_eq!(put("0123456789ab:3", json!({"a": 1})).await, 429);
    // What is there may change, but not grow by a node; and then nothing is written.
    assert_eq!(put("0123456789ab:1", json!({"a": 2})).await, 200);
    let grown = json!({"a": 3, "inside": {"b": 1}});
    assert_eq!(put("0123456789ab:1", grown).await, 429);
    let held = relay.node_at("0123456789ab:1").await;
    assert_eq!(held, Some(json!({"a": 2})));
    // Another author has room, and this address for three more nodes, and a fourth since some
    // time has passed.
    let three = json!({"a": 1, "inside": {"b": 1}});
    assert_eq!(put("ba9876543210:1", three).await, 200);
    assert_eq!(put("aaaaaaaaaaaa:1", json!({"a": 1})).await, 200);
    assert_eq!(put("bbbbbbbbbbbb:1", json!({"a": 1})).await, 200);
    assert_eq!(put("cccccccccccc:1", json!({"a": 1})).await, 429);
    let url = format!("{}/gun-relay/put", relay.node.api());
    let body = json!({"soul": "cccccccccccc:1", "data": {"a": 1}}).to_string();
    let refused = answer(relay.http.post(url).body(body)).await;
    assert_eq!(
        (refused.status, &refused.body["success"]),
        (429, &json!(false))
    );
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let relay = Relay::open("relay").await;
    let long = "k".repeat(3_000);
    for (body, status, error) in [
        (
            json!({"soul": "x:1", "data": {"_": {"#": "x"}}}),
            400,
            "the key \"_\" can't be used",
        ),
        (
            json!({"soul": "x:1", "data": {"": 1}}),
            400,
            "the key \"\" can't be used",
        ),
        (
            json!({"soul": "x:1", "data": {"constructor": 1}}),
            400,
            "the key \"constructor\"",
        ),
        (
            json!({"soul": "x:1", "data": {"a": {"#": ""}}}),
            400,
            "the soul \"\" can't be used",
        ),
        (
            json!({"soul": long, "data": {"a": 1}}),
            400,
            "the soul \"kkk",
        ),
        (
            json!({"soul": "x:1", "data": {"a": 1, "b": {"c": [1]}}}),
            500,
            "Invalid data: Array at x:1.b.c",
        ),
        (
            json!({"soul": 7, "data": {"a": 1}}),
            400,
            "the body is not of the form",
        ),
    ] {
        let answer = relay.post("/put", &body).await;
        let said = answer.body["error"].as_str().unwrap();
        assert_eq!(answer.status, status, "{body}: {said}");
        assert!(said.starts_with(error), "{said}");
    }
    assert_eq!(relay.node_at("x:1").await, None);
    for (path, status) in [
        ("/get?soul=", 400),
        ("/get?other=x", 400),
        ("/get?soul=toString", 400),
        ("/list?publisherHash=0123456789ab&limit=0", 400),
        ("/list?publisherHash=0123456789ab&limit=1001", 400),
        ("/list?publisherHash=0123456789ab&offset=-1", 400),
        ("/media/manifest?id=", 400),
        ("/put", 404),
        ("/gun-relay/get?soul=x", 404),
    ] {
        assert_eq!(relay.get(path).await.status, status, "{path}");
    }
    let lone = relay.http.post(relay.url("/put"));
    let lone = answer(lone.body(&b"{\"soul\":\"x:1\",\"data\":{\"a\":\"\xff\"}}"[..])).await;
    assert_eq!(lone.status, 400);
    assert!(lone.body["error"].as_str().unwrap().contains("UTF-8"));
}

#[tokio::test]
async fn an_object_without_members_is_put_at_once() {
    let relay = Relay::open("relay").await;
    relay.put("x:empty", json!({})).await;
    assert_eq!(relay.node_at("x:empty").await, None);
    relay.put("x:empty", json!({"inside": {}})).await;
    assert_eq!(
        relay.node_at("x:empty").await,
        Some(json!({"inside": {"#": "x:empty/inside"}}))
    );
}

#[tokio::test]
async fn a_list_is_the_same_after_a_restart_and_holds_records_only() {
    let mut relay = Relay::open("relay").await;
    for number in 0..60 {
        let soul = format!("0123456789ab:{number:02}");
        relay
            .put(&soul, json!({"data": {"n": number}, "oip": {"recordType": if number % 2 == 0 { "post" } else { "note" }}}))
            .await;
    }
    relay.put("0123456789abc:longer", json!({"a": 1})).await;
    relay.put("0123456789ab:gone", json!({"data": null})).await;
    // A part by its link, and a record whose local id only looks like one's.
    let boat = json!({"engine": {"maker": "Volvo"}});
    relay.put("0123456789ab:zz", boat.clone()).await;
    relay.put("0123456789ab:zz/b", boat).await;
    let souls = |body: &Value| -> Vec<String> {
        let records = body["records"].as_array().unwrap().iter();
        records
            .map(|record| record["soul"].as_str().unwrap().to_owned())
            .collect()
    };
    let named = |numbers: Vec<usize>| -> Vec<String> {
        let name = |number| format!("0123456789ab:{number:02}");
        numbers.into_iter().map(name).collect()
    };
    let first = relay.get("/list?publisherHash=0123456789ab").await.body;
    assert_eq!(souls(&first), named((0..50).collect()));
    assert_eq!(
        first["records"][3]["data"],
        json!({"data": {"n": 3}, "oip": {"recordType": "note"}})
    );
    assert_eq!(first["records"][3]["recordType"], "note");
    relay.node.restart().await.unwrap();
    assert_eq!(
        relay.get("/list?publisherHash=0123456789ab").await.body,
        first
    );
    let rest = relay
        .get("/list?publisherHash=0123456789ab&offset=50&limit=1000")
        .await;
    let mut expected = named((50..60).collect());
    expected.extend(["zz", "zz/b"].map(|id| format!("0123456789ab:{id}")));
    assert_eq!(souls(&rest.body), expected);
    let posts = "/list?publisherHash=0123456789ab&recordType=post&offset=2&limit=2";
    assert_eq!(souls(&relay.get(posts).await.body), named(vec![4, 6]));
    // The registry is no publisher.
    relay.put("oip:registry:index:post", json!({"a": 1})).await;
    assert_eq!(
        relay.get("/list?publisherHash=oip").await.body["records"],
        json!([])
    );
}

#[tokio::test]
async fn pages_may_read_the_relay_port_and_not_the_api() {
    let relay = Relay::open("relay").await;
    relay.put("x:1", json!({"a": 1})).await;
    assert_eq!(relay.get("/get?soul=x:1").await.cors.as_deref(), Some("*"));
    assert_eq!(relay.get("/get").await.cors.as_deref(), Some("*"));
    let asked = relay
        .http
        .request(reqwest::Method::OPTIONS, relay.url("/get"));
    assert_eq!(answer(asked).await.cors.as_deref(), Some("*"));
    let url = format!("{}/gun-relay/get?soul=x:1", relay.node.api());
    assert_eq!(answer(relay.http.get(url)).await.cors, None);
}
