//! What a name of a node, a user or an organization may be. Told apart by its form alone; what it leads to
//! is looked up elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_record::Did;
use oip_vault::statement;

/// What a name may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name<'n> {
    NodeId(&'n str),
    /// A SEA key: a node's or a user's.
    SeaKey(&'n str),
    /// A user's key as records name creators.
    UserKey(String),
    Organization(Did),
    Alias {
        alias: &'n str,
        pin: Option<&'n str>,
    },
}

impl<'n> Name<'n> {
    pub(crate) fn read(name: &'n str) -> Option<Self> {
        let is_hex = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if name.starts_with("did:") {
            return Did::parse(name).ok().map(Self::Organization);
        }
        if name.len() == 32 && is_hex(name) {
            return Some(Self::NodeId(name));
        }
        if statement::soul(name).is_some() {
            return Some(Self::SeaKey(name));
        }
        let lower = name.to_ascii_lowercase();
        if name.len() == 66 && is_hex(&lower) {
            let bytes: Option<Vec<u8>> = (0..33)
                .map(|at| u8::from_str_radix(&lower[at * 2..at * 2 + 2], 16).ok())
                .collect();
            return Some(Self::UserKey(URL_SAFE_NO_PAD.encode(bytes?)));
        }
        if URL_SAFE_NO_PAD
            .decode(name)
            .is_ok_and(|raw| matches!(raw.len(), 32 | 33) || raw.len() >= 256)
        {
            return Some(Self::UserKey(name.to_owned()));
        }
        let (alias, pin) = match name.split_once('@') {
            Some((alias, pin)) if pin.len() == 16 && is_hex(pin) => (alias, Some(pin)),
            Some(_) => return None,
            None => (name, None),
        };
        statement::is_alias(alias).then_some(Self::Alias { alias, pin })
    }
}

#[cfg(test)]
mod tests {
    use oip_record::NodeIdentity;

    use super::*;

    #[test]
    fn names_are_told_apart_by_their_form() {
        let identity = NodeIdentity::from_scalar([1; 32]).unwrap();
        let (id, public) = (identity.node_id(), identity.public().to_owned());
        assert_eq!(Name::read(&id), Some(Name::NodeId(&id)));
        assert_eq!(Name::read(&public), Some(Name::SeaKey(&public)));
        let hex = "02".to_owned() + &"AB".repeat(32);
        assert!(matches!(Name::read(&hex), Some(Name::UserKey(key)) if key.len() == 44));
        assert!(matches!(
            Name::read("did:gun:0123456789ab:org"),
            Some(Name::Organization(_))
        ));
        let pinned = Name::Alias {
            alias: "node-b",
            pin: Some("0123456789abcdef"),
        };
        assert_eq!(Name::read("node-b@0123456789abcdef"), Some(pinned));
        assert_eq!(
            Name::read("node-b"),
            Some(Name::Alias {
                alias: "node-b",
                pin: None
            })
        );
        for nobody in ["", "a b", "node-b@", "node-b@http://x", "did:nothing"] {
            assert_eq!(Name::read(nobody), None, "{nobody}");
        }
    }
}
