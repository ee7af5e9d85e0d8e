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
    // Eight at a time, so that each multiplication does not wait for the one before.
    let (blocks, rest) = text.as_bytes().as_chunks::<8>();
    let hash = blocks.iter().fold(0_i32, |hash, block| {
        let own = (block.iter().zip(POWERS)).fold(0_i32, |sum, (byte, power)| {
            sum.wrapping_add(i32::from(*byte).wrapping_mul(power))
        });
        hash.wrapping_mul(EIGHTH).wrapping_add(own)
    });
    rest.iter()
        .fold(hash, |hash, byte| step(hash, u16::from(*byte)))
}

/// 31 to the power 8.
const EIGHTH: i32 = 31_i32.wrapping_pow(8);

/// 31 to the powers 7 to 0.
const POWERS: [i32; 8] = [
    31_i32.wrapping_pow(7),
    887_503_681,
    28_629_151,
    923_521,
    29_791,
    961,
    31,
    1,
];

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
