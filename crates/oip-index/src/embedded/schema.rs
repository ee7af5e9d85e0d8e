//! The fields of the embedded index, and how a document fills them.
//!
//! The schema doesn't depend on templates: what they type lies in a few fields that take any path, so
//! that it stays small however many templates there are, and a field that a stranger invents costs terms,
//! never a column. Any change to fields, options or analysis raises [`FORMAT_VERSION`]: folders of another
//! version are thrown away and filled again, never migrated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, IndexRecordOption, JsonObjectOptions, OwnedValue, STORED, Schema, TextFieldIndexing,
    TextOptions,
};

use crate::condition::EXACT_CHARS_MAX;
use crate::facts::{self, Facts, FieldValue};
use crate::field::FieldPath;
use crate::index::{Envelope, Readers, Version};
use crate::templates::{FieldType, Templates, Typed};
use crate::words::ANALYZER;

/// The version of everything in a folder of this backend.
pub(super) const FORMAT_VERSION: u32 = 6;

/// Characters of a text in a field of words that count when sorting by it.
const ORDER_CHARS_MAX: usize = 128;

/// Column names, for the collectors that read columns by name.
pub(super) mod column {
    pub(in super::super) const DID: &str = "did";
    pub(in super::super) const TAG: &str = "tag";
    pub(super) const TYPED: &str = "typed";
}

/// The term of documents that everybody may see.
pub(super) const PUBLIC: &str = "public";

/// The term of a reader; no token can look like [`PUBLIC`].
pub(super) fn reader_term(token: &str) -> String {
    format!("reader {token}")
}

/// Handles of all fields.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    /// The DID.
    pub(super) did: Field,
    /// The DID's method.
    pub(super) storage: Field,
    /// [`PUBLIC`] or reader terms.
    pub(super) readers: Field,
    /// Whole values of texts, and of fields without a type: [`exact_term`].
    pub(super) exact: Field,
    /// Every path at which, or below which, there is a value.
    pub(super) present: Field,
    /// The DIDs that the record refers to.
    pub(super) references: Field,
    /// Values of typed fields as columns, by [`key`]; see [`rank`] for what numbers become.
    pub(super) typed: Field,
    /// Words of the typed fields of words that have no field of their own here, by [`key`].
    pub(super) words: Field,
    pub(super) name: Field,
    pub(super) description: Field,
    pub(super) tags: Field,
    pub(super) strings: Field,
    /// The document as text.
    pub(super) document: Field,
    /// The version, [`version_bytes`].
    pub(super) version: Field,
    tag: Field,
}

/// What is known about fields, by the text of their paths.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) templates: Templates,
    by_path: HashMap<String, (FieldType, String)>,
    paths: Paths,
}

#[derive(Debug)]
struct Paths {
    did: String,
    node: String,
    /// Fields of words that have a field of their own in the index.
    own: [String; 3],
}

impl Types {
    pub(super) fn new(templates: Templates) -> Self {
        let by_path = templates
            .fields()
            .map(|(path, kind)| (path.to_string(), (kind, key(path))))
            .collect();
        Self {
            templates,
            by_path,
            paths: Paths {
                did: FieldPath::did().to_string(),
                node: FieldPath::node().to_string(),
                own: [
                    FieldPath::name(),
                    FieldPath::description(),
                    FieldPath::tags(),
                ]
                .map(|path| path.to_string()),
            },
        }
    }
}

