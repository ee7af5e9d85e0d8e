//! In which order documents come: sort keys read from columns, ties broken by DID.
//!
//! The collector keeps the greatest keys, so every key is turned into one that is greater the earlier the
//! document comes. A missing value is the least of all, which puts it last in both directions. Within a
//! segment texts are compared by their place in the segment's dictionary, and spelled out only for the
//! hits that are left. A cursor is such a key too: only lesser ones come after it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Bound;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{Types, column, float_of, float_rank, typed_column};
use crate::cursor::{Cursor, CursorKey};
use crate::error::QueryError;
use crate::field::FieldPath;
use crate::query::{Direction, SORT_KEYS_MAX, SortBy, SortKey};
use crate::templates::FieldType;

/// Sort keys and the DID.
const PLACES_MAX: usize = SORT_KEYS_MAX + 1;

/// One sort key's value in one document: greater comes earlier. Within one query the
/// same variant stands at the same place in all documents, [`Place::Missing`] apart.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// No value: last.
    Missing,
    /// A number, already turned.
    Number(u64),
    /// A text, sorted descending.
    Falling(String),
    /// A text, sorted ascending.
    Rising(Reverse<String>),
}

/// Where the values of a sort key come from.
#[derive(Debug, Clone, PartialEq)]
enum Origin {
    Score,
    /// Ranks in this column; of floats, or of whole numbers.
    Floats(String),
    Wholes(String),
    /// Texts of this column.
    Texts(String),
}

#[derive(Debug, Clone)]
struct Key {
    origin: Origin,
    direction: Direction,
}

/// The order of a query's hits, the tie-break included.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    keys: Vec<Key>,
}

impl Ranking {
    /// The order by these keys, of which at most [`SORT_KEYS_MAX`] count, and then by DID.
    ///
    /// # Errors
    /// [`QueryError::Untyped`]: values of no known type have no order.
    pub(super) fn by(types: &Types, keys: &[SortKey]) -> Result<Self, QueryError> {
        let mut keys: Vec<Key> = keys
            .iter()
            .take(SORT_KEYS_MAX)
            .map(|key| {
                Ok(Key {
                    origin: match &key.by {
                        SortBy::Relevance => Origin::Score,
                        SortBy::Field(field) => origin(types, field)?,
                    },
                    direction: key.direction,
                })
            })
            .collect::<Result<_, QueryError>>()?;
        keys.push(Key {
            origin: Origin::Texts(column::DID.to_owned()),
            direction: Direction::Ascending,
        });
        Ok(Self { keys })
    }

    /// The relevance of a hit with these places, if relevance is part of the order.
    pub(super) fn score(&self, places: &[Place]) -> Option<f32> {
        self.keys
            .iter()
            .zip(places)
            .find_map(|(key, place)| match (&key.origin, place) {
                (Origin::Score, Place::Number(number)) => {
                    Some(f32::from_bits(turned(*number, key.direction) as u32))
                }
                _ => None,
            })
    }

    /// What a cursor keeps of a hit with these places, the DID apart.
    pub(super) fn cursor_keys(&self, places: &[Place]) -> Vec<CursorKey> {
        let sort_keys = self.keys.iter().zip(places).take(self.keys.len() - 1);
        sort_keys
            .map(|(key, place)| match place {
                Place::Missing => CursorKey::Missing,
                Place::Falling(text) | Place::Rising(Reverse(text)) => {
                    CursorKey::Text(text.clone())
                }
                Place::Number(number) => {
                    let rank = turned(*number, key.direction);
                    match key.origin {
                        Origin::Score => CursorKey::Float(f64::from(f32::from_bits(rank as u32))),
                        Origin::Floats(_) => CursorKey::Float(float_of(signed(rank))),
                        _ => CursorKey::Integer(signed(rank)),
                    }
                }
            })
            .collect()
    }
}

