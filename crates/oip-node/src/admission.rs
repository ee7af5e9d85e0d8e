//! Which graph writes the relay port takes from peers. Owns the decision by soul shape; the checks
//! of user spaces (`~…`) are `gun::sea`'s. Refuses by name, so that every refusal can be counted.

use gun::Graph;
use gun::wire::Reject;

use crate::config::Admission;
use crate::registry::Registry;

/// Hex digits of a record soul's prefix: deployed nodes take 12, our own EC keys 32.
const PREFIX_DIGITS: [usize; 2] = [12, 32];

/// Checks a whole put: all of it is admitted, or none.
pub(crate) fn admit(
    admission: Admission,
    registry: &Registry,
    graph: &Graph,
) -> Result<(), Reject> {
    for node in graph {
        let soul = node.soul.as_str();
        let admitted = match admission {
            Admission::Open => true,
            Admission::Oip => is_oip_shaped(soul, registry),
        };
        if !admitted {
            return Err(Reject::NotAdmitted);
        }
    }
    Ok(())
}

fn is_oip_shaped(soul: &str, registry: &Registry) -> bool {
    is_record_soul(soul)
        || registry.owns(soul)
        || is_user_space(soul)
        || ["oip:registry:", "oip:deleted:", "index:", "media:"]
            .iter()
            .any(|prefix| soul.starts_with(prefix))
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
}
