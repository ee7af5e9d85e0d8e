//! Strict reading of JSON, and the text a JavaScript node would write.
//!
//! Records are signed over canonical JSON (RFC 8785), which knows only doubles, and are read by
//! JavaScript nodes, which know only doubles: an integer that a double can't hold is refused
//! here (`docs/adr/001-numbers.md`), as are duplicate members, of which readers keep different
//! ones.

use std::fmt;

use gun::text::{push_json_text, push_number};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a JSON text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON; what the parser says, with line and column.
    #[error("the text is not JSON: {0}")]
    Syntax(String),
    /// An integer that a double can't hold exactly.
    #[error("the number {0} can't be held exactly by a 64-bit float: send it as a string")]
    InexactNumber(String),
    /// A name that stands twice in one object.
    #[error("the member `{0}` stands twice in one object: remove one")]
    DuplicateMember(String),
}

impl JsonError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "not-json",
            Self::InexactNumber(_) => "inexact-number",
            Self::DuplicateMember(_) => "duplicate-member",
        }
    }
}

/// Reads one JSON text, strictly. Numbers with a fraction or an exponent are taken as the
/// nearest double, as every JSON reader takes them.
///
/// # Errors
/// [`JsonError`] with the first fault.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut duplicate = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let parsed = Strict {
        duplicate: &mut duplicate,
    }
    .deserialize(&mut reader);
    let value = parsed
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| match duplicate {
            Some(name) => JsonError::DuplicateMember(name),
            None => JsonError::Syntax(error.to_string()),
        })?;
    check_integer_texts(text)?;
    Ok(value)
}

/// Checks the integers of a value that was parsed elsewhere. Integers beyond 64 bits have
/// already become doubles there; [`parse`] sees those too.
///
/// # Errors
/// [`JsonError::InexactNumber`] with the first fault.
pub fn check_numbers(value: &Value) -> Result<(), JsonError> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            if number.is_f64() || is_kept(&text) {
                Ok(())
            } else {
                Err(JsonError::InexactNumber(text))
            }
        }
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(members) => members.values().try_for_each(check_numbers),
        _ => Ok(()),
    }
}

/// The text that `JSON.stringify` makes of a value after `JSON.parse`: JavaScript's number
/// text, and members whose names are array indexes first, in their numeric order.
#[must_use]
pub fn javascript_text(value: &Value) -> String {
    let mut out = String::new();
    push_javascript(&mut out, value);
    out
}

fn push_javascript(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        // Without arbitrary precision every number has a double.
        Value::Number(number) => push_number(out, number.as_f64().unwrap_or_default()),
        Value::String(text) => push_json_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_javascript(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| array_index(name).unwrap_or(u32::MAX));
            out.push('{');
            for (at, (name, member)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_json_text(out, name);
                out.push(':');
                push_javascript(out, member);
            }
            out.push('}');
        }
    }
}

/// The number, if the name is an array index of ECMAScript: 0 to 2^32 - 2 in plain decimal.
fn array_index(name: &str) -> Option<u32> {
    let plain =
        name == "0" || name.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse()
        .ok()
        .filter(|&index: &u32| plain && digits && index < u32::MAX)
}

