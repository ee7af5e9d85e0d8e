//! Strict reading of JSON, and the text a JavaScript node would write.
//!
//! Records are signed over canonical JSON (RFC 8785), which knows only doubles, and are read by
//! JavaScript nodes, which know only doubles: an integer that a double can't hold is refused
//! here (`docs/adr/001-numbers.md`), as are duplicate members, of which nodes keep different ones.

use serde_json::{Map, Number, Value};

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

/// Reads a submitted text.
///
/// # Errors
/// [`JsonError`] with the first fault.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    unimplemented!()
}
