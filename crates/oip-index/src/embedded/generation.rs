//! One index in the folder: made empty, opened, written.
//!
//! A batch is one commit. The feed position rides in the commit, so that content and cursor can't come
//! apart, and the reader is renewed before the batch is reported, so that it is visible. Whatever can't be
//! opened is replaced by an empty index with cursor 0: the store fills it again.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tantivy::index::{SegmentId, SegmentReader};
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::IndexRecordOption;
use tantivy::store::Compressor;
use tantivy::{
    DocSet as _, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument,
    TantivyError, Term,
};

use super::folder::{Content, Folder};
use super::merging::BoundedMerges;
use super::schema::{Fields, PUBLIC, Types};
use crate::error::IndexError;
use crate::index::{Applied, IndexOp, KeepRefused, RefusalReason, Refused};
use crate::words;

/// A merge that ends after the last batch is taken up by a search this much later, so
/// that an idle index doesn't hold on to the files of merged segments. Merges of a
/// hundred thousand documents take about so long.
const SETTLE: Duration = Duration::from_secs(5);

/// Memory in which the one indexing thread builds a segment. 15 MB is the least tantivy
/// takes and about 5,000 records; twice that halves the segments of a first fill.
const WRITER_HEAP_BYTES: usize = 30_000_000;

/// Merging is background work on a machine that has two cores for everything.
const MERGE_THREADS: usize = 1;

/// Decompressed blocks of documents (16 KB each) kept per segment: with 30 segments 4 MB.
const DOCUMENT_CACHE_BLOCKS: usize = 8;

/// After segments were rewritten for what was dropped of them, they rest this many times as long as that took, so
/// that private records which change all the time keep the disk and one core busy a twentieth of the time.
const TIDY_REST: u32 = 19;

/// One index in the folder: one writer, any number of readers.
pub(super) struct Generation {
    pub(super) number: u64,
    /// The mapping that its documents were put in with.
    pub(super) mapping: String,
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<Writer>,
    cursor: AtomicU64,
}

/// What only the one who writes may touch.
struct Writer {
    index: tantivy::Index,
    path: PathBuf,
    /// Lost after a failure; the next batch makes a new one from the last commit.
    open: Option<IndexWriter>,
    /// When the last commit was made, until merges that followed it have been taken up.
    unsettled_since: Option<Instant>,
    /// Whether files may hold what was taken out: after a commit, and after the start.
    untidy: bool,
    /// When segments may be rewritten again.
    rested_at: Instant,
}

/// Opens the generation that counts, or replaces it by an empty one where there is none,
/// where it has another format, or where it is broken.
pub(super) fn open_or_replace(folder: &Folder, mapping: &str) -> Result<Generation, IndexError> {
    let reason = match folder.content()? {
        Content::Nothing => return replace(folder, mapping),
        Content::Unusable(reason) => reason,
        Content::Generation { number, mapping } => {
            match Generation::open(&folder.generation_path(number), number, mapping) {
                Ok(opened) => {
                    folder.sweep(number);
                    return Ok(opened);
                }
                Err(error) => error.to_string(),
            }
        }
    };
    tracing::warn!(
        path = %folder.path().display(), reason,
        "the search index can't be used and is made anew from the store"
    );
    replace(folder, mapping)
}

/// Makes an empty index and lets it take the place of the present one.
pub(super) fn replace(folder: &Folder, mapping: &str) -> Result<Generation, IndexError> {
    let made = make(folder, mapping)?;
    folder.set_current(made.number, mapping)?;
    folder.sweep(made.number);
    Ok(made)
}

/// Makes an empty index beside the present one.
pub(super) fn make(folder: &Folder, mapping: &str) -> Result<Generation, IndexError> {
    let number = folder.begin_generation()?;
    let (schema, _) = Fields::build();
    let settings = IndexSettings {
        docstore_compression: Compressor::Lz4,
        // A thread per segment costs more than it saves where most segments are one record.
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    };
    let path = folder.generation_path(number);
    tantivy::Index::builder()
        .schema(schema)
        .settings(settings)
        .create_in_dir(&path)
        .map_err(backend_failed("create the index"))?;
    Generation::open(&path, number, mapping.to_owned()).map_err(|source| IndexError::Backend {
        action: "open the new index",
        source,
    })
}

impl Generation {
    fn open(
        path: &Path,
        number: u64,
        mapping: String,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let index = tantivy::Index::open_in_dir(path)?;
        let (schema, fields) = Fields::build();
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
        let writer = open_writer(&index, path)?;
        Ok(Self {
            number,
            mapping,
            fields,
            reader,
            writer: Mutex::new(Writer {
                index,
                path: path.to_owned(),
                open: Some(writer),
                unsettled_since: Some(Instant::now()),
                untidy: true,
                rested_at: Instant::now(),
            }),
            cursor: AtomicU64::new(cursor),
        })
    }

