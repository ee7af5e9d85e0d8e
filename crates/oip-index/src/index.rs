//! What every backend promises.
//!
//! An index is a cache of the store: it takes batches with the feed position they
//! end at, and returns that position when asked, so that whoever feeds it knows
//! where to go on after a restart, and after the index was lost (position 0).

use std::sync::Arc;

use serde_json::Value;

use crate::error::IndexError;
use crate::query::Query;

/// Bytes of a DID: the longest soul that the graph takes (2,048) and its `did:gun:`, rounded up.
pub const DID_BYTES_MAX: usize = 2_064;

/// Bytes of a document as JSON text: a document is held in memory several times over
/// while it is indexed, and the writer's whole budget is not much more than this.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Arrays and objects within each other: as deep as the JSON reader takes a document back.
pub const DOCUMENT_NESTING_MAX: usize = 127;

/// A searchable set of documents, one per DID.
///
/// Methods block; an async caller moves them off its reactor. One caller at a time
/// feeds the index; any number search meanwhile.
pub trait Index: Send + Sync {
    /// Applies a batch in order and records that the feed was taken up to `cursor`.
    ///
    /// When this returns, the batch is durable and every search sees it. It happens
    /// whole or not at all, together with the cursor. Applying a batch again changes
    /// nothing. An operation that can't be taken is named in the answer and does not
    /// hold up the others.
    ///
    /// # Errors
    /// The backend failed, and the batch was kept whole or not at all: apply it again.
    fn apply(&self, batch: &[IndexOp], cursor: u64) -> Result<Applied, IndexError>;

    /// The cursor of the last batch applied; 0 for an index that has to be filled.
    ///
    /// # Errors
    /// The backend failed.
    fn cursor(&self) -> Result<u64, IndexError>;

    /// One page of the documents that fit, and how many fit in all.
    ///
    /// # Errors
    /// The query breaks a limit, or the backend failed.
    fn search(&self, query: &Query) -> Result<Page, IndexError>;

    /// How many documents fit. Order, limit and offset don't matter.
    ///
    /// # Errors
    /// The query breaks a limit, or the backend failed.
    fn count(&self, query: &Query) -> Result<u64, IndexError>;

    /// Every record type with its number of documents, the most frequent first, ties by name.
    ///
    /// # Errors
    /// The backend failed.
    fn record_types(&self) -> Result<Vec<(String, u64)>, IndexError>;

    /// Forgets everything: no documents, cursor 0. Also the cure for a damaged index.
    ///
    /// # Errors
    /// The backend failed.
    fn clear(&self) -> Result<(), IndexError>;
}

/// One change to the index.
#[derive(Debug, Clone, PartialEq)]
pub enum IndexOp {
    /// Puts a document in place of whatever is held under its DID.
    Upsert {
        /// The document's identity. `oip.did` inside may differ and is not looked at.
        did: String,
        /// `{data, oip, meta}` in index form (arrays are arrays). Odd shapes are taken:
        /// a field of the wrong type is stored and returned, but not indexed as that field.
        document: Value,
    },
    /// Removes the document; none there is fine.
    Delete {
        /// The document's identity.
        did: String,
    },
}

impl IndexOp {
    /// The document this is about.
    pub fn did(&self) -> &str {
        match self {
            Self::Upsert { did, .. } | Self::Delete { did } => did,
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The operations that were not taken, in order; empty when all were. The
    /// document held before, if any, stays.
    pub refused: Vec<Refused>,
}

/// An operation that an index can't take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The document it was about.
    pub did: String,
    /// Why.
    pub reason: RefusalReason,
}

/// Why an operation can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The DID is empty or longer than [`DID_BYTES_MAX`].
    #[error("a DID has 1 to {DID_BYTES_MAX} bytes, this one has {bytes}")]
    DidLength {
        /// Its length.
        bytes: usize,
    },
    /// The document is longer than [`DOCUMENT_BYTES_MAX`].
    #[error("a document has at most {DOCUMENT_BYTES_MAX} bytes, this one has {bytes}")]
    DocumentTooLarge {
        /// Its length as JSON text.
        bytes: usize,
    },
    /// The document is nested deeper than [`DOCUMENT_NESTING_MAX`].
    #[error("a document nests at most {DOCUMENT_NESTING_MAX} levels, this one has {nesting}")]
    DocumentTooDeep {
        /// Its levels.
        nesting: usize,
    },
}

/// One page of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// How many documents fit the query, on all pages.
    pub total: u64,
    /// The hits of this page, in order.
    pub hits: Vec<Hit>,
}

/// One document that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The DID it was put in under.
    pub did: String,
    /// How well it fits the text, when relevance is part of the order. Comparable only
    /// within one answer.
    pub score: Option<f32>,
    /// The document exactly as it was put in: member order and number text included.
    pub document: Arc<Value>,
}
