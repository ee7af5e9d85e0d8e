//! The query model in the server's language. Looks at the envelope only.
//!
//! Every filter is a term or a range of terms and never scores; words are looked up as they were spelled
//! when they were put in, never analysed by the server.

use std::ops::Bound;

use serde_json::{Value, json};

use crate::condition::{
    Condition, DESCRIPTION_BOOST, LastWord, MatchMode, NAME_BOOST, Phrase, STRINGS_BOOST, Spelling,
    TAGS_BOOST, Text, WORDS_MAX,
};
use crate::cursor::{Cursor, CursorKey};
use crate::error::QueryError;
use crate::field::FieldPath;
use crate::query::{Access, Direction, Facet, FacetRequest, Query, SortBy};
use crate::templates::{FieldType, Templates, Typed};
use crate::words;

use super::envelope::{self, Layout, NumberText, STRINGS, TERMS};

/// What a word that is only like one that was meant adds, times the field's boost: less than any
/// word that was meant.
const LIKE_SCORE: f32 = 0.1;

/// Characters a word needs before it stands for all words that begin with it: a single
/// letter would fit a large part of the dictionary.
const PREFIX_CHARS_MIN: usize = 2;

/// What a translation needs to know of the index.
#[derive(Clone, Copy)]
pub(super) struct Speaker<'a> {
    pub(super) layout: Layout,
    pub(super) templates: &'a Templates,
    pub(super) owner: &'a str,
}

