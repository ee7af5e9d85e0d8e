//! The rest of a document: `{data, oip, meta}` in a shape that any server takes.
//!
//! Servers refuse a whole document for an empty member name, for a text where other documents have an
//! object, and the like. What they would trip over is left out of the copy that dashboards see, and the
//! envelope keeps the document whole, so that nothing is lost or refused for its looks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::templates::{FieldType, Templates};

use super::envelope::MEMBER;

/// The members that documents have at the top.
const TOP: [&str; 3] = ["data", "oip", "meta"];

/// What is known of the fields below a path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Shapes {
    kind: Option<FieldType>,
    below: BTreeMap<String, Shapes>,
}

impl Shapes {
    /// The shapes of all fields that have a type.
    pub(super) fn of(templates: &Templates) -> Self {
        let mut root = Self::default();
        for (field, kind) in templates.fields() {
            let mut at = &mut root;
            for name in field.names() {
                at = at.below.entry(name.to_owned()).or_default();
            }
            at.kind = Some(kind);
        }
        root
    }

    /// The fields below, by name.
    pub(super) fn below(&self) -> impl Iterator<Item = (&str, &Shapes)> {
        self.below
            .iter()
            .map(|(name, below)| (name.as_str(), below))
    }

    /// The type of the field itself.
    pub(super) fn kind(&self) -> Option<FieldType> {
        self.kind
    }
}

/// What of a document servers take.
#[derive(Debug, PartialEq)]
pub(super) enum Shaped {
    /// All of it.
    Whole,
    /// These members, or of these a part.
    Part(Map<String, Value>),
}

/// Takes out of a document what a server would refuse it for.
pub(super) fn shaped(shapes: &Shapes, document: &Value) -> Shaped {
    let Value::Object(members) = document else {
        return Shaped::Part(Map::new());
    };
    let part_of = |name: &str, member| {
        let fits = TOP.contains(&name) && name != MEMBER;
        let fits = fits && matches!(member, &Value::Object(_) | &Value::Null);
        fits.then(|| fitting(shapes.below.get(name), member))
            .flatten()
    };
    let parts = members
        .iter()
        .map(|(name, member)| (name, part_of(name, member)));
    let parts: Vec<(&String, Option<Cow<'_, Value>>)> = parts.collect();
    if parts
        .iter()
        .all(|(_, part)| matches!(part, Some(Cow::Borrowed(_))))
    {
        return Shaped::Whole;
    }
    let kept = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name.clone(), part?.into_owned())));
    Shaped::Part(kept.collect())
}

/// What of a value fits: all of it (borrowed), a part (owned), or nothing.
fn fitting<'a>(shape: Option<&Shapes>, value: &'a Value) -> Option<Cow<'a, Value>> {
    let typed = shape.is_some_and(|shape| shape.kind.is_some());
    let has_members = shape.is_some_and(|shape| !shape.below.is_empty());
    match value {
        // Below a field with a type there are no members, and beside known members no texts.
        Value::Object(_) if typed && !has_members => None,
        Value::Object(members) => {
            let mut changed: Option<Map<String, Value>> = None;
            for (at, (name, member)) in members.iter().enumerate() {
                let below = shape.and_then(|shape| shape.below.get(name));
                let part = takes_name(name).then(|| fitting(below, member)).flatten();
                match (&mut changed, part) {
                    (None, Some(Cow::Borrowed(_))) => {}
                    (Some(kept), Some(part)) => {
                        kept.insert(name.clone(), part.into_owned());
                    }
                    (Some(_), None) => {}
                    (None, part) => {
                        let mut kept: Map<String, Value> = members
                            .iter()
                            .take(at)
                            .map(|(name, member)| (name.clone(), member.clone()))
                            .collect();
                        if let Some(part) = part {
                            kept.insert(name.clone(), part.into_owned());
                        }
                        changed = Some(kept);
                    }
                }
            }
            Some(match changed {
                None => Cow::Borrowed(value),
                Some(kept) => Cow::Owned(Value::Object(kept)),
            })
        }
        Value::Array(items) => {
            let parts: Vec<Option<Cow<'_, Value>>> =
                items.iter().map(|item| fitting(shape, item)).collect();
            let complete = parts
                .iter()
                .all(|part| matches!(part, Some(Cow::Borrowed(_))));
            Some(match complete {
                true => Cow::Borrowed(value),
                false => Cow::Owned(Value::Array(
                    parts.into_iter().flatten().map(Cow::into_owned).collect(),
                )),
            })
        }
        Value::Null => Some(Cow::Borrowed(value)),
        _ if has_members && !typed => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// Servers read dots as steps down, and refuse steps without a name.
fn takes_name(name: &str) -> bool {
    name.split('.').all(|part| !part.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shapes() -> Shapes {
        Shapes::of(&Templates::known())
    }

    #[test]
    fn a_usual_document_is_taken_as_it_is() {
        let document = json!({
            "data": {"basic": {"name": "x", "date": 5, "tagItems": ["a"]}, "unknown": {"a": [{"b": 1}, "text"]}},
            "oip": {"recordType": "post", "creator": {"didAddress": "did:x"}},
            "meta": null,
        });
        assert_eq!(shaped(&shapes(), &document), Shaped::Whole);
    }

    #[test]
    fn what_servers_refuse_is_left_out_and_the_whole_is_kept() {
        for (document, kept) in [
            (json!(null), json!({})),
            (json!("text"), json!({})),
            (json!({"data": "text"}), json!({})),
            (json!({"data": {"basic": "text"}}), json!({"data": {}})),
            (
                json!({"data": {"basic": {"language": "en", "name": {"en": "x"}, "date": 1}}}),
                json!({"data": {"basic": {"language": "en", "date": 1}}}),
            ),
            (
                json!({"data": {"basic": {"tagItems": ["a", {"b": 1}, "c"]}}}),
                json!({"data": {"basic": {"tagItems": ["a", "c"]}}}),
            ),
            (
                json!({"data": {"x": {"": 1, "a..b": 2, " ": 3, "a.b": 4}}}),
                json!({"data": {"x": {"a.b": 4}}}),
            ),
            (
                json!({"data": {}, "oipGun": {"terms": ["kind=record"]}}),
                json!({"data": {}}),
            ),
            (json!({"data": {}, "other": 1}), json!({"data": {}})),
        ] {
            let Value::Object(kept) = kept else {
                unreachable!("they are objects");
            };
            assert_eq!(
                shaped(&shapes(), &document),
                Shaped::Part(kept),
                "{document}"
            );
        }
    }
}
