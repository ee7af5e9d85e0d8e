//! The index that we make: settings and mapping.
//!
//! `data` and `oip` are mapped from templates as deployed nodes map them, so that dashboards and apps go
//! on working: texts with a `keyword` beside them, numbers, dates; a value of the wrong type is passed
//! over. What no template names is kept in the document and not mapped, so that strangers can't
//! use up the mapping's room; the envelope's terms find it.

use serde_json::{Map, Value, json};

use crate::query::RESULT_WINDOW_MAX;
use crate::templates::{FieldType, Templates};

use super::envelope::{MEMBER, TAGS, member};
use super::shape::Shapes;

/// Raised with every change to what this module and `envelope` make.
const FORMAT: u32 = 4;

/// Fields of the mapping: what templates may hold, with keywords, words and columns.
const FIELDS_MAX: usize = 25_000;

/// How often what was written becomes searchable for others without our asking. Ours are
/// refreshed when they are looked for.
const REFRESH_INTERVAL: &str = "1s";

/// What the documents of an index were put in with.
pub(super) fn version(templates: &Templates) -> String {
    format!("{FORMAT}-{}", templates.version())
}

/// The body that makes the index.
pub(super) fn body(templates: &Templates) -> Value {
    let mut properties = below(&Shapes::of(templates));
    properties.insert(MEMBER.to_owned(), envelope(templates));
    json!({
        "settings": {
            "index": {
                // One more tells whether there is a next page.
                "max_result_window": RESULT_WINDOW_MAX + 1,
                "refresh_interval": REFRESH_INTERVAL,
                "mapping": {"total_fields": {"limit": FIELDS_MAX}},
            }
        },
        "mappings": {
            "_meta": {MEMBER: {"mapping": version(templates)}},
            "dynamic": false,
            "properties": properties,
        },
    })
}

fn below(shapes: &Shapes) -> Map<String, Value> {
    shapes
        .below()
        .map(|(name, shape)| (name.to_owned(), property(shape)))
        .collect()
}

fn property(shape: &Shapes) -> Value {
    let members = below(shape);
    match shape.kind() {
        Some(kind) if members.is_empty() => typed(kind),
        _ => json!({"dynamic": false, "properties": members}),
    }
}

/// As deployed nodes map the types of templates.
fn typed(kind: FieldType) -> Value {
    match kind {
        FieldType::Text | FieldType::Keyword => {
            json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}})
        }
        FieldType::Whole => json!({"type": "long", "ignore_malformed": true}),
        FieldType::Number => json!({"type": "double", "ignore_malformed": true}),
        // Booleans know no `ignore_malformed` on older servers; a keyword takes whatever comes.
        FieldType::Boolean => json!({"type": "keyword", "ignore_above": 256}),
        FieldType::Date => json!({"type": "date", "ignore_malformed": true}),
    }
}

fn envelope(templates: &Templates) -> Value {
    let mut by = Map::new();
    let mut words = Map::new();
    for (field, kind) in templates.fields() {
        by.insert(member(field), keyword());
        if kind.has_words() {
            words.insert(member(field), spelled());
        }
    }
    by.insert(TAGS.to_owned(), keyword());
    words.insert("strings".to_owned(), spelled());
    json!({
        "dynamic": false,
        "properties": {
            "terms": keyword(),
            "by": {"dynamic": false, "properties": by},
            "words": {"dynamic": false, "properties": words},
        },
    })
}

/// Under the name that guessed mappings give it, so that queries are the same for both.
fn keyword() -> Value {
    json!({"type": "text", "index": false, "norms": false, "fields": {"keyword": {"type": "keyword"}}})
}

/// Words that were found and spelled by us.
fn spelled() -> Value {
    json!({"type": "text", "analyzer": "whitespace"})
}
