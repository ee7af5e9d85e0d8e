//! Templates as deployed nodes keep them, in their index `templates` and in backups of it.
//!
//! A document names the template in `data.template` and its fields in `data.fields`, a JSON text of
//! `{"title": "string", "index_title": 0, "kind": "enum", "index_kind": 1, "kindValues": […]}`; older ones in
//! `data.fieldsInTemplate`, in the same form or as `{"title": {"type": "string", "index": 0}}`. Total: what can't be
//! understood is named, and the rest is taken.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{FieldType, Templates};

/// What stands before the name of a field that says which place it has on a chain.
const PLACE: &str = "index_";

/// A template as a deployed node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// Where it stands on its chain: of two with one name the later counts.
    pub block: u64,
    /// Its fields and their types.
    pub fields: BTreeMap<String, String>,
    /// Fields whose types are none that an index knows.
    pub unknown: BTreeMap<String, String>,
}

impl Deployed {
    /// Reads a document; `None` where it describes no template.
    #[must_use]
    pub fn of_document(document: &Value) -> Option<Self> {
        let document = match document.get("_source") {
            Some(source) if source.is_object() => source,
            _ => document,
        };
        let data = document.get("data")?;
        let name = data.get("template")?.as_str()?.trim();
        let described = ["fields", "fieldsInTemplate"];
        let members = described
            .iter()
            .find_map(|member| fields_of(data.get(member)?, name))?;
        let mut found = Self {
            name: name.to_owned(),
            block: document
                .pointer("/oip/inArweaveBlock")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            fields: BTreeMap::new(),
            unknown: BTreeMap::new(),
        };
        for (field, described) in &members {
            let kind = match described {
                Value::String(kind) => kind.as_str(),
                Value::Object(described) => match described.get("type").and_then(Value::as_str) {
                    Some(kind) => kind,
                    None => continue,
                },
                // Places and the values of kinds.
                _ => continue,
            };
            // The place of a field, written as a text.
            if field
                .strip_prefix(PLACE)
                .is_some_and(|of| members.contains_key(of))
            {
                continue;
            }
            let kind = usual(kind);
            match FieldType::of_template(&kind) {
                Some(_) => found.fields.insert(escaped(field), kind),
                None => found.unknown.insert(field.clone(), kind),
            };
        }
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (is_name && !found.fields.is_empty()).then_some(found)
    }

