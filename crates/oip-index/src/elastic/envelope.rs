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

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde::Serialize;
use serde_json::{Value, json};

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

/// Paths that are remembered: more than the records of a network bear, few enough to forget all.
const PATHS_MAX: usize = 10_000;

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
        Typed::Text(text) => text_term(layout, path, text),
        other => format!("{path}#{}", ordered(other)),
    }
}

fn text_term(layout: Layout, path: &str, text: &str) -> String {
    short(layout, [path, "=", text].concat())
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

/// The paths of documents, with what is worked out once for each, however many documents of a batch bear it.
pub(super) struct Paths<'a> {
    layout: Layout,
    templates: &'a Templates,
    known: HashMap<String, Option<Rc<Path>>>,
    did: Rc<Path>,
    node: Rc<Path>,
    /// Fields of words that every document has: a field's words weigh by how many documents have the field.
    always: [Rc<Path>; 3],
}

/// One path.
struct Path {
    kind: Option<FieldType>,
    /// As it begins terms.
    text: String,
    /// Its name in `by` and `words`.
    member: String,
    /// The terms that say that it has a value, and that each path above it has.
    exists: Vec<String>,
    is_tags: bool,
}

impl Path {
    fn of(layout: Layout, templates: &Templates, field: &FieldPath) -> Self {
        let names: Vec<&str> = field.names().collect();
        let above = (2..=names.len()).filter_map(|depth| {
            let above = FieldPath::from_names(names[..depth].iter().copied()).ok()?;
            Some(exists(layout, &above))
        });
        Self {
            kind: templates.field_type(field),
            text: path(field),
            member: member(field),
            exists: above.collect(),
            is_tags: *field == FieldPath::tags(),
        }
    }
}

impl<'a> Paths<'a> {
    pub(super) fn new(layout: Layout, templates: &'a Templates) -> Self {
        let fixed = |field: FieldPath| Rc::new(Path::of(layout, templates, &field));
        Self {
            layout,
            templates,
            known: HashMap::new(),
            did: fixed(FieldPath::did()),
            node: fixed(FieldPath::node()),
            always: [
                FieldPath::name(),
                FieldPath::description(),
                FieldPath::tags(),
            ]
            .map(fixed),
        }
    }

    /// `None` where the text is no path.
    fn get(&mut self, text: &str) -> Option<Rc<Path>> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let field: Option<FieldPath> = text.parse().ok();
        let path = field.map(|field| Rc::new(Path::of(self.layout, self.templates, &field)));
        if self.known.len() >= PATHS_MAX {
            self.known.clear();
        }
        self.known.insert(text.to_owned(), path.clone());
        path
    }
}

/// Writes the envelope of a document that lives. `kept` is the document's whole text where its shape is not
/// one that servers take.
pub(super) fn write_of_document(
    out: &mut Vec<u8>,
    paths: &mut Paths<'_>,
    owner_name: &str,
    did: &str,
    document: &Value,
    envelope: &Envelope,
    kept: Option<&str>,
) {
    let values = values_of(document);
    let borne: Vec<Option<Rc<Path>>> = values.iter().map(|value| paths.get(&value.path)).collect();
    let mut found = Found {
        layout: paths.layout,
        terms: vec![RECORD.into(), owner(owner_name).into()],
        by: BTreeMap::new(),
        words: BTreeMap::new(),
        splitter: words::Splitter::default(),
    };
    match &envelope.readers {
        Readers::Public => found.terms.push(PUBLIC.into()),
        Readers::Only(tokens) => {
            let readers = tokens.iter().map(|token| reader(token).into());
            found.terms.extend(readers);
        }
    }
    if let Some((method, _)) = did
        .strip_prefix("did:")
        .and_then(|rest| rest.split_once(':'))
    {
        found.terms.push(storage(method).into());
    }
    for (FieldValue { value, .. }, path) in values.iter().zip(&borne) {
        if let Some(path) = path {
            found.value(path, value);
        }
    }
    // These two say what the node knows, whatever the document says.
    found.replace(&paths.did, did);
    if let Some(node) = &envelope.node {
        found.replace(&paths.node, node);
    }
    found.facts(document, &paths.always);
    found.terms.sort_unstable();
    found.terms.dedup();
    let ours = Ours {
        terms: found.terms,
        by: found.by,
        words: found.words,
        did,
        version: version::text(&envelope.version),
        document: kept,
    };
    serde_json::to_writer(out, &ours).expect("texts are written to memory");
}

