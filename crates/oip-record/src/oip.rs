//! The `oip` member of a record: what it says of itself.

use serde_json::{Map, Value};

use crate::creator::Creator;
use crate::stamp::Stamp;

/// The members of `oip` that have a meaning here; all others are carried in `extra`.
#[derive(Debug, Clone, PartialEq)]
pub struct Oip {
    /// `ver`, such as `0.8.0`.
    pub ver: String,
    /// `recordType`.
    pub record_type: String,
    /// `indexedAt`; old nested records may lack it.
    pub indexed_at: Option<Stamp>,
    /// `creator`.
    pub creator: Creator,
    /// `did`, which deployed nodes sometimes write for another soul.
    pub did: Option<String>,
    /// `revision`; 0 if absent.
    pub revision: u64,
    /// `level`, such as `public`.
    pub level: Option<String>,
    /// `arrays`: JSON Pointers of the arrays packed as texts.
    pub arrays: Option<Vec<String>>,
    /// `deleted`: a tombstone.
    pub deleted: bool,
    /// `scheme`: the name of our signature scheme.
    pub scheme: Option<String>,
    /// `signature`, base64.
    pub signature: Option<String>,
    /// Every other member, untouched.
    pub extra: Map<String, Value>,
}
