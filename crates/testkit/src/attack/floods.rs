//! Attacks by number: well-formed messages, far too many of them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use gun::sea::{KeyPair, sign_value};
use gun::{Soul, State};
use serde_json::{Value, json};

use super::Target;
use super::connection::flood;
use crate::raw::{message_id, node};

/// Messages of one frame.
const BATCH: u64 = 50;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

fn batch(number: u64, message: impl Fn(u64) -> Value) -> String {
    let messages = (0..BATCH).map(|at| message(number * BATCH + at));
    Value::Array(messages.collect()).to_string()
}

fn put(graph: Value) -> Value {
    json!({"#": message_id(), "put": graph})
}

pub(super) async fn future_states(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(number, |at| {
            let ahead_ms = if at % 2 == 0 {
                9_000_000_000_000
            } else {
                500_000
            };
            let soul = format!("0123456789ab:future-{at}");
            put(node(&soul, &[("oip", json!("{}"))], now_ms() + ahead_ms))
        })
    })
    .await
}

pub(super) async fn souls(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(number, |at| {
            let soul = match at % 10 {
                0 => format!("anything/{at}"),
                _ => format!("{:012x}:flood", at),
            };
            put(node(&soul, &[("data", json!("x".repeat(200)))], now_ms()))
        })
    })
    .await
}

pub(super) async fn index_keys(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(number, |at| {
            let soul = format!("{at:012x}:flood");
            let link = json!({"#": format!("oip:registry:index:post/{soul}")});
            put(node("oip:registry:index:post", &[(&soul, link)], now_ms()))
        })
    })
    .await
}

pub(super) async fn subscriptions(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(
            number,
            |at| json!({"#": message_id(), "get": {"#": format!("0123456789ab:none-{at}")}}),
        )
    })
    .await
}

/// First a store that has something to scan, then scans.
pub(super) async fn scans(target: &Target, ends: Instant) -> Result<()> {
    const SOULS: u64 = 10_500;
    flood(target, ends, |number| {
        batch(number, |at| match at {
            0..SOULS => {
                let soul = format!("{at:012x}:scanned");
                put(node(&soul, &[("k", json!(1))], now_ms()))
            }
            _ => match at % 3 {
                0 => json!({"#": message_id(), "get": {"#": {"*": ""}, "%": 0}}),
                1 => json!({"#": message_id(), "get": {}}),
                _ => json!({"#": message_id(), "get": {".": "k"}}),
            },
        })
    })
    .await
}

pub(super) async fn misses(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(number, |_| {
            let soul = format!("0123456789ab:{}", message_id());
            json!({"#": message_id(), "get": {"#": soul}})
        })
    })
    .await
}

/// Ids that honest traffic will use: it counts (see [`crate::honest`]).
pub(super) async fn stolen_ids(target: &Target, ends: Instant) -> Result<()> {
    flood(target, ends, |number| {
        batch(number, |at| {
            let id = crate::honest::message_id(at % 2_000);
            match at % 2 {
                0 => json!({"#": id, "get": {"#": "0123456789ab:none"}}),
                _ => json!({"#": id, "put": node("0123456789ab:x", &[("k", json!(at))], now_ms())}),
            }
        })
    })
    .await
}

/// Puts of values that a user signed, but for the last one.
pub(super) async fn false_signatures(target: &Target, ends: Instant) -> Result<()> {
    const KEYS: usize = 200;
    let pair = KeyPair::from_scalars(&[1; 32], &[2; 32])?;
    let soul = format!("~{}", pair.public());
    let at_ms = now_ms();
    let state = State::from_millis(at_ms);
    let mut entries = Vec::new();
    for number in 0..KEYS {
        let name = format!("key-{number}");
        let claimed = if number + 1 < KEYS { "x" } else { "y" };
        let text = sign_value(
            &Soul::new(&*soul)?,
            &name,
            &gun::Value::text("x"),
            state,
            &pair,
        )?;
        let text = text.replacen("\"x\"", &format!("\"{claimed}\""), 1);
        entries.push((name, json!(text)));
    }
    let entries: Vec<(&str, Value)> = entries
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let graph = node(&soul, &entries, at_ms);
    flood(target, ends, |_| put(graph.clone()).to_string()).await
}
