//! Which operations an index takes, the same for every backend.

use serde_json::Value;

use crate::index::{
    DID_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX, IndexOp, READER_BYTES_MAX,
    READERS_MAX, Readers, RefusalReason,
};

/// Holds an operation against the bounds; the document's JSON text, or `None` for a deletion.
pub(crate) fn admit(op: &IndexOp) -> Result<Option<String>, RefusalReason> {
    let did = op.did();
    if did.is_empty() || did.len() > DID_BYTES_MAX {
        return Err(RefusalReason::DidLength { bytes: did.len() });
    }
    let IndexOp::Upsert {
        document, envelope, ..
    } = op
    else {
        return Ok(None);
    };
    if let Readers::Only(readers) = &envelope.readers
        && (readers.len() > READERS_MAX || readers.iter().any(|one| one.len() > READER_BYTES_MAX))
    {
        return Err(RefusalReason::Readers);
    }
    let nesting = nesting(document);
    if nesting > DOCUMENT_NESTING_MAX {
        return Err(RefusalReason::DocumentTooDeep { nesting });
    }
    let text = document.to_string();
    match text.len() > DOCUMENT_BYTES_MAX {
        true => Err(RefusalReason::DocumentTooLarge { bytes: text.len() }),
        false => Ok(Some(text)),
    }
}

/// How deep arrays and objects are nested in each other. Walks with a list of its own:
/// the depth is the sender's choice.
fn nesting(document: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(document, 1)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|one| (one, depth + 1))),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}
