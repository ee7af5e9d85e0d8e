//! The embedded index: one writer, any number of readers.
//!
//! A batch is one commit. The feed position rides in the commit, so that content and
//! cursor can't come apart, and the reader is renewed before the batch is reported, so
//! that it is visible. Whatever can't be opened is replaced by an empty index with
//! cursor 0: the store fills it again.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tantivy::collector::{Count, TopDocs};
use tantivy::index::{SegmentId, SegmentReader};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, IndexReader, IndexWriter, Searcher, TantivyDocument, Term};

use super::folder::Folder;
use super::generation::{self, backend_failed};
use super::matching::matcher;
use super::ranking::{self, Place, Ranking};
use super::schema::{Fields, column};
use crate::error::IndexError;
use crate::error::QueryError;
use crate::index::{
    Applied, DID_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX, Hit, Holding, Index, IndexOp,
    IndexStatus, Page, READER_BYTES_MAX, READERS_MAX, Readers, Rebuild, RefusalReason, Refused,
};
use crate::query::{Access, Position, Query};

/// A merge that ends after the last batch is taken up by a search this much later, so
/// that an idle index doesn't hold on to the files of merged segments. Merges of a
/// hundred thousand documents take about so long.
const SETTLE: Duration = Duration::from_secs(5);

/// A search index in a folder. Dropping it frees the folder.
pub struct EmbeddedIndex {
    fields: Fields,
    reader: RwLock<Arc<IndexReader>>,
    writer: Mutex<Writer>,
    cursor: AtomicU64,
    /// Last, so that the folder is freed after everything that writes to it.
    folder: Folder,
}

/// What only the one who writes may touch.
struct Writer {
    index: tantivy::Index,
    /// Lost after a failure; the next batch makes a new one from the last commit.
    open: Option<IndexWriter>,
    /// When the last commit was made, until merges that followed it have been taken up.
    unsettled_since: Option<Instant>,
}

