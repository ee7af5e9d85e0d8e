//! Places between hits: where a page ended, as a text that the next request brings back.
//!
//! A cursor holds the sort values of the last hit and its DID, so that it needs nothing kept between
//! two requests. It bears a mark of the query it belongs to: with another condition or order it would skip
//! hits silently, and is refused. It is not secret and grants nothing: access is judged at each request.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::QueryError;
use crate::query::{Query, SORT_KEYS_MAX};

/// The version of the text; another one is refused, and the caller begins anew.
const VERSION: u8 = 1;

/// Bytes of a cursor's text: four values of 1,024 bytes and a DID of 2,064, escaped and encoded.
pub const CURSOR_BYTES_MAX: usize = 16 * 1024;

/// A place right after one hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    #[serde(rename = "v")]
    version: u8,
    /// Mark of condition and order.
    #[serde(rename = "q")]
    query: u64,
    /// The hit's value for each sort key in force.
    #[serde(rename = "k")]
    keys: Vec<CursorKey>,
    /// The hit's DID, which breaks ties.
    #[serde(rename = "d")]
    did: String,
}

/// The value of one sort key in one hit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CursorKey {
    /// None: it comes last.
    Missing,
    /// A whole number, a date in milliseconds, or a boolean as 0 or 1.
    Integer(i64),
    /// Another number, or a relevance.
    Float(f64),
    /// A text as the backend sorts it.
    Text(String),
}

impl Cursor {
    /// The place right after a hit of `query` with these sort values, one for each key in [`Query::order`].
    #[must_use]
    pub fn after(query: &Query, keys: Vec<CursorKey>, did: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            query: mark(query),
            keys,
            did: did.into(),
        }
    }

    /// The values to go on from, one for each key in [`Query::order`].
    #[must_use]
    pub fn keys(&self) -> &[CursorKey] {
        &self.keys
    }

    /// The DID to go on from.
    #[must_use]
    pub fn did(&self) -> &str {
        &self.did
    }

    /// Whether it belongs to this query.
    ///
    /// # Errors
    /// [`QueryError::ForeignCursor`].
    pub fn check(&self, query: &Query) -> Result<(), QueryError> {
        match self.query == mark(query) && self.keys.len() == query.order().len() {
            true => Ok(()),
            false => Err(QueryError::ForeignCursor),
        }
    }
}

/// A mark of what decides which hits come in which order. Access is left out: it may change between two
/// pages, and the place stays the same.
fn mark(query: &Query) -> u64 {
    let text = format!("{:?} {:?}", query.condition, query.order());
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        out.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(QueryError::BadCursor);
        }
        let json = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| QueryError::BadCursor)?;
        let cursor: Self = serde_json::from_slice(&json).map_err(|_| QueryError::BadCursor)?;
        match cursor.version == VERSION && cursor.keys.len() <= SORT_KEYS_MAX {
            true => Ok(cursor),
            false => Err(QueryError::BadCursor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Direction, FieldPath, SortKey};

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        let query = Query {
            sort: vec![SortKey::field(FieldPath::name(), Direction::Ascending); SORT_KEYS_MAX],
            ..Query::by_text("x")
        };
        let keys = vec![
            CursorKey::Missing,
            CursorKey::Integer(i64::MIN),
            CursorKey::Float(0.1),
            CursorKey::Text("é\"\\".into()),
        ];
        let cursor = Cursor::after(&query, keys, "did:gun:a:b");
        let text = cursor.to_string();
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        let read: Cursor = text.parse().unwrap();
        assert_eq!(read, cursor);
        assert_eq!(read.check(&query), Ok(()));
    }

    #[test]
    fn a_cursor_of_another_query_is_refused() {
        let query = Query::by_text("x");
        let cursor = Cursor::after(&query, vec![CursorKey::Float(1.5)], "did:gun:a");
        assert_eq!(cursor.check(&query), Ok(()));
        let other_page = Query {
            limit: 7,
            ..query.clone()
        };
        assert_eq!(cursor.check(&other_page), Ok(()));
        let other_order = Query {
            sort: vec![SortKey::field(FieldPath::did(), Direction::Ascending)],
            ..query
        };
        for other in [
            Query::by_text("y"),
            Query::of(Condition::Everything),
            other_order,
        ] {
            assert_eq!(cursor.check(&other), Err(QueryError::ForeignCursor));
        }
    }

    #[test]
    fn texts_that_are_no_cursor_are_refused() {
        for text in [
            "",
            "x",
            "e30",
            "bnVsbA",
            "%%%",
            "é",
            &"A".repeat(CURSOR_BYTES_MAX + 1),
        ] {
            assert_eq!(
                text.parse::<Cursor>(),
                Err(QueryError::BadCursor),
                "{text:.20}"
            );
        }
        let later = URL_SAFE_NO_PAD.encode(r#"{"v":2,"q":1,"k":[],"d":"x"}"#);
        assert_eq!(later.parse::<Cursor>(), Err(QueryError::BadCursor));
    }
}
