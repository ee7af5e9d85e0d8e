//! Arrays as JSON texts, and back exactly, by an explicit list of JSON Pointers (RFC 6901).

use serde_json::Value;

/// Why `oip.arrays` does not fit the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArraysError {
    /// Not a JSON Pointer, or it leads nowhere.
    #[error("the pointer `{0}` leads to nothing")]
    Nowhere(String),
    /// It leads to a value that is neither an array nor the text of one.
    #[error("the value at `{0}` is not the text of an array")]
    NotAnArray(String),
}

/// Replaces every array by its JSON text; inner arrays stay inside that text.
#[must_use]
pub fn pack(value: &Value) -> (Value, Vec<String>) {
    unimplemented!()
}

/// Undoes [`pack`].
///
/// # Errors
/// [`ArraysError`] if a pointer does not fit.
pub fn unpack(value: Value, pointers: &[String]) -> Result<Value, ArraysError> {
    unimplemented!()
}

/// The deployed rule for records without a list, applied exactly once: every text that starts
/// with `[`, ends with `]` and is the JSON of an array becomes that array.
#[must_use]
pub fn unpack_heuristic(value: Value) -> Value {
    unimplemented!()
}
