//! What several tests need: fixed keys, a clock, submissions, and the way from a built record
//! back to what a peer reads.

use gun::graph::Entry;
use gun::{Graph, Node, Soul, State};
use serde_json::{Map, Value, json};

use crate::Reject;
use crate::keys::CreatorKey;
use crate::publish::{self, Built, Context, Submission};
use crate::read::{self, Candidate, Raw};
use crate::verify::{self, Accepted, SignaturePolicy};

/// 2026-01-20T10:00:00.000Z
pub(crate) const NOW_MS: i64 = 1_768_903_200_000;

pub(crate) fn wallet() -> CreatorKey {
    let file = include_str!("../../../testdata/vectors/own/throw-away-wallet.json");
    CreatorKey::from_file_json(file).unwrap()
}

pub(crate) fn every_key() -> [CreatorKey; 4] {
    [
        CreatorKey::ed25519([1; 32]).unwrap(),
        CreatorKey::p256([2; 32]).unwrap(),
        CreatorKey::secp256k1([3; 32]).unwrap(),
        wallet(),
    ]
}

pub(crate) fn context(key: &CreatorKey) -> Context<'_> {
    Context {
        key,
        now_ms: NOW_MS,
        newest_known: None,
        random: [9; 16],
        existing: None,
    }
}

pub(crate) fn post(data: Value) -> Submission {
    Submission {
        record_type: "post".into(),
        local_id: Some("note-1".into()),
        data,
        params: Map::new(),
    }
}

pub(crate) fn sample() -> Value {
    json!({"basic": {"name": "Tide table", "tagItems": ["a", "[1]"]}, "post": {"n": [0.5, []]}})
}

pub(crate) fn built(key: &CreatorKey) -> Built {
    publish::build(&post(sample()), &context(key)).unwrap()
}

/// The entries as they lie in a graph.
pub(crate) fn graph_of(built: &Built) -> Graph {
    let state = State::from_millis(built.order.at_ms as u64);
    let node = |(soul, entries): &(Soul, Vec<(gun::Key, gun::Value)>)| Node {
        soul: soul.clone(),
        entries: entries
            .iter()
            .map(|(key, value)| Entry {
                key: key.clone(),
                state,
                value: value.clone(),
            })
            .collect(),
    };
    built.entries.iter().map(node).collect()
}

/// A captured node, `{"_": {"#": soul, ">": {key: state}}, key: value}`.
pub(crate) fn node_of(wire: &Value) -> Node {
    let soul = Soul::new(wire["_"]["#"].as_str().unwrap()).unwrap();
    let states = wire["_"][">"].as_object().unwrap();
    let entries = states.iter().map(|(name, state)| Entry {
        key: gun::Key::new(name.as_str()).unwrap(),
        state: State::new(state.as_f64().unwrap()).unwrap(),
        value: match &wire[name] {
            Value::Null => gun::Value::Null,
            Value::Bool(flag) => gun::Value::Bool(*flag),
            Value::Number(number) => gun::Value::Number(number.as_f64().unwrap()),
            Value::String(text) => gun::Value::text(text.as_str()),
            link => gun::Value::Link(Soul::new(link["#"].as_str().unwrap()).unwrap()),
        },
    });
    Node {
        entries: entries.collect(),
        soul,
    }
}

pub(crate) fn read_in(graph: &[Node], soul: &str) -> Result<Candidate, Reject> {
    let find = |soul: &str| {
        graph
            .iter()
            .find(|node| node.soul.as_str() == soul)
            .cloned()
    };
    read::candidate(&find(soul).unwrap(), |soul| find(soul.as_str()))
}

pub(crate) fn whole(candidate: Candidate) -> Raw {
    match candidate {
        Candidate::Whole(raw) => raw,
        Candidate::NotYet { missing } => panic!("missing {missing:?}"),
    }
}

pub(crate) fn raw_of(built: &Built) -> Raw {
    whole(read_in(&graph_of(built), built.soul.as_str()).unwrap())
}

pub(crate) fn accept(built: &Built) -> Result<Accepted, Reject> {
    verify::accept(&built.soul, raw_of(built), SignaturePolicy::Require, NOW_MS)
}
