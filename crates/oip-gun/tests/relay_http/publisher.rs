//! Deployed publishers: they write records and registry entries over HTTP, and for each record read
//! the whole index of its type and write it back with one more key.

use serde_json::{Map, Value, json};

use crate::support::{PATIENCE, Relay, vector};

#[tokio::test]
async fn what_a_deployed_node_publishes_lies_in_the_graph_as_on_its_own_relay() {
    let relay = Relay::open("relay").await;
    let recorded = vector("relay-graph-after-publish.json");
    let recorded = recorded.as_object().unwrap();
    // The two entries that were there before, one of them unregistered.
    let index = "oip:registry:index:post";
    for (key, node_id) in [("0123456789ab:v1", "node-a"), ("0123456789ab:v2", "node-a")] {
        let target = &recorded[&format!("{index}/{key}")];
        let entry = json!({"soul": key, "nodeId": node_id, "timestamp": target["timestamp"]});
        relay.put(index, json!({key: entry})).await;
    }
    relay.put(index, json!({"0123456789ab:v2": null})).await;
    let nested = |soul: &str| {
        let mut data = fields(&recorded[soul]);
        if data.contains_key("meta") {
            data["meta"] = fields(&recorded[&format!("{soul}/meta")]).into();
        }
        Value::from(data)
    };
    for number in 1..=3 {
        let soul = format!("92d7138abcac:sig-{number}");
        // Of the records themselves, the vector holds the first.
        if recorded.contains_key(&soul) {
            relay.put(&soul, nested(&soul)).await;
        }
        let entry = format!("oip:registry:nodes:node-a:{soul}");
        relay.put(&entry, nested(&entry)).await;
        let mut whole = relay.node_at(index).await.unwrap();
        whole[&soul] = nested(&format!("{index}/{soul}"));
        relay.put(index, whole).await;
    }
    let mut peer = relay.peer().await;
    let mut compared = 0;
    for (soul, node) in recorded {
        // The deployed relay's own listing.
        if soul.starts_with("index:") {
            continue;
        }
        let held = peer.get(soul, PATIENCE).await.unwrap().unwrap_or_default();
        assert_eq!(fields(&held.into()), fields(node), "{soul}");
        compared += 1;
    }
    assert_eq!(compared, 11);
}

fn fields(node: &Value) -> Map<String, Value> {
    let mut fields = node.as_object().unwrap().clone();
    fields.remove("_");
    // Order is no part of a node.
    fields.sort_keys();
    fields
}

#[tokio::test]
async fn writing_an_index_back_stamps_only_what_is_new() {
    let relay = Relay::open("relay").await;
    let index = "oip:registry:index:post";
    let entry = |soul: &str| json!({"soul": soul, "nodeId": "n", "timestamp": 1});
    relay
        .put(index, json!({"0123456789ab:1": entry("0123456789ab:1"), "0123456789ab:2": entry("0123456789ab:2")}))
        .await;
    let states = async || relay.states(index).await;
    let before = states().await;
    let mut whole = relay.node_at(index).await.unwrap();
    // Unregistered by somebody else between reading and writing.
    relay.put(index, json!({"0123456789ab:2": null})).await;
    let unregistered = states().await;
    whole["0123456789ab:3"] = entry("0123456789ab:3");
    // Registered anew, as an edit is.
    whole.as_object_mut().unwrap().remove("0123456789ab:2");
    relay.put(index, whole).await;
    let after = states().await;
    assert_eq!(after["0123456789ab:1"], before["0123456789ab:1"]);
    assert_eq!(after["0123456789ab:2"], unregistered["0123456789ab:2"]);
    assert!(after["0123456789ab:3"].is_number());
    let again = json!({"0123456789ab:1": entry("0123456789ab:1")});
    relay.put(index, again).await;
    assert!(states().await["0123456789ab:1"].as_f64() > before["0123456789ab:1"].as_f64());
}

#[tokio::test]
async fn an_object_put_where_a_link_lies_goes_to_the_linked_node() {
    let relay = Relay::open("relay").await;
    relay.put("x:elsewhere", json!({"old": 1})).await;
    relay
        .put("x:top", json!({"part": {"#": "x:elsewhere"}}))
        .await;
    relay.put("x:top", json!({"part": {"new": 2}})).await;
    assert_eq!(
        relay.node_at("x:elsewhere").await,
        Some(json!({"old": 1, "new": 2}))
    );
    assert_eq!(
        relay.node_at("x:top").await,
        Some(json!({"part": {"#": "x:elsewhere"}}))
    );
    assert_eq!(relay.node_at("x:top/part").await, None);
}

#[tokio::test]
async fn a_put_wins_over_what_is_stamped_ahead_of_the_clock() {
    let relay = Relay::open("relay").await;
    relay.put("x:ahead", json!({"a": "first"})).await;
    let mut peer = relay.peer().await;
    let state = relay.states("x:ahead").await["a"].as_f64().unwrap();
    // As far ahead as a clock that is a little fast writes, and due at once.
    let ahead = json!({"x:ahead": {"_": {"#": "x:ahead", ">": {"a": state + 30.0}}, "a": "peer"}});
    peer.put(ahead, PATIENCE).await.unwrap();
    testkit::wait_until(PATIENCE, "the value is due", || async {
        match relay.node_at("x:ahead").await {
            Some(node) if node["a"] == "peer" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    relay.put("x:ahead", json!({"a": "last"})).await;
    assert_eq!(relay.node_at("x:ahead").await, Some(json!({"a": "last"})));
}

#[tokio::test]
async fn puts_of_one_soul_at_the_same_time_are_ordered_and_the_last_one_stays() {
    let relay = Relay::open("relay").await;
    let mut puts = tokio::task::JoinSet::new();
    for number in 0..40 {
        let request = relay.http.post(relay.url("/put")).body(
            json!({"soul": "x:busy", "data": {"n": number, "part": {"n": number}}}).to_string(),
        );
        puts.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    while let Some(status) = puts.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let top = relay.node_at("x:busy").await.unwrap();
    let part = relay.node_at("x:busy/part").await.unwrap();
    // Written in one commit each, so that no two are mixed.
    assert_eq!(top["n"], part["n"]);
    relay.put("x:busy", json!({"n": "last"})).await;
    assert_eq!(relay.node_at("x:busy").await.unwrap()["n"], "last");
}
