//! From graph nodes to the texts of a record, in every layout that was ever written.

use gun::{Node, Soul};
use serde_json::{Map, Value};

use crate::reject::Reject;

/// Whether the data text is the one that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOrigin {
    /// Byte for byte as stored in the graph.
    Stored,
    /// Written anew from parsed JSON or nested nodes: a deployed signature that fails over it
    /// proves nothing.
    Rebuilt,
}

/// How the states of `data` and `oip` compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unity {
    /// Written in one put.
    SamePut,
    /// Different states: they may come from two versions.
    Mixed,
}

/// The texts of a record, read but not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The packed data; `None` if it is null.
    pub data_text: Option<String>,
    /// The packed `oip`.
    pub oip_text: String,
    /// Whether `data_text` is what was signed.
    pub origin: TextOrigin,
    /// Whether both were written together.
    pub unity: Unity,
    /// The `meta` node, if it is at hand: unsigned, hints only.
    pub meta: Map<String, Value>,
}

/// What a node amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// Everything is there.
    Whole(Raw),
    /// Parts have not arrived: fetch the named nodes (or, if none is named, this node again).
    NotYet {
        /// Souls of linked nodes that are missing.
        missing: Vec<Soul>,
    },
}

/// Reads a node as a record. `resolve` looks up linked nodes of the nested layouts.
///
/// # Errors
/// [`Reject::NotOip`] for other graph data, and limits.
pub fn candidate(
    node: &Node,
    resolve: impl Fn(&Soul) -> Option<Node>,
) -> Result<Candidate, Reject> {
    unimplemented!()
}

/// Reads the answer of a deployed relay's `GET /get` (`data` member of it): texts were parsed there.
///
/// # Errors
/// [`Reject::NotOip`], and limits.
pub fn from_relay_json(record: &Value) -> Result<Raw, Reject> {
    unimplemented!()
}
