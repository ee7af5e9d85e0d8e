//! What every backend promises.
//!
//! An index is a cache of the store: it takes batches with the feed position they
//! end at, and returns that position when asked, so that whoever feeds it knows
//! where to go on after a restart, and after the index was lost (position 0).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::cursor::Cursor;
use crate::error::IndexError;
use crate::highlight::Fragments;
use crate::query::{Access, FACET_VALUES_MAX, Facet, FacetCounts, FacetRequest, Query};

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
    /// hold up the others; where there are some, `keep` gets them before the cursor moves past
    /// them, so that a crash in between repeats the batch and loses no refusal.
    ///
    /// A server is not asked for all of that: a part of a batch may be visible before the rest, and the
    /// cursor of a long one is written while the next is applied.
    ///
    /// # Errors
    /// The backend or `keep` failed: go on from [`Index::cursor`].
    fn apply_keeping(
        &self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError>;

    /// [`Index::apply_keeping`] for a caller that has nowhere to keep refusals.
    ///
    /// # Errors
    /// As there.
    fn apply(&self, batch: &[IndexOp], cursor: u64) -> Result<Applied, IndexError> {
        self.apply_keeping(batch, cursor, &mut |_| Ok(()))
    }

    /// The cursor of the last batch applied; 0 for an index that has to be filled.
    ///
    /// # Errors
    /// The backend failed; [`IndexError::OtherStore`]: what is there was filled from another store, and
    /// [`Index::clear`] is the cure.
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

    /// The record types of what a caller may see, with their numbers of documents, the most frequent
    /// first, ties by name; at most [`FACET_VALUES_MAX`].
    ///
    /// # Errors
    /// The backend failed.
    fn record_types(&self, access: &Access) -> Result<Vec<(String, u64)>, IndexError> {
        let query = Query {
            access: access.clone(),
            limit: 0,
            facets: vec![FacetRequest {
                facet: Facet::RecordType,
                values_max: FACET_VALUES_MAX,
            }],
            ..Query::default()
        };
        let counts = self.search(&query)?.facets.into_iter().next();
        let values = counts.into_iter().flat_map(|counts| counts.values);
        Ok(values
            .filter_map(|value| Some((value.value?, value.documents)))
            .collect())
    }

    /// What is held, whoever may read it, in ascending order of DID (by code point), for comparing
    /// it with the store.
    ///
    /// # Errors
    /// The backend failed.
    fn holdings(&self, after: Option<&str>, limit: usize) -> Result<Vec<Holding>, IndexError>;

    /// How it stands. Must be quick: health asks often.
    fn status(&self) -> IndexStatus;

    /// Looks again at what others may change behind the index, for [`Index::status`]: the mapping of an index on
    /// a server. Not quick; to be called every now and then.
    ///
    /// # Errors
    /// The backend failed.
    fn look(&self) -> Result<(), IndexError> {
        Ok(())
    }

    /// Drops from the files what was taken out of the index and was not for everybody. Not quick; to be called when
    /// writing has paused. Gives whether something is left to drop, for a call some seconds later.
    ///
    /// # Errors
    /// The backend failed.
    fn tidy(&self) -> Result<bool, IndexError> {
        Ok(false)
    }

    /// Whether documents that not everybody may read are put in.
    fn takes_private(&self) -> bool {
        true
    }

    /// Whether batches that fail again and again mean damage that a rebuild cures: files on this machine.
    /// A server that is away comes back by itself.
    fn may_be_damaged(&self) -> bool {
        false
    }

    /// Begins a new index beside this one, which goes on to take batches and to answer until
    /// [`Rebuild::finish`]. A rebuild that was begun before and not finished is given up.
    ///
    /// # Errors
    /// The backend failed.
    fn begin_rebuild(&self) -> Result<Box<dyn Rebuild>, IndexError>;

    /// Forgets everything: no documents, cursor 0. Also the cure for a damaged index.
    ///
    /// # Errors
    /// The backend failed.
    fn clear(&self) -> Result<(), IndexError>;
}

/// Keeps durably what an index refuses; why it could not, if so.
pub type KeepRefused<'a> =
    &'a mut dyn FnMut(&[Refused]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A new index that is being filled, to take the place of the present one. Dropping it unfinished
/// gives it up.
pub trait Rebuild: Send {
    /// As [`Index::apply_keeping`], into the new index. Nobody sees it yet.
    ///
    /// # Errors
    /// The backend or `keep` failed: apply the batch again, or give up.
    fn apply_keeping(
        &mut self,
        batch: &[IndexOp],
        cursor: u64,
        keep: KeepRefused<'_>,
    ) -> Result<Applied, IndexError>;

    /// As [`Index::apply`], into the new index.
    ///
    /// # Errors
    /// As there.
    fn apply(&mut self, batch: &[IndexOp], cursor: u64) -> Result<Applied, IndexError> {
        self.apply_keeping(batch, cursor, &mut |_| Ok(()))
    }

