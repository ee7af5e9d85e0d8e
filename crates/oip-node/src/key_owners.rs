//! Whose an encryption key is, and whom a version was shared with after it was made.
//!
//! A user's record proves that he named a key, and not that he has it: for sealing to him that is enough, for reading
//! through a node it is not, or everyone would read what is sealed to a key by naming it. So what counts for reading is
//! whom this node shared with, by name, and elsewhere keys whose holders have proven that they have them.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use gun::Soul;
use oip_record::soul::hex;
use oip_store::{Op, ReadError, RecordRow, Store};
use oip_vault::keys::EncryptionPublic;

use crate::soul_mark::soul_mark;
use crate::statements::Found;
use crate::vault::reader_token;

/// Keys of one owner that are remembered: one a month for eight years.
const KEYS_MAX: usize = 100;

/// What has to be written to remember these.
pub(crate) fn remember(store: &Store, found: &[Found]) -> Result<Vec<Op>, ReadError> {
    let mut ops = Vec::new();
    let mut seen = BTreeSet::new();
    for found in found {
        let id = found.key.id();
        if !seen.insert(id.clone()) {
            continue;
        }
        if of_key(store, &id)?.is_none() {
            ops.push(owner_op(&id, found));
        }
        if found.is_proven {
            ops.extend(keys_op(store, &id, &found.owner)?);
        }
    }
    Ok(ops)
}

fn owner_op(id: &str, found: &Found) -> Op {
    let value = serde_json::json!({"key": found.key.to_text(), "owner": found.owner});
    Op::SetCursor {
        name: key_mark(id),
        value: value.to_string().into_bytes(),
    }
}

/// Adds a key to those of its owner.
fn keys_op(store: &Store, id: &str, owner: &str) -> Result<Option<Op>, ReadError> {
    let mut ids = ids_of(store, owner)?;
    if ids.len() >= KEYS_MAX || ids.iter().any(|known| known == id) {
        return Ok(None);
    }
    ids.push(id.to_owned());
    Ok(Some(Op::SetCursor {
        name: keys_mark(owner),
        value: serde_json::json!(ids).to_string().into_bytes(),
    }))
}

/// The key with this id, and who named it first.
pub(crate) fn of_key(store: &Store, id: &str) -> Result<Option<Found>, ReadError> {
    let stored = store.cursor(&key_mark(id))?;
    Ok(stored.and_then(|bytes| {
        let known: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        Some(Found {
            owner: known["owner"].as_str()?.to_owned(),
            key: EncryptionPublic::from_text(known["key"].as_str()?).ok()?,
            is_proven: false,
        })
    }))
}

/// Whom this version was shared with here after it was made: owners of keys.
pub(crate) fn shared_with(store: &Store, row: &RecordRow) -> Result<BTreeSet<String>, ReadError> {
    let stored = store.cursor(&shared_mark(&row.soul))?;
    let names = stored.and_then(|bytes| {
        let noted: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        // Of an earlier version it says nothing.
        let is_this = noted["at"].as_i64() == Some(row.at_ms);
        is_this.then(|| serde_json::from_value(noted["owners"].clone()).ok())?
    });
    Ok(names.unwrap_or_default())
}

/// Notes whom a version is shared with.
pub(crate) fn shared_op(row: &RecordRow, owners: &BTreeSet<String>) -> Op {
    let value = serde_json::json!({"at": row.at_ms, "owners": owners});
    Op::SetCursor {
        name: shared_mark(&row.soul),
        value: value.to_string().into_bytes(),
    }
}

fn shared_mark(soul: &Soul) -> String {
    soul_mark("shared:", soul)
}

/// The ids of all keys that this owner has proven to have, those that he has replaced included.
pub(crate) fn ids_of(store: &Store, owner: &str) -> Result<Vec<String>, ReadError> {
    let stored = store.cursor(&keys_mark(owner))?;
    Ok(stored
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default())
}

fn key_mark(id: &str) -> String {
    format!("encryption-key:{id}")
}

fn keys_mark(owner: &str) -> String {
    let token = reader_token(owner);
    format!(
        "keys-of:{}",
        hex(digest(&SHA256, token.as_bytes()).as_ref())
    )
}
