//! What a document says about itself: the fields that queries look at.
//!
//! Pure, and total: documents come from strangers and from years of older software,
//! so a member that is missing or of the wrong type is passed over, never an error.
//! Backends take their fields from here, so that they agree on what is odd.

use serde_json::Value;

use crate::field::{self, FIELD_BYTES_MAX, FIELD_DEPTH_MAX};
use crate::templates::whole;

/// The searchable fields of one document. Absent ones are `None` or empty.
#[derive(Debug, Default, PartialEq)]
pub struct Facts<'a> {
    /// `oip.recordType`.
    pub record_type: Option<&'a str>,
    /// `oip.creator.didAddress`.
    pub creator: Option<&'a str>,
    /// `oip.indexedAt` in milliseconds since 1970.
    pub indexed_at_ms: Option<i64>,
    /// `data.basic.date`, a whole number; seconds since 1970 by custom.
    pub date: Option<i64>,
    /// `data.basic.name`.
    pub name: Option<&'a str>,
    /// `data.basic.description`.
    pub description: Option<&'a str>,
    /// The strings of the array `data.basic.tagItems`.
    pub tags: Vec<&'a str>,
    /// Every other string under `data`, at any depth, in no particular order.
    pub strings: Vec<&'a str>,
}

impl<'a> Facts<'a> {
    /// Reads a document in index form.
    pub fn of(document: &'a Value) -> Self {
        let oip = document.get("oip");
        let data = document.get("data");
        let basic = data.and_then(|data| data.get("basic"));
        let mut facts = Self {
            record_type: oip.and_then(|oip| text(oip.get("recordType"))),
            creator: oip
                .and_then(|oip| oip.get("creator"))
                .and_then(|creator| text(creator.get("didAddress"))),
            indexed_at_ms: oip.and_then(|oip| moment(oip.get("indexedAt"))),
            date: basic.and_then(|basic| basic.get("date")).and_then(whole),
            name: basic.and_then(|basic| text(basic.get("name"))),
            description: basic.and_then(|basic| text(basic.get("description"))),
            ..Self::default()
        };
        if let Some(Value::Array(items)) = basic.and_then(|basic| basic.get("tagItems")) {
            facts.tags.extend(items.iter().filter_map(Value::as_str));
        }
        if let Some(data) = data {
            facts.collect_strings(data, basic);
        }
        facts
    }

    /// Walks with a list of its own instead of the call stack: nesting is the sender's choice.
    fn collect_strings(&mut self, data: &'a Value, basic: Option<&'a Value>) {
        let mut open = vec![data];
        while let Some(value) = open.pop() {
            match value {
                Value::String(string) => self.strings.push(string),
                Value::Array(items) => open.extend(items),
                Value::Object(members) => {
                    let is_basic = basic.is_some_and(|basic| std::ptr::eq(basic, value));
                    open.extend(
                        members
                            .iter()
                            .filter(|(key, member)| !(is_basic && has_own_field(key, member)))
                            .map(|(_, member)| member),
                    );
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
    }
}

/// What every DID begins with.
const DID_START: &str = "did:";

impl<'a> Facts<'a> {
    /// The texts under `data` that are DIDs, those in name, description and tags apart.
    pub fn references(&self) -> impl Iterator<Item = &'a str> {
        let strings = self.strings.iter().copied();
        strings.filter(|text| text.starts_with(DID_START))
    }
}

/// One value of a document, null apart.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldValue<'a> {
    /// Where it stands: the text of its [`crate::FieldPath`]. Items of arrays stand where their array does.
    pub path: String,
    /// A text, number or boolean.
    pub value: &'a Value,
}

/// Signatures and keys: long, never asked for, and different in every record.
const UNASKED: [&str; 2] = ["oip.signature", "oip.creator.publicKey"];

/// Bytes of one document's values with their paths: each value is a term that names its path, so that
/// 8 MB of short items under a long path would become hundreds. Room for half a million items.
const VALUES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a number or boolean counts.
const NUMBER_BYTES: usize = 8;

/// Every value under `oip` and `data` that a query can name, those of `oip` first, in the order of the document,
/// up to 16 MB with their paths. Paths that are no [`crate::FieldPath`] (too deep, too long, an empty name) are
/// left out. The texts of what is left out are found by words.
pub fn values_of(document: &Value) -> Vec<FieldValue<'_>> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut open: Vec<(String, usize, &Value)> = ["data", "oip"]
        .into_iter()
        .filter_map(|root| Some((root.to_owned(), 1, document.get(root)?)))
        .collect();
    while let Some((path, depth, value)) = open.pop() {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                open.extend(items.iter().rev().map(|item| (path.clone(), depth, item)));
            }
            Value::Object(members) if depth < FIELD_DEPTH_MAX => {
                for (name, member) in members.iter().rev() {
                    let below = field::below(&path, name);
                    if !name.is_empty() && below.len() <= FIELD_BYTES_MAX {
                        open.push((below, depth + 1, member));
                    }
                }
            }
            Value::Object(_) => {}
            _ if depth < 2 || UNASKED.contains(&path.as_str()) => {}
            value => {
                bytes += path.len() + value.as_str().map_or(NUMBER_BYTES, str::len);
                if bytes > VALUES_BYTES_MAX {
                    break;
                }
                found.push(FieldValue { path, value });
            }
        }
    }
    found
}

