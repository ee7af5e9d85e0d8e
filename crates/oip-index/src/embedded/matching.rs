//! Which documents fit a query: the query model as a tantivy query.
//!
//! Every filter is an exact term or a range, and never scores. Every word of the text
//! may occur in any of the four word fields; where it occurs decides what it is worth.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, Occur,
    Query as Matcher, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::Fields;
use super::words;
use crate::query::{LastWord, MatchMode, QUERY_WORDS_MAX, Query};

/// What a word is worth where it stands, as the deployed nodes weigh it.
const NAME_BOOST: f32 = 3.0;
const DESCRIPTION_BOOST: f32 = 2.0;
const TAGS_BOOST: f32 = 1.0;
/// Other strings count less than tags: they are long, and whoever tags a record means it.
const STRINGS_BOOST: f32 = 0.7;

/// What a word that only begins like the last one adds, times the field's boost: less than
/// any word that was meant.
const PREFIX_SCORE: f32 = 0.1;

/// Characters a word needs before it stands for all words that begin with it: a single
/// letter would fit a large part of the dictionary.
const PREFIX_CHARS_MIN: usize = 2;

/// The matcher for a query.
pub(super) fn matcher(fields: &Fields, query: &Query) -> Box<dyn Matcher> {
    let mut conditions = Vec::new();
    if let Some(text) = query.text() {
        conditions.push(words_match(fields, query, text));
    }
    conditions.extend(filters(fields, query).into_iter().map(unscored));
    match conditions.len() {
        0 => Box::new(AllQuery),
        _ => all(conditions),
    }
}

fn filters(fields: &Fields, query: &Query) -> Vec<Box<dyn Matcher>> {
    let mut filters: Vec<Box<dyn Matcher>> = Vec::new();
    let sets = [
        (fields.record_type, &query.record_type),
        (fields.creator, &query.creator),
    ];
    for (field, values) in sets {
        if !values.is_empty() {
            filters.push(one_of(field, values));
        }
    }
    match query.tags_mode {
        _ if query.tags.is_empty() => {}
        MatchMode::Any => filters.push(one_of(fields.tag, &query.tags)),
        MatchMode::All => filters.extend(query.tags.iter().map(|tag| exact(fields.tag, tag))),
    }
    let exacts = [(fields.did, &query.did), (fields.storage, &query.storage)];
    for (field, value) in exacts {
        filters.extend(value.iter().map(|value| exact(field, value)));
    }
    if query.indexed_from_ms.is_some() || query.indexed_to_ms.is_some() {
        let bound = |ms: Option<i64>| match ms {
            Some(ms) => Bound::Included(Term::from_field_i64(fields.indexed_at, ms)),
            None => Bound::Unbounded,
        };
        filters.push(Box::new(RangeQuery::new(
            bound(query.indexed_from_ms),
            bound(query.indexed_to_ms),
        )));
    }
    filters
}

fn words_match(fields: &Fields, query: &Query, text: &str) -> Box<dyn Matcher> {
    let words = words::distinct(text, QUERY_WORDS_MAX);
    // White space after the last word says that it is complete.
    let last_word = match query.last_word {
        LastWord::Prefix if !text.ends_with(char::is_whitespace) => LastWord::Prefix,
        _ => LastWord::Whole,
    };
    let matchers: Vec<Box<dyn Matcher>> = words
        .iter()
        .enumerate()
        .map(|(at, word)| match at + 1 == words.len() {
            true => word_matches(fields, word, last_word),
            false => word_matches(fields, word, LastWord::Whole),
        })
        .collect();
    match query.match_mode {
        _ if matchers.is_empty() => Box::new(EmptyQuery),
        MatchMode::All => all(matchers),
        MatchMode::Any => any(matchers),
    }
}

fn word_matches(fields: &Fields, word: &str, role: LastWord) -> Box<dyn Matcher> {
    let boosts = [
        (fields.name, NAME_BOOST),
        (fields.description, DESCRIPTION_BOOST),
        (fields.tags, TAGS_BOOST),
        (fields.strings, STRINGS_BOOST),
    ];
    let mut matchers: Vec<Box<dyn Matcher>> = Vec::new();
    for (field, boost) in boosts {
        let term = Term::from_field_text(field, word);
        let whole = TermQuery::new(term.clone(), IndexRecordOption::WithFreqs);
        matchers.push(Box::new(BoostQuery::new(Box::new(whole), boost)));
        if role == LastWord::Prefix && word.chars().count() >= PREFIX_CHARS_MIN {
            let begins = FuzzyTermQuery::new_prefix(term, 0, false);
            let score = PREFIX_SCORE * boost;
            matchers.push(Box::new(ConstScoreQuery::new(Box::new(begins), score)));
        }
    }
    any(matchers)
}

fn exact(field: Field, value: &str) -> Box<dyn Matcher> {
    let term = Term::from_field_text(field, value);
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn one_of(field: Field, values: &[String]) -> Box<dyn Matcher> {
    match values {
        [value] => exact(field, value),
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
