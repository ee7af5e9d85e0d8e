//! Signed user spaces (`gun-protocol` 12): whose a soul is, and whether a value was signed by him.
//!
//! Owns the rule that nothing enters a user's space without that user's signature. A value that
//! another key signed is refused; certificates are not accepted by this version.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::value::RawValue;

use crate::graph::{Entry, Graph, Soul, State, Value};
use crate::text;
use crate::wire::Reject;

/// Checks every value of a graph that lies in a user's space. Other souls pass.
///
/// # Errors
/// [`Reject::Unverified`] for the first value that its owner has not signed, or an alias that
/// does not lead to its own key.
pub fn verify(graph: &Graph) -> Result<(), Reject> {
    for node in graph.iter().filter(|node| node.soul.as_str().contains('~')) {
        let admitted = if node.soul.as_str().starts_with("~@") {
            node.entries.iter().all(is_alias)
        } else {
            match owner(node.soul.as_str()) {
                Some(owner) => node
                    .entries
                    .iter()
                    .all(|entry| is_owners(&node.soul, &owner, entry)),
                None => true,
            }
        };
        if !admitted {
            return Err(Reject::Unverified);
        }
    }
    Ok(())
}

/// The public key (`x.y`) of the user whose space a soul lies in.
#[must_use]
pub fn owner(soul: &str) -> Option<String> {
    let (_, after) = soul.split_once('~')?;
    let space = after.split('~').next().unwrap_or(after);
    let is_key_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if space.starts_with('@') {
        return None;
    }
    let mut parts = space.split(|c: char| !is_key_letter(c));
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// In an alias, each value links to the soul that its key names; anybody may add one.
fn is_alias(entry: &Entry) -> bool {
    matches!(&entry.value, Value::Link(soul) if soul.as_str() == entry.key.as_str())
}

fn is_owners(soul: &Soul, owner: &str, entry: &Entry) -> bool {
    let Some(signed) = entry.value.as_text() else {
        return false;
    };
    // The key itself stands unsigned at the top of its space.
    if entry.key.as_str() == "pub" && soul.as_str().strip_prefix('~') == Some(owner) {
        return signed == owner;
    }
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(signed) else {
        return false;
    };
    let Some(value) = parse_value(envelope.value) else {
        return false;
    };
    let message = signed_text(soul, entry.key.as_str(), &value, entry.state);
    verify_text(&message, &envelope.signature, owner)
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(rename = ":", borrow)]
    value: &'a RawValue,
    #[serde(rename = "~", borrow)]
    signature: std::borrow::Cow<'a, str>,
}

/// The text that a user signs for one value: `{"#":soul,".":key,":":value,">":state}`.
#[must_use]
pub fn signed_text(soul: &Soul, key: &str, value: &Value, state: State) -> String {
    let mut out = String::from("{\"#\":");
    text::push_json_text(&mut out, soul.as_str());
    out.push_str(",\".\":");
    text::push_json_text(&mut out, key);
    out.push_str(",\":\":");
    text::push_value(&mut out, value);
    out.push_str(",\">\":");
    text::push_number(&mut out, state.as_f64());
    out.push('}');
    out
}

/// Whether `signature` (64 bytes, standard base64) over the hash of `message` is `owner`'s.
/// GUN hashes the text and signs that hash, which ECDSA hashes once more.
#[must_use]
pub fn verify_text(message: &str, signature: &str, owner: &str) -> bool {
    let Some(key) = point(owner) else {
        return false;
    };
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let hash = digest(&SHA256, message.as_bytes());
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(hash.as_ref(), &signature)
        .is_ok()
}

/// The uncompressed point of a key text `base64url(x).base64url(y)`.
fn point(key: &str) -> Option<Vec<u8>> {
    let (x, y) = key.split_once('.')?;
    let (x, y) = (
        URL_SAFE_NO_PAD.decode(x).ok()?,
        URL_SAFE_NO_PAD.decode(y).ok()?,
    );
    (x.len() == 32 && y.len() == 32).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}

fn parse_value(raw: &RawValue) -> Option<Value> {
    match serde_json::from_str(raw.get()).ok()? {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Bool(flag) => Some(Value::Bool(flag)),
        serde_json::Value::Number(number) => number.as_f64().map(Value::Number),
        serde_json::Value::String(text) => Some(Value::text(text)),
        serde_json::Value::Object(link) if link.len() == 1 => {
            Some(Value::Link(Soul::new(link.get("#")?.as_str()?).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Key, Node};

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!(
            "../../../testdata/vectors/gun/51-sea-vectors.json"
        ))
        .unwrap()
    }

    fn node(wire: &serde_json::Value) -> Node {
        let text = |name: &str| wire[name].as_str().unwrap().to_owned();
        Node {
            soul: Soul::new(text("soul")).unwrap(),
            entries: vec![Entry {
                key: Key::new(text("key")).unwrap(),
                state: State::new(wire["state"].as_f64().unwrap()).unwrap(),
                value: Value::text(text("value")),
            }],
        }
    }

    #[test]
    fn values_signed_by_their_owner_are_admitted_and_altered_ones_are_not() {
        let mut signed_by_owner = 0;
        let vectors = vectors();
        let signed = vectors["wire"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|wire| wire["signedBy"].is_string());
        for wire in signed {
            let good = node(wire);
            let owned = owner(good.soul.as_str()).as_deref() == wire["signedBy"].as_str();
            assert_eq!(verify(&vec![good.clone()]).is_ok(), owned, "{wire}");
            if !owned {
                continue;
            }
            signed_by_owner += 1;
            let mut later = good.clone();
            later.entries[0].state = later.entries[0].state.successor();
            let mut elsewhere = good.clone();
            elsewhere.soul = Soul::new(format!("{}/x", good.soul)).unwrap();
            let mut renamed = good.clone();
            renamed.entries[0].key = Key::new("other").unwrap();
            let mut nulled = good.clone();
            nulled.entries[0].value = Value::Null;
            for bad in [later, elsewhere, renamed, nulled] {
                assert_eq!(
                    verify(&vec![bad.clone()]),
                    Err(Reject::Unverified),
                    "{bad:?}"
                );
            }
        }
        assert!(
            signed_by_owner >= 10,
            "{signed_by_owner} vectors are signed by the owner of the soul"
        );
    }

    #[test]
    fn the_owner_of_a_soul_is_read_from_its_name() {
        for (soul, expected) in [
            ("~a.b", Some("a.b")),
            ("~a.b/c/d", Some("a.b")),
            ("chat~a.b/x", Some("a.b")),
            ("a~b c", Some("b.c")),
            ("~notakey", None),
            ("~@alice", None),
            ("plain", None),
        ] {
            assert_eq!(owner(soul).as_deref(), expected, "{soul}");
        }
    }

    #[test]
    fn an_alias_leads_to_its_own_key_only() {
        let alias = |value: Value| {
            vec![Node {
                soul: Soul::new("~@alice").unwrap(),
                entries: vec![Entry {
                    key: Key::new("~a.b").unwrap(),
                    state: State::from_millis(1),
                    value,
                }],
            }]
        };
        assert!(verify(&alias(Value::Link(Soul::new("~a.b").unwrap()))).is_ok());
        assert!(verify(&alias(Value::Link(Soul::new("~c.d").unwrap()))).is_err());
        assert!(verify(&alias(Value::Null)).is_err());
    }
}
