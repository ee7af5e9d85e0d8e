//! The 32-bit hash by which gun.js peers tell that two answers are the same.
//!
//! Only for saving a repeated answer; nothing may be decided by it, since collisions are easy
//! to make.

use super::encode::encode_graph;
use crate::graph::Graph;

/// Java's `String.hashCode` over UTF-16 units.
#[must_use]
pub fn text_hash(text: &str) -> i32 {
    if !text.is_ascii() {
        return text.encode_utf16().fold(0, step);
    }
    // Sixteen sums beside each other, each over every sixteenth byte, so that no multiplication waits
    // for the one before.
    let (blocks, rest) = text.as_bytes().as_chunks::<LANES>();
    let mut sums = [0_i32; LANES];
    for block in blocks {
        for (sum, byte) in sums.iter_mut().zip(block) {
            *sum = sum.wrapping_mul(STRIDE).wrapping_add(i32::from(*byte));
        }
    }
    let whole = sums
        .iter()
        .fold(0_i32, |hash, sum| hash.wrapping_mul(31).wrapping_add(*sum));
    rest.iter()
        .fold(whole, |hash, byte| step(hash, u16::from(*byte)))
}

const LANES: usize = 16;

/// 31 to the power of [`LANES`].
const STRIDE: i32 = 31_i32.wrapping_pow(16);

fn step(hash: i32, unit: u16) -> i32 {
    hash.wrapping_mul(31).wrapping_add(i32::from(unit))
}

/// `##` of an answer: the hash of the text of its `put`, members sorted.
#[must_use]
pub fn graph_hash(graph: &Graph) -> i32 {
    let mut text = String::new();
    encode_graph(&mut text, graph);
    text_hash(&text)
}