/// The envelope of a document that lives, as it is sent.
#[derive(Serialize)]
struct Ours<'a> {
    terms: Vec<Cow<'a, str>>,
    by: BTreeMap<&'a str, Vec<String>>,
    words: BTreeMap<&'a str, Vec<Cow<'a, str>>>,
    did: &'a str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
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
    terms: Vec<Cow<'a, str>>,
    by: BTreeMap<&'a str, Vec<String>>,
    words: BTreeMap<&'a str, Vec<Cow<'a, str>>>,
    splitter: words::Splitter,
}

impl<'a> Found<'a> {
    fn value(&mut self, path: &'a Path, value: &Value) {
        match path.kind {
            Some(kind) => match kind.of_json(value) {
                Some(typed) => self.typed(path, kind, &typed),
                // A value of another type is none.
                None => return,
            },
            None => {
                let text = match value {
                    Value::String(text) => Cow::Borrowed(text.as_str()),
                    other => other.to_string().into(),
                };
                if counts_whole(&text) {
                    let term = text_term(self.layout, &path.text, &text);
                    self.terms.push(term.into());
                }
            }
        }
        self.exist(path);
    }

    fn typed(&mut self, path: &'a Path, kind: FieldType, value: &Typed) {
        let whole = match value {
            Typed::Text(text) => {
                if kind.has_words() {
                    let words = self.splitter.joined(text);
                    self.words
                        .entry(&path.member)
                        .or_default()
                        .push(words.into());
                }
                counts_whole(text)
            }
            _ => true,
        };
        if whole {
            let term = term_at(self.layout, &path.text, value);
            self.terms.push(term.into());
        }
        if whole && path.is_tags {
            let tag = column(self.layout, FieldType::Keyword, value);
            self.by.entry(TAGS).or_default().push(tag);
        }
        if whole || kind.has_words() {
            let column = column(self.layout, kind, value);
            self.by.entry(&path.member).or_default().push(column);
        }
    }

    fn exist(&mut self, path: &'a Path) {
        let terms = path.exists.iter().map(|term| Cow::Borrowed(term.as_str()));
        self.terms.extend(terms);
    }

    fn replace(&mut self, path: &'a Path, text: &str) {
        self.terms.retain(|term| {
            let rest = term.strip_prefix(path.text.as_str());
            !rest.is_some_and(|rest| rest.starts_with('='))
        });
        self.terms
            .extend(path.exists.last().map(|term| Cow::Borrowed(term.as_str())));
        let term = text_term(self.layout, &path.text, text);
        self.terms.push(term.into());
        let column = sorted(self.layout, FieldType::Keyword, text);
        self.by.insert(&path.member, vec![column]);
    }

    /// The strings that have no field of their own in a search everywhere.
    fn facts(&mut self, document: &Value, always: &'a [Rc<Path>]) {
        let facts = Facts::of(document);
        let references = facts.references().filter(|did| counts_whole(did));
        let references = references.map(|did| short(self.layout, refers(did)).into());
        self.terms.extend(references);
        let strings = facts.strings.iter();
        let strings = strings.map(|text| self.splitter.joined(text).into());
        self.words.insert("strings", strings.collect());
        for path in always {
            self.words.entry(&path.member).or_default();
        }
        for texts in self.words.values_mut() {
            texts.insert(0, MARK.into());
        }
    }
}
