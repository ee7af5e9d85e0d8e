//! A submission becomes a signed record: its graph entries, its texts, its index document.

use gun::{Key, Soul, Value as GunValue};
use serde_json::{Map, Value};

use crate::creator::Creator;
use crate::did::Did;
use crate::json::JsonError;
use crate::keys::{CreatorKey, KeyError};
use crate::order::Order;
use crate::privacy;
use crate::soul::LocalIdError;
use crate::template::ShapeError;

/// A record as a user submits it.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The type, such as `post`.
    pub record_type: String,
    /// Names the record among those of its creator; the same one again is an edit.
    pub local_id: Option<String>,
    /// The templates. Read submitted texts with [`crate::json::parse`], which sees what a
    /// parsed value no longer shows.
    pub data: Value,
    /// The request's other parameters, among which access parameters count as flags.
    pub params: Map<String, Value>,
}

/// What a version depends on besides its content.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Signs.
    pub key: &'a CreatorKey,
    /// The clock.
    pub now_ms: i64,
    /// The newest version known for the soul, tombstones included; the new one is stamped after it.
    pub newest_known: Option<Order>,
    /// Makes a local id where none is given.
    pub random: [u8; 16],
    /// The soul of the record that is edited, whatever the width of its prefix.
    pub existing: Option<&'a Soul>,
}

/// A record that is ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Where it lies.
    pub soul: Soul,
    /// Its identifier.
    pub did: Did,
    /// Its type.
    pub record_type: String,
    /// Its maker.
    pub creator: Creator,
    /// What to write into the graph, in one put: the record node, then its meta node.
    pub entries: Vec<(Soul, Vec<(Key, GunValue)>)>,
    /// The packed data; `None` for a tombstone.
    pub data_text: Option<String>,
    /// The packed `oip`.
    pub oip_text: String,
    /// Its place among versions.
    pub order: Order,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The index form, equal to what every other node indexes.
    pub document: Value,
}

/// Why a submission is not published; nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a name for a type.
    #[error("the record type `{0}` is refused: use up to 64 letters, digits, `_` or `-`")]
    RecordType(String),
    /// Not a local id.
    #[error(transparent)]
    LocalId(#[from] LocalIdError),
    /// Not the data of a record.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Not JSON that every node reads alike.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// More arrays than are packed.
    #[error(
        "the record has more than {} arrays: split it",
        crate::limits::ARRAYS_MAX
    )]
    TooManyArrays,
    /// The record asks for privacy, which can't be given.
    #[error(
        "the record asks for privacy by {0}, and private records can't be published yet: nothing of it was written"
    )]
    Private(privacy::Reason),
    /// The record to change belongs to another key.
    #[error("the record belongs to another key: only its creator can change or delete it")]
    NotYours,
    /// The newest version is stamped so far ahead that a later one would be refused elsewhere.
    #[error(
        "the newest version is stamped more than 10 minutes ahead of this node's clock: set the clock, or wait"
    )]
    ClockBehind,
    /// The key failed.
    #[error("the creator key failed")]
    Key(#[source] KeyError),
}

impl Refusal {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::RecordType(_) => "bad-record-type",
            Self::LocalId(_) => "bad-local-id",
            Self::Shape(shape) => shape.label(),
            Self::Json(json) => json.label(),
            Self::TooManyArrays => "too-many-arrays",
            Self::Private(_) => "private",
            Self::NotYours => "not-yours",
            Self::ClockBehind => "clock-behind",
            Self::Key(_) => "key",
        }
    }
}

/// Where a submission will lie; the same for every version with the same local id.
///
/// # Errors
/// [`Refusal::LocalId`].
pub fn soul_for(
    key: &CreatorKey,
    local_id: Option<&str>,
    random: [u8; 16],
) -> Result<Soul, Refusal> {
    unimplemented!()
}

/// Builds a new record, or a new version of one.
///
/// # Errors
/// [`Refusal`] with the first fault.
pub fn build(submission: &Submission, context: &Context<'_>) -> Result<Built, Refusal> {
    unimplemented!()
}

/// Builds the tombstone of the record at `context.existing`.
///
/// # Errors
/// [`Refusal`] if the record is another's or the clock is behind.
pub fn tombstone(record_type: &str, context: &Context<'_>) -> Result<Built, Refusal> {
    unimplemented!()
}
