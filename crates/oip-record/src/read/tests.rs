//! Every layout and era (`oip-formats` 1.9), on captured graphs where there are any.

use gun::graph::Entry;
use gun::{Key, State};
use serde_json::json;

use super::*;
use crate::fixtures::{node_of, read_in, whole};
use crate::verify::{Guard, SignaturePolicy, Verification, accept};

const NOW_MS: i64 = 1_795_400_000_000;

fn node(soul: &str, entries: &[(&str, GunValue)]) -> Node {
    let entries = entries.iter().map(|(key, value)| Entry {
        key: Key::new(*key).unwrap(),
        state: State::from_millis(5),
        value: value.clone(),
    });
    Node {
        soul: Soul::new(soul).unwrap(),
        entries: entries.collect(),
    }
}

fn link(soul: &str) -> GunValue {
    GunValue::Link(Soul::new(soul).unwrap())
}

fn graph(file: &str) -> Vec<Node> {
    let nodes: Map<String, Value> = serde_json::from_str(file).unwrap();
    nodes.values().map(node_of).collect()
}

fn after_publish() -> Vec<Node> {
    graph(include_str!(
        "../../../../testdata/vectors/oip/relay-graph-after-publish.json"
    ))
}

fn after_http() -> Vec<Node> {
    graph(include_str!(
        "../../../../testdata/vectors/oip/relay-graph-after-http.json"
    ))
}

#[test]
fn a_record_of_a_deployed_node_is_read_and_its_signature_verifies() {
    let graph = after_publish();
    let raw = whole(read_in(&graph, "92d7138abcac:sig-1").unwrap());
    assert_eq!(
        (raw.origin, raw.unity),
        (TextOrigin::Stored, Unity::SamePut)
    );
    assert_eq!(raw.meta["localId"], "sig-1");
    let soul = Soul::new("92d7138abcac:sig-1").unwrap();
    let accepted = accept(&soul, raw, SignaturePolicy::Require, NOW_MS).unwrap();
    assert_eq!(accepted.verification, Verification::Verified);
    assert_eq!(
        accepted.document["data"],
        json!({"basic": {"name": "S1", "tagItems": ["a"], "price": 1.5}, "post": {"articleText": "x"}})
    );
}

#[test]
fn the_nested_layout_is_read() {
    let graph = after_http();
    let raw = whole(read_in(&graph, "0123456789ab:v2").unwrap());
    assert_eq!(
        raw.data_text.as_deref(),
        Some("{\"basic\":{\"name\":\"Nested\"}}")
    );
    assert_eq!(raw.origin, TextOrigin::Rebuilt);
    let oip: Value = serde_json::from_str(&raw.oip_text).unwrap();
    assert_eq!(
        oip["creator"],
        json!({"didAddress": "did:arweave:AAAA", "publicKey": "PK"})
    );
    let soul = Soul::new("0123456789ab:v2").unwrap();
    let accepted = accept(&soul, raw.clone(), SignaturePolicy::Off, NOW_MS).unwrap();
    assert_eq!(accepted.record_type, "post");
    assert_eq!(accepted.order.at_ms, 0);
    assert_eq!(
        accept(&soul, raw, SignaturePolicy::Prefer, NOW_MS)
            .unwrap_err()
            .label(),
        "prefix-mismatch"
    );
}

#[test]
fn a_record_of_an_old_scheme_is_told_by_its_ciphertext() {
    let raw = whole(read_in(&after_http(), "0123456789ab:v3").unwrap());
    let soul = Soul::new("0123456789ab:v3").unwrap();
    let accepted = accept(&soul, raw, SignaturePolicy::Off, NOW_MS).unwrap();
    assert!(matches!(accepted.guard, Guard::Legacy(_)), "{accepted:?}");
}

#[test]
fn flat_and_double_encoded_creators_of_two_short_eras_are_read() {
    let data = ("data", link("a:b/data"));
    let templates = [
        node("a:b/data", &[("basic", link("a:b/data/basic"))]),
        node(
            "a:b/data/basic",
            &[
                ("name", GunValue::text("x")),
                ("tagItems", GunValue::text("[\"t\"]")),
                ("n", GunValue::Number(3.0)),
                ("half", GunValue::Number(0.5)),
                ("far", GunValue::Number(1e300)),
                ("yes", GunValue::Bool(true)),
                ("gone", GunValue::Null),
            ],
        ),
    ];
    let flat = node(
        "a:b/oip",
        &[
            ("ver", GunValue::text("0.8.0")),
            ("recordType", GunValue::text("post")),
            ("creator_didAddress", GunValue::text("did:arweave:A")),
            ("creator_publicKey", GunValue::text("K")),
        ],
    );
    let string = node(
        "a:b/oip",
        &[
            ("ver", GunValue::text("0.8.0")),
            ("recordType", GunValue::text("post")),
            (
                "creator",
                GunValue::text("{\"didAddress\":\"did:arweave:A\",\"publicKey\":\"K\"}"),
            ),
        ],
    );
    for oip in [flat, string] {
        let mut graph = vec![node("a:b", &[data.clone(), ("oip", link("a:b/oip"))]), oip];
        graph.extend(templates.clone());
        let raw = whole(read_in(&graph, "a:b").unwrap());
        let accepted = accept(&graph[0].soul, raw, SignaturePolicy::Off, NOW_MS).unwrap();
        assert_eq!(accepted.creator.did_address, "did:arweave:A");
        assert_eq!(
            accepted.document["data"],
            json!({"basic": {"name": "x", "tagItems": ["t"], "n": 3, "half": 0.5, "far": 1e300, "yes": true}})
        );
    }
}

