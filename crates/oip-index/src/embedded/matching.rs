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

use super::schema::{Fields, PUBLIC, reader_term};
use super::words;
use crate::condition::{
    Condition, DESCRIPTION_BOOST, LastWord, MatchMode, NAME_BOOST, STRINGS_BOOST, Spelling,
    TAGS_BOOST, Text, WORDS_MAX,
};
use crate::error::QueryError;
use crate::field::FieldPath;
use crate::query::{Access, Query};
use crate::templates::{Templates, Typed};

/// What a word that only begins like the last one adds, times the field's boost: less than
/// any word that was meant.
const PREFIX_SCORE: f32 = 0.1;

/// Characters a word needs before it stands for all words that begin with it: a single
/// letter would fit a large part of the dictionary.
const PREFIX_CHARS_MIN: usize = 2;

/// The matcher for a query.
pub(super) fn matcher(fields: &Fields, query: &Query) -> Result<Box<dyn Matcher>, QueryError> {
    let wanted = condition(fields, &query.condition)?;
    Ok(match &query.access {
        Access::Everything => wanted,
        Access::Readers(readers) => {
            let tokens: Vec<String> = std::iter::once(PUBLIC.to_owned())
                .chain(readers.iter().map(|reader| reader_term(reader)))
                .collect();
            all(vec![wanted, unscored(one_of(fields.readers, &tokens))])
        }
    })
}

fn condition(fields: &Fields, condition: &Condition) -> Result<Box<dyn Matcher>, QueryError> {
    let parts = |parts: &[Condition]| -> Result<Vec<Box<dyn Matcher>>, QueryError> {
        parts
            .iter()
            .map(|part| self::condition(fields, part))
            .collect()
    };
    Ok(match condition {
        Condition::Everything => unscored(Box::new(AllQuery)),
        Condition::Text(text) => words_match(fields, text)?,
        Condition::Exact { field, any_of } => unscored(one_of(exact_field(fields, field)?, any_of)),
        Condition::Range { field, from, to } => unscored(range(fields, field, from, to)?),
        Condition::Tags { tags, mode } => unscored(match mode {
            _ if tags.is_empty() => Box::new(AllQuery),
            MatchMode::Any => one_of(fields.tag, tags),
            MatchMode::All => all(tags.iter().map(|tag| exact(fields.tag, tag)).collect()),
        }),
        Condition::Storage(method) => unscored(exact(fields.storage, method)),
        Condition::All(conditions) if conditions.is_empty() => unscored(Box::new(AllQuery)),
        Condition::All(conditions) => all(parts(conditions)?),
        Condition::Any(conditions) if conditions.is_empty() => Box::new(EmptyQuery),
        Condition::Any(conditions) => any(parts(conditions)?),
        Condition::Not(part) => Box::new(BooleanQuery::new(vec![
            (Occur::Must, unscored(Box::new(AllQuery))),
            (Occur::MustNot, self::condition(fields, part)?),
        ])),
        Condition::Phrase(_) => return Err(unsupported("search for phrases")),
        Condition::Exists { .. } => return Err(unsupported("ask which fields exist")),
    })
}

fn unsupported(what: &'static str) -> QueryError {
    QueryError::Unsupported { what }
}

fn exact_field(fields: &Fields, field: &FieldPath) -> Result<Field, QueryError> {
    [
        (FieldPath::did(), fields.did),
        (FieldPath::record_type(), fields.record_type),
        (FieldPath::creator(), fields.creator),
        (FieldPath::tags(), fields.tag),
    ]
    .into_iter()
    .find_map(|(path, handle)| (path == *field).then_some(handle))
    .ok_or(unsupported("filter by this field"))
}

fn range(
    fields: &Fields,
    field: &FieldPath,
    from: &Bound<String>,
    to: &Bound<String>,
) -> Result<Box<dyn Matcher>, QueryError> {
    if *field != FieldPath::indexed_at() {
        return Err(unsupported("take ranges of this field"));
    }
    let (from, to) = Templates::known().read_range(field, from, to)?;
    let bound = |bound: Bound<Typed>| {
        bound.map(|value| match value {
            Typed::DateMs(ms) | Typed::Whole(ms) => Term::from_field_i64(fields.indexed_at, ms),
            _ => Term::from_field_i64(fields.indexed_at, 0),
        })
    };
    Ok(Box::new(RangeQuery::new(bound(from), bound(to))))
}

fn words_match(fields: &Fields, text: &Text) -> Result<Box<dyn Matcher>, QueryError> {
    if !text.fields.is_empty() {
        return Err(unsupported("search in single fields"));
    }
    if text.spelling == Spelling::Fuzzy {
        return Err(unsupported("search with slips"));
    }
    let words = words::distinct(&text.text, WORDS_MAX);
    // White space after the last word says that it is complete.
    let last_word = match text.last_word {
        LastWord::Prefix if !text.text.ends_with(char::is_whitespace) => LastWord::Prefix,
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
    Ok(match text.mode {
        _ if matchers.is_empty() => Box::new(EmptyQuery),
        MatchMode::All => all(matchers),
        MatchMode::Any => any(matchers),
    })
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
