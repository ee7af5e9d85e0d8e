//! Row keys of the graph: a soul, and a key of it.
//!
//! A soul is its UTF-8 bytes with U+0000 written as `00 FF`, ended by `00`; a key follows as
//! plain bytes. UTF-8 never holds `FF`, so the end can't be mistaken, rows sort by soul and then
//! by key in byte order, and all rows of a soul stand together, the node's own row first.

use gun::{Key, Soul};

use super::Fault;

const END: u8 = 0x00;
const ESCAPED: u8 = 0xff;
/// Above the first byte of any UTF-8 text, below [`ESCAPED`].
const AFTER_KEYS: u8 = 0xf8;

fn push_soul_bytes(out: &mut Vec<u8>, soul: &[u8]) {
    for &byte in soul {
        out.push(byte);
        if byte == END {
            out.push(ESCAPED);
        }
    }
}

/// Row key of a node's own row; with a key's bytes appended, of a key's row.
pub(crate) fn node_row(soul: &Soul) -> Vec<u8> {
    let mut row = Vec::with_capacity(soul.as_str().len() + 1);
    push_soul_bytes(&mut row, soul.as_str().as_bytes());
    row.push(END);
    row
}

/// Row key of one key of a node.
pub(crate) fn key_row(soul: &Soul, key: &Key) -> Vec<u8> {
    let mut row = Vec::with_capacity(soul.as_str().len() + 1 + key.as_str().len());
    push_soul_bytes(&mut row, soul.as_str().as_bytes());
    row.push(END);
    row.extend_from_slice(key.as_str().as_bytes());
    row
}

/// Where souls that start with `prefix` begin.
pub(crate) fn souls_from(prefix: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(prefix.len());
    push_soul_bytes(&mut row, prefix.as_bytes());
    row
}

/// Just behind the last row of a soul, before any row of the next.
pub(crate) fn behind_soul(soul: &Soul) -> Vec<u8> {
    let mut row = node_row(soul);
    row.push(AFTER_KEYS);
    row
}

/// Splits a row key into the soul and the key; no key means the node's own row.
pub(crate) fn parse(row: &[u8]) -> Result<(Soul, Option<Key>), Fault> {
    let (soul, key) = parse_soul(row)?;
    if key.is_empty() {
        return Ok((soul, None));
    }
    let key = std::str::from_utf8(key).map_err(|_| Fault("its key is not UTF-8"))?;
    let key = Key::new(key).map_err(|_| Fault("its key is not allowed"))?;
    Ok((soul, Some(key)))
}

/// Splits a row key into the soul and the bytes of the key.
pub(crate) fn parse_soul(row: &[u8]) -> Result<(Soul, &[u8]), Fault> {
    let mut soul = Vec::with_capacity(row.len());
    let mut bytes = row.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        if byte == END {
            if row.get(at + 1) == Some(&ESCAPED) {
                bytes.next();
            } else {
                let soul = String::from_utf8(soul).map_err(|_| Fault("its soul is not UTF-8"))?;
                let soul = Soul::new(soul).map_err(|_| Fault("its soul is not allowed"))?;
                return Ok((soul, &row[at + 1..]));
            }
        }
        soul.push(byte);
    }
    Err(Fault("its soul has no end"))
}
