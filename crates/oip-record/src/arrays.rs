//! Arrays as JSON texts, and back exactly.
//!
//! GUN holds no arrays, and deployed nodes write each as its JSON text. Which texts were arrays
//! is told by an explicit, signed list of JSON Pointers (RFC 6901), never by looking at a text:
//! a chat message may be JSON itself. The deployed heuristic is kept for records without a list.

use serde_json::Value;

use crate::json;

/// Why `oip.arrays` does not fit the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArraysError {
    /// Not a JSON Pointer through objects, or it leads to no value.
    #[error("the pointer `{0}` leads to nothing")]
    Nowhere(String),
    /// It leads to a value that is neither an array nor the text of one.
    #[error("the value at `{0}` is not the text of an array")]
    NotAnArray(String),
}

/// Replaces every array by its JSON text and lists where they stood, in the order of the data.
/// Arrays and objects inside an array stay inside its text.
#[must_use]
pub fn pack(value: &Value) -> (Value, Vec<String>) {
    let mut pointers = Vec::new();
    let packed = pack_at(value, Value::to_string, &mut String::new(), &mut pointers);
    (packed, pointers)
}

/// Replaces every array by its text as deployed nodes write it; `None` if there is none.
#[must_use]
pub fn repack(value: &Value) -> Option<Value> {
    let mut pointers = Vec::new();
    let packed = pack_at(
        value,
        json::javascript_text,
        &mut String::new(),
        &mut pointers,
    );
    (!pointers.is_empty()).then_some(packed)
}

fn pack_at(
    value: &Value,
    text: fn(&Value) -> String,
    path: &mut String,
    pointers: &mut Vec<String>,
) -> Value {
    match value {
        Value::Array(_) => {
            pointers.push(path.clone());
            Value::String(text(value))
        }
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| {
                let parent_length = path.len();
                path.push('/');
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
                let packed = pack_at(member, text, path, pointers);
                path.truncate(parent_length);
                (name.clone(), packed)
            })
            .collect(),
        other => other.clone(),
    }
}

/// Undoes [`pack`]. A value that is already an array stays: a deployed hop may have parsed it,
/// and the signature covers the typed value.
///
/// # Errors
/// [`ArraysError`] if a pointer leads nowhere, through an array, or to another kind of value.
pub fn unpack(mut value: Value, pointers: &[String]) -> Result<Value, ArraysError> {
    for pointer in pointers {
        let place =
            locate(&mut value, pointer).ok_or_else(|| ArraysError::Nowhere(pointer.clone()))?;
        match place {
            Value::Array(_) => {}
            Value::String(text) => match json::parse(text) {
                Ok(array @ Value::Array(_)) => *place = array,
                _ => return Err(ArraysError::NotAnArray(pointer.clone())),
            },
            _ => return Err(ArraysError::NotAnArray(pointer.clone())),
        }
    }
    Ok(value)
}

/// Follows a pointer through objects only: no packed array stands inside another.
fn locate<'v>(value: &'v mut Value, pointer: &str) -> Option<&'v mut Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    pointer
        .strip_prefix('/')?
        .split('/')
        .try_fold(value, |place, token| {
            let name = token.replace("~1", "/").replace("~0", "~");
            place.as_object_mut()?.get_mut(&name)
        })
}

/// The deployed rule for records without a list, to be applied exactly once: every text that
/// starts with `[`, ends with `]` and is the JSON of an array becomes that array, which is not
/// looked into further (`oip-formats` 1.8).
#[must_use]
pub fn unpack_heuristic(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('[') && text.ends_with(']') => {
            serde_json::from_str(&text).map_or(Value::String(text), Value::Array)
        }
        Value::Array(items) => items.into_iter().map(unpack_heuristic).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, unpack_heuristic(member)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
pub(crate) mod tests;
