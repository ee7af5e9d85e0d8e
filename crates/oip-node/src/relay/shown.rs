//! Nodes as JSON text, in the forms in which the deployed relay shows them.
//!
//! Owns the two forms of a value (`/get` and `/list`) and the walk along links with its bounds.
//! Pure, but for reading nodes from the store.

use gun::graph::Entry;
use gun::text::{push_json_text, push_value};
use gun::{Node, Soul, Value};
use oip_record::limits::{DEPTH_MAX, NESTED_NODES_MAX};
use oip_store::{ReadError, Store};
use serde::de::IgnoredAny;

/// Names that are no data of a node. Deployed readers find none of them.
const HIDDEN: [&str; 4] = ["_", "#", ">", "<"];

/// Fields of a record that hold JSON as text.
const PACKED: [&str; 2] = ["data", "oip"];

/// Whether `/get` shows an entry.
pub(super) fn is_shown(entry: &Entry) -> bool {
    entry.value != Value::Null && !HIDDEN.contains(&entry.key.as_str())
}

/// Appends `"key":value` as `/get` shows it: the texts of a record as the JSON that they hold.
pub(super) fn push_entry(out: &mut String, entry: &Entry) {
    push_name(out, entry.key.as_str());
    match entry.value.as_text() {
        Some(text) if PACKED.contains(&entry.key.as_str()) && is_json(text) => out.push_str(text),
        _ => push_value(out, &entry.value),
    }
}

pub(super) fn push_name(out: &mut String, name: &str) {
    push_json_text(out, name);
    out.push(':');
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Puts the objects that links lead to in the place of the links.
pub(super) struct Following<'s> {
    store: &'s Store,
    nodes: usize,
    /// Whether every link led somewhere.
    pub whole: bool,
}

impl<'s> Following<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        Self {
            store,
            nodes: 0,
            whole: true,
        }
    }

    /// Appends a value; a link as the object it leads to, and as it is where that is not held, or
    /// beyond the bounds of a record.
    pub(super) fn push(&mut self, out: &mut String, value: &Value) -> Result<(), ReadError> {
        self.push_at(out, value, 1)
    }

    fn push_at(&mut self, out: &mut String, value: &Value, depth: usize) -> Result<(), ReadError> {
        let Value::Link(soul) = value else {
            push_value(out, value);
            return Ok(());
        };
        let Some(node) = self.node(soul, depth)? else {
            self.whole = false;
            push_value(out, value);
            return Ok(());
        };
        out.push('{');
        let mut is_first = true;
        for entry in node.entries.iter().filter(|entry| is_shown(entry)) {
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            push_name(out, entry.key.as_str());
            self.push_at(out, &entry.value, depth + 1)?;
        }
        out.push('}');
        Ok(())
    }

    fn node(&mut self, soul: &Soul, depth: usize) -> Result<Option<Node>, ReadError> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NESTED_NODES_MAX {
            return Ok(None);
        }
        small_node(self.store, soul)
    }
}

/// A node that may be part of a record; one that is too large for that is none.
pub(super) fn small_node(store: &Store, soul: &Soul) -> Result<Option<Node>, ReadError> {
    match store.node(soul) {
        Err(ReadError::NodeTooLarge(_)) => Ok(None),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gun::{Key, State};

    fn shown(key: &str, value: Value) -> Option<String> {
        let entry = Entry {
            key: Key::new(key).unwrap(),
            state: State::from_millis(1),
            value,
        };
        is_shown(&entry).then(|| {
            let mut out = String::new();
            push_entry(&mut out, &entry);
            out
        })
    }

    #[test]
    fn values_are_shown_as_the_deployed_relay_shows_them() {
        for (key, value, expected) in [
            (
                "data",
                Value::text(r#"{"a":[1]}"#),
                Some(r#""data":{"a":[1]}"#),
            ),
            ("oip", Value::text("17"), Some(r#""oip":17"#)),
            ("oip", Value::text("no json"), Some(r#""oip":"no json""#)),
            ("oip", Value::text(""), Some(r#""oip":"""#)),
            (
                "name",
                Value::text(r#"{"a":1}"#),
                Some(r#""name":"{\"a\":1}""#),
            ),
            ("f", Value::Number(1.5), Some(r#""f":1.5"#)),
            (
                "f",
                Value::Number(9_007_199_254_740_992.0),
                Some(r#""f":9007199254740992"#),
            ),
            (
                "data",
                Value::Link(Soul::new("s/data").unwrap()),
                Some(r##""data":{"#":"s/data"}"##),
            ),
            ("n", Value::Null, None),
            ("#", Value::text("x"), None),
            (">", Value::text("x"), None),
            ("<", Value::text("x"), None),
        ] {
            assert_eq!(shown(key, value).as_deref(), expected, "{key}");
        }
    }
}
