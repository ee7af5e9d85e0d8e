//! Which documents fit a query: conditions as tantivy queries.
//!
//! Filters are exact terms or ranges, and never score. Every word of a text may occur in any of the
//! fields it is looked for in; where it occurs decides what it is worth. Access is one more filter, on
//! every query.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, Occur,
    PhraseQuery, Query as Matcher, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::{Fields, PUBLIC, Types, exact_term, in_order, key, rank, reader_term};
use crate::condition::{
    Condition, DESCRIPTION_BOOST, LastWord, MatchMode, NAME_BOOST, Phrase, STRINGS_BOOST, Spelling,
    TAGS_BOOST, Text, WORDS_MAX,
};
use crate::error::QueryError;
use crate::field::FieldPath;
use crate::query::{Access, Query};
use crate::templates::{FieldType, Typed};
use crate::words;

/// What a word that is only like the one asked for (begins with it, or has a slip) adds, times the
/// field's boost: less than any word that was meant.
const LIKENESS_SCORE: f32 = 0.1;

/// Characters a word needs before it stands for all words that begin with it: a single
/// letter would fit a large part of the dictionary.
const PREFIX_CHARS_MIN: usize = 2;

type Matched = Result<Box<dyn Matcher>, QueryError>;

/// Makes matchers of conditions.
pub(super) struct Matching<'a> {
    pub(super) fields: &'a Fields,
    pub(super) types: &'a Types,
}

/// A place where words are looked for.
enum Place {
    /// A field of its own in the index.
    Field(Field),
    /// Typed words under this key.
    Key(String),
}

/// Where a text is looked for: where by words, with what they are worth, and where as a whole.
#[derive(Default)]
struct Places<'a> {
    words: Vec<(Place, f32)>,
    whole: Vec<&'a FieldPath>,
}

