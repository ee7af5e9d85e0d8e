//! In which order documents come: sort keys read from columns, ties broken by DID.
//!
//! The collector keeps the greatest keys, so every key is turned into one that is
//! greater the earlier the document comes. A missing value is the least of all, which
//! puts it last in both directions. Within a segment strings are compared by their
//! place in the segment's dictionary, and spelled out only for the hits that are left.

use std::cmp::Reverse;

use tantivy::collector::sort_key::NaturalComparator;
use tantivy::collector::{SegmentSortKeyComputer, SortKeyComputer};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, Score, SegmentReader};

use super::schema::column;
use crate::error::QueryError;
use crate::field::FieldPath;
use crate::query::{Direction, SORT_KEYS_MAX, SortBy, SortKey};

/// One sort key's value in one document: greater comes earlier. Within one query the
/// same variant stands at the same place in all documents, [`Place::Missing`] apart.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// No value: last.
    Missing,
    /// A number, already turned.
    Number(u64),
    /// A string, sorted descending.
    Falling(String),
    /// A string, sorted ascending.
    Rising(Reverse<String>),
}

/// The order of a query's hits, without the tie-break.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    keys: Vec<SortKey>,
}

impl Ranking {
    /// The order by these keys, of which at most [`SORT_KEYS_MAX`] count.
    pub(super) fn by(mut keys: Vec<SortKey>) -> Self {
        keys.truncate(SORT_KEYS_MAX);
        Self { keys }
    }

    /// The tie-break of every order.
    pub(super) fn by_did() -> Self {
        Self::by(vec![SortKey::field(FieldPath::did(), Direction::Ascending)])
    }

    /// The relevance of a hit with these places, if relevance is part of the order.
    pub(super) fn score(&self, places: &[Place]) -> Option<f32> {
        self.keys
            .iter()
            .zip(places)
            .find_map(|(key, place)| match (&key.by, place) {
                (SortBy::Relevance, Place::Number(number)) => {
                    let bits = turned(*number, key.direction);
                    Some(f32::from_bits(bits as u32))
                }
                _ => None,
            })
    }
}

impl SortKeyComputer for Ranking {
    type SortKey = Vec<Place>;
    type Child = SegmentRanking;
    type Comparator = NaturalComparator;

    fn requires_scoring(&self) -> bool {
        self.keys.iter().any(|key| key.by == SortBy::Relevance)
    }

    fn segment_sort_key_computer(
        &self,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentRanking> {
        let sources = self
            .keys
            .iter()
            .map(|key| Ok((Source::open(segment, &key.by)?, key.direction)))
            .collect::<tantivy::Result<_>>()?;
        Ok(SegmentRanking { sources })
    }
}

/// The order within one segment.
pub(super) struct SegmentRanking {
    sources: Vec<(Source, Direction)>,
}

impl SegmentSortKeyComputer for SegmentRanking {
    type SortKey = Vec<Place>;
    type SegmentSortKey = [Option<u64>; SORT_KEYS_MAX];
    type SegmentComparator = NaturalComparator;

    fn segment_sort_key(&mut self, document: DocId, score: Score) -> Self::SegmentSortKey {
        let mut key = [None; SORT_KEYS_MAX];
        for (place, (source, direction)) in key.iter_mut().zip(&self.sources) {
            *place = source
                .rank(document, score)
                .map(|rank| turned(rank, *direction));
        }
        key
    }

    fn convert_segment_sort_key(&self, key: Self::SegmentSortKey) -> Vec<Place> {
        key.into_iter()
            .zip(&self.sources)
            .map(|(place, (source, direction))| match place {
                Some(rank) => source.place(rank, *direction),
                None => Place::Missing,
            })
            .collect()
    }
}

/// The column of a field.
fn column_of(field: &FieldPath) -> Option<&'static str> {
    [
        (FieldPath::did(), column::DID),
        (FieldPath::record_type(), column::RECORD_TYPE),
        (FieldPath::indexed_at(), column::INDEXED_AT),
        (FieldPath::date(), column::DATE),
        (FieldPath::name(), column::NAME_ORDER),
    ]
    .into_iter()
    .find_map(|(path, name)| (path == *field).then_some(name))
}

/// Holds an order against what this backend can do.
pub(super) fn check(keys: &[SortKey]) -> Result<(), QueryError> {
    let known = |key: &SortKey| match &key.by {
        SortBy::Relevance => true,
        SortBy::Field(field) => column_of(field).is_some(),
    };
    match keys.iter().all(known) {
        true => Ok(()),
        false => Err(QueryError::Unsupported {
            what: "sort by this field",
        }),
    }
}

/// Where a sort key's values come from in one segment.
enum Source {
    Score,
    Number(Option<Column<i64>>),
    Text(Option<StrColumn>),
}

impl Source {
    fn open(segment: &SegmentReader, by: &SortBy) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        let field = match by {
            SortBy::Relevance => return Ok(Self::Score),
            SortBy::Field(field) => field,
        };
        match column_of(field) {
            Some(name @ (column::INDEXED_AT | column::DATE)) => {
                Ok(Self::Number(columns.column_opt(name)?))
            }
            Some(name) => Ok(Self::Text(columns.str(name)?)),
            None => Ok(Self::Text(None)),
        }
    }

    /// A document's value as a number that grows with it, within this segment.
    fn rank(&self, document: DocId, score: Score) -> Option<u64> {
        match self {
            // The bits of floats that aren't negative grow with them.
            Self::Score => Some(u64::from(score.max(0.0).to_bits())),
            Self::Number(column) => {
                let value = column.as_ref()?.first(document)?;
                Some(value.cast_unsigned() ^ (1 << 63))
            }
            Self::Text(column) => column.as_ref()?.ords().first(document),
        }
    }

    /// A rank of this segment, already turned, as a place among all segments.
    fn place(&self, rank: u64, direction: Direction) -> Place {
        let Self::Text(Some(column)) = self else {
            return Place::Number(rank);
        };
        let mut text = String::new();
        // The rank came from this very dictionary; if it can't be read, the document is
        // last, and reading it will name the damage.
        match column.ord_to_str(turned(rank, direction), &mut text) {
            Ok(true) => match direction {
                Direction::Ascending => Place::Rising(Reverse(text)),
                Direction::Descending => Place::Falling(text),
            },
            Ok(false) | Err(_) => Place::Missing,
        }
    }
}

/// Turns a rank that grows with the value into one that grows towards the front, and back.
fn turned(rank: u64, direction: Direction) -> u64 {
    match direction {
        Direction::Ascending => !rank,
        Direction::Descending => rank,
    }
}
