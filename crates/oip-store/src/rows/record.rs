//! The verified copies of records, and their feed.
//!
//! Record rows have the soul as key. Feed rows have the number, big-endian, as key and the soul
//! as value; each record stands in the feed once, at its newest number.

use std::sync::Arc;

use gun::Soul;

use super::Fault;
use super::field::{Reader, push_int, push_text, push_text_option, unzigzag, zigzag};
use crate::model::RecordRow;

const VERSION: u8 = 1;
const DELETED: u8 = 0x01;
const OWN: u8 = 0x02;

/// The value of a record row.
pub(crate) fn encode(row: &RecordRow) -> Vec<u8> {
    let texts = row.oip.len() + row.data.as_ref().map_or(0, |data| data.len());
    let mut out = Vec::with_capacity(texts + 160);
    out.push(VERSION);
    out.push(if row.deleted { DELETED } else { 0 } | if row.own { OWN } else { 0 });
    out.push(row.class);
    out.push(row.verification);
    push_int(&mut out, row.seq);
    push_int(&mut out, zigzag(row.at_ms));
    push_int(&mut out, row.revision);
    out.extend_from_slice(&row.digest);
    push_int(&mut out, row.first_seen_ms);
    push_text(&mut out, &row.record_type);
    push_text(&mut out, &row.creator);
    push_text_option(&mut out, row.source.as_deref());
    push_text_option(&mut out, row.data.as_deref());
    push_text(&mut out, &row.oip);
    out
}

/// Undoes [`encode`].
pub(crate) fn decode(soul: Soul, row: &[u8]) -> Result<RecordRow, Fault> {
    let mut reader = Reader::new(row);
    reader.version(VERSION)?;
    let flags = reader.byte()?;
    if flags & !(DELETED | OWN) != 0 {
        return Err(Fault("unknown flags"));
    }
    let row = RecordRow {
        soul,
        deleted: flags & DELETED != 0,
        own: flags & OWN != 0,
        class: reader.byte()?,
        verification: reader.byte()?,
        seq: reader.int()?,
        at_ms: unzigzag(reader.int()?),
        revision: reader.int()?,
        digest: reader.array()?,
        first_seen_ms: reader.int()?,
        record_type: reader.text()?.to_owned(),
        creator: reader.text()?.to_owned(),
        source: reader.string_option()?,
        data: reader.arc_option()?,
        oip: Arc::from(reader.text()?),
    };
    reader.end()?;
    Ok(row)
}

/// The number of a record row, without reading the rest.
pub(crate) fn decode_seq(row: &[u8]) -> Result<u64, Fault> {
    let mut reader = Reader::new(row);
    reader.version(VERSION)?;
    reader.bytes(3)?;
    reader.int()
}

/// The number in a feed row's key.
pub(crate) fn decode_feed_key(key: &[u8]) -> Result<u64, Fault> {
    key.try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| Fault("its key is not a number"))
}

/// A soul that fills a key or a value.
pub(crate) fn decode_soul(bytes: &[u8]) -> Result<Soul, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault("its soul is not UTF-8"))?;
    Soul::new(text).map_err(|_| Fault("its soul is not allowed"))
}