impl Matching<'_> {
    /// The matcher for a query.
    pub(super) fn query(&self, query: &Query) -> Matched {
        let Access::Readers(readers) = &query.access else {
            return self.condition(&query.condition);
        };
        let terms = readers.iter().map(|reader| reader_term(reader));
        let terms: Vec<String> = std::iter::once(PUBLIC.to_owned()).chain(terms).collect();
        let readable = unscored(one_of(self.fields.readers, &terms));
        Ok(match &query.condition {
            // Alone, it is counted without looking at documents.
            Condition::Everything => readable,
            condition => all(vec![self.condition(condition)?, readable]),
        })
    }

    fn condition(&self, condition: &Condition) -> Matched {
        Ok(match condition {
            Condition::Everything => unscored(Box::new(AllQuery)),
            Condition::Text(text) => self.text(text)?,
            Condition::Phrase(phrase) => self.phrase(phrase)?,
            Condition::Exact { field, any_of } => unscored(self.exact(field, any_of)?),
            Condition::Range { field, from, to } => unscored(self.range(field, from, to)?),
            Condition::Tags { tags, mode } => unscored(self.tags(tags, *mode)?),
            Condition::Exists { field } => unscored(term(self.fields.present, &field.to_string())),
            Condition::Storage(method) => unscored(term(self.fields.storage, method)),
            Condition::Refers(start) => {
                let start = Term::from_field_text(self.fields.references, start);
                unscored(Box::new(FuzzyTermQuery::new_prefix(start, 0, false)))
            }
            Condition::All(parts) if parts.is_empty() => unscored(Box::new(AllQuery)),
            Condition::All(parts) => all(self.conditions(parts)?),
            Condition::Any(parts) if parts.is_empty() => Box::new(EmptyQuery),
            Condition::Any(parts) => any(self.conditions(parts)?),
            Condition::Most(parts) if parts.is_empty() => Box::new(EmptyQuery),
            Condition::Most(parts) => {
                any(self.conditions(parts)?.into_iter().map(counted).collect())
            }
            Condition::Not(part) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, unscored(Box::new(AllQuery))),
                (Occur::MustNot, self.condition(part)?),
            ])),
        })
    }

    fn conditions(&self, parts: &[Condition]) -> Result<Vec<Box<dyn Matcher>>, QueryError> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn exact(&self, field: &FieldPath, any_of: &[String]) -> Matched {
        if *field == FieldPath::did() {
            return Ok(one_of(self.fields.did, any_of));
        }
        let is_text = matches!(
            self.types.templates.field_type(field),
            None | Some(FieldType::Text | FieldType::Keyword)
        );
        if is_text {
            let path = field.to_string();
            let terms: Vec<String> = any_of.iter().map(|one| exact_term(&path, one)).collect();
            return Ok(one_of(self.fields.exact, &terms));
        }
        let values = any_of
            .iter()
            .map(|text| {
                let value = self.types.templates.read(field, text)?;
                let same = || Bound::Included(self.typed_term(field, &value));
                Ok(Box::new(RangeQuery::new(same(), same())) as Box<dyn Matcher>)
            })
            .collect::<Result<Vec<_>, QueryError>>()?;
        Ok(any(values))
    }

    fn range(&self, field: &FieldPath, from: &Bound<String>, to: &Bound<String>) -> Matched {
        let (from, to) = self.types.templates.read_range(field, from, to)?;
        if matches!((&from, &to), (Bound::Unbounded, Bound::Unbounded)) {
            return Ok(term(self.fields.present, &field.to_string()));
        }
        if *field == FieldPath::did() {
            let did = |value| match value {
                Typed::Text(text) => Term::from_field_text(self.fields.did, &text),
                _ => Term::from_field_text(self.fields.did, ""),
            };
            return Ok(Box::new(RangeQuery::new(from.map(did), to.map(did))));
        }
        let bound = |value| self.typed_term(field, &value);
        Ok(Box::new(RangeQuery::new(from.map(bound), to.map(bound))))
    }

    fn typed_term(&self, field: &FieldPath, value: &Typed) -> Term {
        let mut term = Term::from_field_json_path(self.fields.typed, &key(field), false);
        match value {
            Typed::Text(text) => {
                let in_words = self
                    .types
                    .templates
                    .field_type(field)
                    .is_some_and(FieldType::has_words);
                match in_words {
                    true => term.append_type_and_str(&in_order(text)),
                    false => term.append_type_and_str(text),
                }
            }
            other => term.append_type_and_fast_value(rank(other)),
        }
        term
    }

    fn tags(&self, tags: &[String], mode: MatchMode) -> Matched {
        let field = FieldPath::tags();
        Ok(match mode {
            _ if tags.is_empty() => Box::new(AllQuery),
            MatchMode::Any => self.exact(&field, tags)?,
            MatchMode::All => all(tags
                .iter()
                .map(|tag| self.exact(&field, std::slice::from_ref(tag)))
                .collect::<Result<_, _>>()?),
        })
    }

    fn places<'a>(&self, fields: &'a [FieldPath]) -> Places<'a> {
        let own = self.fields;
        if fields.is_empty() {
            let words = [
                (own.name, NAME_BOOST),
                (own.description, DESCRIPTION_BOOST),
                (own.tags, TAGS_BOOST),
                (own.strings, STRINGS_BOOST),
            ];
            return Places {
                words: words
                    .map(|(field, boost)| (Place::Field(field), boost))
                    .into(),
                whole: Vec::new(),
            };
        }
        let mut places = Places::default();
        for field in fields {
            let has_words = self
                .types
                .templates
                .field_type(field)
                .is_some_and(FieldType::has_words);
            match () {
                () if !has_words => places.whole.push(field),
                () if *field == FieldPath::name() => {
                    places.words.push((Place::Field(own.name), NAME_BOOST));
                }
                () if *field == FieldPath::description() => {
                    let place = Place::Field(own.description);
                    places.words.push((place, DESCRIPTION_BOOST));
                }
                () if *field == FieldPath::tags() => {
                    places.words.push((Place::Field(own.tags), TAGS_BOOST));
                }
                () => places.words.push((Place::Key(key(field)), STRINGS_BOOST)),
            }
        }
        places
    }

    fn text(&self, text: &Text) -> Matched {
        let places = self.places(&text.fields);
        let words = words::distinct(&text.text, WORDS_MAX);
        // White space after the last word says that it is complete.
        let last_word = match text.last_word {
            LastWord::Prefix if !text.text.ends_with(char::is_whitespace) => LastWord::Prefix,
            _ => LastWord::Whole,
        };
        let mut ways: Vec<Box<dyn Matcher>> = Vec::new();
        if !places.words.is_empty() && !words.is_empty() {
            let matchers: Vec<Box<dyn Matcher>> = words
                .iter()
                .enumerate()
                .map(|(at, word)| match at + 1 == words.len() {
                    true => self.word(&places, word, last_word, text.spelling),
                    false => self.word(&places, word, LastWord::Whole, text.spelling),
                })
                .collect();
            ways.push(match text.mode {
                MatchMode::All => all(matchers),
                MatchMode::Any => any(matchers),
            });
        }
        for field in &places.whole {
            ways.push(self.whole(field, text.text.trim(), last_word)?);
        }
        Ok(one_way(ways))
    }

    /// A value as a whole, or its beginning.
    fn whole(&self, field: &FieldPath, text: &str, last_word: LastWord) -> Matched {
        let value = vec![text.to_owned()];
        if last_word == LastWord::Whole || text.chars().count() < PREFIX_CHARS_MIN {
            return Ok(unscored(self.exact(field, &value)?));
        }
        let (index_field, start) = match self.types.templates.field_type(field) {
            _ if *field == FieldPath::did() => (self.fields.did, text.to_owned()),
            None | Some(FieldType::Text | FieldType::Keyword) => {
                (self.fields.exact, exact_term(&field.to_string(), text))
            }
            Some(_) => return Ok(unscored(self.exact(field, &value)?)),
        };
        let term = Term::from_field_text(index_field, &start);
        Ok(unscored(Box::new(FuzzyTermQuery::new_prefix(
            term, 0, false,
        ))))
    }

    fn word(
        &self,
        places: &Places<'_>,
        word: &str,
        role: LastWord,
        spelling: Spelling,
    ) -> Box<dyn Matcher> {
        let characters = word.chars().count();
        let slips = spelling.slips(characters);
        let mut matchers: Vec<Box<dyn Matcher>> = Vec::new();
        for (place, boost) in &places.words {
            let term = self.word_term(place, word);
            let whole = TermQuery::new(term.clone(), IndexRecordOption::WithFreqs);
            matchers.push(Box::new(BoostQuery::new(Box::new(whole), *boost)));
            let like = match role {
                LastWord::Prefix if characters >= PREFIX_CHARS_MIN => {
                    FuzzyTermQuery::new_prefix(term, slips, true)
                }
                _ if slips > 0 => FuzzyTermQuery::new(term, slips, true),
                _ => continue,
            };
            let score = LIKENESS_SCORE * boost;
            matchers.push(Box::new(ConstScoreQuery::new(Box::new(like), score)));
        }
        any(matchers)
    }

    fn word_term(&self, place: &Place, word: &str) -> Term {
        match place {
            Place::Field(field) => Term::from_field_text(*field, word),
            Place::Key(key) => {
                let mut term = Term::from_field_json_path(self.fields.words, key, false);
                term.append_type_and_str(word);
                term
            }
        }
    }

    fn phrase(&self, phrase: &Phrase) -> Matched {
        let places = self.places(&phrase.fields);
        let words = words::sequence(&phrase.text, WORDS_MAX);
        let mut ways: Vec<Box<dyn Matcher>> = Vec::new();
        match words.as_slice() {
            [] => {}
            [word] if !places.words.is_empty() => {
                ways.push(self.word(&places, word, LastWord::Whole, Spelling::Exact));
            }
            words => {
                for (place, boost) in &places.words {
                    let terms = words.iter().map(|word| self.word_term(place, word));
                    let phrase = PhraseQuery::new(terms.collect());
                    ways.push(Box::new(BoostQuery::new(Box::new(phrase), *boost)));
                }
            }
        }
        for field in &places.whole {
            ways.push(self.whole(field, &phrase.text, LastWord::Whole)?);
        }
        Ok(one_way(ways))
    }
}

