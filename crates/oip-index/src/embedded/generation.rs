//! The life of one generation: made empty, opened, replaced, and how it is written.

use std::error::Error;
use std::path::Path;

use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::store::Compressor;
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError};

use super::folder::{Content, Folder};
use super::schema::Fields;
use super::words;
use crate::error::IndexError;

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

/// An index that could be opened.
pub(super) struct Opened {
    pub(super) index: tantivy::Index,
    pub(super) writer: IndexWriter,
    pub(super) reader: IndexReader,
    pub(super) cursor: u64,
}

/// Opens the generation that counts, or replaces it by an empty one where there is none,
/// where it has another format, or where it is broken.
pub(super) fn open_or_replace(folder: &Folder) -> Result<Opened, IndexError> {
    let reason = match folder.content()? {
        Content::Nothing => return replace(folder),
        Content::Unusable(reason) => reason,
        Content::Generation(generation) => match open(&folder.generation_path(generation)) {
            Ok(opened) => {
                folder.sweep(generation);
                return Ok(opened);
            }
            Err(error) => error.to_string(),
        },
    };
    tracing::warn!(
        path = %folder.path().display(), reason,
        "the search index can't be used and is made anew from the store"
    );
    replace(folder)
}

/// Makes an empty index and lets it take the place of the present one.
pub(super) fn replace(folder: &Folder) -> Result<Opened, IndexError> {
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
        .map_err(backend_failed("create the index"))?;
    let opened = open(&path).map_err(|source| IndexError::Backend {
        action: "open the new index",
        source,
    })?;
    folder.set_current(generation)?;
    folder.sweep(generation);
    Ok(opened)
}

fn open(path: &Path) -> Result<Opened, Box<dyn Error + Send + Sync>> {
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

pub(super) fn open_writer(index: &tantivy::Index) -> tantivy::Result<IndexWriter> {
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

/// Wraps what tantivy says in the crate's own error.
pub(super) fn backend_failed(action: &'static str) -> impl Fn(TantivyError) -> IndexError {
    move |error| IndexError::Backend {
        action,
        source: error.into(),
    }
}
