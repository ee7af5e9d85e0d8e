//! What of a document queries look at: the member `oipGun`, worked out here.
//!
//! Everything is text of our making, so that no value of a document can fix or break a field's type,
//! and so that all servers, and the indexes of other programs with their guessed mappings, compare alike:
//!
//! * `terms`: `path=text` and `path#number` for each value, `?path` for each path that has one, `->did` for each
//!   DID under `data`, readers, kind and owner. One field, however many paths records bear.
//! * `by`: values of fields with a type, for sorting and counting
//! * `words`: the words of fields of type text, and of all other strings, in the embedded index's
//!   spelling, so that the server only has to split at blanks
//! * `did`, `version`, and for documents of odd shape `document`, which are kept and not searched

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::condition::EXACT_CHARS_MAX;
use crate::facts::{Facts, FieldValue, values_of};
use crate::field::FieldPath;
use crate::index::{Envelope, Readers, Version};
use crate::templates::{FieldType, Templates, Typed};
use crate::words;

use super::version;

/// The member at the top of a document that is ours.
pub(super) const MEMBER: &str = "oipGun";

/// The field of terms.
pub(super) const TERMS: &str = "oipGun.terms.keyword";

/// The terms of a document that lives, of one that was deleted, and of our position in the feed.
pub(super) const RECORD: &str = "kind=record";
pub(super) const TOMBSTONE: &str = "kind=tombstone";
pub(super) const POSITION: &str = "kind=position";

/// The term of a document that stays out of the index, since it is private and the server isn't guarded.
pub(super) const KEPT_OUT: &str = "kept-out=private";

/// The term of documents that everybody may see.
pub(super) const PUBLIC: &str = "readers=everybody";

/// The member of `by` that has the tags as they are, for counting: sorted by, they are in lower case.
pub(super) const TAGS: &str = "tags";

/// The words of strings that have no field of words of their own.
pub(super) const STRINGS: &str = "oipGun.words.strings";

/// The first word of every field of words. It is none of ours, which have no `_`, and for every server
/// one word that is no date.
const MARK: &str = "x_x";

/// Characters of a field of words that count when sorting by it.
const ORDER_CHARS_MAX: usize = 128;

/// Characters of a term where longer ones are left out by the index (`ignore_above` of guessed
/// mappings is 256): from here on a term ends in a hash.
const TERM_CHARS_MAX: usize = 240;

/// Which index the envelope goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One that we made.
    Ours,
    /// One that another program made, whose mapping guesses: long terms are left out, and texts that
    /// look like dates become dates.
    Guessed,
}

/// The term of a reader's token.
pub(super) fn reader(token: &str) -> String {
    format!("reader={token}")
}

/// The term of a node's own documents.
pub(super) fn owner(owner: &str) -> String {
    format!("owner={owner}")
}

/// The term of a DID's method.
pub(super) fn storage(method: &str) -> String {
    format!("storage={method}")
}

/// A path as it begins terms.
pub(super) fn path(field: &FieldPath) -> String {
    marked(&field.to_string())
}

/// The text of a path without what separates path and value.
fn marked(path: &str) -> String {
    match path.contains(['=', '#']) {
        true => path.replace('=', "\\=").replace('#', "\\#"),
        false => path.to_owned(),
    }
}

/// The name of a field's member in `by` and `words`.
pub(super) fn member(field: &FieldPath) -> String {
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    match field.names().all(plain) {
        true => field.names().collect::<Vec<_>>().join("/"),
        false => format!(
            "x{:016x}",
            xxhash_rust::xxh3::xxh3_64(field.to_string().as_bytes())
        ),
    }
}

/// The field to sort and count by.
pub(super) fn by(field: &FieldPath) -> String {
    format!("{MEMBER}.by.{}.keyword", member(field))
}

/// The field of a field's words.
pub(super) fn words_of(field: &FieldPath) -> String {
    format!("{MEMBER}.words.{}", member(field))
}

/// The term of a DID that a record refers to, or the beginning of such terms.
pub(super) fn refers(did: &str) -> String {
    format!("->{did}")
}

/// The term of a value of this field.
pub(super) fn term(layout: Layout, field: &FieldPath, value: &Typed) -> String {
    term_at(layout, &path(field), value)
}