    /// The text of a file of a folder of templates. Fields that this program knows and the deployed template doesn't
    /// are in it too, since the file stands in place of what ships.
    #[must_use]
    pub fn file(&self, known: &Templates) -> String {
        let mut fields = self.fields.clone();
        for (path, kind) in known.fields() {
            let names: Vec<&str> = path.names().collect();
            let ["data", template, below @ ..] = names.as_slice() else {
                continue;
            };
            if *template == self.name && !below.is_empty() {
                let below: Vec<String> = below.iter().map(|name| escaped(name)).collect();
                let field = below.join(".");
                fields
                    .entry(field)
                    .or_insert_with(|| kind.template_name().to_owned());
            }
        }
        let file = json!({"template": self.name, "fields": fields});
        // Values of texts alone can always be written.
        let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// The members that describe fields, whichever form they are in.
fn fields_of(described: &Value, name: &str) -> Option<Map<String, Value>> {
    let mut members = match described {
        Value::String(text) => serde_json::from_str(text).ok()?,
        Value::Object(members) => members.clone(),
        _ => return None,
    };
    // On the chain they stand below the template's name.
    if members.len() == 1
        && let Some(Value::Object(inner)) = members.get(name)
        && !inner.contains_key("type")
    {
        members = inner.clone();
    }
    (!members.is_empty()).then_some(members)
}

/// Types under the names that this program has for them.
fn usual(kind: &str) -> String {
    let (repeated, kind) = match kind.trim().strip_prefix("repeated ") {
        Some(kind) => ("repeated ", kind.trim()),
        None => ("", kind.trim()),
    };
    let kind = match kind {
        "number" => "double",
        "boolean" => "bool",
        "sint32" | "sfixed32" | "fixed32" => "int32",
        "sint64" | "sfixed64" => "int64",
        "fixed64" => "uint64",
        other => other,
    };
    format!("{repeated}{kind}")
}

fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('.', "\\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(document: &Value) -> Vec<String> {
        let found = Deployed::of_document(document).unwrap_or_else(|| panic!("{document}"));
        let fields = found
            .fields
            .iter()
            .map(|(name, kind)| format!("{name}: {kind}"));
        fields.collect()
    }

    #[test]
    fn every_form_is_read_alike() {
        let flat = json!({
            "title": "string", "index_title": 0, "kind": "enum", "index_kind": 1, "kindValues": ["a", "b"],
            "parts": "repeated dref", "index_parts": "2", "index_of": "string", "index_index_of": 3, "size": "number", "index_size": 4
        });
        let expected = [
            "index_of: string",
            "kind: enum",
            "parts: repeated dref",
            "size: double",
            "title: string",
        ];
        let nested = json!({
            "title": {"type": "string", "index": 0}, "kind": {"type": "enum", "index": 1, "enumValues": []},
            "parts": {"type": "repeated dref", "index": 2}, "index_of": {"type": "string"}, "size": {"type": "number"}
        });
        for data in [
            json!({"template": "gauge", "fields": flat.to_string()}),
            json!({"template": "gauge", "fields": flat}),
            json!({"template": "gauge", "fields": {"gauge": flat}}),
            json!({"template": "gauge", "fieldsInTemplate": flat}),
            json!({"template": "gauge", "fieldsInTemplate": nested}),
            json!({"template": "gauge", "fields": "not json", "fieldsInTemplate": nested}),
        ] {
            assert_eq!(fields(&json!({ "data": data })), expected, "{data}");
            assert_eq!(
                fields(&json!({"_id": "x", "_source": {"data": data}})),
                expected
            );
        }
    }

    #[test]
    fn what_is_no_template_is_none_and_unknown_types_are_named() {
        for document in [
            json!(null),
            json!({"data": {"basic": {"name": "a record"}}}),
            json!({"data": {"template": "empty", "fields": "{}"}}),
            json!({"data": {"template": "../up", "fields": {"a": "string"}}}),
            json!({"data": {"template": "", "fields": {"a": "string"}}}),
            json!({"data": {"template": "t", "fields": 7}}),
        ] {
            assert_eq!(Deployed::of_document(&document), None, "{document}");
        }
        let odd = json!({"data": {"template": "odd", "fields": {"a": "string", "b": "colour", "c.d": "bool"}}, "oip": {"inArweaveBlock": 7}});
        let odd = Deployed::of_document(&odd).unwrap();
        assert_eq!(
            odd.unknown,
            BTreeMap::from([("b".to_owned(), "colour".to_owned())])
        );
        assert_eq!(odd.fields.keys().collect::<Vec<_>>(), ["a", "c\\.d"]);
        assert_eq!(odd.block, 7);
    }

    #[test]
    fn a_file_is_read_back_and_keeps_what_ships() {
        let known = Templates::known();
        let document = json!({"data": {"template": "recipe", "fields": {"cuisine": "enum", "own.name": "uint64"}}});
        let folder = tempfile::tempdir().unwrap();
        let text = Deployed::of_document(&document).unwrap().file(&known);
        std::fs::write(folder.path().join("recipe.json"), text).unwrap();
        let read = Templates::with_folder(folder.path()).unwrap();
        let kind = |path: &str| read.field_type(&path.parse().unwrap());
        assert_eq!(kind("recipe.cuisine"), Some(FieldType::Keyword));
        assert_eq!(kind("recipe.own\\.name"), Some(FieldType::Whole));
        assert_eq!(kind("recipe.servings"), Some(FieldType::Number));
        for (path, shipped) in known.fields() {
            let own = read.field_type(path);
            assert!(
                own == Some(shipped) || path.to_string() == "data.recipe.cuisine",
                "{path}"
            );
        }
    }
}
