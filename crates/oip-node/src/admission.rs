//! Which graph writes the relay port takes from peers, and to whom what they store is charged. Owns
//! the decision by soul shape and the check of signatures; the rules of user spaces (`~…`) are
//! `gun::sea`'s. Refuses by name, so that every refusal can be counted.

use gun::sea::Unavailable;
use gun::wire::Reject;
use gun::{Graph, Key, Node, Soul};
use oip_record::{Candidate, SignaturePolicy, read, verify};
use oip_store::{Account, Store};

use crate::config::{Admission, RelayQuotas};
use crate::registry::Registry;
use crate::sync::decide::passes_on;
use crate::sync::owned;

/// Hex digits of a record soul's prefix: deployed nodes take 12, our own EC keys 32.
const PREFIX_DIGITS: [usize; 2] = [12, 32];

/// Values of one put whose signatures are checked: a tenth of a second of one core. A user's
/// program signs the few values that it changes.
const CHECKED_MAX: usize = 2_000;

/// Decides by shape, which is cheap: all of a put is admitted, or none. Says how many signatures
/// [`verify`] will check.
pub(crate) fn admit(
    admission: Admission,
    registry: &Registry,
    graph: &Graph,
) -> Result<usize, Reject> {
    let mut checked = 0;
    for node in graph {
        let soul = node.soul.as_str();
        let admitted = match admission {
            Admission::Open => true,
            Admission::Oip => is_oip_shaped(soul, registry),
            Admission::Signed => is_record_soul(soul) || registry.owns(soul) || is_provable(soul),
        };
        if !admitted {
            return Err(Reject::NotAdmitted);
        }
        // Whoever looks for a node by its id would be led astray by it.
        let is_false = |entry| registry.false_pointer(soul, entry).is_some();
        if admission != Admission::Open && node.entries.iter().any(is_false) {
            return Err(Reject::Unverified);
        }
        if is_checked(soul) {
            checked += node.entries.len();
        } else if admission == Admission::Signed && is_record_soul(soul) {
            checked += 1;
        }
    }
    if checked > CHECKED_MAX {
        return Err(Reject::TooManyKeys { max: CHECKED_MAX });
    }
    Ok(checked)
}

/// Whether a node of this name may be stored at all, as far as its soul tells.
pub(crate) fn admits(admission: Admission, registry: &Registry, soul: &Soul) -> bool {
    let node = Node {
        soul: soul.clone(),
        entries: Vec::new(),
    };
    admit(admission, registry, &vec![node]).is_ok()
}

/// Checks the signatures of a put that was admitted by its shape. Takes some 60 us for each.
pub(crate) fn verify(
    admission: Admission,
    store: &Store,
    graph: &Graph,
    now_ms: u64,
) -> Result<(), Reject> {
    // Certificates may name lists of those who must not write.
    let look_up = |soul: &Soul, key: &Key| match store.value(soul, key) {
        Ok(value) => Ok(value.map(|(_, value)| value)),
        Err(error) => {
            tracing::error!(%error, "failed to read a block list");
            Err(Unavailable)
        }
    };
    gun::sea::verify(graph, &look_up)?;
    if admission != Admission::Signed {
        return Ok(());
    }
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let mut records = graph
        .iter()
        .filter(|node| is_record_soul(node.soul.as_str()));
    if records.all(|node| is_signed_record(node, store, now_ms) || is_meta_of_another(node, graph))
    {
        Ok(())
    } else {
        Err(Reject::Unverified)
    }
}

/// Takes out what fails [`verify`], value by value, and leaves the rest.
pub(crate) fn keep_verified(admission: Admission, store: &Store, graph: &mut Graph, now_ms: u64) {
    for node in graph.iter_mut() {
        let soul = node.soul.clone();
        if !is_checked(soul.as_str()) {
            continue;
        }
        node.entries.retain(|entry| {
            let one = vec![Node {
                soul: soul.clone(),
                entries: vec![entry.clone()],
            }];
            verify(admission, store, &one, now_ms).is_ok()
        });
    }
    graph.retain(|node| !node.entries.is_empty());
    if admission == Admission::Signed {
        let whole = graph.clone();
        graph.retain(|node| {
            !is_record_soul(node.soul.as_str())
                || is_signed_record(node, store, i64::try_from(now_ms).unwrap_or(i64::MAX))
                || is_meta_of_another(node, &whole)
        });
    }
}

/// Whether a node's name says that its values prove themselves.
fn is_checked(soul: &str) -> bool {
    soul.contains('~') || soul.contains('#')
}

/// Whether a node is what a record's publisher notes beside it, in one put with the record itself.
fn is_meta_of_another(node: &Node, graph: &Graph) -> bool {
    node.soul
        .as_str()
        .strip_suffix("/meta")
        .is_some_and(|record| graph.iter().any(|other| other.soul.as_str() == record))
}

/// Whether a node is a whole record, packed, whose signature verifies, by a key that may sign it.
fn is_signed_record(node: &Node, store: &Store, now_ms: i64) -> bool {
    match read::candidate(node, |_| None) {
        Ok(Candidate::Whole(raw)) => {
            let accepted = verify::accept(&node.soul, raw, SignaturePolicy::Require, now_ms);
            // What is private and lies in clear is not passed on.
            accepted.is_ok_and(|accepted| {
                passes_on(&accepted)
                    && (accepted.deleted_by.is_none()
                        || owned::is_by_its_owner(store, &accepted).unwrap_or(false))
            })
        }
        _ => false,
    }
}

