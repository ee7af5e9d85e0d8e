//! The embedded index: one writer, any number of readers.
//!
//! A batch is one commit. The feed position rides in the commit, so that content and
//! cursor can't come apart, and the reader is renewed before the batch is reported, so
//! that it is visible. Whatever can't be opened is replaced by an empty index with
//! cursor 0: the store fills it again.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tantivy::collector::{Count, TopDocs};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::Value as _;
use tantivy::store::Compressor;
use tantivy::{
    DocAddress, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument,
    Term,
};

use super::folder::{Content, Folder};
use super::matching::matcher;
use super::ranking::{Place, Ranking};
use super::schema::{Fields, column};
use super::words;
use crate::error::IndexError;
use crate::index::{
    Applied, DID_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX, Hit, Index, IndexOp, Page,
    RefusalReason, Refused,
};
use crate::query::Query;

/// Memory in which the one indexing thread builds a segment. 15 MB is the least tantivy
/// takes and about 5,000 records; twice that halves the segments of a first fill.
const WRITER_HEAP_BYTES: usize = 30_000_000;

/// Merging is background work on a machine that has two cores for everything.
const MERGE_THREADS: usize = 1;

/// Segments of about one size before they are merged to one: the fewer, the more often
/// a document is rewritten; the more, the more segments every query visits.
const MERGE_SEGMENTS_MIN: usize = 8;

/// Below so many documents all segments count as one size: single records are merged by
/// the handful, at a cost of less than a millisecond.
const MERGE_LAYER_DOCUMENTS_MIN: u32 = 32;

/// Sizes a factor of 8 (2^3) apart are different: a document is then rewritten about
/// log8(n) times, and a million documents lie in some 30 segments at most.
const MERGE_LAYER_LOG_SIZE: f64 = 3.0;

/// A segment with more deleted documents than this is rewritten: edits leave garbage.
const MERGE_DELETED_RATIO: f32 = 0.3;

/// Decompressed blocks of documents (16 KB each) kept per segment: with 30 segments 4 MB.
const DOCUMENT_CACHE_BLOCKS: usize = 8;

/// A merge that ends after the last batch is taken up by a search this much later, so
/// that an idle index doesn't hold on to the files of merged segments.
const SETTLE: Duration = Duration::from_secs(2);

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

/// An index that could be opened.
struct Opened {
    index: tantivy::Index,
    writer: IndexWriter,
    reader: IndexReader,
    cursor: u64,
}

impl EmbeddedIndex {
    /// Opens the index in a folder, or makes an empty one where there is none, where it has
    /// another format, or where it is broken. A cursor of 0 says that it has to be filled.
    ///
    /// # Errors
    /// [`IndexError::Locked`] when another process uses the folder; failures to write to it.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let folder = Folder::open(path)?;
        let usable = match folder.content()? {
            Content::Nothing => None,
            Content::Unusable(reason) => {
                report_unusable(path, &reason);
                None
            }
            Content::Generation(generation) => {
                match open_generation(&folder.generation_path(generation)) {
                    Ok(opened) => {
                        folder.sweep(generation);
                        Some(opened)
                    }
                    Err(error) => {
                        report_unusable(path, &error.to_string());
                        None
                    }
                }
            }
        };
        let opened = match usable {
            Some(opened) => opened,
            None => new_generation(&folder)?,
        };
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

    /// Renews the reader once after writing has paused. Skipped while somebody writes.
    fn take_up_merges(&self) {
        let Ok(mut writer) = self.writer.try_lock() else {
            return;
        };
        if writer
            .unsettled_since
            .is_some_and(|since| since.elapsed() >= SETTLE)
        {
            writer.unsettled_since = None;
            if let Err(error) = self.reader().reload() {
                tracing::warn!(%error, "the index reader could not be renewed after merging");
            }
        }
    }

