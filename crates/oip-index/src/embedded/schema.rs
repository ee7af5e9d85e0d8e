//! The fields of the embedded index, and how a document fills them.
//!
//! Any change to fields, options or analysis raises [`FORMAT_VERSION`]: folders of
//! another version are thrown away and filled again, never migrated.

use serde_json::Value;
use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STORED, Schema, SchemaBuilder, TextFieldIndexing,
    TextOptions,
};

use super::words::ANALYZER;
use crate::facts::Facts;
use crate::index::{Envelope, Readers};

/// The version of everything in a folder of this backend.
pub(super) const FORMAT_VERSION: u32 = 2;

/// Bytes of a value for exact filters and for sorting: what is longer is no type, tag
/// or creator, and would stand whole in every segment's dictionary.
const EXACT_BYTES_MAX: usize = 1_024;

/// Characters of a name that count when sorting by name.
const NAME_ORDER_CHARS_MAX: usize = 128;

/// Column names, for the collectors that read columns by name.
pub(super) mod column {
    pub(in super::super) const DID: &str = "did";
    pub(in super::super) const RECORD_TYPE: &str = "record_type";
    pub(in super::super) const CREATOR: &str = "creator";
    pub(in super::super) const TAG: &str = "tag";
    pub(in super::super) const INDEXED_AT: &str = "indexed_at";
    pub(in super::super) const DATE: &str = "date";
    pub(in super::super) const NAME_ORDER: &str = "name_order";
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
    pub(super) did: Field,
    pub(super) storage: Field,
    pub(super) record_type: Field,
    pub(super) creator: Field,
    pub(super) tag: Field,
    pub(super) readers: Field,
    pub(super) indexed_at: Field,
    pub(super) name: Field,
    pub(super) description: Field,
    pub(super) tags: Field,
    pub(super) strings: Field,
    pub(super) document: Field,
    date: Field,
    name_order: Field,
}

impl Fields {
    /// The schema and its handles.
    pub(super) fn build() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let fields = Self {
            did: schema.add_text_field(column::DID, exact().set_fast("raw") | STORED),
            storage: schema.add_text_field("storage", exact()),
            record_type: schema.add_text_field(column::RECORD_TYPE, exact().set_fast("raw")),
            creator: schema.add_text_field(column::CREATOR, exact().set_fast("raw")),
            tag: schema.add_text_field(column::TAG, exact().set_fast("raw")),
            readers: schema.add_text_field("readers", exact()),
            indexed_at: number(&mut schema, column::INDEXED_AT),
            date: number(&mut schema, column::DATE),
            name_order: schema
                .add_text_field(column::NAME_ORDER, TextOptions::default().set_fast("raw")),
            name: schema.add_text_field("name", words()),
            description: schema.add_text_field("description", words()),
            tags: schema.add_text_field("tags", words()),
            strings: schema.add_text_field("strings", words()),
            document: schema.add_text_field("document", STORED),
        };
        (schema.build(), fields)
    }

    /// The index entry of a document; `text` is the document as JSON.
    pub(super) fn entry(
        &self,
        did: &str,
        document: &Value,
        text: &str,
        envelope: &Envelope,
    ) -> TantivyDocument {
        let facts = Facts::of(document);
        let mut entry = TantivyDocument::default();
        entry.add_text(self.did, did);
        entry.add_text(self.document, text);
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
        for (field, value) in [
            (self.record_type, facts.record_type),
            (self.creator, facts.creator),
        ] {
            if let Some(value) = value.filter(|value| value.len() <= EXACT_BYTES_MAX) {
                entry.add_text(field, value);
            }
        }
        for tag in &facts.tags {
            entry.add_text(self.tags, tag);
            if tag.len() <= EXACT_BYTES_MAX {
                entry.add_text(self.tag, tag);
            }
        }
        if let Some(indexed_at_ms) = facts.indexed_at_ms {
            entry.add_i64(self.indexed_at, indexed_at_ms);
        }
        if let Some(date) = facts.date {
            entry.add_i64(self.date, date);
        }
        if let Some(name) = facts.name {
            entry.add_text(self.name, name);
            entry.add_text(self.name_order, name_order(name));
        }
        if let Some(description) = facts.description {
            entry.add_text(self.description, description);
        }
        for string in facts.strings {
            entry.add_text(self.strings, string);
        }
        entry
    }
}

/// The method of a DID: `gun` of `did:gun:…`.
fn storage_of(did: &str) -> Option<&str> {
    let (method, _) = did.strip_prefix("did:")?.split_once(':')?;
    Some(method)
}

fn name_order(name: &str) -> String {
    name.chars()
        .take(NAME_ORDER_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .collect()
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

/// Words with frequencies, for scoring. No positions: the query model has no phrases yet,
/// and they would take a third of the index.
fn words() -> TextOptions {
    TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_index_option(IndexRecordOption::WithFreqs),
    )
}

/// A column only: ranges scan it, sorting reads it.
fn number(schema: &mut SchemaBuilder, name: &str) -> Field {
    schema.add_i64_field(name, NumericOptions::default().set_fast())
}
