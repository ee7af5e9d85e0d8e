//! The text forms on which peers must agree, against values taken from gun.js.

use gun::ham::compare_values;
use gun::text::value_text;
use gun::wire::{Body, Lex, Limits, graph_hash, parse_frame, text_hash};
use gun::{Graph, Value};
use serde_json::Value as Json;

use crate::vector::folder;

fn section(name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(folder().join("54-values.json")).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    json[name]
        .as_array()
        .unwrap_or_else(|| panic!("no section {name}"))
        .clone()
}

/// The value that stands for `json` in a put, `None` if it is refused.
fn heard(json: &str) -> Option<Value> {
    let frame =
        format!(r##"{{"#":"i","put":{{"s":{{"_":{{"#":"s",">":{{"k":1}}}},"k":{json}}}}}}}"##);
    match parse_frame(&frame, &Limits::ACCEPTED).remove(0).ok()?.body {
        Body::Put(put) => Some(put.graph[0].entries[0].value.clone()),
        body => panic!("{body:?}"),
    }
}

#[test]
fn text_hashes_are_those_of_gun_js() {
    for case in section("hash") {
        let text = case["text"].as_str().unwrap();
        assert_eq!(
            i64::from(text_hash(text)),
            case["hash"].as_i64().unwrap(),
            "{text}"
        );
    }
}

#[test]
fn put_hashes_are_those_of_gun_js() {
    for case in section("putHash") {
        let text = case["sortedText"].as_str().unwrap();
        let frame = format!(r##"{{"#":"i","put":{text}}}"##);
        let Body::Put(put) = parse_frame(&frame, &Limits::ACCEPTED)
            .remove(0)
            .unwrap()
            .body
        else {
            panic!("{frame}")
        };
        assert_eq!(crate::facts::text(&put.graph), text);
        let mut reversed: Graph = put.graph;
        for node in &mut reversed {
            node.entries.reverse();
        }
        assert_eq!(
            i64::from(graph_hash(&reversed)),
            case["hash"].as_i64().unwrap(),
            "{text}"
        );
    }
}

#[test]
fn numbers_are_written_as_ecmascript_writes_them() {
    for case in section("numberText") {
        let bits = case["bits"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&bits[2 * at..2 * at + 2], 16).unwrap();
        let number = f64::from_le_bytes(std::array::from_fn(byte));
        let text = case["json"].as_str().unwrap();
        assert_eq!(value_text(&Value::Number(number)), text);
        assert_eq!(value_text(&heard(text).unwrap()), text);
    }
}

#[test]
fn ties_are_broken_as_gun_js_breaks_them() {
    let mut compared = 0;
    for case in section("tieBreak") {
        let text = |name: &str| case[name].as_str().unwrap();
        let (Some(a), Some(b)) = (heard(text("a")), heard(text("b"))) else {
            // Half a surrogate pair: refused, so there is no tie to break.
            assert!(text("a").contains("\\ud800"), "{case}");
            continue;
        };
        compared += 1;
        let winner = if compare_values(&a, &b).is_gt() {
            &a
        } else {
            &b
        };
        assert_eq!(
            value_text(winner),
            value_text(&heard(text("winner")).unwrap()),
            "{case}"
        );
        assert_eq!(compare_values(&a, &b), compare_values(&b, &a).reverse());
    }
    assert!(compared >= 14, "{compared}");
}

/// The recorded matches are those of a client. A relay's differ where a prefix and bounds
/// meet, and in what empty ranges mean; these are the relay's.
#[test]
fn ranges_match_as_on_a_relay() {
    let of_relay = |text: &str, lex: &Json| match (text, lex.to_string().as_str()) {
        ("abc", r##"{"*":""}"##) | ("x", "{}") => Some(true),
        ("aba", r##"{"*":"ab",">":"abm"}"##) | ("xa", r##"{">":"x","<":"a"}"##) => Some(false),
        _ => None,
    };
    let mut differing = 0;
    for case in section("lex") {
        let text = case["text"].as_str().unwrap();
        let part = |name: &str| case["lex"][name].as_str().map(Into::into);
        let exact = case["lex"].as_str().map(Into::into).or_else(|| part("="));
        let lex = Lex {
            exact,
            prefix: part("*"),
            from: part(">"),
            to: part("<"),
        };
        let client = case["match"].as_bool().unwrap();
        let expected = of_relay(text, &case["lex"]).unwrap_or(client);
        differing += usize::from(expected != client);
        assert_eq!(lex.matches(text), expected, "{case}");
    }
    assert_eq!(differing, 4);
}

#[test]
fn the_upper_bound_ends_a_range_of_souls_and_means_nothing_beside_one_name() {
    let matches = |exact: Option<&str>, soul: &str| {
        let lex = Lex {
            exact: exact.map(Into::into),
            to: Some("b".into()),
            ..Lex::default()
        };
        (lex.matches_soul(soul), lex.matches(soul))
    };
    assert_eq!(matches(None, "a"), (true, true));
    assert_eq!(matches(None, "b"), (false, true));
    assert_eq!(matches(Some("b"), "b"), (true, true));
    assert_eq!(matches(Some("b"), "a"), (false, false));
}