/// Looks at the integer literals of a text that is known to be JSON.
fn check_integer_texts(text: &str) -> Result<(), JsonError> {
    // Up to 15 digits always fit.
    const DIGITS_SAFE: usize = 15;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(&inside) = bytes.get(at) {
                    match inside {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..]
                    .iter()
                    .take_while(|b| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                    .count();
                let literal = &text[at..at + length];
                if length > DIGITS_SAFE && !is_kept(literal) {
                    return Err(JsonError::InexactNumber(literal.chars().take(80).collect()));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// Whether a JavaScript node reads and writes the literal without changing it: always, if it has a
/// fraction or an exponent (then it means the nearest double); an integer, if the double has exactly
/// that value, or if it is the text that JavaScript writes for the double (`35596377571141054000`).
fn is_kept(literal: &str) -> bool {
    let is_integer = literal
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_digit());
    !is_integer
        || literal.parse::<f64>().is_ok_and(|double| {
            let mut javascript = String::new();
            push_number(&mut javascript, double);
            // Rust prints the exact decimal expansion of a double.
            javascript == literal || format!("{double:.0}") == literal
        })
}

/// Builds a [`Value`] and remembers the first duplicate member.
struct Strict<'a> {
    duplicate: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Strict {
            duplicate: self.duplicate,
        })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let member = access.next_value_seed(Strict {
                duplicate: self.duplicate,
            })?;
            if members.contains_key(&name) {
                *self.duplicate = Some(name);
                return Err(A::Error::custom("duplicate member"));
            }
            members.insert(name, member);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_json_is_read_as_everywhere() {
        for text in [
            "null",
            "[]",
            "{}",
            "[1,-2.5,1e300,\"a\\u0000\\ud83d\\ude00\",{\"b\":[true,false]}]",
            "\"\"",
        ] {
            assert_eq!(
                parse(text).unwrap(),
                serde_json::from_str::<Value>(text).unwrap()
            );
        }
    }

    #[test]
    fn integers_that_a_double_cannot_hold_are_refused() {
        for (text, shown) in [
            ("9007199254740993", "9007199254740993"),
            ("[{\"a\":-9007199254740993}]", "-9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551617", "18446744073709551617"),
            (
                "{\"\\\"1\":[0,123456789012345678901234567890]}",
                "123456789012345678901234567890",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, JsonError::InexactNumber(shown.into()), "{text}");
            assert_eq!(error.label(), "inexact-number");
            assert_eq!(
                error.to_string(),
                format!(
                    "the number {shown} can't be held exactly by a 64-bit float: send it as a string"
                )
            );
        }
        for value in [
            json!(u64::MAX),
            json!([i64::MIN + 1]),
            json!({"a": 9_007_199_254_740_993_u64}),
        ] {
            assert_eq!(
                check_numbers(&value).unwrap_err().label(),
                "inexact-number",
                "{value}"
            );
        }
    }

    #[test]
    fn every_number_that_a_double_holds_is_taken() {
        for text in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740994",
            "18446744073709551616",
            "35596377571141054000",
            "12345678901234567000",
            "9223372036854775808",
            "-9223372036854775808",
            "100000000000000000000",
            "1e308",
            "5e-324",
            "-0",
            "-0.0",
            "0.1234567890123456789",
            "1.7976931348623157e308",
            "\"9007199254740993\"",
            "\"\\\\\"",
            "[\"\\\"\",9007199254740992]",
        ] {
            let value = parse(text).unwrap();
            check_numbers(&value).unwrap();
        }
    }

    #[test]
    fn duplicate_members_are_refused() {
        let error = parse("{\"a\":{\"b\":1,\"b\":2}}").unwrap_err();
        assert_eq!(error, JsonError::DuplicateMember("b".into()));
        assert_eq!(error.label(), "duplicate-member");
        assert_eq!(
            error.to_string(),
            "the member `b` stands twice in one object: remove one"
        );
        assert!(parse("{\"a\":1,\"A\":2,\"b\":{\"a\":1}}").is_ok());
    }

    #[test]
    fn broken_json_is_refused_with_its_place() {
        for text in [
            "",
            "{",
            "{\"a\":}",
            "[1,]",
            "{} x",
            "NaN",
            "1e400",
            "\"\\ud800\"",
            "01",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.label(), "not-json", "{text}");
            assert!(
                error.to_string().starts_with("the text is not JSON: "),
                "{error}"
            );
            assert!(error.to_string().contains("line 1"), "{error}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        assert_eq!(parse(&"[".repeat(100_000)).unwrap_err().label(), "not-json");
    }

    #[test]
    fn the_javascript_text_has_its_numbers_and_member_order() {
        let text = "{\"b\":1.0,\"10\":1e21,\"2\":[-0.0,5e-324],\"01\":\"\\u0007/\",\"4294967295\":null,\"a\":true}";
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            javascript_text(&value),
            "{\"2\":[0,5e-324],\"10\":1e+21,\"b\":1,\"01\":\"\\u0007/\",\"4294967295\":null,\"a\":true}"
        );
    }
}
