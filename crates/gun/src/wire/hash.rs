//! The 32-bit hash by which gun.js peers tell that two answers are the same.
//!
//! Only for saving a repeated answer; nothing may be decided by it, since collisions are easy
//! to make.

use super::encode::encode_graph;
use crate::graph::Graph;

/// Java's `String.hashCode` over UTF-16 units.
#[must_use]
pub fn text_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// `##` of an answer: the hash of the text of its `put`, members sorted.
#[must_use]
pub fn graph_hash(graph: &Graph) -> i32 {
    let mut text = String::new();
    encode_graph(&mut text, graph);
    text_hash(&text)
}