#[test]
fn native_arrays_of_restore_scripts_are_read() {
    let graph = [node(
        "a:b",
        &[
            (
                "data",
                GunValue::text("{\"basic\":{\"tagItems\":[\"a\",\"[1]\"],\"s\":\"[2]\"}}"),
            ),
            (
                "oip",
                GunValue::text(
                    "{\"ver\":\"0.8.0\",\"recordType\":\"post\",\"creator\":{\"didAddress\":\"d\",\"publicKey\":\"K\"},\"storage\":\"gun\",\"inArweaveBlock\":7}",
                ),
            ),
        ],
    )];
    let raw = whole(read_in(&graph, "a:b").unwrap());
    let accepted = accept(&graph[0].soul, raw, SignaturePolicy::Off, NOW_MS).unwrap();
    // The deployed rule looks into native arrays, once.
    assert_eq!(
        accepted.document["data"],
        json!({"basic": {"tagItems": ["a", [1]], "s": [2]}})
    );
    assert_eq!(accepted.document["oip"]["inArweaveBlock"], 7);
}

#[test]
fn what_has_not_arrived_is_named() {
    let oip = ("oip", GunValue::text("{}"));
    let none: Vec<Soul> = Vec::new();
    let only_oip = read_in(&[node("a:b", &[oip])], "a:b");
    assert_eq!(
        only_oip,
        Ok(Candidate::NotYet {
            missing: none.clone()
        })
    );
    let only_data = read_in(&[node("a:b", &[("data", GunValue::text("{}"))])], "a:b");
    assert_eq!(only_data, Ok(Candidate::NotYet { missing: none }));
    let graph = [
        node(
            "a:b",
            &[("data", link("a:b/data")), ("oip", link("a:b/oip"))],
        ),
        node("a:b/data", &[("basic", link("a:b/data/basic"))]),
    ];
    let missing = vec![
        Soul::new("a:b/oip").unwrap(),
        Soul::new("a:b/data/basic").unwrap(),
    ];
    assert_eq!(read_in(&graph, "a:b"), Ok(Candidate::NotYet { missing }));
}

#[test]
fn other_graph_data_is_no_record() {
    for entries in [
        vec![("name", GunValue::text("x"))],
        vec![("data", GunValue::text("{}")), ("oip", GunValue::Null)],
        vec![
            ("data", GunValue::text("{}")),
            ("oip", GunValue::Bool(true)),
        ],
    ] {
        assert_eq!(
            read_in(&[node("a:b", &entries)], "a:b"),
            Err(Reject::NotOip)
        );
    }
    let number = [
        ("data", GunValue::Number(1.0)),
        ("oip", GunValue::text("{}")),
    ];
    assert_eq!(
        read_in(&[node("a:b", &number)], "a:b").unwrap_err().label(),
        "not-an-object"
    );
}

#[test]
fn data_and_oip_of_different_states_are_marked() {
    let mut node = node(
        "a:b",
        &[("data", GunValue::Null), ("oip", GunValue::text("{}"))],
    );
    node.entries[1].state = State::from_millis(6);
    assert_eq!(whole(read_in(&[node], "a:b").unwrap()).unity, Unity::Mixed);
}

#[test]
fn links_in_a_circle_or_without_end_are_cut_off() {
    let circle = [
        node(
            "a:b",
            &[("data", link("a:b/data")), ("oip", GunValue::text("{}"))],
        ),
        node("a:b/data", &[("again", link("a:b/data"))]),
    ];
    let error = read_in(&circle, "a:b").unwrap_err();
    assert_eq!(error.label(), "nested-too-large");
    assert_eq!(
        error.to_string(),
        "the record's nested nodes are too many or too deep: publish it packed"
    );
    let wide = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("k{n}")).collect();
        let links: Vec<(&str, GunValue)> = keys
            .iter()
            .map(|key| (key.as_str(), link("leaf")))
            .collect();
        let graph = [
            node(
                "a:b",
                &[("data", link("a:b/data")), ("oip", GunValue::text("{}"))],
            ),
            node("a:b/data", &links),
            node("leaf", &[]),
        ];
        read_in(&graph, "a:b")
    };
    assert!(wide(NESTED_NODES_MAX - 1).is_ok());
    assert_eq!(wide(NESTED_NODES_MAX).unwrap_err(), Reject::NestedTooLarge);
}

