//! Attacks by form: messages that are too large, misnamed or broken.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::Target;
use super::connection::flood;
use crate::raw::{message_id, node};

/// One byte more than a frame of an accepted connection may have.
const FRAME_BYTES: usize = (40 << 20) + 1;

pub(super) async fn oversize(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| match number % 6 {
        0 => {
            let batch: Vec<Value> = (0..10_001).map(|_| json!({"dam": "hi"})).collect();
            Value::Array(batch).to_string()
        }
        1 => {
            let names: Vec<String> = (0..20_001).map(|at| format!("k{at}")).collect();
            let entries: Vec<_> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
            json!({"#": message_id(), "put": node("0123456789ab:x", &entries, 1)}).to_string()
        }
        2 => {
            let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
            format!(r##"{{"#":"{}","@":"none","ok":{deep}}}"##, message_id())
        }
        3 => {
            let soul = format!("0123456789ab:{}", "x".repeat(2_048));
            json!({"#": message_id(), "put": node(&soul, &[("k", json!(1))], 1)}).to_string()
        }
        4 => "[".repeat(1_000_000),
        // Once in a while, since it ends the connection.
        _ if number % 30 == 29 => "x".repeat(FRAME_BYTES),
        _ => {
            let text = json!("y".repeat(1 << 20));
            json!({"#": message_id(), "put": node("0123456789ab:x", &[("k", text)], 1)}).to_string()
        }
    })
    .await
}

pub(super) async fn built_in_names(target: &Target, ends: Instant) -> Result<()> {
    const NAMES: [&str; 6] = [
        "__proto__",
        "constructor",
        "toString",
        "hasOwnProperty",
        "valueOf",
        "__defineGetter__",
    ];
    flood(target, ends, |number| {
        let name = NAMES[number as usize % NAMES.len()];
        let graph = match number % 2 {
            0 => node(name, &[("k", json!(1))], 1),
            _ => node("0123456789ab:x", &[(name, json!(1))], 1),
        };
        json!({"#": message_id(), "put": graph}).to_string()
    })
    .await
}

/// Frames that are no JSON, and messages that break one rule each.
pub(super) async fn malformed(target: &Target, ends: Instant) -> Result<()> {
    const SOUL: &str = "0123456789ab:x";
    let puts = [
        r##"{"S":{"_":{"#":"S",">":{"k":1}},"k":"\ud83d"}}"##,
        r##"{"S":{"_":{"#":"S",">":{"k":1}},"k":1e999}}"##,
        r##"{"S":{"_":{"#":"S",">":{"k":1}},"k":1,"k":2}}"##,
        r##"{"S":{"k":1}}"##,
        r##"{"S":{"_":{"#":"other",">":{"k":1}},"k":1}}"##,
        r##"{"S":{"_":{"#":"S",">":{}},"k":1}}"##,
        r##"{"S":{"_":{"#":"S",">":{"k":"1"}},"k":1}}"##,
        r##"{"S":{"_":{"#":"S",">":{"k":1}},"k":[1]}}"##,
        r##"{"S":{"_":7,"k":1}}"##,
        r##"{"S":null}"##,
        r##"[]"##,
        r##"{"S":{"_":{"#":"S",">":{"k":-1e308}},"k":{"#":""}}}"##,
    ];
    let frames = [
        "{",
        "{\"#\":NaN}",
        "[{\"put\":",
        "\u{feff}{}",
        "null",
        "[[[]]]",
        "{\"get\":{\"#\":7}}",
        "{\"#\":\"a\",\"put\":{},\"get\":{}}",
        "{\"#\":1,\"@\":[],\"ok\":{\"@\":\"x\"}}",
    ];
    flood(target, ends, |number| {
        let at = number as usize % (puts.len() + frames.len());
        match puts.get(at) {
            Some(put) => {
                let put = put.replace('S', SOUL);
                format!(r##"{{"#":"{}","put":{put}}}"##, message_id())
            }
            None => frames[at - puts.len()].to_owned(),
        }
    })
    .await
}
