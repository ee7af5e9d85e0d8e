//! Facets: how many of the documents that fit have which value.

use std::collections::HashMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use super::schema::{column, typed_column};
use crate::query::{Facet, FacetCounts, FacetRequest, FacetValue};

/// Counts for all facets of a query in one pass.
pub(super) struct Counting<'a>(pub(super) &'a [FacetRequest]);

/// Counts by value, and of documents without one; for each facet.
pub(super) type Counts = Vec<(HashMap<String, u64>, u64)>;

/// The counts of one segment, by ordinal of the value.
pub(super) struct SegmentCounting {
    facets: Vec<Counted>,
    /// The ordinals of one document: a tag given twice counts once.
    seen: Vec<u64>,
}

struct Counted {
    column: Option<StrColumn>,
    by_ordinal: Vec<u64>,
    without: u64,
}

impl Counted {
    /// The counts by value. The dictionary is read in its order, once: each value by itself would be looked for from the
    /// beginning of its block.
    fn spelled_out(&self) -> Option<HashMap<String, u64>> {
        let found = self.by_ordinal.iter().zip(0_u64..);
        let (counts, ordinals): (Vec<u64>, Vec<u64>) =
            found.filter(|(count, _)| **count > 0).unzip();
        let Some(column) = &self.column else {
            return Some(HashMap::new());
        };
        let mut spelled = HashMap::with_capacity(counts.len());
        let mut counts = counts.into_iter();
        let spell = |value: &[u8]| {
            if let (Ok(value), Some(count)) = (std::str::from_utf8(value), counts.next()) {
                spelled.insert(value.to_owned(), count);
            }
        };
        let is_whole = column.dictionary().sorted_ords_to_term_cb(&ordinals, spell);
        is_whole.is_ok_and(|whole| whole).then_some(spelled)
    }
}

impl Collector for Counting<'_> {
    type Fruit = Counts;
    type Child = SegmentCounting;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<SegmentCounting> {
        let counted = |request: &FacetRequest| {
            let column = segment.fast_fields().str(&column_of(request.facet))?;
            let terms = column.as_ref().map_or(0, |column| column.num_terms());
            Ok(Counted {
                column,
                by_ordinal: vec![0; terms],
                without: 0,
            })
        };
        Ok(SegmentCounting {
            facets: self.0.iter().map(counted).collect::<tantivy::Result<_>>()?,
            seen: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Option<Counts>>) -> tantivy::Result<Counts> {
        let mut merged: Counts = self.0.iter().map(|_| Default::default()).collect();
        for fruit in fruits {
            let Some(fruit) = fruit else {
                let reason = "a column of facets can't be read".to_owned();
                return Err(tantivy::TantivyError::InternalError(reason));
            };
            for ((values, without), (more, more_without)) in merged.iter_mut().zip(fruit) {
                *without += more_without;
                for (value, count) in more {
                    *values.entry(value).or_default() += count;
                }
            }
        }
        Ok(merged)
    }
}

impl SegmentCollector for SegmentCounting {
    type Fruit = Option<Counts>;

    fn collect(&mut self, document: DocId, _: Score) {
        for facet in &mut self.facets {
            self.seen.clear();
            if let Some(column) = &facet.column {
                self.seen.extend(column.ords().values_for_doc(document));
            }
            self.seen.sort_unstable();
            self.seen.dedup();
            facet.without += u64::from(self.seen.is_empty());
            for ordinal in &self.seen {
                if let Some(count) = facet.by_ordinal.get_mut(*ordinal as usize) {
                    *count += 1;
                }
            }
        }
    }

    fn harvest(self) -> Option<Counts> {
        let spelled = |facet: Counted| Some((facet.spelled_out()?, facet.without));
        self.facets.into_iter().map(spelled).collect()
    }
}

/// The counts as they were asked for.
pub(super) fn answer(requests: &[FacetRequest], counts: Counts) -> Vec<FacetCounts> {
    requests
        .iter()
        .zip(counts)
        .map(|(request, (values, without))| {
            let mut values: Vec<FacetValue> = values
                .into_iter()
                .map(|(value, documents)| FacetValue {
                    value: Some(value),
                    documents,
                })
                .collect();
            if request.facet == Facet::Node && without > 0 {
                values.push(FacetValue {
                    value: None,
                    documents: without,
                });
            }
            values.sort_unstable_by(|left, right| {
                let by_count = right.documents.cmp(&left.documents);
                by_count.then_with(|| left.value.cmp(&right.value))
            });
            values.truncate(request.values_max);
            FacetCounts {
                facet: request.facet,
                values,
            }
        })
        .collect()
}

fn column_of(facet: Facet) -> String {
    match facet {
        // Its own column: that of the field has it in lower case, for sorting.
        Facet::Tag => column::TAG.to_owned(),
        other => typed_column(&other.field()),
    }
}