impl Fields {
    /// The schema and its handles.
    pub(super) fn build() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let column_only = || TextOptions::default().set_fast("raw");
        let fields = Self {
            did: schema.add_text_field(column::DID, exact().set_fast("raw") | STORED),
            storage: schema.add_text_field("storage", exact()),
            readers: schema.add_text_field("readers", exact()),
            exact: schema.add_text_field("exact", exact()),
            present: schema.add_text_field("present", exact()),
            references: schema.add_text_field("references", exact()),
            typed: schema
                .add_json_field(column::TYPED, JsonObjectOptions::default().set_fast("raw")),
            words: schema.add_json_field(
                "words",
                JsonObjectOptions::default()
                    .set_indexing_options(word_indexing().set_fieldnorms(false)),
            ),
            name: schema.add_text_field("name", words()),
            description: schema.add_text_field("description", words()),
            tags: schema.add_text_field("tags", words()),
            strings: schema.add_text_field("strings", words()),
            document: schema.add_text_field("document", STORED),
            version: schema.add_bytes_field("version", STORED),
            tag: schema.add_text_field(column::TAG, column_only()),
        };
        (schema.build(), fields)
    }

    /// The index entry of a document; `text` is the document as JSON.
    pub(super) fn entry(
        &self,
        types: &Types,
        did: &str,
        document: &Value,
        text: &str,
        envelope: &Envelope,
    ) -> TantivyDocument {
        let mut entry = TantivyDocument::default();
        entry.add_text(self.did, did);
        entry.add_text(self.document, text);
        entry.add_bytes(self.version, &version_bytes(&envelope.version));
        match &envelope.readers {
            Readers::Public => entry.add_text(self.readers, PUBLIC),
            Readers::Only(tokens) => {
                for token in tokens {
                    entry.add_text(self.readers, reader_term(token));
                }
            }
        }
        if let Some(storage) = storage_of(did) {
            entry.add_text(self.storage, storage);
        }
        self.add_words(&mut entry, &Facts::of(document));
        let node = envelope.node.clone().map(Value::from);
        let mut values = facts::values_of(document);
        if let Some(node) = &node {
            values.retain(|value| value.path != types.paths.node);
            values.push(FieldValue {
                path: types.paths.node.clone(),
                value: node,
            });
        }
        // The DID that counts is the one it is put in under.
        values.retain(|value| value.path != types.paths.did);
        self.add_values(&mut entry, types, &values);
        entry
    }

    fn add_words(&self, entry: &mut TantivyDocument, facts: &Facts<'_>) {
        for tag in &facts.tags {
            entry.add_text(self.tags, tag);
            if is_exact(tag) {
                entry.add_text(self.tag, tag);
            }
        }
        for (field, text) in [
            (self.name, facts.name),
            (self.description, facts.description),
        ] {
            if let Some(text) = text {
                entry.add_text(field, text);
            }
        }
        for string in &facts.strings {
            entry.add_text(self.strings, string);
        }
        for did in facts.references().filter(|did| is_exact(did)) {
            entry.add_text(self.references, did);
        }
    }

    fn add_values(&self, entry: &mut TantivyDocument, types: &Types, values: &[FieldValue<'_>]) {
        let mut present = BTreeSet::from([types.paths.did.as_str()]);
        let mut typed: BTreeMap<String, Vec<OwnedValue>> = BTreeMap::new();
        let mut words: BTreeMap<String, Vec<OwnedValue>> = BTreeMap::new();
        for FieldValue { path, value } in values {
            let Some((kind, key)) = types.by_path.get(path.as_str()) else {
                present.extend(ancestors(path));
                if let Some(text) = untyped(value).filter(|text| is_exact(text)) {
                    entry.add_text(self.exact, exact_term(path, &text));
                }
                continue;
            };
            // A value of another type is not this field's.
            let Some(value) = kind.of_json(value) else {
                continue;
            };
            present.extend(ancestors(path));
            let column = match value {
                Typed::Text(text) => {
                    if is_exact(&text) {
                        entry.add_text(self.exact, exact_term(path, &text));
                    }
                    if kind.has_words() && !types.paths.own.contains(path) {
                        let words = words.entry(key.clone()).or_default();
                        words.push(OwnedValue::Str(text.clone()));
                    }
                    match kind.has_words() {
                        true => OwnedValue::Str(in_order(&text)),
                        false if is_exact(&text) => OwnedValue::Str(text),
                        false => continue,
                    }
                }
                number => OwnedValue::I64(rank(&number)),
            };
            typed.entry(key.clone()).or_default().push(column);
        }
        for path in present {
            entry.add_text(self.present, path);
        }
        for (field, values) in [(self.typed, typed), (self.words, words)] {
            if !values.is_empty() {
                let values = values
                    .into_iter()
                    .map(|(key, values)| (key, OwnedValue::Array(values)));
                entry.add_object(field, values.collect());
            }
        }
    }
}

/// The name of a typed field within [`Fields::typed`] and [`Fields::words`]: without dots and backslashes,
/// which have a meaning there.
pub(super) fn key(field: &FieldPath) -> String {
    let escaped = |name: &str| -> String {
        name.chars()
            .map(|character| match character {
                '.' | '\\' | '/' | '%' | '\0'..='\u{1f}' => {
                    format!("%{:02x}", u32::from(character))
                }
                other => other.to_string(),
            })
            .collect()
    };
    field.names().map(escaped).collect::<Vec<_>>().join("/")
}

/// The name of a typed field's column.
pub(super) fn typed_column(field: &FieldPath) -> String {
    format!("{}.{}", column::TYPED, key(field))
}

/// A whole value at a path; a path holds no zero character that could be mistaken for the one between.
pub(super) fn exact_term(path: &str, value: &str) -> String {
    format!("{path}\0{value}")
}