fn term_at(layout: Layout, path: &str, value: &Typed) -> String {
    match value {
        Typed::Text(text) => short(layout, format!("{path}={text}")),
        other => format!("{path}#{}", ordered(other)),
    }
}

/// The term of a path that has a value.
pub(super) fn exists(layout: Layout, field: &FieldPath) -> String {
    short(layout, format!("?{}", path(field)))
}

/// A text as it stands in `by`: the mark keeps it from being taken for a date.
pub(super) fn shown(layout: Layout, text: &str) -> String {
    short(layout, format!("={text}"))
}

/// A value as text in the order of values: of one type, later texts are greater values.
pub(super) fn ordered(value: &Typed) -> String {
    match value {
        Typed::Text(text) => text.clone(),
        Typed::Whole(number) | Typed::DateMs(number) => format!("n{:016x}", turned(*number)),
        Typed::Boolean(flag) => format!("n{:016x}", turned(i64::from(*flag))),
        Typed::Number(number) => {
            // -0 and 0 are one number.
            let bits = (number + 0.0).to_bits();
            let key = match bits >> 63 {
                0 => bits | (1 << 63),
                _ => !bits,
            };
            format!("f{key:016x}")
        }
    }
}

fn turned(number: i64) -> u64 {
    (number as u64) ^ (1 << 63)
}

/// Reads the texts of whole numbers and floats back.
pub(super) fn number_of(text: &str) -> Option<NumberText> {
    let (kind, hex) = text.split_at_checked(1)?;
    let key = u64::from_str_radix(hex, 16)
        .ok()
        .filter(|_| hex.len() == 16)?;
    match kind {
        "n" => Some(NumberText::Whole((key ^ (1 << 63)) as i64)),
        "f" => {
            let bits = match key >> 63 {
                1 => key & !(1 << 63),
                _ => !key,
            };
            Some(NumberText::Float(f64::from_bits(bits)))
        }
        _ => None,
    }
}

/// A number that was written by [`ordered`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NumberText {
    Whole(i64),
    Float(f64),
}

/// The text of a value in `by`.
pub(super) fn column(layout: Layout, kind: FieldType, value: &Typed) -> String {
    match value {
        Typed::Text(text) => sorted(layout, kind, text),
        other => ordered(other),
    }
}

/// A text as it stands in `by`: of fields of words the beginning, in lower case.
fn sorted(layout: Layout, kind: FieldType, text: &str) -> String {
    let begin = || {
        text.chars()
            .take(ORDER_CHARS_MAX)
            .flat_map(char::to_lowercase)
    };
    match kind.has_words() {
        true => shown(layout, &begin().collect::<String>()),
        false => shown(layout, text),
    }
}

fn short(layout: Layout, text: String) -> String {
    if layout == Layout::Ours || text.chars().count() <= TERM_CHARS_MAX {
        return text;
    }
    let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
    let kept: String = text.chars().take(TERM_CHARS_MAX - 34).collect();
    format!("{kept}#{hash:032x}")
}

/// Whether a text can be compared as a whole.
fn counts_whole(text: &str) -> bool {
    text.len() <= EXACT_CHARS_MAX || text.encode_utf16().count() <= EXACT_CHARS_MAX
}

/// The envelope of a document that lives. `kept` is the document's whole text where its shape is not
/// one that servers take.
pub(super) fn of_document(
    layout: Layout,
    templates: &Templates,
    owner_name: &str,
    did: &str,
    document: &Value,
    envelope: &Envelope,
    kept: Option<String>,
) -> Value {
    let mut found = Found {
        layout,
        templates,
        terms: BTreeSet::from([RECORD.to_owned(), owner(owner_name)]),
        by: BTreeMap::new(),
        words: BTreeMap::new(),
    };
    match &envelope.readers {
        Readers::Public => {
            found.terms.insert(PUBLIC.to_owned());
        }
        Readers::Only(tokens) => found.terms.extend(tokens.iter().map(|token| reader(token))),
    }
    if let Some((method, _)) = did
        .strip_prefix("did:")
        .and_then(|rest| rest.split_once(':'))
    {
        found.terms.insert(storage(method));
    }
    for value in values_of(document) {
        found.value(&value);
    }
    // These two say what the node knows, whatever the document says.
    found.replace(&FieldPath::did(), did);
    if let Some(node) = &envelope.node {
        found.replace(&FieldPath::node(), node);
    }
    found.facts(document);
    // Moved, not cloned: this is most of what a document costs here.
    let lists = |lists: BTreeMap<String, Vec<String>>| -> Map<String, Value> {
        let values = lists
            .into_iter()
            .map(|(name, texts)| (name, Value::from(texts)));
        values.collect()
    };
    let mut all = Map::new();
    all.insert("terms".to_owned(), found.terms.into_iter().collect());
    all.insert("by".to_owned(), lists(found.by).into());
    all.insert("words".to_owned(), lists(found.words).into());
    all.insert("did".to_owned(), did.into());
    let version = version::text(&envelope.version);
    all.insert("version".to_owned(), version.into());
    if let Some(text) = kept {
        all.insert("document".to_owned(), text.into());
    }
    all.into()
}

