//! The 53 exchanges recorded on a deployed relay and its proxy, replayed on a node. Where it answers
//! otherwise, `docs/relay-http.md` says so, with the very answer, and nowhere else.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Answer, PATIENCE, Relay, answer, file, vector};

#[tokio::test]
async fn the_recorded_exchanges_hold_but_for_the_documented_ones() {
    let relay = Relay::open("relay").await;
    let exchanges = vector("relay-http.json");
    let exchanges = exchanges.as_array().unwrap();
    assert_eq!(exchanges.len(), 53);
    let mut deviations = documented_deviations();
    assert!(!deviations.is_empty());
    for exchange in exchanges {
        let name = exchange["name"].as_str().unwrap();
        let recorded = &exchange["response"];
        let given = replay(&relay, exchange).await;
        assert_eq!(given.cors.as_deref(), cors(exchange), "{name}");
        let expected_type = match exchange["server"].as_str().unwrap() {
            "relay" => "application/json",
            _ => "application/json; charset=utf-8",
        };
        assert_eq!(given.content_type.as_deref(), Some(expected_type), "{name}");
        let given = (Some(given.status), steady(&given.body));
        let recorded = (
            recorded["status"].as_u64().map(|status| status as u16),
            steady(&recorded["body"]),
        );
        match deviations.remove(name) {
            None => assert_eq!(given, recorded, "{name}"),
            Some((status, body)) => {
                assert_eq!(given, (Some(status), steady(&body)), "{name}");
                assert_ne!(given, recorded, "{name} is documented and does not deviate");
            }
        }
    }
    assert!(deviations.is_empty(), "not in the vectors: {deviations:?}");
    the_graph_is_as_recorded(&relay).await;
}

/// Everything the recorded relay had after these exchanges, but for what it kept for its own
/// listing (`index:…`) and what it put under random souls.
async fn the_graph_is_as_recorded(relay: &Relay) {
    let graph = vector("relay-graph-after-http.json");
    let mut peer = relay.peer().await;
    let mut compared = 0;
    for (soul, node) in graph.as_object().unwrap() {
        if soul.starts_with("index:") || soul.starts_with("mwry") || soul == "test:startup" {
            continue;
        }
        let held = peer.get(soul, PATIENCE).await.unwrap().unwrap_or_default();
        assert_eq!(values(&held.into()), values(node), "{soul}");
        compared += 1;
    }
    assert_eq!(compared, 25);
}

/// The values of a node, without its metadata and with times of writing replaced by their kind.
fn values(node: &Value) -> BTreeMap<String, Value> {
    let mut node = steady(node);
    let values = std::mem::take(node.as_object_mut().unwrap()).into_iter();
    values.filter(|(key, _)| key != "_").collect()
}

async fn replay(relay: &Relay, exchange: &Value) -> Answer {
    let request = &exchange["request"];
    let path = request["path"].as_str().unwrap();
    let url = match exchange["server"].as_str().unwrap() {
        "relay" => relay.url(path),
        "api-proxy" => format!("{}{path}", relay.node.api()),
        other => panic!("{other}"),
    };
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut asked = relay.http.request(method, url);
    if let Some(query) = request["query"].as_object() {
        let pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}={}",
                    crate::support::encoded(value.as_str().unwrap())
                )
            })
            .collect();
        let url = asked.try_clone().unwrap().build().unwrap().url().clone();
        let url = format!("{url}?{}", pairs.join("&"));
        let method = request["method"].as_str().unwrap().parse().unwrap();
        asked = relay.http.request(method, url);
    }
    let body = match (&request["rawBody"], &request["body"]) {
        (Value::String(raw), _) => raw.clone(),
        (_, Value::Null) => return answer(asked).await,
        (_, body) => body.to_string(),
    };
    answer(asked.body(body)).await
}

/// Whom browsers may show the answer: the recorded relay answers everything with `*`, its proxy
/// with nothing.
fn cors(exchange: &Value) -> Option<&str> {
    (exchange["server"] == "relay").then_some("*")
}

/// A body with its times replaced by their kind.
fn steady(body: &Value) -> Value {
    match body {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = match (name.as_str(), value) {
                    ("storedAt" | "lastSeen", Value::Number(_)) => "a number".into(),
                    ("timestamp", Value::String(_)) => "a text".into(),
                    (">", Value::Object(states)) => {
                        assert!(states.values().all(Value::is_number));
                        states.keys().map(|key| Value::from(key.as_str())).collect()
                    }
                    _ => steady(value),
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(steady).collect(),
        other => other.clone(),
    }
}

/// The rows of the table in the documentation: exchange, status and body.
fn documented_deviations() -> BTreeMap<String, (u16, Value)> {
    let text = file("docs/relay-http.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| recorded exchange |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let name = cells[0].trim_start_matches('|').trim().to_owned();
        let answer = cells[2].trim_matches('`');
        let (status, body) = answer.split_once(' ').unwrap();
        let body = serde_json::from_str(body).unwrap();
        (name, (status.parse().unwrap(), body))
    })
    .collect()
}
