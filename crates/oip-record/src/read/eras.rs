//! Every era of `oip-formats` 1.9 as a fixture in `testdata/eras`: read from the graph, and from what a
//! deployed relay shows of it over HTTP, both to the same record.

use gun::{Node, Soul};
use serde_json::{Map, Value, json};

use super::{Candidate, TextOrigin, candidate, from_relay_json};
use crate::fixtures::{node_of, whole};
use crate::reject::Reject;
use crate::verify::{Guard, SignaturePolicy, Verification, accept};

const NOW_MS: i64 = 1_795_400_000_000;

const ERAS: [(&str, &str); 7] = [
    (
        "nested",
        include_str!("../../../../testdata/eras/1-nested-2025-08.json"),
    ),
    (
        "flat creator",
        include_str!("../../../../testdata/eras/2-flat-creator-2025-11-18.json"),
    ),
    (
        "text creator",
        include_str!("../../../../testdata/eras/3-text-creator-2025-11-18.json"),
    ),
    (
        "packed",
        include_str!("../../../../testdata/eras/4-packed-since-2025-11-18.json"),
    ),
    (
        "creator twice",
        include_str!("../../../../testdata/eras/5-packed-creator-twice-2025-11-18.json"),
    ),
    (
        "restored",
        include_str!("../../../../testdata/eras/6-restored.json"),
    ),
    (
        "ciphertext",
        include_str!("../../../../testdata/eras/7-ciphertext.json"),
    ),
];

struct Era {
    name: &'static str,
    soul: Soul,
    nodes: Vec<Node>,
    fixture: Value,
}

fn eras() -> impl Iterator<Item = Era> {
    ERAS.into_iter().map(|(name, text)| {
        let fixture: Value = serde_json::from_str(text).unwrap();
        let nodes = fixture["graph"].as_object().unwrap();
        Era {
            name,
            soul: Soul::new(fixture["soul"].as_str().unwrap()).unwrap(),
            nodes: nodes.values().map(node_of).collect(),
            fixture,
        }
    })
}

impl Era {
    fn node(&self, soul: &Soul) -> Option<Node> {
        self.nodes.iter().find(|node| node.soul == *soul).cloned()
    }

    /// A node as a deployed relay's `/get` shows it: without metadata and nulls, `data` and `oip` parsed.
    fn shown(&self, soul: &Soul) -> Option<Value> {
        let node = self.fixture["graph"][soul.as_str()].as_object()?;
        let shown: Map<String, Value> = node
            .iter()
            .filter(|(key, value)| *key != "_" && !value.is_null())
            .map(|(key, value)| {
                let text = value.as_str().filter(|_| matches!(&**key, "data" | "oip"));
                let parsed = text.and_then(|text| serde_json::from_str(text).ok());
                (key.clone(), parsed.unwrap_or_else(|| value.clone()))
            })
            .collect();
        Some(shown.into())
    }

    fn read_both(&self) -> [Candidate; 2] {
        let root = self.node(&self.soul).unwrap();
        let from_graph = candidate(&root, |soul| self.node(soul)).unwrap();
        let record = self.shown(&self.soul).unwrap();
        let from_http = from_relay_json(&record, |soul| self.shown(soul)).unwrap();
        [from_graph, from_http]
    }
}

#[test]
fn records_of_every_era_are_read_from_the_graph_and_over_http() {
    for era in eras() {
        for read in era.read_both() {
            let accepted = accept(&era.soul, whole(read), SignaturePolicy::Prefer, NOW_MS);
            let accepted = accepted.unwrap_or_else(|reject| panic!("{}: {reject}", era.name));
            if era.fixture["legacy"] == true {
                let is_legacy = matches!(accepted.guard, Guard::Legacy(_));
                assert!(is_legacy, "{}: {:?}", era.name, accepted.guard);
                continue;
            }
            assert_eq!(
                accepted.document["data"], era.fixture["data"],
                "{}",
                era.name
            );
            assert_eq!(
                accepted.verification,
                Verification::Unverified,
                "{}",
                era.name
            );
            // The soul is the key, whatever `oip.did` says.
            let did = format!("did:gun:{}", era.soul);
            assert_eq!(accepted.document["oip"]["did"], json!(did), "{}", era.name);
            assert_eq!(accepted.order.at_ms, 1_762_768_800_000, "{}", era.name);
        }
    }
}

#[test]
fn the_signed_text_of_packed_eras_is_never_rewritten() {
    for era in eras().filter(|era| era.fixture["legacy"].is_null()) {
        let root = era.node(&era.soul).unwrap();
        let Some(text) = root.value("data").and_then(gun::Value::as_text) else {
            continue;
        };
        let [from_graph, from_http] = era.read_both().map(whole);
        assert_eq!(from_graph.data_text.as_deref(), Some(text), "{}", era.name);
        assert_eq!(from_graph.origin, TextOrigin::Stored);
        // Written anew as JavaScript writes it, it is the same.
        assert_eq!(from_http.data_text.as_deref(), Some(text), "{}", era.name);
        let oip = root.value("oip").and_then(gun::Value::as_text);
        assert_eq!(Some(&*from_graph.oip_text), oip, "{}", era.name);
    }
}

#[test]
fn a_torn_record_of_any_era_is_not_taken_for_a_whole_one() {
    for era in eras() {
        // Every node below the record's own, `meta` apart, is needed.
        for lost in era.nodes.iter().map(|node| &node.soul) {
            if *lost == era.soul || lost.as_str().ends_with("/meta") {
                continue;
            }
            let root = era.node(&era.soul).unwrap();
            let without = |soul: &Soul| era.node(soul).filter(|_| soul != lost);
            let missing = vec![lost.clone()];
            assert_eq!(
                candidate(&root, without),
                Ok(Candidate::NotYet {
                    missing: missing.clone()
                })
            );
            let record = era.shown(&era.soul).unwrap();
            let without = |soul: &Soul| era.shown(soul).filter(|_| soul != lost);
            assert_eq!(
                from_relay_json(&record, without),
                Ok(Candidate::NotYet { missing })
            );
        }
        // And so is either of its own values.
        let mut record = era.shown(&era.soul).unwrap();
        record.as_object_mut().unwrap().shift_remove("data");
        let raw = whole(from_relay_json(&record, |soul| era.shown(soul)).unwrap());
        let refused = accept(&era.soul, raw, SignaturePolicy::Prefer, NOW_MS);
        assert_eq!(refused, Err(Reject::Torn), "{}", era.name);
    }
}