fn one_way(mut ways: Vec<Box<dyn Matcher>>) -> Box<dyn Matcher> {
    match ways.len() {
        0 => Box::new(EmptyQuery),
        1 => ways.remove(0),
        _ => any(ways),
    }
}

fn term(field: Field, value: &str) -> Box<dyn Matcher> {
    let term = Term::from_field_text(field, value);
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn one_of(field: Field, values: &[String]) -> Box<dyn Matcher> {
    match values {
        [value] => term(field, value),
        _ => Box::new(TermSetQuery::new(
            values
                .iter()
                .map(|value| Term::from_field_text(field, value)),
        )),
    }
}

fn unscored(matcher: Box<dyn Matcher>) -> Box<dyn Matcher> {
    Box::new(ConstScoreQuery::new(matcher, 0.0))
}

fn counted(matcher: Box<dyn Matcher>) -> Box<dyn Matcher> {
    Box::new(ConstScoreQuery::new(matcher, 1.0))
}

fn all(matchers: Vec<Box<dyn Matcher>>) -> Box<dyn Matcher> {
    combined(Occur::Must, matchers)
}

fn any(matchers: Vec<Box<dyn Matcher>>) -> Box<dyn Matcher> {
    combined(Occur::Should, matchers)
}

fn combined(occur: Occur, matchers: Vec<Box<dyn Matcher>>) -> Box<dyn Matcher> {
    Box::new(BooleanQuery::new(
        matchers.into_iter().map(|one| (occur, one)).collect(),
    ))
}