    /// Puts the new index in place of the old one, at once and durably. [`Index::cursor`] is from
    /// now on the last one applied here.
    ///
    /// # Errors
    /// The backend failed; the old index stays.
    fn finish(self: Box<Self>) -> Result<(), IndexError>;
}

/// How an index stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexStatus {
    /// What it is, for people: `embedded`, `elasticsearch 8.17.0`.
    pub backend: String,
    /// The mapping its documents were put in with: [`crate::templates::Templates::version`] and the
    /// backend's own format together.
    pub mapping: String,
    /// Why it should be rebuilt: another mapping than that of this program and its templates. It
    /// serves all the same.
    pub rebuild_due: Option<String>,
    /// What keeps it from working now, with the cure where there is one.
    pub trouble: Option<String>,
    /// Why private documents are not in it, where there are some that are not.
    pub kept_out: Option<String>,
}

/// What an index holds of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The document's DID.
    pub did: String,
    /// Its record type; empty where it has none.
    pub record_type: String,
    /// The version it was put in with; `None` where somebody else put it in without one.
    pub version: Option<Version>,
}

/// What the node knows about a document beside its JSON. Never part of what is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who may see it.
    pub readers: Readers,
    /// Which version it is.
    pub version: Version,
    /// The OIP node it came from; `None` for this node's own.
    pub node: Option<String>,
}

/// Who may see a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    Public,
    /// Those who bring one of these tokens ([`Access::Readers`]). What a token stands for is the
    /// node's affair. None at all: only the node itself.
    Only(BTreeSet<String>),
}

/// Reader tokens of one document: an organization's members are one token, so that this is a list of
/// persons that somebody wrote.
pub const READERS_MAX: usize = 1_000;

/// Bytes of a reader token: a DID or a hash.
pub const READER_BYTES_MAX: usize = 256;

/// The highest class of a [`Version`]: servers are told it in two bits.
pub const VERSION_CLASS_MAX: u8 = 3;

/// The order of versions of one record: later wins, by fields in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// How it is vouched for: a better signed version stands above a later one. At most
    /// [`VERSION_CLASS_MAX`].
    pub class: u8,
    /// When it was signed, ms since 1970.
    pub indexed_at_ms: i64,
    /// Counts changes that keep the time.
    pub revision: u64,
    /// SHA-256 of what was signed.
    pub digest: [u8; 32],
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
        /// Readers, version and origin.
        envelope: Envelope,
    },
    /// Removes the document; none there is fine.
    Delete {
        /// The document's identity.
        did: String,
        /// The version that says so.
        version: Version,
    },
}

impl IndexOp {
    /// The document this is about.
    pub fn did(&self) -> &str {
        match self {
            Self::Upsert { did, .. } | Self::Delete { did, .. } => did,
        }
    }

    /// Holds the operation against the limits of this module. Every backend calls this first, and writes
    /// what it gives: the document as JSON text, or `None` for a deletion.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub(crate) fn admitted(&self) -> Result<Option<String>, RefusalReason> {
        let bytes = self.did().len();
        if bytes == 0 || bytes > DID_BYTES_MAX {
            return Err(RefusalReason::DidLength { bytes });
        }
        let Self::Upsert {
            document, envelope, ..
        } = self
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
        match text.len() > DOCUMENT_BYTES_MAX {
            true => Err(RefusalReason::DocumentTooLarge { bytes: text.len() }),
            false => Ok(Some(text)),
        }
    }
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

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The operations that were not taken, in order; empty when all were. The
    /// document held before, if any, stays.
    pub refused: Vec<Refused>,
}

impl Applied {
    /// Has the refusals kept, if there are any: every backend does so before it moves its cursor.
    pub(crate) fn keep_refused(&self, keep: KeepRefused<'_>) -> Result<(), IndexError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        keep(&self.refused).map_err(|source| IndexError::Backend {
            action: "keep what is refused",
            source,
        })
    }
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
    /// The readers are more than [`READERS_MAX`], or one is longer than [`READER_BYTES_MAX`].
    #[error("a document has at most {READERS_MAX} readers of at most {READER_BYTES_MAX} bytes")]
    Readers,
    /// The server refused it, in its own words.
    #[error("{0}")]
    Backend(String),
}

impl RefusalReason {
    /// The name of the reason, for counters and lists.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::DidLength { .. } => "index-did-length",
            Self::DocumentTooLarge { .. } => "index-document-too-large",
            Self::DocumentTooDeep { .. } => "index-document-too-deep",
            Self::Readers => "index-readers",
            Self::Backend(_) => "index-refused",
        }
    }
}

/// One page of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// How many documents fit the query, on all pages.
    pub total: u64,
    /// The hits of this page, in order.
    pub hits: Vec<Hit>,
    /// Where the next page begins; `None` where there is none.
    pub next: Option<Cursor>,
    /// The counts that were asked for, in the order in which they were.
    pub facets: Vec<FacetCounts>,
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
    /// What was found in it, field by field, where the query asks for it.
    pub highlights: Vec<Fragments>,
}