impl Speaker<'_> {
    /// Condition and access together.
    pub(super) fn query(&self, query: &Query) -> Result<Value, QueryError> {
        let own = term(envelope::owner(self.owner));
        let everybody = term(envelope::PUBLIC);
        let readable = match &query.access {
            Access::Everything => any(vec![everybody, own]),
            Access::Readers(readers) if readers.is_empty() => everybody,
            Access::Readers(readers) => {
                let tokens: Vec<String> = readers.iter().map(|one| envelope::reader(one)).collect();
                any(vec![everybody, filtered(vec![own, terms(tokens)])])
            }
        };
        Ok(json!({"bool": {
            "must": [self.condition(&query.condition)?],
            "filter": [term(envelope::RECORD), readable],
        }}))
    }

    fn condition(&self, condition: &Condition) -> Result<Value, QueryError> {
        let parts = |parts: &[Condition]| -> Result<Vec<Value>, QueryError> {
            parts.iter().map(|part| self.condition(part)).collect()
        };
        Ok(match condition {
            Condition::Everything => unscored(everything()),
            Condition::Text(text) => self.text(text)?,
            Condition::Phrase(phrase) => self.phrase(phrase)?,
            Condition::Exact { field, any_of } => {
                let values = any_of.iter().map(|value| {
                    let typed = self.templates.read(field, value)?;
                    Ok(envelope::term(self.layout, field, &typed))
                });
                unscored(terms(values.collect::<Result<_, QueryError>>()?))
            }
            Condition::Range { field, from, to } => unscored(self.range(field, from, to)?),
            Condition::Tags { tags, .. } if tags.is_empty() => unscored(everything()),
            Condition::Tags { tags, mode } => {
                let tag = |tag: &String| {
                    let value = Typed::Text(tag.clone());
                    envelope::term(self.layout, &FieldPath::tags(), &value)
                };
                unscored(match mode {
                    MatchMode::Any => terms(tags.iter().map(tag).collect()),
                    MatchMode::All => filtered(tags.iter().map(|one| term(tag(one))).collect()),
                })
            }
            Condition::Exists { field } => unscored(term(envelope::exists(self.layout, field))),
            Condition::Storage(method) => unscored(term(envelope::storage(method))),
            Condition::Refers(start) => {
                unscored(json!({"prefix": {TERMS: {"value": envelope::refers(start)}}}))
            }
            Condition::All(conditions) if conditions.is_empty() => unscored(everything()),
            Condition::All(conditions) => all(parts(conditions)?),
            Condition::Any(conditions) if conditions.is_empty() => nothing(),
            Condition::Any(conditions) => any(parts(conditions)?),
            Condition::Most(conditions) if conditions.is_empty() => nothing(),
            Condition::Most(conditions) => {
                any(parts(conditions)?.into_iter().map(counted).collect())
            }
            Condition::Not(part) => json!({"bool": {
                "must": [unscored(everything())],
                "must_not": [self.condition(part)?],
            }}),
        })
    }

    fn range(
        &self,
        field: &FieldPath,
        from: &Bound<String>,
        to: &Bound<String>,
    ) -> Result<Value, QueryError> {
        let (from, to) = self.templates.read_range(field, from, to)?;
        // Reading the range has found the type.
        let kind = self
            .templates
            .field_type(field)
            .unwrap_or(FieldType::Keyword);
        let at = |value: &Typed| json!(envelope::column(self.layout, kind, value));
        let mut bounds = serde_json::Map::new();
        match &from {
            Bound::Unbounded => {}
            Bound::Included(value) => drop(bounds.insert("gte".to_owned(), at(value))),
            Bound::Excluded(value) => drop(bounds.insert("gt".to_owned(), at(value))),
        }
        match &to {
            Bound::Unbounded => {}
            Bound::Included(value) => drop(bounds.insert("lte".to_owned(), at(value))),
            Bound::Excluded(value) => drop(bounds.insert("lt".to_owned(), at(value))),
        }
        Ok(match bounds.is_empty() {
            true => term(envelope::exists(self.layout, field)),
            false => json!({"range": {envelope::by(field): bounds}}),
        })
    }

    /// The fields of words, with what a word is worth there, and the other fields.
    fn places(&self, fields: &[FieldPath]) -> (Vec<(String, f32)>, Vec<FieldPath>) {
        if fields.is_empty() {
            let places = vec![
                (envelope::words_of(&FieldPath::name()), NAME_BOOST),
                (
                    envelope::words_of(&FieldPath::description()),
                    DESCRIPTION_BOOST,
                ),
                (envelope::words_of(&FieldPath::tags()), TAGS_BOOST),
                (STRINGS.to_owned(), STRINGS_BOOST),
            ];
            return (places, Vec::new());
        }
        let has_words = |field: &&FieldPath| {
            let kind = self.templates.field_type(field);
            kind.is_some_and(FieldType::has_words)
        };
        let worth = |field: &FieldPath| match () {
            () if *field == FieldPath::name() => NAME_BOOST,
            () if *field == FieldPath::description() => DESCRIPTION_BOOST,
            () if *field == FieldPath::tags() => TAGS_BOOST,
            () => STRINGS_BOOST,
        };
        let (worded, whole): (Vec<&FieldPath>, Vec<&FieldPath>) =
            fields.iter().partition(has_words);
        let worded = worded
            .into_iter()
            .map(|field| (envelope::words_of(field), worth(field)));
        (worded.collect(), whole.into_iter().cloned().collect())
    }

    fn text(&self, text: &Text) -> Result<Value, QueryError> {
        let (places, whole) = self.places(&text.fields);
        // White space after the last word says that it is complete.
        let last_word = match text.last_word {
            LastWord::Prefix if !text.text.ends_with(char::is_whitespace) => LastWord::Prefix,
            _ => LastWord::Whole,
        };
        let mut alternatives = Vec::new();
        let words = words::distinct(&text.text, WORDS_MAX);
        if !words.is_empty() && !places.is_empty() {
            let matchers = words.iter().enumerate().map(|(at, word)| {
                let role = match at + 1 == words.len() {
                    true => last_word,
                    false => LastWord::Whole,
                };
                word_matches(&places, word, role, text.spelling)
            });
            let matchers = matchers.collect();
            alternatives.push(match text.mode {
                MatchMode::All => all(matchers),
                MatchMode::Any => any(matchers),
            });
        }
        for field in whole {
            alternatives.push(self.whole_value(&field, text.text.trim(), last_word)?);
        }
        Ok(match alternatives.len() {
            0 => nothing(),
            _ => any(alternatives),
        })
    }

    fn phrase(&self, phrase: &Phrase) -> Result<Value, QueryError> {
        let (places, whole) = self.places(&phrase.fields);
        let words = words::sequence(&phrase.text, WORDS_MAX);
        let mut alternatives = Vec::new();
        match words.as_slice() {
            [] => {}
            [word] if !places.is_empty() => {
                alternatives.push(word_matches(
                    &places,
                    word,
                    LastWord::Whole,
                    Spelling::Exact,
                ));
            }
            words => {
                let text = words.join(" ");
                alternatives.extend(places.iter().map(|(field, boost)| {
                    json!({"match_phrase": {field: {"query": text, "analyzer": "whitespace", "boost": boost}}})
                }));
            }
        }
        for field in whole {
            alternatives.push(self.whole_value(&field, &phrase.text, LastWord::Whole)?);
        }
        Ok(match alternatives.len() {
            0 => nothing(),
            _ => any(alternatives),
        })
    }

    /// A text compared with each value of a field that has no words.
    fn whole_value(
        &self,
        field: &FieldPath,
        text: &str,
        last_word: LastWord,
    ) -> Result<Value, QueryError> {
        let typed = self.templates.read(field, text)?;
        let whole = envelope::term(self.layout, field, &typed);
        Ok(unscored(match (last_word, typed) {
            (LastWord::Prefix, Typed::Text(text)) if text.chars().count() >= PREFIX_CHARS_MIN => {
                json!({"prefix": {TERMS: {"value": format!("{}={text}", envelope::path(field))}}})
            }
            _ => term(whole),
        }))
    }

    /// The order of hits, ties broken by DID.
    pub(super) fn sort(&self, query: &Query) -> Result<Vec<Value>, QueryError> {
        let mut sort = Vec::new();
        for key in query.order() {
            let order = match key.direction {
                Direction::Ascending => "asc",
                Direction::Descending => "desc",
            };
            sort.push(match &key.by {
                SortBy::Relevance => json!({"_score": {"order": order}}),
                SortBy::Field(field) => {
                    if self.templates.field_type(field).is_none() {
                        let field = field.to_string();
                        return Err(QueryError::Untyped { field });
                    }
                    by_field(field, order)
                }
            });
        }
        sort.push(by_field(&FieldPath::did(), "asc"));
        Ok(sort)
    }

    /// The place after a hit, as the server takes it.
    pub(super) fn after(&self, cursor: &Cursor, query: &Query) -> Vec<Value> {
        let keys = query.order();
        let mut values: Vec<Value> = cursor
            .keys()
            .iter()
            .zip(&keys)
            .map(|(value, key)| match (value, &key.by) {
                (CursorKey::Missing, _) => Value::Null,
                (CursorKey::Float(number), SortBy::Relevance) => json!(number),
                (CursorKey::Integer(number), SortBy::Relevance) => json!(number),
                (CursorKey::Integer(number), _) => json!(envelope::ordered(&Typed::Whole(*number))),
                (CursorKey::Float(number), _) => json!(envelope::ordered(&Typed::Number(*number))),
                (CursorKey::Text(text), _) => json!(envelope::shown(self.layout, text)),
            })
            .collect();
        values.push(json!(envelope::shown(self.layout, cursor.did())));
        values
    }

    /// What is counted beside the hits.
    pub(super) fn facets(&self, requests: &[FacetRequest]) -> Value {
        let counts = requests
            .iter()
            .enumerate()
            .filter(|(_, request)| request.values_max > 0)
            .map(|(at, request)| (facet_name(at), facet(request)));
        Value::Object(counts.collect())
    }
}

