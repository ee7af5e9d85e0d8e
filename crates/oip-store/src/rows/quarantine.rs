//! Quarantined records: keys as in the wanted table, and beside them the records that the index refuses.

use gun::Soul;

use super::Fault;
use super::field::{Reader, push_int, push_int_option, push_text, push_text_option};
use super::record::decode_soul;
use super::wanted;
use crate::model::QuarantineRow;

const VERSION: u8 = 1;

/// Mark of the rows of what the index refuses, the first byte of the key.
pub(crate) const UNINDEXED: u8 = b'i';

/// Who refused the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Verification: it is not held.
    Refused,
    /// The index: it is held, and can't be found.
    Unindexed,
}

/// Row key by soul.
pub(crate) fn row_key(kind: Kind, soul: &Soul) -> Vec<u8> {
    let mut row = wanted::soul_row(soul);
    if kind == Kind::Unindexed {
        row[0] = UNINDEXED;
    }
    row
}

/// The soul of a row of what the index refuses.
pub(crate) fn parse_unindexed(row: &[u8]) -> Result<Soul, Fault> {
    let mut reader = Reader::new(row);
    reader.version(UNINDEXED)?;
    decode_soul(reader.rest())
}

/// The value of a row by soul.
pub(crate) fn encode(row: &QuarantineRow) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    push_int_option(&mut out, row.due_ms);
    push_int(&mut out, row.first_ms);
    push_int(&mut out, row.last_ms);
    push_int(&mut out, u64::from(row.attempts));
    push_text(&mut out, &row.reason);
    push_text(&mut out, &row.detail);
    push_text_option(&mut out, row.record_type.as_deref());
    push_text_option(&mut out, row.creator.as_deref());
    push_text_option(&mut out, row.source.as_deref());
    push_text_option(&mut out, row.data.as_deref());
    push_text_option(&mut out, row.oip.as_deref());
    out
}

/// Undoes [`encode`].
pub(crate) fn decode(soul: Soul, row: &[u8]) -> Result<QuarantineRow, Fault> {
    let mut reader = Reader::new(row);
    reader.version(VERSION)?;
    let row = QuarantineRow {
        soul,
        due_ms: reader.int_option()?,
        first_ms: reader.int()?,
        last_ms: reader.int()?,
        attempts: reader.int_u32()?,
        reason: reader.text()?.to_owned(),
        detail: reader.text()?.to_owned(),
        record_type: reader.string_option()?,
        creator: reader.string_option()?,
        source: reader.string_option()?,
        data: reader.arc_option()?,
        oip: reader.arc_option()?,
    };
    reader.end()?;
    Ok(row)
}
