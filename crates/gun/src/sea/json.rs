//! JSON as SEA signs it: the text that JavaScript writes for a value which it has read.
//!
//! Owns the two orders of members in use. A browser keeps the order in which members were set,
//! gun.js on node sorts them; a text signed by one must verify on the other.

use serde_json::{Map, Value as Json};

use crate::text::{compare_utf16, push_json_text, push_number};

/// In which order the members of objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Members {
    /// As they were read, names of array indexes first: what a browser writes.
    AsRead,
    /// Sorted by UTF-16 units at every level: what gun.js on node writes, and what we write.
    Sorted,
}

/// The JSON text of a value, without spaces.
pub(super) fn text(value: &Json, members: Members) -> String {
    let mut out = String::new();
    push(&mut out, value, members);
    out
}

/// What is signed, sealed or hashed for a value: a text as it is, anything else as JSON.
pub(super) fn content(value: &Json, members: Members) -> String {
    match value {
        Json::String(text) => text.clone(),
        _ => text(value, members),
    }
}

/// What SEA takes a text for: the JSON it holds, with or without the mark `SEA` before an
/// object, or else itself.
pub(super) fn parse(text: &str) -> Json {
    serde_json::from_str(unmarked(text)).unwrap_or_else(|_| Json::from(text))
}

/// A text without the mark `SEA` that stands before signed and sealed objects.
pub(super) fn unmarked(text: &str) -> &str {
    match text.strip_prefix("SEA") {
        Some(object) if object.starts_with('{') => object,
        _ => text,
    }
}

fn push(out: &mut String, value: &Json, members: Members) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => match number.as_f64() {
            Some(number) => push_number(out, number),
            // What JavaScript writes for a number that no double holds.
            None => out.push_str("null"),
        },
        Json::String(text) => push_json_text(out, text),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push(out, item, members);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            for (at, (name, item)) in ordered(object, members).into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_json_text(out, name);
                out.push(':');
                push(out, item, members);
            }
            out.push('}');
        }
    }
}

fn ordered(object: &Map<String, Json>, members: Members) -> Vec<(&String, &Json)> {
    let mut ordered: Vec<(&String, &Json)> = object.iter().collect();
    match members {
        Members::Sorted => ordered.sort_by(|(l, _), (r, _)| compare_utf16(l, r)),
        // A stable sort: what is no index stays in its order.
        Members::AsRead => ordered.sort_by_key(|(name, _)| array_index(name).unwrap_or(u32::MAX)),
    }
    ordered
}

/// The number that a member's name spells, if JavaScript takes it for an array index.
fn array_index(name: &str) -> Option<u32> {
    let spelled = name == "0" || name.starts_with(|c: char| ('1'..='9').contains(&c));
    name.parse().ok().filter(|n| spelled && *n < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_in_the_order_of_browsers_or_of_node() {
        let value: Json = serde_json::from_str(
            r#" {"b": [1.0, {"d":null,"c":"\u00e9"}], "10":true, "9":-0.0, "01":1e21, "a":0.5} "#,
        )
        .unwrap();
        assert_eq!(
            text(&value, Members::AsRead),
            r#"{"9":0,"10":true,"b":[1,{"d":null,"c":"é"}],"01":1e+21,"a":0.5}"#
        );
        assert_eq!(
            text(&value, Members::Sorted),
            r#"{"01":1e+21,"10":true,"9":0,"a":0.5,"b":[1,{"c":"é","d":null}]}"#
        );
    }

    #[test]
    fn a_text_is_taken_for_the_json_it_holds() {
        for (text, expected) in [
            ("hello", Json::from("hello")),
            ("true", Json::from(true)),
            ("\"quoted\"", Json::from("quoted")),
            ("SEA{\"m\":1}", serde_json::json!({"m": 1})),
            ("SEA[1]", Json::from("SEA[1]")),
            ("{broken", Json::from("{broken")),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
