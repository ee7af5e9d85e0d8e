//! What a deployed relay holds, and the forms in which its HTTP API takes and shows it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Nodes by soul; links are `{"#": soul}`, as they are shown.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<String, Map<String, Value>>,
}

impl Graph {
    /// Puts an object: objects inside become nodes of their own, linked to; a link stays one.
    pub fn put(&mut self, soul: &str, data: Value) {
        let Value::Object(data) = data else { return };
        for (key, value) in data {
            let value = match value {
                Value::Object(inner) if !is_link(&inner) => {
                    let child = format!("{soul}/{key}");
                    self.put(&child, Value::Object(inner));
                    json!({"#": child})
                }
                other => other,
            };
            let node = self.nodes.entry(soul.to_owned()).or_default();
            node.insert(key, value);
        }
    }

    /// Sets a value as it is, an object too.
    pub fn set(&mut self, soul: &str, key: &str, value: Value) {
        let node = self.nodes.entry(soul.to_owned()).or_default();
        node.insert(key.to_owned(), value);
    }

    /// Takes a node away, as a disk that was lost does.
    pub fn lose(&mut self, soul: &str) {
        self.nodes.remove(soul);
    }

    /// A node as `/get` shows it: nulls left out, `data` and `oip` parsed when they are texts.
    /// `None` if nothing is left to show.
    #[must_use]
    pub fn shown(&self, soul: &str) -> Option<Map<String, Value>> {
        let node = self.nodes.get(soul)?;
        let shown: Map<String, Value> = node
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), parsed(key, value)))
            .collect();
        (!shown.is_empty()).then_some(shown)
    }

    /// Whether anything was ever put at the soul, were it null by now.
    #[must_use]
    pub fn knows(&self, soul: &str) -> bool {
        self.nodes.contains_key(soul)
    }
}

fn is_link(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.get("#").is_some_and(Value::is_string)
}

fn parsed(key: &str, value: &Value) -> Value {
    let text = value.as_str().filter(|_| matches!(key, "data" | "oip"));
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchanges of a real deployed relay that put and show nodes.
    #[test]
    fn recorded_exchanges_of_a_real_relay_come_out_the_same() {
        let file = include_str!("../../../../testdata/vectors/oip/relay-http.json");
        let recorded: Vec<Value> = serde_json::from_str(file).unwrap_or_default();
        let mut graph = Graph::default();
        let mut compared = 0;
        for exchange in recorded.iter().filter(|e| e["server"] == "relay") {
            let (request, response) = (&exchange["request"], &exchange["response"]);
            if response["status"] != 200 {
                continue;
            }
            match request["path"].as_str() {
                Some("/put") => {
                    let body = &request["body"];
                    if let Some(soul) = body["soul"].as_str() {
                        graph.put(soul, body["data"].clone());
                    }
                }
                Some("/get") => {
                    let soul = request["query"]["soul"].as_str().unwrap_or_default();
                    let mut shown = graph.shown(soul).map_or(Value::Null, Value::Object);
                    // The times of two runs differ, and a large integer is a double there.
                    let mut expected = response["body"]["data"].clone();
                    for node in [&mut shown, &mut expected] {
                        if let Some(big) = node.get_mut("big") {
                            *big = json!(big.as_f64());
                        }
                    }
                    assert_eq!(shown, expected, "{}", exchange["name"]);
                    compared += 1;
                }
                _ => {}
            }
        }
        assert!(compared >= 9, "only {compared} exchanges were compared");
    }
}
