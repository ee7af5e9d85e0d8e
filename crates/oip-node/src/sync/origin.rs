//! Which node published a record, as far as the registry here tells: what readers are shown as `oip.syncedFromNode`.
//!
//! A hint, and never more: entries are written by anybody. Owns that an entry which comes after its record is still heard,
//! once: what names a node already is not named anew, so that nobody makes us index a record again and again.

use gun::Soul;
use oip_record::verify::Accepted;
use oip_store::{Op, ReadError, RecordRow};

use super::judge::Judge;
use crate::soul_mark::soul_mark;

/// Longest name of a node that is kept beside a record; aliases end at 128.
const NODE_NAME_BYTES_MAX: usize = 256;

/// What a mark holds once a node is named.
const NAMED: &[u8] = &[];

/// The node that the registry here names for a record: a hint, as good as whoever wrote it, and better than the
/// relay between.
pub(super) fn published_by(judge: &Judge, record_type: &str, soul: &Soul) -> Option<String> {
    let target = judge.registry.target(record_type, soul)?;
    let key = gun::Key::new("nodeId").ok()?;
    let (_, value) = judge.store.value(&target, &key).ok()??;
    let named = value
        .as_text()
        .filter(|name| name.len() <= NODE_NAME_BYTES_MAX);
    named.map(str::to_owned)
}

/// Notes that a record bears the name of the peer which brought it, for want of a better one. Of those alone that are
/// shown with it: public documents name nobody.
pub(super) fn unnamed(accepted: &Accepted) -> Option<Op> {
    (!accepted.deleted && !accepted.is_public()).then(|| Op::SetCursor {
        name: mark(&accepted.soul),
        value: vec![1],
    })
}

/// What an entry that came after its record changes.
pub(super) enum Later {
    /// Nothing: the record has its name, or is none that bears one.
    Nothing,
    /// The entry is not here: these nodes of the registry may be asked for.
    Ask(Soul),
    /// The record is written again, with the name.
    Named(Vec<Op>),
}

/// Looks whether a record that is held can now be given the name of the node that published it.
pub(super) fn later(judge: &Judge, soul: &Soul, entry: Option<String>) -> Result<Later, ReadError> {
    let name = mark(soul);
    if judge.store.cursor(&name)?.is_none_or(|mark| mark == NAMED) {
        return Ok(Later::Nothing);
    }
    let Some(held) = judge.store.record(soul)?.filter(|row| !row.deleted) else {
        return Ok(Later::Nothing);
    };
    let named = entry.or_else(|| published_by(judge, &held.record_type, soul));
    let Some(node) = named else {
        let target = judge.registry.target(&held.record_type, soul);
        return Ok(target.map_or(Later::Nothing, Later::Ask));
    };
    let mut ops = vec![
        Op::ExpectRecord {
            soul: soul.clone(),
            seq: Some(held.seq),
        },
        Op::SetCursor {
            name,
            value: NAMED.to_vec(),
        },
    ];
    if held.source.as_deref() != Some(&node) {
        // To the head of the feed, and so into the index.
        ops.push(Op::PutRecord(RecordRow {
            source: Some(node),
            ..held
        }));
    }
    Ok(Later::Named(ops))
}

fn mark(soul: &Soul) -> String {
    soul_mark("unnamed:", soul)
}
