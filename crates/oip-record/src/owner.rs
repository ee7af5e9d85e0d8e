//! Whom a record names as its owner: the key that may delete it beside its creator (`trust-and-privacy` 3.8).
//!
//! Owns how such a key is read, strictly: a record that names two owners names none.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::order::Order;
use crate::privacy::plain;
use crate::soul::hex;

/// Bytes of a coordinate of a P-256 point.
const COORDINATE_BYTES: usize = 32;

/// An owner's raw public key as hex digits: one text, however the record spells it.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerKey(String);

impl OwnerKey {
    /// Reads a key as access control names it: hex digits of a compressed point or an Ed25519 key, base64url of a raw
    /// key as in `oip.creator`, or a SEA key (`x.y`). `None` for what no signature can be checked with.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // The lengths of Ed25519 keys, of compressed points, and of wallets.
        let is_hex = (matches!(text.len(), 64 | 66) || text.len() >= 512)
            && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex {
            return Some(Self(text.to_ascii_lowercase()));
        }
        if let Some((x, y)) = text.split_once('.') {
            let coordinate = |text: &str| {
                let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
                (bytes.len() == COORDINATE_BYTES).then_some(bytes)
            };
            let (x, y) = (coordinate(x)?, coordinate(y)?);
            // SEC 1: 2 or 3 by the parity of y, then x.
            let parity = y.last().map_or(0, |byte| byte & 1);
            return Some(Self(format!("{}{}", hex(&[2 + parity]), hex(&x))));
        }
        let raw = URL_SAFE_NO_PAD.decode(text).ok()?;
        (matches!(raw.len(), 32 | 33) || raw.len() >= 256).then(|| Self(hex(&raw)))
    }

    /// A key from its raw bytes.
    pub(crate) fn of_raw(raw: &[u8]) -> Self {
        Self(hex(raw))
    }

    /// The hex digits, for a store to keep.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The last version that its creator signed and that named an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The owner.
    pub by: OwnerKey,
    /// That version's place in the order.
    pub order: Order,
}

/// Whom the data names as the owner, in whatever spelling. Nobody, if it names two, or what is no key.
#[must_use]
pub fn named_in(data: &Value) -> Option<OwnerKey> {
    let mut owners = Vec::new();
    for (name, block) in data.as_object()? {
        if !matches!(
            plain(name).as_str(),
            "accesscontrol" | "conversationsession"
        ) {
            continue;
        }
        match block {
            Value::Object(members) => owners.extend(owners_in(members)),
            Value::String(text) => {
                if let Ok(Value::Object(members)) = serde_json::from_str(text) {
                    owners.extend(owners_in(&members));
                }
            }
            _ => {}
        }
    }
    let mut owners = owners.into_iter();
    let first = owners.next()??;
    owners
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

fn owners_in(members: &serde_json::Map<String, Value>) -> Vec<Option<OwnerKey>> {
    let named = |member: &Value| member.as_str().and_then(OwnerKey::read);
    let is_owner = |name: &str| plain(name) == "ownerpublickey";
    members
        .iter()
        .filter(|(name, member)| is_owner(name) && !member.is_null())
        .map(|(_, member)| named(member))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{every_key, wallet};
    use crate::keys::{NodeIdentity, PublicKey};

    #[test]
    fn one_key_is_one_owner_however_it_is_spelled() {
        for key in every_key() {
            let creator = key.creator();
            let owner = OwnerKey::read(&creator.public_key).unwrap();
            assert_eq!(PublicKey::of_creator(creator).unwrap().owner(), owner);
            let digits = owner.as_str().to_ascii_uppercase();
            assert_eq!(OwnerKey::read(&digits), Some(owner));
        }
        let identity = NodeIdentity::from_scalar([2; 32]).unwrap();
        let same = crate::CreatorKey::p256([2; 32]).unwrap();
        assert_eq!(
            OwnerKey::read(identity.public()),
            OwnerKey::read(&same.creator().public_key)
        );
        for nobody in ["", "alice", "did:key:z1", "x.y", "02ab", "a b"] {
            assert_eq!(OwnerKey::read(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn a_record_that_names_two_owners_or_none_has_none() {
        let [one, two] = [1_u8, 2].map(|n| format!("02{}", hex(&[n; 32])));
        let owner = OwnerKey::read(&one);
        for data in [
            json!({"accessControl": {"owner_public_key": one}}),
            json!({"Access_Control": {"ownerPublicKey": one, "created_by": two}}),
            json!({"accessControl": json!({"owner_public_key": one}).to_string()}),
            json!({"conversationSession": {"owner-public-key": one, "ownerPublicKey": null}}),
            json!({"accessControl": {"owner_public_key": one}, "conversationSession": {"owner_public_key": one}}),
        ] {
            assert_eq!(named_in(&data), owner, "{data}");
        }
        for data in [
            json!(null),
            json!({"basic": {"owner_public_key": one}}),
            json!({"accessControl": {"created_by": one}}),
            json!({"accessControl": {"owner_public_key": "alice"}}),
            json!({"accessControl": {"owner_public_key": one, "ownerPublicKey": two}}),
            json!({"accessControl": {"owner_public_key": one, "ownerPublicKey": 1}}),
            json!({"accessControl": {"owner_public_key": one}, "conversationSession": {"owner_public_key": two}}),
        ] {
            assert_eq!(named_in(&data), None, "{data}");
        }
        // The wallet of a deployed node, which fills itself in.
        let data = json!({"accessControl": {"owner_public_key": wallet().creator().public_key}});
        assert!(named_in(&data).is_some());
    }
}
