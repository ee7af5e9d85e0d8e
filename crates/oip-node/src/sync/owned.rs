//! Whose a record was when its owner deleted it (`trust-and-privacy` 3.8): what tells that his tombstone stands, and
//! what may still take its place.
//!
//! Owns the mark that keeps it. The version that named him is gone with the deletion, and nothing in a tombstone proves
//! it: a node believes what it has seen, and its backup carries that.

use gun::Soul;
use oip_record::order::{Order, SignatureClass};
use oip_record::owner::{Owned, OwnerKey, named_in};
use oip_record::verify::Accepted;
use oip_store::{Op, ReadError, RecordRow, Store};
use serde_json::Value;

use super::judge::order_of;
use crate::soul_mark::soul_mark;

/// What the names of such marks begin with.
pub(crate) const PREFIX: &str = "owned:";

/// Whom what is held names as its owner: the version itself, or, of an owner's tombstone, the one that he deleted.
pub(super) fn of(store: &Store, held: &RecordRow) -> Result<Option<Owned>, ReadError> {
    // A deployed signature covers neither time nor place, so that its data names an owner of nothing in particular.
    if held.class != SignatureClass::Ours.to_u8() {
        return Ok(None);
    }
    if held.deleted {
        return match is_an_owners(held) {
            true => remembered(store, &held.soul),
            false => Ok(None),
        };
    }
    let data: Option<Value> = held
        .data
        .as_deref()
        .and_then(|data| serde_json::from_str(data).ok());
    let by = data.as_ref().and_then(named_in);
    Ok(by.map(|by| Owned {
        by,
        order: order_of(held),
    }))
}

/// Whom the last version named that was held before its owner deleted it.
pub(super) fn remembered(store: &Store, soul: &Soul) -> Result<Option<Owned>, ReadError> {
    Ok(store.cursor(&mark(soul))?.as_deref().and_then(read))
}

/// Whether what is known here names the owner who signed a tombstone.
pub(crate) fn is_by_its_owner(store: &Store, tombstone: &Accepted) -> Result<bool, ReadError> {
    let owned = match store.record(&tombstone.soul)? {
        Some(held) => of(store, &held)?,
        None => remembered(store, &tombstone.soul)?,
    };
    Ok(owned.is_some_and(|owned| tombstone.deleted_by == Some(owned.by)))
}

/// Notes whose the record was, with the tombstone that its owner signed.
pub(crate) fn noted(
    store: &Store,
    tombstone: &Accepted,
    held: Option<&RecordRow>,
) -> Result<Option<Op>, ReadError> {
    let Some(held) = held.filter(|_| tombstone.deleted_by.is_some()) else {
        return Ok(None);
    };
    Ok(of(store, held)?.map(|owned| Op::SetCursor {
        name: mark(&held.soul),
        value: written(&owned),
    }))
}

/// Whether a row is a tombstone that an owner signed.
pub(crate) fn is_an_owners(row: &RecordRow) -> bool {
    row.deleted
        && serde_json::from_str::<Value>(&row.oip).is_ok_and(|oip| oip["deletedBy"].is_object())
}

/// Names the mark of a soul.
pub(crate) fn mark(soul: &Soul) -> String {
    soul_mark(PREFIX, soul)
}

/// Time, revision, digest, then the key's digits.
fn written(owned: &Owned) -> Vec<u8> {
    let Order {
        at_ms,
        revision,
        digest,
    } = owned.order;
    let mut bytes = at_ms.to_be_bytes().to_vec();
    bytes.extend(revision.to_be_bytes());
    bytes.extend(digest);
    bytes.extend(owned.by.as_str().as_bytes());
    bytes
}

fn read(bytes: &[u8]) -> Option<Owned> {
    let (at_ms, rest) = bytes.split_first_chunk()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (digest, key) = rest.split_first_chunk()?;
    Some(Owned {
        by: OwnerKey::read(std::str::from_utf8(key).ok()?)?,
        order: Order {
            at_ms: i64::from_be_bytes(*at_ms),
            revision: u64::from_be_bytes(*revision),
            digest: *digest,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        for digits in ["02".to_owned() + &"ab".repeat(32), "1f".repeat(512)] {
            let owned = Owned {
                by: OwnerKey::read(&digits).unwrap(),
                order: Order {
                    at_ms: -7,
                    revision: u64::MAX,
                    digest: [9; 32],
                },
            };
            let bytes = written(&owned);
            assert_eq!(read(&bytes), Some(owned));
            for cut in [0, 8, 47, 48, 60] {
                assert_eq!(read(&bytes[..cut]), None, "{cut}");
            }
        }
    }
}