impl EmbeddedIndex {
    /// Opens the index in a folder, or makes an empty one where there is none, where it has
    /// another format, or where it is broken. A cursor of 0 says that it has to be filled.
    ///
    /// # Errors
    /// [`IndexError::Locked`] when another process uses the folder; failures to write to it.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let folder = Folder::open(path)?;
        let opened = generation::open_or_replace(&folder)?;
        let (_, fields) = Fields::build();
        Ok(Self {
            folder,
            fields,
            reader: RwLock::new(Arc::new(opened.reader)),
            writer: Mutex::new(Writer {
                index: opened.index,
                open: Some(opened.writer),
                unsettled_since: Some(Instant::now()),
            }),
            cursor: AtomicU64::new(opened.cursor),
        })
    }

    /// Threads of ours don't panic while they hold these locks; if one did, what they
    /// guard is still whole: a reader that was replaced, a writer that is remade on failure.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Arc<IndexReader> {
        let reader = self.reader.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&reader)
    }

    fn searcher(&self) -> Searcher {
        self.take_up_merges();
        self.reader().searcher()
    }

    /// Renews the reader after writing has paused, until that changes nothing any more.
    /// Skipped while somebody writes.
    fn take_up_merges(&self) {
        let Ok(mut writer) = self.writer.try_lock() else {
            return;
        };
        let paused = |since: Instant| since.elapsed() >= SETTLE;
        if !writer.unsettled_since.is_some_and(paused) {
            return;
        }
        let reader = self.reader();
        let before = reader.searcher();
        writer.unsettled_since = match reader.reload() {
            Ok(()) if segments_of(&reader.searcher()) == segments_of(&before) => None,
            Ok(()) => Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "the index reader could not be renewed after merging");
                Some(Instant::now())
            }
        };
    }

    /// A writer after one that failed. The failure may have come after the commit, so the
    /// reader is brought up to it first: staging relies on that.
    fn remake_writer(&self, index: &tantivy::Index) -> tantivy::Result<IndexWriter> {
        self.reader().reload()?;
        generation::open_writer(index)
    }

    /// Adds a batch to the writer's open transaction.
    fn stage(&self, writer: &IndexWriter, batch: &[IndexOp]) -> tantivy::Result<Applied> {
        let held = self.reader().searcher();
        let mut added: HashSet<&str> = HashSet::new();
        let mut applied = Applied::default();
        for op in batch {
            let did = op.did();
            let entry = match self.entry(op) {
                Ok(entry) => entry,
                Err(reason) => {
                    let did = did.to_owned();
                    applied.refused.push(Refused { did, reason });
                    continue;
                }
            };
            let term = Term::from_field_text(self.fields.did, did);
            // A deletion makes the commit open and search every segment, so it is only
            // asked for where there is something to delete. The reader is never behind
            // the last commit here, so what it doesn't hold isn't there.
            if added.contains(did) || holds(&held, &term)? {
                writer.delete_term(term);
            }
            if let Some(entry) = entry {
                writer.add_document(entry)?;
                added.insert(did);
            }
        }
        Ok(applied)
    }

    /// The index entry of an operation: none for a deletion.
    fn entry(&self, op: &IndexOp) -> Result<Option<TantivyDocument>, RefusalReason> {
        let did = op.did();
        if did.is_empty() || did.len() > DID_BYTES_MAX {
            return Err(RefusalReason::DidLength { bytes: did.len() });
        }
        let IndexOp::Upsert {
            document, envelope, ..
        } = op
        else {
            return Ok(None);
        };
        if let Readers::Only(readers) = &envelope.readers
            && (readers.len() > READERS_MAX
                || readers.iter().any(|one| one.len() > READER_BYTES_MAX))
        {
            return Err(RefusalReason::Readers);
        }
        let nesting = nesting(document);
        if nesting > DOCUMENT_NESTING_MAX {
            return Err(RefusalReason::DocumentTooDeep { nesting });
        }
        let text = document.to_string();
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(RefusalReason::DocumentTooLarge { bytes: text.len() });
        }
        Ok(Some(self.fields.entry(did, document, &text, envelope)))
    }

    /// Stages and commits a batch, and shows it to readers.
    fn commit(
        &self,
        writer: &mut IndexWriter,
        batch: &[IndexOp],
        cursor: u64,
    ) -> tantivy::Result<Applied> {
        let applied = self.stage(writer, batch)?;
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&cursor.to_string());
        prepared.commit()?;
        self.reader().reload()?;
        Ok(applied)
    }

    fn hit(
        &self,
        searcher: &Searcher,
        ranking: &Ranking,
        places: &[Place],
        address: DocAddress,
    ) -> Result<Hit, IndexError> {
        let stored: TantivyDocument = searcher
            .doc(address)
            .map_err(backend_failed("read a document"))?;
        let text = |field| stored.get_first(field).and_then(|value| value.as_str());
        let did = text(self.fields.did).unwrap_or_default().to_owned();
        let document: Value = serde_json::from_str(text(self.fields.document).unwrap_or_default())
            .map_err(|error| IndexError::Damaged {
                did: did.clone(),
                source: error.into(),
            })?;
        Ok(Hit {
            did,
            score: ranking.score(places),
            document: Arc::new(document),
            highlights: Vec::new(),
        })
    }
}

impl Index for EmbeddedIndex {
    fn apply(&self, batch: &[IndexOp], cursor: u64) -> Result<Applied, IndexError> {
        let mut guard = self.writer();
        let mut writer = match guard.open.take() {
            Some(writer) => writer,
            None => self
                .remake_writer(&guard.index)
                .map_err(backend_failed("open the writer"))?,
        };
        // A writer that failed is dropped here, and with it what it had staged.
        let applied = self
            .commit(&mut writer, batch, cursor)
            .map_err(backend_failed("commit a batch"))?;
        guard.open = Some(writer);
        guard.unsettled_since = Some(Instant::now());
        self.cursor.store(cursor, Ordering::Release);
        Ok(applied)
    }

    fn cursor(&self) -> Result<u64, IndexError> {
        Ok(self.cursor.load(Ordering::Acquire))
    }