/// The envelope of a deleted document: it keeps the version and answers nothing.
pub(super) fn of_tombstone(owner_name: &str, did: &str, version: &Version) -> Value {
    json!({
        "terms": [TOMBSTONE, owner(owner_name)],
        "did": did,
        "version": version::text(version),
    })
}

/// The envelope of a document that stays out of the index.
pub(super) fn of_kept_out(owner_name: &str, did: &str, version: &Version) -> Value {
    let mut ours = of_tombstone(owner_name, did, version);
    ours["terms"] = json!([TOMBSTONE, KEPT_OUT, owner(owner_name)]);
    ours
}

struct Found<'a> {
    layout: Layout,
    templates: &'a Templates,
    terms: BTreeSet<String>,
    by: BTreeMap<String, Vec<String>>,
    words: BTreeMap<String, Vec<String>>,
}

impl Found<'_> {
    fn value(&mut self, FieldValue { path, value }: &FieldValue<'_>) {
        let Ok(field) = path.parse::<FieldPath>() else {
            return;
        };
        match self.templates.field_type(&field) {
            Some(kind) => match kind.of_json(value) {
                Some(typed) => self.typed(&field, kind, &typed),
                // A value of another type is none.
                None => return,
            },
            None => {
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if counts_whole(&text) {
                    let value = Typed::Text(text);
                    self.terms.insert(term(self.layout, &field, &value));
                }
            }
        }
        let names: Vec<&str> = field.names().collect();
        for depth in 2..=names.len() {
            if let Ok(above) = FieldPath::from_names(names[..depth].iter().copied()) {
                self.terms.insert(exists(self.layout, &above));
            }
        }
    }

    fn typed(&mut self, field: &FieldPath, kind: FieldType, value: &Typed) {
        let whole = match value {
            Typed::Text(text) => {
                if kind.has_words() {
                    let words = words::joined(text);
                    self.words.entry(member(field)).or_default().push(words);
                }
                counts_whole(text)
            }
            _ => true,
        };
        if whole {
            self.terms.insert(term(self.layout, field, value));
        }
        if whole && *field == FieldPath::tags() {
            let tag = column(self.layout, FieldType::Keyword, value);
            self.by.entry(TAGS.to_owned()).or_default().push(tag);
        }
        if whole || kind.has_words() {
            self.by
                .entry(member(field))
                .or_default()
                .push(column(self.layout, kind, value));
        }
    }

    fn replace(&mut self, field: &FieldPath, text: &str) {
        let prefix = format!("{}=", path(field));
        self.terms.insert(exists(self.layout, field));
        self.terms.retain(|term| !term.starts_with(&prefix));
        let value = Typed::Text(text.to_owned());
        self.terms.insert(term(self.layout, field, &value));
        let column = column(self.layout, FieldType::Keyword, &value);
        self.by.insert(member(field), vec![column]);
    }

    /// The strings that have no field of their own in a search everywhere.
    fn facts(&mut self, document: &Value) {
        let facts = Facts::of(document);
        let references = facts.references().filter(|did| counts_whole(did));
        let references = references.map(|did| short(self.layout, refers(did)));
        self.terms.extend(references);
        let strings = facts.strings.iter().map(|text| words::joined(text));
        self.words.insert("strings".to_owned(), strings.collect());
        // A field's words weigh by how many documents have the field: all of them have these.
        for field in [
            FieldPath::name(),
            FieldPath::description(),
            FieldPath::tags(),
        ] {
            self.words.entry(member(&field)).or_default();
        }
        for texts in self.words.values_mut() {
            texts.insert(0, MARK.to_owned());
        }
    }
}