/// The name under which a facet is asked for and answered.
pub(super) fn facet_name(at: usize) -> String {
    format!("facet{at}")
}

fn facet(request: &FacetRequest) -> Value {
    let field = match request.facet {
        Facet::Tag => format!("{}.by.{}.keyword", envelope::MEMBER, envelope::TAGS),
        other => envelope::by(&other.field()),
    };
    let mut counts = json!({
        "field": field,
        "size": request.values_max,
        // With several shards each names its own most frequent; more of them make the sum right.
        "shard_size": request.values_max * 2 + 100,
        "order": [{"_count": "desc"}, {"_key": "asc"}],
    });
    if request.facet == Facet::Node {
        counts["missing"] = json!("");
    }
    json!({"terms": counts})
}

/// The value of a sort key in a hit.
pub(super) fn cursor_key(value: &Value) -> CursorKey {
    match value {
        Value::Number(number) => CursorKey::Float(number.as_f64().unwrap_or_default()),
        Value::String(text) => match (text.strip_prefix('='), envelope::number_of(text)) {
            (Some(text), _) => CursorKey::Text(text.to_owned()),
            (None, Some(NumberText::Whole(number))) => CursorKey::Integer(number),
            (None, Some(NumberText::Float(number))) => CursorKey::Float(number),
            (None, None) => CursorKey::Missing,
        },
        _ => CursorKey::Missing,
    }
}

fn by_field(field: &FieldPath, order: &str) -> Value {
    json!({envelope::by(field): {"order": order, "missing": "_last", "unmapped_type": "keyword"}})
}

fn word_matches(places: &[(String, f32)], word: &str, role: LastWord, spelling: Spelling) -> Value {
    let characters = word.chars().count();
    let slips = spelling.slips(characters);
    let mut matchers = Vec::new();
    for (field, boost) in places {
        matchers.push(json!({"term": {field: {"value": word, "boost": boost}}}));
        if role == LastWord::Prefix && characters >= PREFIX_CHARS_MIN {
            matchers.push(like(json!({"prefix": {field: {"value": word}}}), *boost));
        }
        if slips > 0 {
            // All words within reach, not the first fifty: the answer must not depend on the others.
            let fuzzy = json!({"fuzzy": {field: {
                "value": word, "fuzziness": slips, "transpositions": true, "rewrite": "constant_score",
            }}});
            matchers.push(like(fuzzy, *boost));
        }
    }
    any(matchers)
}

fn like(matcher: Value, boost: f32) -> Value {
    json!({"constant_score": {"filter": matcher, "boost": LIKE_SCORE * boost}})
}

fn everything() -> Value {
    json!({"match_all": {}})
}

fn nothing() -> Value {
    json!({"match_none": {}})
}

fn term(text: impl Into<String>) -> Value {
    json!({"term": {TERMS: {"value": text.into()}}})
}

fn terms(texts: Vec<String>) -> Value {
    json!({"terms": {TERMS: texts}})
}

fn filtered(parts: Vec<Value>) -> Value {
    json!({"bool": {"filter": parts}})
}

fn unscored(part: Value) -> Value {
    json!({"constant_score": {"filter": part, "boost": 0.0}})
}

fn counted(part: Value) -> Value {
    json!({"constant_score": {"filter": part, "boost": 1.0}})
}

fn all(parts: Vec<Value>) -> Value {
    match <[Value; 1]>::try_from(parts) {
        Ok([part]) => part,
        Err(parts) => json!({"bool": {"must": parts}}),
    }
}

fn any(parts: Vec<Value>) -> Value {
    match <[Value; 1]>::try_from(parts) {
        Ok([part]) => part,
        Err(parts) => json!({"bool": {"should": parts, "minimum_should_match": 1}}),
    }
}
