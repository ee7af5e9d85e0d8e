//! The text forms on which peers must agree: numbers as ECMAScript prints them, values as
//! `JSON.stringify` writes them, and the order of texts by UTF-16 code units.

use std::cmp::Ordering;

use crate::graph::Value;

/// Appends a finite number as ECMAScript's `Number::toString` prints it:
/// `1e+21`, `1e-7`, `0.000001`, `-0` as `0`.
pub fn push_number(out: &mut String, number: f64) {
    out.push_str(ryu_js::Buffer::new().format_finite(number));
}

/// Appends a text as `JSON.stringify` writes it, quotes included: only `"`, `\` and
/// U+0000..U+001F are escaped.
pub fn push_json_text(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends what stands between the quotes of a JSON text.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    let mut plain_from = 0;
    while let Some(found) = first_escaped(&text.as_bytes()[plain_from..]) {
        let at = plain_from + found;
        let byte = text.as_bytes()[at];
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x09 => "\\t",
            0x0a => "\\n",
            0x0c => "\\f",
            0x0d => "\\r",
            _ => "",
        };
        out.push_str(&text[plain_from..at]);
        if short.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push_str(short);
        }
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
}

/// Bytes of what [`push_json_text`] would append.
pub(crate) fn json_text_len(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let mut len = 2 + text.len();
    while let Some(at) = first_escaped(rest) {
        len += match rest[at] {
            b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 1,
            _ => 5,
        };
        rest = &rest[at + 1..];
    }
    len
}

/// Where the first byte stands that is escaped: a control character, `"` or `\`. Looks at 16 bytes
/// at a time, since most texts hold none for long.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    let is_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let (blocks, rest) = bytes.as_chunks::<16>();
    for (number, block) in blocks.iter().enumerate() {
        // Without a branch for each byte, so that the compiler takes the block at once.
        if block
            .iter()
            .fold(false, |any, byte| any | is_escaped(*byte))
        {
            let within = block.iter().position(|byte| is_escaped(*byte))?;
            return Some(16 * number + within);
        }
    }
    let within = rest.iter().position(|byte| is_escaped(*byte))?;
    Some(16 * blocks.len() + within)
}

/// Appends the JSON text of a value as `JSON.stringify` writes it.
pub fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => push_number(out, *number),
        Value::Text(text) => push_json_text(out, text),
        Value::Link(soul) => {
            out.push_str("{\"#\":");
            push_json_text(out, soul.as_str());
            out.push('}');
        }
    }
}

/// The JSON text of a value.
#[must_use]
pub fn value_text(value: &Value) -> String {
    let mut out = String::new();
    push_value(&mut out, value);
    out
}

/// Compares two texts as JavaScript does, by UTF-16 code units. This differs from the order
/// of code points only where a character above U+FFFF meets one in U+E000..U+FFFF.
#[must_use]
pub fn compare_utf16(left: &str, right: &str) -> Ordering {
    let first_difference = left.bytes().zip(right.bytes()).position(|(l, r)| l != r);
    let Some(at) = first_difference else {
        return left.len().cmp(&right.len());
    };
    // Step back to the start of the character that differs.
    let start = (0..=at)
        .rev()
        .find(|&i| left.is_char_boundary(i))
        .unwrap_or(0);
    match (left[start..].chars().next(), right[start..].chars().next()) {
        (Some(l), Some(r)) => {
            let (mut l_units, mut r_units) = ([0; 2], [0; 2]);
            l.encode_utf16(&mut l_units)
                .cmp(&r.encode_utf16(&mut r_units))
        }
        (l, r) => l.is_some().cmp(&r.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_length_of_a_json_text_is_known_beforehand(text in "[\\x00-\\x24a\\\\é😀]{0,80}") {
            let mut written = String::new();
            push_json_text(&mut written, &text);
            prop_assert_eq!(json_text_len(&text), written.len());
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
