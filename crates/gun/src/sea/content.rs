//! Content-addressed values (`gun-protocol` 12.6): the key names the hash of the value, so that
//! anybody may put one and nobody can change it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::graph::{Key, Value};
use crate::text;

/// Whether the last part of the key, after any `#`, is the hash of the value: in base64, or in
/// hex digits of either case.
pub(super) fn is_named(key: &Key, value: &Value) -> bool {
    let key = key.as_str();
    let name = key.rsplit('#').next().unwrap_or(key);
    let hash = match value {
        Value::Text(text) => digest(&SHA256, text.as_bytes()),
        other => digest(&SHA256, text::value_text(other).as_bytes()),
    };
    STANDARD.encode(hash) == name || is_hex_of(name, hash.as_ref())
}

fn is_hex_of(name: &str, bytes: &[u8]) -> bool {
    let digit = |at: usize| char::from(name.as_bytes()[at]).to_digit(16);
    name.len() == 2 * bytes.len()
        && bytes.iter().enumerate().all(|(at, byte)| {
            digit(2 * at) == Some(u32::from(byte >> 4))
                && digit(2 * at + 1) == Some(u32::from(byte & 15))
        })
}
