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
        self.facets
            .into_iter()
            .map(|facet| {
                let mut counts = HashMap::new();
                let found = facet.by_ordinal.into_iter().enumerate();
                for (ordinal, count) in found.filter(|(_, count)| *count > 0) {
                    let mut value = String::new();
                    let column = facet.column.as_ref()?;
                    column.ord_to_str(ordinal as u64, &mut value).ok()?;
                    counts.insert(value, count);
                }
                Some((counts, facet.without))
            })
            .collect()
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
