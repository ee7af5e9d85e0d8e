//! One query model for all backends: pure data, with its limits.
//!
//! A query says what must hold ([`Condition`]), for whom ([`Access`]), in which order, which part of
//! the answer, and what to count beside it. Nothing in it can be a syntax error; text that people
//! write is read by [`crate::syntax`].

use std::collections::BTreeSet;

use crate::condition::Condition;
use crate::cursor::Cursor;
use crate::error::QueryError;
use crate::field::FieldPath;

/// Hits on one page: a thousand records of 1 KB are 1 MB, an answer that one HTTP
/// response can still carry.
pub const PAGE_HITS_MAX: usize = 1_000;

/// Offset plus limit: every hit before the page must be ranked, so this bounds what
/// one query can cost (about 10 MB and a tenth of a second). A cursor goes deeper.
pub const RESULT_WINDOW_MAX: usize = 100_000;

/// Sort keys: more than these can't matter to a person, and each costs a column read per match.
pub const SORT_KEYS_MAX: usize = 4;

/// Hits per page when the caller doesn't say (the deployed API's default).
pub const PAGE_HITS_DEFAULT: usize = 20;

/// Facets in one query: each is a pass over the hits.
pub const FACETS_MAX: usize = 16;

/// Values of one facet: what a person can still look through, and an answer of some 50 KB.
pub const FACET_VALUES_MAX: usize = 1_000;

/// Values of a facet when the caller doesn't say.
pub const FACET_VALUES_DEFAULT: usize = 20;

/// Reader tokens of one caller: groups a person may belong to.
pub const READERS_MAX: usize = 1_000;

/// What to look for, in which order, and which part of the answer to return.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What must hold.
    pub condition: Condition,
    /// Who asks: documents that he may not read don't exist for the query.
    pub access: Access,
    /// The order of hits. Empty: by relevance where the condition has text, else newest first.
    /// A document without the value comes last in both directions; ties are broken by
    /// DID, ascending, so that pages neither overlap nor leave gaps.
    pub sort: Vec<SortKey>,
    /// Hits to return, at most [`PAGE_HITS_MAX`]; 0 returns only total and facets.
    pub limit: usize,
    /// Where the page begins.
    pub position: Position,
    /// What to count among all documents that fit, on all pages.
    pub facets: Vec<FacetRequest>,
    /// Where and how to show what was found.
    pub highlight: Option<Highlight>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// The node itself, for its operator: every document.
    Everything,
    /// Public documents, and those whose envelope names one of these readers.
    Readers(BTreeSet<String>),
}

impl Access {
    /// Somebody of whom nothing is known: public documents.
    #[must_use]
    pub fn public() -> Self {
        Self::Readers(BTreeSet::new())
    }
}

impl Default for Access {
    fn default() -> Self {
        Self::public()
    }
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// After so many hits.
    Offset(usize),
    /// After the hit that this names: [`crate::Page::next`] of the page before. It holds for the same
    /// condition and order, finds its place though documents come and go, and survives restarts.
    After(Cursor),
}

impl Default for Query {
    /// Every public document, newest first.
    fn default() -> Self {
        Self {
            condition: Condition::Everything,
            access: Access::public(),
            sort: Vec::new(),
            limit: PAGE_HITS_DEFAULT,
            position: Position::Offset(0),
            facets: Vec::new(),
            highlight: None,
        }
    }
}

impl Query {
    /// The public documents that fit, the first page, in the default order.
    #[must_use]
    pub fn of(condition: Condition) -> Self {
        Self {
            condition,
            ..Self::default()
        }
    }

    /// The query for one document.
    pub fn by_did(did: impl Into<String>) -> Self {
        Self {
            limit: 1,
            ..Self::of(Condition::did(did))
        }
    }

    /// The query for all words of a text; everything where it is blank.
    pub fn by_text(text: impl Into<String>) -> Self {
        Self::of(Condition::text(text))
    }

    /// The sort keys in force: those given, or the default for this kind of query.
    #[must_use]
    pub fn order(&self) -> Vec<SortKey> {
        if !self.sort.is_empty() {
            return self.sort.clone();
        }
        let by = match self.condition.scores() {
            true => SortBy::Relevance,
            false => SortBy::Field(FieldPath::indexed_at()),
        };
        vec![SortKey {
            by,
            direction: Direction::Descending,
        }]
    }