fn origin(types: &Types, field: &FieldPath) -> Result<Origin, QueryError> {
    if *field == FieldPath::did() {
        return Ok(Origin::Texts(column::DID.to_owned()));
    }
    Ok(match types.templates.field_type(field) {
        None => {
            let field = field.to_string();
            return Err(QueryError::Untyped { field });
        }
        Some(FieldType::Number) => Origin::Floats(typed_column(field)),
        Some(FieldType::Text | FieldType::Keyword) => Origin::Texts(typed_column(field)),
        Some(FieldType::Whole | FieldType::Boolean | FieldType::Date) => {
            Origin::Wholes(typed_column(field))
        }
    })
}

/// The documents of one page: the first `take` in the order, after a place.
pub(super) struct Top<'a> {
    pub(super) ranking: &'a Ranking,
    pub(super) take: usize,
    pub(super) after: Option<&'a Cursor>,
}

/// What fits in all, and the first of it in order.
#[derive(Default)]
pub(super) struct Ranked {
    pub(super) total: u64,
    pub(super) first: Vec<(Vec<Place>, DocAddress)>,
}

impl Collector for Top<'_> {
    type Fruit = Ranked;
    type Child = SegmentTop;

    fn for_segment(
        &self,
        ordinal: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentTop> {
        let sources = self
            .ranking
            .keys
            .iter()
            .map(|key| Ok((Source::open(segment, &key.origin)?, key.direction)))
            .collect::<tantivy::Result<Vec<_>>>()?;
        let after = match self.after {
            None => None,
            Some(cursor) => Some(segment_key_of(cursor, &sources)?),
        };
        Ok(SegmentTop {
            ordinal,
            sources,
            take: self.take,
            after,
            total: 0,
            first: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        self.ranking
            .keys
            .iter()
            .any(|key| key.origin == Origin::Score)
    }

    fn merge_fruits(&self, fruits: Vec<SegmentHits>) -> tantivy::Result<Ranked> {
        let total = fruits.iter().map(|fruit| fruit.total).sum();
        let least = self.least_that_counts(&fruits);
        let mut first: Vec<(Vec<Place>, DocAddress)> = fruits
            .into_iter()
            .flat_map(|fruit| fruit.spelled(least))
            .collect();
        // No two keys are equal: DIDs differ.
        let earlier = |(left, _): &(Vec<Place>, _), (right, _): &(Vec<Place>, _)| {
            right.partial_cmp(left).unwrap_or(Ordering::Equal)
        };
        first.sort_unstable_by(earlier);
        first.truncate(self.take);
        Ok(Ranked { total, first })
    }
}

impl Top<'_> {
    /// The least key of a hit that may be on the page, as far as keys of several segments compare: up to the first
    /// text. What is less needs no spelling out: far behind, that is most of what the segments give.
    fn least_that_counts(&self, fruits: &[SegmentHits]) -> SegmentKey {
        let is_number = |key: &&Key| !matches!(key.origin, Origin::Texts(_));
        let comparable = self.ranking.keys.iter().take_while(is_number).count();
        let least = [None; PLACES_MAX];
        if comparable == 0 {
            return least;
        }
        let begin = |(key, _): &(SegmentKey, DocId)| {
            let mut begin = least;
            begin[..comparable].copy_from_slice(&key[..comparable]);
            begin
        };
        let hits = fruits.iter().flat_map(|fruit| &fruit.hits);
        let mut keys: Vec<SegmentKey> = hits.map(begin).collect();
        if self.take == 0 || keys.len() <= self.take {
            return least;
        }
        let (_, nth, _) = keys.select_nth_unstable_by_key(self.take - 1, |key| Reverse(*key));
        *nth
    }
}

/// A document's place within one segment: greater comes earlier, none is last.
type SegmentKey = [Option<u64>; PLACES_MAX];

/// The collector of one segment.
pub(super) struct SegmentTop {
    ordinal: SegmentOrdinal,
    sources: Vec<(Source, Direction)>,
    take: usize,
    after: Option<SegmentKey>,
    total: u64,
    first: BinaryHeap<Reverse<(SegmentKey, DocId)>>,
}

/// What fits in one segment, and the first of it, in no order.
pub(super) struct SegmentHits {
    ordinal: SegmentOrdinal,
    sources: Vec<(Source, Direction)>,
    total: u64,
    hits: Vec<(SegmentKey, DocId)>,
}

impl SegmentHits {
    /// The hits from this key on, with their places among those of all segments.
    fn spelled(self, least: SegmentKey) -> Vec<(Vec<Place>, DocAddress)> {
        let mut hits = self.hits;
        hits.retain(|(key, _)| *key >= least);
        let mut spelled: Vec<(Vec<Place>, DocAddress)> = hits
            .iter()
            .map(|(_, document)| {
                let places = Vec::with_capacity(self.sources.len());
                (places, DocAddress::new(self.ordinal, *document))
            })
            .collect();
        for (at, (source, direction)) in self.sources.iter().enumerate() {
            let ranks = hits.iter().map(|(key, _)| key[at]).collect();
            let places = source.places(ranks, *direction);
            for ((of_hit, _), place) in spelled.iter_mut().zip(places) {
                of_hit.push(place);
            }
        }
        spelled
    }
}

impl SegmentCollector for SegmentTop {
    type Fruit = SegmentHits;

    fn collect(&mut self, document: DocId, score: Score) {
        self.total += 1;
        if self.take == 0 {
            return;
        }
        let mut key: SegmentKey = [None; PLACES_MAX];
        let worst = match self.first.peek() {
            Some(Reverse((worst, _))) if self.first.len() >= self.take => Some(*worst),
            _ => None,
        };
        for (at, (source, direction)) in self.sources.iter().enumerate() {
            key[at] = source.rank(document, score, *direction);
            // Most documents are out by their first key.
            if at == 0 && worst.is_some_and(|worst| key[0] < worst[0]) {
                return;
            }
        }
        if self.after.is_some_and(|after| key >= after) || worst.is_some_and(|worst| key <= worst) {
            return;
        }
        if worst.is_some() {
            self.first.pop();
        }
        self.first.push(Reverse((key, document)));
    }

    fn harvest(self) -> SegmentHits {
        let hits = self.first.into_iter().map(|Reverse(hit)| hit);
        SegmentHits {
            ordinal: self.ordinal,
            sources: self.sources,
            total: self.total,
            hits: hits.collect(),
        }
    }
}

/// Where a sort key's values come from in one segment.
enum Source {
    Score,
    Number {
        column: Option<Column<i64>>,
        floats: bool,
    },
    Text(Option<StrColumn>),
}

impl Source {
    fn open(segment: &SegmentReader, origin: &Origin) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        Ok(match origin {
            Origin::Score => Self::Score,
            Origin::Floats(name) | Origin::Wholes(name) => Self::Number {
                column: columns.column_opt(name)?,
                floats: matches!(origin, Origin::Floats(_)),
            },
            Origin::Texts(name) => Self::Text(columns.str(name)?),
        })
    }

    /// A document's value as a number that is greater the earlier it comes, within this segment.
    fn rank(&self, document: DocId, score: Score, direction: Direction) -> Option<u64> {
        match self {
            // The bits of floats that aren't negative grow with them.
            Self::Score => Some(turned(u64::from(score.max(0.0).to_bits()), direction)),
            Self::Number { column, .. } => column
                .as_ref()?
                .values_for_doc(document)
                .map(|value| turned(unsigned(value), direction))
                .max(),
            Self::Text(column) => column
                .as_ref()?
                .ords()
                .values_for_doc(document)
                .map(|ord| turned(between(ord), direction))
                .max(),
        }
    }

    /// Ranks of this segment as places among all segments.
    fn places(&self, ranks: Vec<Option<u64>>, direction: Direction) -> Vec<Place> {
        let Self::Text(Some(column)) = self else {
            let place = |rank: Option<u64>| rank.map_or(Place::Missing, Place::Number);
            return ranks.into_iter().map(place).collect();
        };
        let mut places = vec![Place::Missing; ranks.len()];
        // In the order of the dictionary: one by one, each text would unpack a block of it.
        let mut wanted: Vec<(u64, usize)> = ranks
            .into_iter()
            .enumerate()
            .filter_map(|(at, rank)| Some(((turned(rank?, direction) - 1) / 2, at)))
            .collect();
        wanted.sort_unstable();
        let ords: Vec<u64> = wanted.iter().map(|(ord, _)| *ord).collect();
        let mut hits = wanted.iter().map(|(_, at)| *at);
        // The ranks came from this very dictionary; where it can't be read, documents are last, and
        // reading them will name the damage.
        let _ = column.dictionary().sorted_ords_to_term_cb(&ords, |text| {
            if let (Some(at), Ok(text)) = (hits.next(), std::str::from_utf8(text)) {
                places[at] = match direction {
                    Direction::Ascending => Place::Rising(Reverse(text.to_owned())),
                    Direction::Descending => Place::Falling(text.to_owned()),
                };
            }
        });
        places
    }
}