/// Is this member of `basic` one that has a field of its own, so that its text is not
/// counted twice? Only in the right type: a `tagItems` that is a string is still searched.
fn has_own_field(key: &str, member: &Value) -> bool {
    match key {
        "name" | "description" => member.is_string(),
        "tagItems" => member
            .as_array()
            .is_some_and(|items| items.iter().all(Value::is_string)),
        _ => false,
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// A moment in milliseconds: RFC 3339 text, or a number of milliseconds.
fn moment(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => crate::templates::moment(text),
        other => whole(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_record_gives_all_its_facts() {
        let document = json!({
            "data": {
                "basic": {"name": "N", "description": "D", "date": 1768550000, "tagItems": ["a", "b"], "language": "en"},
                "post": {"parts": [{"text": "deep"}, ["deeper"]]}
            },
            "oip": {"recordType": "post", "indexedAt": "2026-01-20T10:00:00.250Z", "creator": {"didAddress": "did:key:z"}}
        });
        let mut facts = Facts::of(&document);
        facts.strings.sort_unstable();
        assert_eq!(
            facts,
            Facts {
                record_type: Some("post"),
                creator: Some("did:key:z"),
                indexed_at_ms: Some(1_768_903_200_250),
                date: Some(1_768_550_000),
                name: Some("N"),
                description: Some("D"),
                tags: vec!["a", "b"],
                strings: vec!["deep", "deeper", "en"],
            }
        );
    }

    #[test]
    fn values_are_named_by_their_paths() {
        let deep = (0..20).fold(json!("deep"), |inner, _| json!({ "x": inner }));
        let document = json!({
            "data": {"a.b": {"c": [1, [true], {"d": "x"}], "n": null, "e": [], "": 1}, "deep": deep, "top": 7},
            "oip": {"ver": "0.8.0", "signature": "long", "creator": {"publicKey": "n", "didAddress": "did"}},
            "meta": {"created": 1}
        });
        let mut values: Vec<_> = values_of(&document)
            .into_iter()
            .map(|found| format!("{}={}", found.path, found.value))
            .collect();
        values.sort();
        assert_eq!(
            values,
            [
                r#"data.a\.b.c.d="x""#,
                r"data.a\.b.c=1",
                r"data.a\.b.c=true",
                "data.top=7",
                "oip.creator.didAddress=\"did\"",
                "oip.ver=\"0.8.0\"",
            ]
        );
        assert_eq!(values_of(&json!("data")), []);
    }

    #[test]
    fn values_end_at_a_sum_of_bytes_and_those_of_oip_come_first() {
        let items: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let data = json!({"x".repeat(400): items});
        let document = json!({"data": data, "oip": {"recordType": "post"}});
        let values = values_of(&document);
        assert_eq!(values[0].path, "oip.recordType");
        assert!((39_000..42_000).contains(&values.len()), "{}", values.len());
    }

    #[test]
    fn odd_documents_give_what_they_have() {
        for document in [
            json!(null),
            json!([]),
            json!("text"),
            json!({}),
            json!({"data": null, "oip": null}),
            json!({"data": {"basic": null}, "oip": {"creator": "x", "indexedAt": "yesterday"}}),
            json!({"data": {"basic": {"date": 1.5}}, "oip": {"indexedAt": 1.5, "recordType": 7}}),
            json!({"data": {"basic": {"date": 1e300}}, "oip": {"indexedAt": true}}),
            json!({"data": {"basic": {"date": {"s": 1}}}}),
        ] {
            assert_eq!(Facts::of(&document), Facts::default(), "{document}");
        }
    }

    #[test]
    fn text_of_the_wrong_shape_is_still_searched() {
        let document = json!({"data": {"basic": {"name": ["odd name"], "tagItems": "odd tag", "date": "odd date"}}});
        let mut facts = Facts::of(&document);
        facts.strings.sort_unstable();
        assert_eq!(facts.strings, ["odd date", "odd name", "odd tag"]);
        assert_eq!((facts.name, facts.tags, facts.date), (None, vec![], None));
    }

    #[test]
    fn tags_keep_their_strings_when_other_items_are_among_them() {
        let document = json!({"data": {"basic": {"tagItems": ["a", 1, null, ["inner"], "b"]}}});
        let facts = Facts::of(&document);
        assert_eq!(facts.tags, ["a", "b"]);
        assert!(facts.strings.contains(&"inner"));
    }

    #[test]
    fn whole_floats_and_numeric_stamps_count() {
        let document = json!({"data": {"basic": {"date": 1768550000.0}}, "oip": {"indexedAt": 1768903200250_i64}});
        let facts = Facts::of(&document);
        assert_eq!(facts.date, Some(1_768_550_000));
        assert_eq!(facts.indexed_at_ms, Some(1_768_903_200_250));
    }

    #[test]
    fn only_basic_under_data_has_own_fields() {
        let document = json!({"data": {"post": {"basic": {"name": "inner"}}}});
        let facts = Facts::of(&document);
        assert_eq!((facts.name, facts.strings), (None, vec!["inner"]));
    }
}