/// A number that grows with a typed value, texts apart.
pub(super) fn rank(value: &Typed) -> i64 {
    match value {
        Typed::Whole(number) | Typed::DateMs(number) => *number,
        Typed::Boolean(flag) => i64::from(*flag),
        Typed::Number(number) => float_rank(*number),
        Typed::Text(_) => 0,
    }
}

/// Floats ordered as whole numbers: the bits of positive ones grow with them, those of negative ones
/// shrink. Its own inverse on the bits.
pub(super) fn float_rank(number: f64) -> i64 {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Undoes [`float_rank`].
pub(super) fn float_of(rank: i64) -> f64 {
    f64::from_bits((rank ^ ((rank >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}

/// A text as it is sorted in a field of words.
pub(super) fn in_order(text: &str) -> String {
    text.chars()
        .take(ORDER_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Whether a text is short enough to be compared as a whole.
pub(super) fn is_exact(text: &str) -> bool {
    text.len() <= EXACT_CHARS_MAX || text.encode_utf16().count() <= EXACT_CHARS_MAX
}

fn untyped(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A path and those above it, the roots apart.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    let mut dots = 0;
    let ends = path.char_indices().filter_map(move |(at, character)| {
        let was_escaped = escaped;
        escaped = !was_escaped && character == '\\';
        if character != '.' || was_escaped {
            return None;
        }
        dots += 1;
        (dots > 1).then_some(at)
    });
    ends.chain([path.len()]).map(|end| &path[..end])
}

pub(super) const VERSION_BYTES: usize = 49;

/// Class, time, revision and digest, one behind the other.
pub(super) fn version_bytes(version: &Version) -> [u8; VERSION_BYTES] {
    let mut bytes = [0; VERSION_BYTES];
    bytes[0] = version.class;
    bytes[1..9].copy_from_slice(&version.indexed_at_ms.to_be_bytes());
    bytes[9..17].copy_from_slice(&version.revision.to_be_bytes());
    bytes[17..].copy_from_slice(&version.digest);
    bytes
}

/// Undoes [`version_bytes`].
pub(super) fn version_of(bytes: &[u8]) -> Option<Version> {
    let bytes: &[u8; VERSION_BYTES] = bytes.try_into().ok()?;
    Some(Version {
        class: bytes[0],
        indexed_at_ms: i64::from_be_bytes(bytes[1..9].try_into().ok()?),
        revision: u64::from_be_bytes(bytes[9..17].try_into().ok()?),
        digest: bytes[17..].try_into().ok()?,
    })
}

/// The method of a DID: `gun` of `did:gun:…`.
fn storage_of(did: &str) -> Option<&str> {
    let (method, _) = did.strip_prefix("did:")?.split_once(':')?;
    Some(method)
}

/// One term, exactly as given. No frequencies and no lengths: it never scores.
fn exact() -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false),
    )
}

/// Words with frequencies, for scoring, and positions, for phrases.
fn words() -> TextOptions {
    TextOptions::default().set_indexing_options(word_indexing())
}

fn word_indexing() -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(ANALYZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_as_whole_numbers() {
        let floats = [
            f64::MIN,
            -1.5,
            -5e-324,
            0.0,
            5e-324,
            0.1,
            1.0,
            1.5,
            f64::MAX,
        ];
        assert!(floats.map(float_rank).is_sorted());
        for float in floats {
            assert_eq!(float_of(float_rank(float)), float);
        }
        assert_eq!(float_rank(-0.0), float_rank(0.0));
    }

    #[test]
    fn a_path_is_present_with_those_above_it() {
        let above = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(above("oip.ver"), ["oip.ver"]);
        assert_eq!(above("data.a.b"), ["data.a", "data.a.b"]);
        assert_eq!(
            above(r"data.a\.b.c\\.d"),
            [r"data.a\.b", r"data.a\.b.c\\", r"data.a\.b.c\\.d"]
        );
    }

    #[test]
    fn keys_of_fields_differ_and_hold_nothing_with_a_meaning() {
        let names = ["a.b", "a/b", "a\\b", "a%2eb", "a"];
        let keys = names.map(|name| key(&FieldPath::from_names(["data", name, "b"]).unwrap()));
        assert_eq!(
            keys.iter().collect::<BTreeSet<_>>().len(),
            keys.len(),
            "{keys:?}"
        );
        assert!(
            keys.iter().all(|key| !key.contains(['.', '\\'])),
            "{keys:?}"
        );
    }

    #[test]
    fn a_version_comes_back_from_its_bytes() {
        let version = Version {
            class: 2,
            indexed_at_ms: -5,
            revision: 7,
            digest: [9; 32],
        };
        assert_eq!(version_of(&version_bytes(&version)), Some(version));
        assert_eq!(version_of(b"short"), None);
    }
}
