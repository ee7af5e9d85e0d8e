//! Types of fields, and how values are read by them.

use serde_json::json;

use super::*;

fn path(text: &str) -> FieldPath {
    text.parse().unwrap()
}

#[test]
fn every_template_that_ships_can_be_read_and_has_its_file_s_name() {
    for (name, text) in KNOWN {
        let (template, fields) = read(text).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(template, *name);
        assert!(!fields.is_empty(), "{name}");
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap();
    assert_eq!(files.count(), KNOWN.len(), "every file ships");
}

#[test]
fn types_are_those_of_the_templates() {
    let templates = Templates::known();
    for (field, expected) in [
        ("basic.name", Some(FieldType::Text)),
        ("basic.date", Some(FieldType::Whole)),
        ("basic.nsfw", Some(FieldType::Boolean)),
        ("recipe.ingredient_amount", Some(FieldType::Number)),
        ("recipe.ingredient", Some(FieldType::Keyword)),
        ("oip.recordType", Some(FieldType::Keyword)),
        ("oip.indexedAt", Some(FieldType::Date)),
        ("post.unknown", None),
        ("unknown.name", None),
    ] {
        assert_eq!(templates.field_type(&path(field)), expected, "{field}");
    }
}

#[test]
fn every_fixture_s_fields_are_known_and_of_their_type() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/records");
    let templates = Templates::known();
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let Value::Object(data) = record else {
            continue;
        };
        for (template, fields) in &data {
            for (name, value) in fields.as_object().unwrap() {
                let field = FieldPath::from_names(["data", template, name]).unwrap();
                let kind = templates
                    .field_type(&field)
                    .unwrap_or_else(|| panic!("{field}"));
                let one = std::slice::from_ref(value);
                for item in value.as_array().map_or(one, Vec::as_slice) {
                    assert!(
                        item.is_null() || kind.of_json(item).is_some(),
                        "{field}: {item}"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 300, "{seen}");
}

/// Every template's fields in a JSON value, at any depth and in any of the layouts: nested nodes, texts, objects.
fn described(value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Ok(inner) = serde_json::from_str::<Value>(text) {
                described(&inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| described(item, found)),
        Value::Object(members) => {
            let soul = value.pointer("/_/#").and_then(Value::as_str);
            if let Some((_, template)) = soul.and_then(|soul| soul.split_once("/data/")) {
                found.push((template.to_owned(), value.clone()));
            } else if members.get("basic").is_some_and(Value::is_object) {
                let templates = members.iter();
                found.extend(templates.map(|(name, fields)| (name.clone(), fields.clone())));
                return;
            }
            members.values().for_each(|member| described(member, found));
        }
        _ => {}
    }
}

#[test]
fn every_era_and_vector_s_fields_are_of_the_types_that_ship() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let templates = Templates::known();
    let (mut seen, mut files) = (0, 0);
    for folder in ["eras", "records", "vectors/oip", "vectors/own"] {
        let mut in_folder = 0;
        for entry in fs::read_dir(testdata.join(folder)).unwrap() {
            let file = entry.unwrap().path();
            let Ok(whole) = serde_json::from_slice::<Value>(&fs::read(&file).unwrap()) else {
                panic!("{} is no JSON", file.display());
            };
            files += 1;
            let mut all = Vec::new();
            described(&whole, &mut all);
            for (template, fields) in all {
                let Some(fields) = fields.as_object() else {
                    continue;
                };
                for (name, value) in fields.iter().filter(|(name, _)| *name != "_") {
                    let Ok(field) = FieldPath::from_names(["data", &*template, &**name]) else {
                        continue;
                    };
                    let Some(kind) = templates.field_type(&field) else {
                        continue;
                    };
                    // Arrays as they lie in the graph: as texts.
                    let packed = value
                        .as_str()
                        .and_then(|text| serde_json::from_str(text).ok());
                    let value = packed
                        .filter(Value::is_array)
                        .unwrap_or_else(|| value.clone());
                    let one = std::slice::from_ref(&value);
                    for item in value.as_array().map_or(one, Vec::as_slice) {
                        // What a deployed replica makes of items that look like arrays: damage, kept as such.
                        if item.is_array() {
                            continue;
                        }
                        assert!(
                            item.is_null() || kind.of_json(item).is_some(),
                            "{}: {field}: {item}",
                            file.display()
                        );
                        in_folder += 1;
                    }
                }
            }
        }
        assert!(in_folder > 0, "{folder} shows no field that is known");
        seen += in_folder;
    }
    assert!(seen > 700 && files > 30, "{seen} values in {files} files");
}

#[test]
fn values_are_read_by_the_field_s_type() {
    let templates = Templates::known();
    for (field, text, expected) in [
        (
            "basic.date",
            "1768730400",
            Some(Typed::Whole(1_768_730_400)),
        ),
        (
            "basic.date",
            "1768730400.0",
            Some(Typed::Whole(1_768_730_400)),
        ),
        ("basic.date", "1.5", None),
        ("basic.date", "yesterday", None),
        ("recipe.servings", " 1.5 ", Some(Typed::Number(1.5))),
        ("recipe.servings", "NaN", None),
        ("basic.nsfw", "true", Some(Typed::Boolean(true))),
        ("basic.nsfw", "1", None),
        ("basic.name", " x ", Some(Typed::Text(" x ".into()))),
        (
            "oip.indexedAt",
            "1970-01-01T00:00:01Z",
            Some(Typed::DateMs(1_000)),
        ),
        ("oip.indexedAt", "1970-01-02", Some(Typed::DateMs(DAY_MS))),
        ("oip.indexedAt", "17", Some(Typed::DateMs(17))),
        ("oip.indexedAt", "soon", None),
        (
            "some.field",
            "anything",
            Some(Typed::Text("anything".into())),
        ),
    ] {
        assert_eq!(
            templates.read(&path(field), text).ok(),
            expected,
            "{field} {text}"
        );
    }
    let error = templates.read(&path("basic.date"), "soon").unwrap_err();
    assert_eq!(
        error.to_string(),
        "data.basic.date holds whole numbers, and \"soon\" is none"
    );
}

#[test]
fn a_value_of_another_type_is_not_the_field_s() {
    for (kind, value) in [
        (FieldType::Whole, json!("12")),
        (FieldType::Whole, json!(1.5)),
        (FieldType::Number, json!("1.5")),
        (FieldType::Text, json!(1)),
        (FieldType::Boolean, json!("true")),
        (FieldType::Date, json!("tomorrow")),
        (FieldType::Keyword, json!({"a": 1})),
    ] {
        assert_eq!(kind.of_json(&value), None, "{kind:?} {value}");
    }
    assert_eq!(FieldType::Whole.of_json(&json!(3.0)), Some(Typed::Whole(3)));
    assert_eq!(
        FieldType::Number.of_json(&json!(3)),
        Some(Typed::Number(3.0))
    );
}

#[test]
fn a_day_as_a_bound_is_the_whole_day() {
    let templates = Templates::known();
    let day = |text: &str| text.to_owned();
    let ms = Typed::DateMs;
    for (from, to, expected) in [
        (
            Bound::Included(day("1970-01-02")),
            Bound::Included(day("1970-01-02")),
            (Bound::Included(ms(DAY_MS)), Bound::Excluded(ms(2 * DAY_MS))),
        ),
        (
            Bound::Excluded(day("1970-01-02")),
            Bound::Excluded(day("1970-01-04")),
            (
                Bound::Included(ms(2 * DAY_MS)),
                Bound::Excluded(ms(3 * DAY_MS)),
            ),
        ),
        (
            Bound::Excluded(day("1970-01-01T00:00:00.005Z")),
            Bound::Unbounded,
            (Bound::Excluded(ms(5)), Bound::Unbounded),
        ),
    ] {
        let read = templates.read_range(&FieldPath::indexed_at(), &from, &to);
        assert_eq!(read.unwrap(), expected);
    }
    let untyped = templates.read_range(&path("some.field"), &Bound::Unbounded, &Bound::Unbounded);
    assert!(matches!(untyped, Err(QueryError::Untyped { .. })));
}

#[test]
fn a_folder_adds_templates_and_replaces_those_of_the_same_name() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write(
        "mine.json",
        r#"{"template": "my.own", "fields": {"a": "repeated uint64", "b.c": "string"}}"#,
    );
    write(
        "post.json",
        r#"{"template": "post", "fields": {"webUrl": "string"}, "note": "words of URLs"}"#,
    );
    write("readme.txt", "not a template");
    let templates = Templates::with_folder(home.path()).unwrap();
    assert_eq!(
        templates.field_type(&path(r"my\.own.a")),
        Some(FieldType::Whole)
    );
    assert_eq!(
        templates.field_type(&path(r"my\.own.b.c")),
        Some(FieldType::Text)
    );
    assert_eq!(
        templates.field_type(&path("post.webUrl")),
        Some(FieldType::Text)
    );
    assert_eq!(templates.field_type(&path("post.articleText")), None);
    assert_eq!(
        templates.field_type(&path("basic.name")),
        Some(FieldType::Text)
    );
    assert_ne!(templates.version(), Templates::known().version());
    assert_eq!(Templates::known().version(), Templates::known().version());
}

#[test]
fn a_file_that_is_no_template_is_named_with_the_cure() {
    for text in [
        "",
        "[]",
        r#"{"template": "x"}"#,
        r#"{"template": "x", "fields": {"a": "strange"}}"#,
        r#"{"template": "x", "fields": {"a..b": "string"}}"#,
        r#"{"template": "", "fields": {"a": "string"}}"#,
        r#"{"template": "x", "fields": {}, "types": {}}"#,
    ] {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("bad.json"), text).unwrap();
        let error = Templates::with_folder(home.path()).unwrap_err();
        assert!(error.to_string().contains("bad.json"), "{error}");
        assert!(matches!(error, TemplatesError::Malformed { .. }), "{error}");
    }
    let missing = Templates::with_folder(Path::new("/nowhere")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere"), "{missing}");
}