    /// A writer after one that failed. The failure may have come after the commit, so the
    /// reader is brought up to it first: staging relies on that.
    fn remake_writer(&self, index: &tantivy::Index) -> tantivy::Result<IndexWriter> {
        self.reader().reload()?;
        open_writer(index)
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
        let IndexOp::Upsert { document, .. } = op else {
            return Ok(None);
        };
        let nesting = nesting(document);
        if nesting > DOCUMENT_NESTING_MAX {
            return Err(RefusalReason::DocumentTooDeep { nesting });
        }
        let text = document.to_string();
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(RefusalReason::DocumentTooLarge { bytes: text.len() });
        }
        Ok(Some(self.fields.entry(did, document, &text)))
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
        let stored: TantivyDocument = searcher.doc(address).map_err(failed("read a document"))?;
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
                .map_err(failed("open the writer"))?,
        };
        // A writer that failed is dropped here, and with it what it had staged.
        let applied = self
            .commit(&mut writer, batch, cursor)
            .map_err(failed("commit a batch"))?;
        guard.open = Some(writer);
        guard.unsettled_since = Some(Instant::now());
        self.cursor.store(cursor, Ordering::Release);
        Ok(applied)
    }

    fn cursor(&self) -> Result<u64, IndexError> {
        Ok(self.cursor.load(Ordering::Acquire))
    }

    fn search(&self, query: &Query) -> Result<Page, IndexError> {
        query.check()?;
        if query.limit == 0 {
            let total = self.count(query)?;
            let hits = Vec::new();
            return Ok(Page { total, hits });
        }
        let searcher = self.searcher();
        let ranking = Ranking::by(query.order());
        let page = TopDocs::with_limit(query.limit)
            .and_offset(query.offset)
            .order_by((ranking.clone(), Ranking::by_did()));
        let (top, total) = searcher
            .search(&matcher(&self.fields, query), &(page, Count))
            .map_err(failed("search"))?;
        let hits = top
            .into_iter()
            .map(|((places, _), address)| self.hit(&searcher, &ranking, &places, address))
            .collect::<Result<_, _>>()?;
        Ok(Page {
            total: total as u64,
            hits,
        })
    }

    fn count(&self, query: &Query) -> Result<u64, IndexError> {
        query.check()?;
        matcher(&self.fields, query)
            .count(&self.searcher())
            .map(|count| count as u64)
            .map_err(failed("count"))
    }

    fn record_types(&self) -> Result<Vec<(String, u64)>, IndexError> {
        count_values(&self.searcher(), column::RECORD_TYPE).map_err(failed("count record types"))
    }

    fn clear(&self) -> Result<(), IndexError> {
        let mut guard = self.writer();
        let opened = new_generation(&self.folder)?;
        *self.reader.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(opened.reader);
        guard.index = opened.index;
        guard.open = Some(opened.writer);
        guard.unsettled_since = None;
        self.cursor.store(opened.cursor, Ordering::Release);
        Ok(())
    }
}

/// Makes an empty index and lets it take the place of the present one.
fn new_generation(folder: &Folder) -> Result<Opened, IndexError> {
    let generation = folder.begin_generation()?;
    let (schema, _) = Fields::build();
    let settings = IndexSettings {
        docstore_compression: Compressor::Lz4,
        // A thread per segment costs more than it saves where most segments are one record.
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let path = folder.generation_path(generation);
    tantivy::Index::builder()
        .schema(schema)
        .settings(settings)
        .create_in_dir(&path)
        .map_err(failed("create the index"))?;
    let opened = open_generation(&path).map_err(|source| IndexError::Backend {
        action: "open the new index",
        source,
    })?;
    folder.set_current(generation)?;
    folder.sweep(generation);
    Ok(opened)
}

fn open_generation(path: &Path) -> Result<Opened, Box<dyn Error + Send + Sync>> {
    let index = tantivy::Index::open_in_dir(path)?;
    let (schema, _) = Fields::build();
    if index.schema() != schema {
        return Err("its fields are not those of this program".into());
    }
    index
        .tokenizers()
        .register(words::ANALYZER, words::analyzer());
    let cursor = match index.load_metas()?.payload {
        Some(text) => text.parse()?,
        None => 0,
    };
    let reader = index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(DOCUMENT_CACHE_BLOCKS)
        .try_into()?;
    let writer = open_writer(&index)?;
    Ok(Opened {
        index,
        writer,
        reader,
        cursor,
    })
}

fn open_writer(index: &tantivy::Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(WRITER_HEAP_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(MERGE_THREADS)
        .build();
    let writer = index.writer_with_options(options)?;
    let mut policy = LogMergePolicy::default();
    policy.set_min_num_segments(MERGE_SEGMENTS_MIN);
    policy.set_min_layer_size(MERGE_LAYER_DOCUMENTS_MIN);
    policy.set_level_log_size(MERGE_LAYER_LOG_SIZE);
    policy.set_del_docs_ratio_before_merge(MERGE_DELETED_RATIO);
    writer.set_merge_policy(Box::new(policy));
    Ok(writer)
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

fn report_unusable(path: &Path, reason: &str) {
    tracing::warn!(
        path = %path.display(), reason,
        "the search index can't be used and is made anew from the store"
    );
}

fn failed(action: &'static str) -> impl Fn(tantivy::TantivyError) -> IndexError {
    move |error| IndexError::Backend {
        action,
        source: error.into(),
    }
}
