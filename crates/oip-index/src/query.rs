//! One query model for all backends: pure data, with its limits.
//!
//! Text from users is data too: there is no query syntax here, so no text can be
//! a syntax error. Every filter that is given must hold; the values within one
//! filter are alternatives, tags apart (see [`Query::tags_mode`]).

use serde::{Deserialize, Serialize};

use crate::error::QueryError;

/// Hits on one page: a thousand records of 1 KB are 1 MB, an answer that one HTTP
/// response can still carry.
pub const PAGE_HITS_MAX: usize = 1_000;

/// Offset plus limit: every hit before the page must be ranked, so this bounds what
/// one query can cost (about 10 MB and a tenth of a second).
pub const RESULT_WINDOW_MAX: usize = 100_000;

/// Values in one filter: each becomes a term to look up in every segment.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// Sort keys: more than these can't matter to a person, and each costs a column read per match.
pub const SORT_KEYS_MAX: usize = 4;

/// Distinct words of a query text that count; those after them are ignored. Nobody
/// types so many, and a pasted page must not become ten thousand term look-ups.
pub const QUERY_WORDS_MAX: usize = 64;

/// Hits per page when the caller doesn't say (the deployed API's default).
pub const PAGE_HITS_DEFAULT: usize = 20;

/// What to look for, in which order, and which part of the answer to return.
///
/// The default finds everything, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// Words to find in any string of `data`. `None` or blank: no condition. A text
    /// without any word (only punctuation) finds nothing.
    pub text: Option<String>,
    /// Must all words occur, or any of them?
    pub match_mode: MatchMode,
    /// Does the last word also stand for words that begin with it?
    pub last_word: LastWord,
    /// `oip.recordType` is one of these. Empty: no condition.
    pub record_type: Vec<String>,
    /// `oip.creator.didAddress` is one of these. Empty: no condition.
    pub creator: Vec<String>,
    /// Exact items of `data.basic.tagItems`, case and all. Empty: no condition.
    pub tags: Vec<String>,
    /// Must the document carry all of `tags`, or any of them (the deployed default)?
    pub tags_mode: MatchMode,
    /// The document with this DID.
    pub did: Option<String>,
    /// The DID's method: `gun` keeps DIDs that start with `did:gun:`.
    pub storage: Option<String>,
    /// `oip.indexedAt` is this or later, in milliseconds since 1970.
    pub indexed_from_ms: Option<i64>,
    /// `oip.indexedAt` is this or earlier, in milliseconds since 1970.
    pub indexed_to_ms: Option<i64>,
    /// The order of hits. Empty: by relevance where there is text, else newest first.
    /// A document without the value comes last in both directions; ties are broken by
    /// DID, ascending, so that pages neither overlap nor leave gaps.
    pub sort: Vec<SortKey>,
    /// Hits to return, at most [`PAGE_HITS_MAX`]; 0 returns only the total.
    pub limit: usize,
    /// Hits to skip.
    pub offset: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            text: None,
            match_mode: MatchMode::All,
            last_word: LastWord::Whole,
            record_type: Vec::new(),
            creator: Vec::new(),
            tags: Vec::new(),
            tags_mode: MatchMode::Any,
            did: None,
            storage: None,
            indexed_from_ms: None,
            indexed_to_ms: None,
            sort: Vec::new(),
            limit: PAGE_HITS_DEFAULT,
            offset: 0,
        }
    }
}

impl Query {
    /// The query for one document.
    pub fn by_did(did: impl Into<String>) -> Self {
        Self {
            did: Some(did.into()),
            limit: 1,
            ..Self::default()
        }
    }

    /// The query for a text, everything else by default.
    pub fn by_text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// The text, unless it is blank.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.trim().is_empty())
    }

    /// The sort keys in force: those given, or the default for this kind of query.
    pub fn order(&self) -> Vec<SortKey> {
        if !self.sort.is_empty() {
            return self.sort.clone();
        }
        let field = match self.text() {
            Some(_) => SortField::Relevance,
            None => SortField::IndexedAt,
        };
        vec![SortKey {
            field,
            direction: Direction::Descending,
        }]
    }

    /// Holds the query against the limits of this module. Every backend calls this first.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.limit > PAGE_HITS_MAX {
            return Err(QueryError::PageTooLong {
                asked: self.limit,
                max: PAGE_HITS_MAX,
            });
        }
        let window = self.offset.saturating_add(self.limit);
        if window > RESULT_WINDOW_MAX {
            return Err(QueryError::TooDeep {
                asked: window,
                max: RESULT_WINDOW_MAX,
            });
        }
        if self.sort.len() > SORT_KEYS_MAX {
            return Err(QueryError::TooManySortKeys {
                asked: self.sort.len(),
                max: SORT_KEYS_MAX,
            });
        }
        let filters = [
            ("recordType", &self.record_type),
            ("creator", &self.creator),
            ("tags", &self.tags),
        ];
        for (filter, values) in filters {
            if values.len() > FILTER_VALUES_MAX {
                return Err(QueryError::TooManyValues {
                    filter,
                    asked: values.len(),
                    max: FILTER_VALUES_MAX,
                });
            }
        }
        Ok(())
    }
}

/// All of several conditions, or any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MatchMode {
    /// Each must hold.
    All,
    /// One is enough.
    Any,
}

/// What the last word of a query text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LastWord {
    /// Itself.
    Whole,
    /// Itself and every word that begins with it: for search while typing.
    Prefix,
}

/// One step of the order of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SortKey {
    /// By what.
    pub field: SortField,
    /// Which way.
    pub direction: Direction,
}

/// What hits can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SortField {
    /// How well the document fits the text; all equal where there is none.
    Relevance,
    /// `oip.indexedAt`.
    IndexedAt,
    /// `data.basic.date`.
    Date,
    /// `oip.recordType`.
    RecordType,
    /// `data.basic.name` in lower case.
    Name,
    /// The DID.
    Did,
}

/// Which way to order. Strings go by code point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Smallest, oldest, or least relevant first.
    Ascending,
    /// Greatest, newest, or most relevant first.
    Descending,
}
