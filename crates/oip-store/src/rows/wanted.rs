//! Wanted souls: a row per soul, and beside it an empty row that sorts by due time.
//!
//! Also holds what the wanted table and the quarantine share: the due rows.

use gun::Soul;

use super::Fault;
use super::field::{Reader, push_int, push_int_option, push_text_option};
use super::record::decode_soul;
use crate::model::WantedRow;
use crate::tables::Table;

const VERSION: u8 = 1;

/// Mark of the rows by soul, the first byte of the key.
pub(crate) const BY_SOUL: u8 = b's';
/// Mark of the rows by due time.
pub(crate) const BY_DUE: u8 = b'd';

/// Row key by soul.
pub(crate) fn soul_row(soul: &Soul) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + soul.as_str().len());
    row.push(BY_SOUL);
    row.extend_from_slice(soul.as_str().as_bytes());
    row
}

/// Row key by due time: big-endian, so that rows sort by it.
pub(crate) fn due_row(due_ms: u64, soul: &Soul) -> Vec<u8> {
    let mut row = due_from(due_ms);
    row.extend_from_slice(soul.as_str().as_bytes());
    row
}

/// Where the rows due at this time begin.
pub(crate) fn due_from(due_ms: u64) -> Vec<u8> {
    let mut row = vec![BY_DUE];
    row.extend_from_slice(&due_ms.to_be_bytes());
    row
}

/// The time of a due row of the wanted list; `None` for any other row.
pub(crate) fn due_of(table: Table, row: &[u8]) -> Option<u64> {
    if table != Table::Wanted {
        return None;
    }
    parse_due(row).ok().map(|(due_ms, _)| due_ms)
}

/// The time and soul of a due row.
pub(crate) fn parse_due(row: &[u8]) -> Result<(u64, Soul), Fault> {
    let mut reader = Reader::new(row);
    reader.version(BY_DUE)?;
    let due_ms = u64::from_be_bytes(reader.array()?);
    Ok((due_ms, decode_soul(reader.rest())?))
}

/// The soul of a row by soul.
pub(crate) fn parse_soul(row: &[u8]) -> Result<Soul, Fault> {
    let mut reader = Reader::new(row);
    reader.version(BY_SOUL)?;
    decode_soul(reader.rest())
}

/// The value of a row by soul.
pub(crate) fn encode(row: &WantedRow) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    out.push(VERSION);
    push_int(&mut out, row.due_ms);
    push_int(&mut out, row.generation);
    push_int(&mut out, u64::from(row.attempts));
    push_int_option(&mut out, row.at_ms);
    push_text_option(&mut out, row.record_type.as_deref());
    push_text_option(&mut out, row.reason.as_deref());
    out
}

/// Undoes [`encode`].
pub(crate) fn decode(soul: Soul, row: &[u8]) -> Result<WantedRow, Fault> {
    let mut reader = Reader::new(row);
    reader.version(VERSION)?;
    let row = WantedRow {
        soul,
        due_ms: reader.int()?,
        generation: reader.int()?,
        attempts: reader.int_u32()?,
        at_ms: reader.int_option()?,
        record_type: reader.string_option()?,
        reason: reader.string_option()?,
    };
    reader.end()?;
    Ok(row)
}
