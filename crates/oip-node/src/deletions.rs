//! The deployed deletion registry: the souls under which nodes tell each other that a record was deleted
//! (`oip-formats` 3). Owns names and shapes. Marks in it bear no signature and no version: what a
//! mark of others is worth is decided in `sync::marks`.
//!
//! | soul | holds |
//! |---|---|
//! | `oip:deleted:records:index` | key = DID, value = `true`; null = cleared |
//! | `oip:deleted:records:<did>` | `{deletedAt, deletedBy, timestamp, did}` |

use gun::{Key, Soul, Value};
use oip_record::{Did, Stamp};

use crate::registry::Writes;

/// The root is fixed on deployed nodes, whatever the registry's is.
const INDEX: &str = "oip:deleted:records:index";
const ENTRIES: &str = "oip:deleted:records:";
const DID: &str = "did:gun:";

/// The flags of all records.
pub(crate) fn index() -> Soul {
    Soul::new(INDEX).expect("a constant soul is a valid name")
}

/// The key of one record's flag; `None` if the DID can't be a key.
pub(crate) fn flag(soul: &Soul) -> Option<Key> {
    Key::new(Did::from_soul(soul).to_string()).ok()
}

/// Where and when a record was deleted.
pub(crate) fn entry(soul: &Soul) -> Option<Soul> {
    Soul::new(format!("{ENTRIES}{}", Did::from_soul(soul))).ok()
}

/// The record that a flag is about.
pub(crate) fn soul_of(did: &str) -> Option<Soul> {
    Soul::new(did.strip_prefix(DID)?).ok()
}

/// What a change of a value says: which record, and whether it is marked.
pub(crate) fn read_change(soul: &str, key: &str, value: &Value) -> Option<(Soul, bool)> {
    if soul != INDEX {
        return None;
    }
    let record = soul_of(key)?;
    match value {
        Value::Bool(true) => Some((record, true)),
        Value::Null | Value::Bool(false) => Some((record, false)),
        _ => None,
    }
}

/// The writes that mark a record, as deployed nodes make them.
pub(crate) fn mark(soul: &Soul, deleted_by: &str, at_ms: i64) -> Writes {
    let (Some(flag), Some(entry)) = (flag(soul), entry(soul)) else {
        return Vec::new();
    };
    let fields = [
        ("deletedAt", Value::Number(at_ms as f64)),
        ("deletedBy", Value::text(deleted_by)),
        ("timestamp", Value::text(Stamp::from_ms(at_ms).as_str())),
        ("did", Value::text(Did::from_soul(soul).to_string())),
    ];
    vec![
        (entry, named(fields)),
        // The flag that others watch comes last: whoever follows it finds the rest.
        (index(), vec![(flag, Value::Bool(true))]),
    ]
}

/// The writes that clear a mark. Null is what deployed relays leave out when they show the flags.
pub(crate) fn clear(soul: &Soul) -> Writes {
    let (Some(flag), Some(entry)) = (flag(soul), entry(soul)) else {
        return Vec::new();
    };
    let fields = ["deletedAt", "deletedBy", "timestamp", "did"].map(|name| (name, Value::Null));
    vec![(entry, named(fields)), (index(), vec![(flag, Value::Null)])]
}

fn named<const N: usize>(fields: [(&str, Value); N]) -> Vec<(Key, Value)> {
    let named = fields.into_iter();
    named
        .filter_map(|(name, value)| Some((Key::new(name).ok()?, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soul() -> Soul {
        Soul::new("0123456789ab:apple:Work:1").unwrap()
    }

    #[test]
    fn a_mark_has_the_deployed_form() {
        let writes = mark(&soul(), "PK", 1_768_903_200_000);
        let shown: Vec<_> = writes
            .iter()
            .flat_map(|(node, values)| {
                values
                    .iter()
                    .map(move |(key, value)| (node.as_str(), key.as_str(), value.clone()))
            })
            .collect();
        let entry = "oip:deleted:records:did:gun:0123456789ab:apple:Work:1";
        let did = "did:gun:0123456789ab:apple:Work:1";
        assert_eq!(
            shown,
            [
                (entry, "deletedAt", Value::Number(1_768_903_200_000.0)),
                (entry, "deletedBy", Value::text("PK")),
                (entry, "timestamp", Value::text("2026-01-20T10:00:00.000Z")),
                (entry, "did", Value::text(did)),
                ("oip:deleted:records:index", did, Value::Bool(true)),
            ]
        );
    }

    #[test]
    fn marks_and_their_clearing_are_read_back() {
        for (writes, marked) in [(mark(&soul(), "PK", 1), true), (clear(&soul()), false)] {
            let said: Vec<_> = writes
                .iter()
                .flat_map(|(node, values)| {
                    values
                        .iter()
                        .filter_map(|(key, value)| read_change(node.as_str(), key.as_str(), value))
                })
                .collect();
            assert_eq!(said, [(soul(), marked)]);
        }
        assert_eq!(read_change(INDEX, "did:gun:x", &Value::Number(1.0)), None);
        assert_eq!(read_change(INDEX, "x", &Value::Bool(true)), None);
    }
}