/// The account that a soul is charged to: the user whose space it is, the creator whose prefix it
/// bears, the node whose registry entry it is, the shared node it belongs to; what is none of
/// these, and only `open` admits, is one account together.
pub(crate) fn account(registry: &Registry, quotas: &RelayQuotas, soul: &str) -> Account {
    let of = |name: &str, bytes_max: u64, nodes_max: u64| {
        let or_none = |max: u64| if max == 0 { u64::MAX } else { max };
        Account {
            name: name.to_owned(),
            bytes_max: or_none(bytes_max),
            nodes_max: or_none(nodes_max),
        }
    };
    let author = |name: &str| of(name, quotas.author_bytes, quotas.author_souls);
    let public = |name: &str| of(name, quotas.public_bytes, 0);
    if let Some(owner) = gun::sea::owner(soul) {
        return author(&format!("~{owner}"));
    }
    if let Some(node) = registry.node_of(soul) {
        return author(node);
    }
    if registry.owns(soul) {
        // A target belongs to its index.
        return public(soul.split('/').next().unwrap_or(soul));
    }
    match soul.split_once(':') {
        Some((prefix, _)) if is_record_soul(soul) => author(prefix),
        Some((first, _)) if is_oip_shaped(soul, registry) => public(first),
        _ => public(""),
    }
}

fn is_oip_shaped(soul: &str, registry: &Registry) -> bool {
    is_record_soul(soul)
        || registry.owns(soul)
        || is_provable(soul)
        || ["oip:registry:", "oip:deleted:", "index:", "media:"]
            .iter()
            .any(|prefix| soul.starts_with(prefix))
}

/// What proves itself: user spaces, and what is addressed by its own content.
fn is_provable(soul: &str) -> bool {
    is_user_space(soul) || (soul.contains('#') && !soul.contains('~'))
}

/// A user's space, or an alias, which leads to one. What only begins like them belongs to nobody,
/// so that no signature would be asked for.
fn is_user_space(soul: &str) -> bool {
    soul.starts_with("~@") || (soul.starts_with('~') && gun::sea::owner(soul).is_some())
}

/// A record itself, not a part of one: local ids may hold slashes, but none of these parts.
pub(crate) fn is_whole_record(soul: &str) -> bool {
    let is_part = |name: &str| matches!(name, "data" | "oip" | "meta");
    is_record_soul(soul) && !soul.split('/').skip(1).any(is_part)
}

/// `<12 or 32 hex digits>:…`: a record, or a child node of one.
fn is_record_soul(soul: &str) -> bool {
    soul.split_once(':').is_some_and(|(prefix, rest)| {
        !rest.is_empty()
            && PREFIX_DIGITS.contains(&prefix.len())
            && prefix
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gun::{Node, Soul};

    #[test]
    fn a_record_is_told_from_its_parts() {
        for (soul, whole) in [
            ("0123456789ab:x", true),
            ("0123456789ab:a/b:c", true),
            ("0123456789ab:x/data", false),
            ("0123456789ab:x/data/basic", false),
            ("0123456789ab:a/b/oip/creator", false),
            ("0123456789ab:x/meta", false),
            ("index:0123456789ab", false),
        ] {
            assert_eq!(is_whole_record(soul), whole, "{soul}");
        }
    }

    #[test]
    fn oip_shaped_souls_are_admitted_and_others_are_not() {
        let registry = Registry::new("my:root");
        let cases = [
            ("0123456789ab:x", true),
            ("0123456789ab:x/meta", true),
            ("0123456789abcdef0123456789abcdef:a:b", true),
            ("my:root:index", true),
            ("my:root:index:post", true),
            ("my:root:nodes:n:0123456789ab:x", true),
            ("oip:deleted:records:index", true),
            ("index:0123456789ab", true),
            ("media:00ff", true),
            ("0123456789AB:x", false),
            ("0123456789ab", false),
            ("0123456789ab:", false),
            ("0123456789abc:x", false),
            ("~@alice", true),
            ("~x.y", true),
            ("~x.y/post", true),
            ("~chat", false),
            ("~", false),
            ("chat", false),
            ("my:other", false),
        ];
        for (soul, admitted) in cases {
            let graph = vec![Node {
                soul: Soul::new(soul).unwrap(),
                entries: Vec::new(),
            }];
            assert_eq!(
                admit(Admission::Oip, &registry, &graph).is_ok(),
                admitted,
                "{soul}"
            );
            assert!(admit(Admission::Open, &registry, &graph).is_ok(), "{soul}");
        }
    }

    #[test]
    fn of_what_a_dialled_peer_passes_on_the_values_that_prove_themselves_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), oip_store::StoreOptions::default()).unwrap();
        let pair = gun::sea::KeyPair::from_scalars(&[1; 32], &[2; 32]).unwrap();
        let soul = Soul::new(format!("~{}", pair.public())).unwrap();
        let state = gun::State::from_millis(1);
        let entry = |key: &str, signed: &str| {
            let value = gun::Value::text(signed);
            let text = gun::sea::sign_value(&soul, key, &value, state, &pair).unwrap();
            gun::graph::Entry {
                key: Key::new(key).unwrap(),
                state,
                value: gun::Value::text(text.replacen("forged", "other", 1)),
            }
        };
        let plain = Node {
            soul: Soul::new("chat").unwrap(),
            entries: vec![entry("k", "x")],
        };
        let mut graph = vec![
            Node {
                soul: soul.clone(),
                entries: vec![entry("a", "true"), entry("b", "forged"), entry("c", "true")],
            },
            plain.clone(),
        ];
        assert!(verify(Admission::Open, &store, &graph, 1).is_err());
        keep_verified(Admission::Open, &store, &mut graph, 1);
        let keys: Vec<&str> = graph[0].entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["a", "c"]);
        assert_eq!(graph[1], plain);
        assert_eq!(verify(Admission::Open, &store, &graph, 1), Ok(()));
    }
}
