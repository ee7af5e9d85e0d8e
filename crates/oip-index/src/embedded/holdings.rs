//! What an index holds, in order of DID: a merge of the segments' dictionaries.

use tantivy::columnar::StrColumn;
use tantivy::schema::{IndexRecordOption, Value as _};
use tantivy::{DocId, DocSet, Searcher, SegmentReader, TERMINATED, TantivyDocument};

use super::schema::{Fields, typed_column, version_of};
use crate::field::FieldPath;
use crate::index::Holding;

/// Blocks of documents kept while versions are read: they come in order of DID, not of place.
const CACHE_BLOCKS: usize = 16;

/// The holdings behind a DID, at most so many.
pub(super) fn page(
    searcher: &Searcher,
    fields: &Fields,
    after: Option<&str>,
    limit: usize,
) -> tantivy::Result<Vec<Holding>> {
    let mut found: Vec<(String, usize, DocId)> = Vec::new();
    for (at, segment) in searcher.segment_readers().iter().enumerate() {
        let dids = dids_of(segment, fields, after, limit)?;
        found.extend(dids.into_iter().map(|(did, document)| (did, at, document)));
    }
    // Only the live document of a DID is among them, and there is one.
    found.sort_unstable();
    found.truncate(limit);
    let segments = searcher
        .segment_readers()
        .iter()
        .map(|segment| {
            let types = segment.fast_fields();
            let types = types.str(&typed_column(&FieldPath::record_type()))?;
            Ok((segment.get_store_reader(CACHE_BLOCKS)?, types))
        })
        .collect::<tantivy::Result<Vec<_>>>()?;
    found
        .into_iter()
        .map(|(did, at, document)| {
            let (store, types) = &segments[at];
            let stored: TantivyDocument = store.get(document)?;
            let version = stored
                .get_first(fields.version)
                .and_then(|value| value.as_bytes());
            Ok(Holding {
                did,
                record_type: record_type(types.as_ref(), document)?,
                version: version.and_then(version_of),
            })
        })
        .collect()
}

fn dids_of(
    segment: &SegmentReader,
    fields: &Fields,
    after: Option<&str>,
    limit: usize,
) -> tantivy::Result<Vec<(String, DocId)>> {
    let inverted = segment.inverted_index(fields.did)?;
    let range = inverted.terms().range();
    let mut terms = match after {
        Some(after) => range.gt(after).into_stream()?,
        None => range.into_stream()?,
    };
    let alive = segment.alive_bitset();
    let mut found = Vec::new();
    while found.len() < limit && terms.advance() {
        let mut postings =
            inverted.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
        let mut document = postings.doc();
        while document != TERMINATED {
            if alive.is_none_or(|alive| alive.is_alive(document)) {
                found.push((String::from_utf8_lossy(terms.key()).into_owned(), document));
            }
            document = postings.advance();
        }
    }
    Ok(found)
}

fn record_type(types: Option<&StrColumn>, document: DocId) -> tantivy::Result<String> {
    let mut name = String::new();
    if let Some(types) = types
        && let Some(ordinal) = types.ords().first(document)
    {
        types.ord_to_str(ordinal, &mut name)?;
    }
    Ok(name)
}