    /// Holds the query against the limits of this module. Every backend calls this first.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self) -> Result<(), QueryError> {
        self.condition.check()?;
        if self.limit > PAGE_HITS_MAX {
            return Err(QueryError::PageTooLong {
                asked: self.limit,
                max: PAGE_HITS_MAX,
            });
        }
        match &self.position {
            Position::Offset(offset) => {
                let window = offset.saturating_add(self.limit);
                if window > RESULT_WINDOW_MAX {
                    return Err(QueryError::TooDeep {
                        asked: window,
                        max: RESULT_WINDOW_MAX,
                    });
                }
            }
            Position::After(cursor) => cursor.check(self)?,
        }
        if self.sort.len() > SORT_KEYS_MAX {
            return Err(QueryError::TooManySortKeys {
                asked: self.sort.len(),
                max: SORT_KEYS_MAX,
            });
        }
        let bounded = |filter: &'static str, asked: usize, max: usize| match asked > max {
            true => Err(QueryError::TooManyValues { filter, asked, max }),
            false => Ok(()),
        };
        bounded("facets", self.facets.len(), FACETS_MAX)?;
        for facet in &self.facets {
            bounded("a facet", facet.values_max, FACET_VALUES_MAX)?;
        }
        if let Access::Readers(readers) = &self.access {
            bounded("readers", readers.len(), READERS_MAX)?;
        }
        self.highlight.as_ref().map_or(Ok(()), Highlight::check)
    }
}

/// One step of the order of hits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SortKey {
    /// By what.
    pub by: SortBy,
    /// Which way.
    pub direction: Direction,
}

impl SortKey {
    /// By a field.
    #[must_use]
    pub fn field(field: FieldPath, direction: Direction) -> Self {
        Self {
            by: SortBy::Field(field),
            direction,
        }
    }
}

/// What hits can be ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// How well the document fits the text; all equal where there is none.
    Relevance,
    /// A field. Numbers and dates go by size, fields of words by their text in lower case, other texts by code
    /// point, as do fields of no known type. Of several values the first in this direction counts.
    Field(FieldPath),
}

/// Which way to order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest, oldest, or least relevant first.
    Ascending,
    /// Greatest, newest, or most relevant first.
    Descending,
}

/// Values to count among the documents that fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FacetRequest {
    /// Of which field.
    pub facet: Facet,
    /// The most frequent so many; ties by value, ascending.
    pub values_max: usize,
}

impl FacetRequest {
    /// The usual number of values.
    #[must_use]
    pub fn new(facet: Facet) -> Self {
        Self {
            facet,
            values_max: FACET_VALUES_DEFAULT,
        }
    }
}

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    /// `oip.recordType`.
    RecordType,
    /// `oip.creator.didAddress`.
    Creator,
    /// The OIP node it came from ([`FieldPath::node`]); documents without one are this node's own.
    Node,
    /// `data.basic.tagItems`.
    Tag,
}

impl Facet {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RecordType, Self::Creator, Self::Node, Self::Tag];

    /// The field that is counted.
    #[must_use]
    pub fn field(self) -> FieldPath {
        match self {
            Self::RecordType => FieldPath::record_type(),
            Self::Creator => FieldPath::creator(),
            Self::Node => FieldPath::node(),
            Self::Tag => FieldPath::tags(),
        }
    }

    /// The name of the facet, for people and APIs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RecordType => "type",
            Self::Creator => "creator",
            Self::Node => "node",
            Self::Tag => "tag",
        }
    }
}

/// How many documents have which value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCounts {
    /// Of which field.
    pub facet: Facet,
    /// The most frequent first, ties by value.
    pub values: Vec<FacetValue>,
}

/// One value of a facet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetValue {
    /// The value; `None` only among nodes, for documents of this node.
    pub value: Option<String>,
    /// Documents that have it, each once however often it has it.
    pub documents: u64,
}

/// Fragments of text with what was found in them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Highlight {
    /// In which fields. Empty: name, description, tags, and every other string under `data`.
    pub fields: Vec<FieldPath>,
    /// Fragments per field, at most [`FRAGMENTS_MAX`].
    pub fragments: usize,
    /// Characters of a fragment, about; at most [`FRAGMENT_CHARS_MAX`].
    pub fragment_chars: usize,
}

/// Fragments of one field: what fits on a line or two of a result list.
pub const FRAGMENTS_MAX: usize = 10;

/// Characters of one fragment: a paragraph.
pub const FRAGMENT_CHARS_MAX: usize = 1_000;

impl Default for Highlight {
    /// Everywhere; two fragments of 120 characters.
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            fragments: 2,
            fragment_chars: 120,
        }
    }
}

impl Highlight {
    fn check(&self) -> Result<(), QueryError> {
        let bounded = |filter: &'static str, asked: usize, max: usize| match asked > max {
            true => Err(QueryError::TooManyValues { filter, asked, max }),
            false => Ok(()),
        };
        bounded(
            "highlight fields",
            self.fields.len(),
            crate::condition::TEXT_FIELDS_MAX,
        )?;
        bounded("fragments", self.fragments, FRAGMENTS_MAX)?;
        bounded("fragment_chars", self.fragment_chars, FRAGMENT_CHARS_MAX)
    }
}
