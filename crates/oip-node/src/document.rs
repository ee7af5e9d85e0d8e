//! Stored rows as what the outside sees of them: index documents and graph values.

use gun::{Key, Value};
use oip_record::{Reject, Verification, document};
use oip_store::RecordRow;

/// The index form of a row: `{data, oip}`, arrays restored.
pub(crate) fn of_row(row: &RecordRow) -> Result<serde_json::Value, Reject> {
    document::of_verified(
        &row.soul,
        row.data.as_deref(),
        &row.oip,
        Verification::from_u8(row.verification).unwrap_or(Verification::Unverified),
    )
}

/// The row's values at its soul, packed, as they were signed.
pub(crate) fn entries_of(row: &RecordRow) -> Vec<(Key, Value)> {
    let data = row.data.clone().map_or(Value::Null, Value::Text);
    [("data", data), ("oip", Value::Text(row.oip.clone()))]
        .into_iter()
        .filter_map(|(key, value)| Some((Key::new(key).ok()?, value)))
        .collect()
}