#[test]
fn the_answer_of_a_deployed_relay_is_read() {
    let packed = json!({"data": {"basic": {"b": 1, "1": 2}}, "oip": {"ver": "0.8.0"}, "meta": {"#": "a:b/meta"}});
    let raw = whole(from_relay_json(&packed, |_| None).unwrap());
    assert_eq!(
        raw.data_text.as_deref(),
        Some("{\"basic\":{\"1\":2,\"b\":1}}")
    );
    assert_eq!((raw.origin, raw.meta.len()), (TextOrigin::Rebuilt, 0));
    let texts = json!({"data": "{\"a\":1.0}", "oip": "{}"});
    let texts = whole(from_relay_json(&texts, |_| None).unwrap());
    assert_eq!(
        (texts.data_text.as_deref(), texts.origin),
        (Some("{\"a\":1.0}"), TextOrigin::Stored)
    );
    let linked = from_relay_json(&json!({"data": {"#": "a:b/data"}, "oip": {}}), |_| None);
    assert_eq!(
        linked,
        Ok(Candidate::NotYet {
            missing: vec![Soul::new("a:b/data").unwrap()]
        })
    );
    for other in [json!(null), json!({}), json!({"data": {}}), json!([1])] {
        let read = from_relay_json(&other, |_| None);
        assert_eq!(read, Err(Reject::NotOip), "{other}");
    }
}

#[test]
fn linked_nodes_that_a_relay_shows_one_by_one_make_a_whole_record() {
    let link = |soul: &str| json!({"#": soul});
    let record =
        json!({"data": link("a:b/data"), "oip": link("a:b/oip"), "meta": link("a:b/meta")});
    let shown = |soul: &Soul| match soul.as_str() {
        "a:b/data" => Some(json!({"basic": link("a:b/data/basic")})),
        "a:b/data/basic" => Some(json!({"name": "Nested", "tagItems": "[\"t\"]", "gone": null})),
        "a:b/oip" => Some(json!({"ver": "0.8.0", "creator": link("a:b/oip/creator")})),
        "a:b/oip/creator" => Some(json!({"publicKey": "PK"})),
        _ => None,
    };
    let raw = whole(from_relay_json(&record, shown).unwrap());
    assert_eq!(
        raw.data_text.as_deref(),
        Some("{\"basic\":{\"name\":\"Nested\",\"tagItems\":\"[\\\"t\\\"]\"}}")
    );
    assert_eq!(
        raw.oip_text,
        "{\"ver\":\"0.8.0\",\"creator\":{\"publicKey\":\"PK\"}}"
    );
    let without = |gone: &'static str| {
        from_relay_json(&record, move |soul| {
            shown(soul).filter(|_| soul.as_str() != gone)
        })
    };
    for gone in ["a:b/data", "a:b/data/basic", "a:b/oip/creator"] {
        let missing = vec![Soul::new(gone).unwrap()];
        assert_eq!(without(gone), Ok(Candidate::NotYet { missing }));
    }
    let itself = json!({"data": link("a:b/data"), "oip": {}});
    let round = from_relay_json(&itself, |_| Some(json!({"again": link("a:b/data")})));
    assert_eq!(round, Err(Reject::NestedTooLarge));
}

#[test]
fn the_index_form_is_read_back_to_the_texts_that_were_published() {
    let graph = after_publish();
    let raw = whole(read_in(&graph, "92d7138abcac:sig-1").unwrap());
    let soul = Soul::new("92d7138abcac:sig-1").unwrap();
    let accepted = accept(&soul, raw.clone(), SignaturePolicy::Require, NOW_MS).unwrap();
    let mut document = accepted.document;
    document["oip"]["syncedAt"] = json!("2026-01-20T10:00:00.000Z");
    let read = from_document(&document).unwrap();
    assert_eq!(read.data_text, raw.data_text);
    assert_eq!(read.origin, TextOrigin::Rebuilt);
    let again = accept(&soul, read, SignaturePolicy::Require, NOW_MS).unwrap();
    assert_eq!(again.verification, Verification::Verified);
    assert_eq!(again.order.at_ms, accepted.order.at_ms);
    assert_eq!(from_document(&json!({"data": {}})), Err(Reject::NotOip));
}