/// The place of a cursor within one segment.
fn segment_key_of(cursor: &Cursor, sources: &[(Source, Direction)]) -> tantivy::Result<SegmentKey> {
    let mut key: SegmentKey = [None; PLACES_MAX];
    let did = CursorKey::Text(cursor.did().to_owned());
    let values = cursor.keys().iter().take(sources.len() - 1).chain([&did]);
    for (at, (value, (source, direction))) in values.zip(sources).enumerate() {
        let rank = match (source, value) {
            (Source::Score, CursorKey::Float(score)) => {
                u64::from((*score as f32).max(0.0).to_bits())
            }
            (Source::Score, CursorKey::Integer(score)) => {
                u64::from((*score as f32).max(0.0).to_bits())
            }
            (Source::Number { floats: true, .. }, CursorKey::Float(number)) => {
                unsigned(float_rank(*number))
            }
            (Source::Number { floats: true, .. }, CursorKey::Integer(number)) => {
                unsigned(float_rank(*number as f64))
            }
            (Source::Number { .. }, CursorKey::Integer(number)) => unsigned(*number),
            (Source::Text(column), CursorKey::Text(text)) => match column {
                None => between(0),
                Some(column) => place_of(column, text)?,
            },
            // Missing, or a value of another kind, as no cursor of this query has: the last place.
            _ => continue,
        };
        key[at] = Some(turned(rank, *direction));
    }
    Ok(key)
}

