//! What an account of the graph takes up.

use super::Fault;
use super::field::{Reader, push_int};
use crate::model::Usage;

const PREFIX: u8 = b'@';
const VERSION: u8 = 1;

/// Row key of an account in the meta table.
pub(crate) fn row(name: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + name.len());
    row.push(PREFIX);
    row.extend_from_slice(name.as_bytes());
    row
}

pub(crate) fn encode(usage: Usage) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    out.push(VERSION);
    push_int(&mut out, usage.nodes);
    push_int(&mut out, usage.bytes);
    out
}

pub(crate) fn decode(row: &[u8]) -> Result<Usage, Fault> {
    let mut reader = Reader::new(row);
    reader.version(VERSION)?;
    let usage = Usage {
        nodes: reader.int()?,
        bytes: reader.int()?,
    };
    reader.end()?;
    Ok(usage)
}