    /// How far the feed was taken.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor.load(Ordering::Acquire)
    }

    /// The state of the last batch.
    pub(super) fn searcher(&self) -> Searcher {
        self.take_up_merges();
        self.reader.searcher()
    }

    /// Threads of ours don't panic while they hold this lock; if one did, what it guards is still
    /// whole: a writer is remade on failure.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
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
        let before = self.reader.searcher();
        writer.unsettled_since = match self.reader.reload() {
            Ok(()) if segments_of(&self.reader.searcher()) == segments_of(&before) => None,
            Ok(()) => Some(Instant::now()),
            Err(error) => {
                tracing::warn!(%error, "the index reader could not be renewed after merging");
                Some(Instant::now())
            }
        };
    }

    /// Rewrites the segments that hold deleted documents which not everybody could read, and removes the files of
    /// segments that are gone. A segment keeps what is deleted of it until it is merged, and on an index that gets no more
    /// records that may be never. Gives whether to come again: what a search still reads is removed later.
    pub(super) fn tidy(&self) -> Result<bool, IndexError> {
        let failed = || backend_failed("drop what was taken out");
        let began = Instant::now();
        let merges = {
            let mut guard = self.writer();
            if !guard.untidy || began < guard.rested_at {
                return Ok(guard.untidy);
            }
            self.reader.reload().map_err(failed())?;
            let closed = self.with_closed_garbage().map_err(failed())?;
            let Some(writer) = &mut guard.open else {
                return Ok(true);
            };
            let merges: Vec<_> = closed
                .iter()
                .map(|segment| writer.merge(&[*segment]))
                .collect();
            guard.untidy = false;
            merges
        };
        // Meanwhile batches are taken.
        let is_more = !merges.is_empty();
        for merge in merges {
            if let Err(error) = merge.wait() {
                // It is being merged with others, which drops the same.
                tracing::debug!(%error, "a segment was not rewritten");
            }
        }
        let mut guard = self.writer();
        guard.untidy |= is_more;
        if is_more {
            guard.rested_at = Instant::now() + began.elapsed() * TIDY_REST;
        }
        self.reader.reload().map_err(failed())?;
        if let Some(writer) = &guard.open {
            writer.garbage_collect_files().wait().map_err(failed())?;
        }
        Ok(guard.untidy)
    }

    /// The segments that hold deleted documents which were not for everybody.
    fn with_closed_garbage(&self) -> tantivy::Result<Vec<SegmentId>> {
        let mut found = Vec::new();
        let public = Term::from_field_text(self.fields.readers, PUBLIC);
        for segment in self.reader.searcher().segment_readers() {
            let Some(alive) = segment.alive_bitset() else {
                continue;
            };
            let mut public = segment
                .inverted_index(self.fields.readers)?
                .read_postings(&public, IndexRecordOption::Basic)?;
            let mut is_closed = |document| match &mut public {
                Some(postings) if postings.doc() < document => postings.seek(document) != document,
                Some(postings) => postings.doc() != document,
                None => true,
            };
            if (0..segment.max_doc())
                .any(|document| alive.is_deleted(document) && is_closed(document))
            {
                found.push(segment.segment_id());
            }
        }
        Ok(found)
    }

    /// A writer after one that failed. The failure may have come after the commit, so the
    /// reader is brought up to it first: staging relies on that.
    fn remake_writer(&self, lost: &Writer) -> tantivy::Result<IndexWriter> {
        self.reader.reload()?;
        open_writer(&lost.index, &lost.path)
    }

    /// Applies a batch as one commit, in which the cursor rides.
    pub(super) fn apply(
        &self,
        types: &Types,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError> {
        let mut guard = self.writer();
        let mut writer = match guard.open.take() {
            Some(writer) => writer,
            None => self
                .remake_writer(&guard)
                .map_err(backend_failed("open the writer"))?,
        };
        // A writer that failed is dropped here, and with it what it had staged.
        let applied = self
            .stage(types, &writer, batch)
            .map_err(backend_failed("stage a batch"))?;
        applied.keep_refused(keep)?;
        self.commit(&mut writer, cursor)
            .map_err(backend_failed("commit a batch"))?;
        guard.open = Some(writer);
        guard.unsettled_since = Some(Instant::now());
        guard.untidy = true;
        self.cursor.store(cursor, Ordering::Release);
        Ok(applied)
    }

    /// Commits what was staged, and shows it to readers.
    fn commit(&self, writer: &mut IndexWriter, cursor: u64) -> tantivy::Result<()> {
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&cursor.to_string());
        prepared.commit()?;
        self.reader.reload()
    }

    /// Adds a batch to the writer's open transaction.
    fn stage(
        &self,
        types: &Types,
        writer: &IndexWriter,
        batch: &[IndexOp],
    ) -> tantivy::Result<Applied> {
        let held = self.reader.searcher();
        let mut added: HashSet<&str> = HashSet::new();
        let mut applied = Applied::default();
        for op in batch {
            let did = op.did();
            let entry = match self.entry(types, op) {
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
    fn entry(&self, types: &Types, op: &IndexOp) -> Result<Option<TantivyDocument>, RefusalReason> {
        let text = op.admitted()?;
        let (
            Some(text),
            IndexOp::Upsert {
                did,
                document,
                envelope,
            },
        ) = (text, op)
        else {
            return Ok(None);
        };
        Ok(Some(
            self.fields.entry(types, did, document, &text, envelope),
        ))
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

/// A writer for the index in the folder `path`.
fn open_writer(index: &tantivy::Index, path: &Path) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(WRITER_HEAP_BYTES)
        .num_worker_threads(1)
        .num_merge_threads(MERGE_THREADS)
        .build();
    let writer = index.writer_with_options(options)?;
    writer.set_merge_policy(Box::new(BoundedMerges::new(path.to_owned())));
    Ok(writer)
}

/// Wraps what tantivy says in the crate's own error.
pub(super) fn backend_failed(action: &'static str) -> impl Fn(TantivyError) -> IndexError {
    move |error| IndexError::Backend {
        action,
        source: error.into(),
    }
}