/// A text's place in a dictionary: at its own if it is there, else between its neighbours.
fn place_of(column: &StrColumn, text: &str) -> tantivy::Result<u64> {
    let bytes = text.as_bytes();
    Ok(match column.dictionary().term_ord(bytes)? {
        Some(ord) => between(ord),
        None => 2 * ord_from(column, bytes)?,
    })
}

/// The ordinal of the first text of a dictionary that is not less than this.
fn ord_from(column: &StrColumn, text: &[u8]) -> tantivy::Result<u64> {
    let (from, _) = column
        .dictionary()
        .term_bounds_to_ord(Bound::Included(text), Bound::Unbounded)?;
    Ok(match from {
        Bound::Included(ord) => ord,
        Bound::Excluded(ord) => ord + 1,
        Bound::Unbounded => 0,
    })
}

/// Ordinals become odd, so that even numbers lie between them.
fn between(ord: u64) -> u64 {
    2 * ord + 1
}

fn unsigned(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn signed(rank: u64) -> i64 {
    (rank ^ (1 << 63)).cast_signed()
}

/// Turns a rank that grows with the value into one that grows towards the front, and back.
fn turned(rank: u64, direction: Direction) -> u64 {
    match direction {
        Direction::Ascending => !rank,
        Direction::Descending => rank,
    }
}