    fn search(&self, query: &Query) -> Result<Page, IndexError> {
        let offset = check(query)?;
        if query.limit == 0 {
            let total = self.count(query)?;
            return Ok(Page {
                total,
                ..Page::default()
            });
        }
        let searcher = self.searcher();
        let ranking = Ranking::by(query.order());
        let page = TopDocs::with_limit(query.limit)
            .and_offset(offset)
            .order_by((ranking.clone(), Ranking::by_did()));
        let (top, total) = searcher
            .search(&matcher(&self.fields, query)?, &(page, Count))
            .map_err(backend_failed("search"))?;
        let hits = top
            .into_iter()
            .map(|((places, _), address)| self.hit(&searcher, &ranking, &places, address))
            .collect::<Result<_, _>>()?;
        Ok(Page {
            total: total as u64,
            hits,
            ..Page::default()
        })
    }

    fn count(&self, query: &Query) -> Result<u64, IndexError> {
        query.check()?;
        matcher(&self.fields, query)?
            .count(&self.searcher())
            .map(|count| count as u64)
            .map_err(backend_failed("count"))
    }

    fn record_types(&self, access: &Access) -> Result<Vec<(String, u64)>, IndexError> {
        if *access != Access::Everything {
            let what = "count the record types of some readers";
            return Err(QueryError::Unsupported { what }.into());
        }
        count_values(&self.searcher(), column::RECORD_TYPE)
            .map_err(backend_failed("count record types"))
    }

    fn holdings(&self, _after: Option<&str>, _limit: usize) -> Result<Vec<Holding>, IndexError> {
        let what = "be compared with the store";
        Err(QueryError::Unsupported { what }.into())
    }

    fn status(&self) -> IndexStatus {
        IndexStatus {
            backend: "embedded".to_owned(),
            ..IndexStatus::default()
        }
    }

    fn begin_rebuild(&self) -> Result<Box<dyn Rebuild>, IndexError> {
        let what = "be rebuilt beside itself";
        Err(QueryError::Unsupported { what }.into())
    }

    fn clear(&self) -> Result<(), IndexError> {
        let mut guard = self.writer();
        let opened = generation::replace(&self.folder)?;
        *self.reader.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(opened.reader);
        guard.index = opened.index;
        guard.open = Some(opened.writer);
        guard.unsettled_since = None;
        self.cursor.store(opened.cursor, Ordering::Release);
        Ok(())
    }
}

/// Holds a query against the limits and what this backend can do; the offset of its page.
fn check(query: &Query) -> Result<usize, QueryError> {
    query.check()?;
    ranking::check(&query.sort)?;
    let unsupported = |what| Err(QueryError::Unsupported { what });
    match &query.position {
        _ if !query.facets.is_empty() => unsupported("count facets"),
        _ if query.highlight.is_some() => unsupported("highlight"),
        Position::After(_) => unsupported("go on from a cursor"),
        Position::Offset(offset) => Ok(*offset),
    }
}

fn segments_of(searcher: &Searcher) -> Vec<SegmentId> {
    let segments = searcher.segment_readers().iter();
    segments.map(SegmentReader::segment_id).collect()
}

/// Does any segment know the term? Deleted documents may make it a false yes, which only
/// costs a deletion that finds nothing.
fn holds(searcher: &Searcher, term: &Term) -> tantivy::Result<bool> {
    for segment in searcher.segment_readers() {
        if segment
            .inverted_index(term.field())?
            .get_term_info(term)?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Every value of a string column with the number of live documents that have it.
fn count_values(searcher: &Searcher, name: &str) -> tantivy::Result<Vec<(String, u64)>> {
    let mut counts = HashMap::<String, u64>::new();
    for segment in searcher.segment_readers() {
        let Some(column) = segment.fast_fields().str(name)? else {
            continue;
        };
        let mut by_ordinal = vec![0_u64; column.num_terms()];
        for document in segment.doc_ids_alive() {
            let ordinal = column.ords().first(document);
            if let Some(count) = ordinal.and_then(|ordinal| by_ordinal.get_mut(ordinal as usize)) {
                *count += 1;
            }
        }
        for (ordinal, count) in by_ordinal
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            let mut value = String::new();
            column.ord_to_str(ordinal as u64, &mut value)?;
            *counts.entry(value).or_default() += count;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|(left, a), (right, b)| b.cmp(a).then_with(|| left.cmp(right)));
    Ok(counts)
}

/// How deep arrays and objects are nested in each other. Walks with a list of its own:
/// the depth is the sender's choice.
fn nesting(document: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(document, 1)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|one| (one, depth + 1))),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}
