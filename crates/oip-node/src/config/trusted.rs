//! Names of `GUN_SYNC_TRUSTED_NODES` (`trust-and-privacy` 2). Owns their forms; what each leads to is
//! found by [`crate::sync`].

use std::fmt;

use gun_net::{PeerAddress, Transport};
use oip_record::NodeIdentity;

use crate::statements::Name;

/// Most names: a node that knows more than this many others by hand is not run by hand.
pub const TRUSTED_MAX: usize = 256;

/// Somebody whose records are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedNode {
    /// A node by its id, and its public key where that was given.
    Node {
        /// 32 hex digits.
        id: String,
        /// SEA `x.y`.
        public: Option<String>,
    },
    /// A node by its alias, bound to the first verified statement seen with it, or to the given id.
    Alias {
        /// `GUN_NODE_ID_OVERRIDE` over there.
        alias: String,
        /// The first 16 hex digits of its id.
        pin: Option<String>,
    },
    /// Whoever holds the key of this address (`oip.creator.didAddress`).
    Creator(String),
    /// Whoever holds this key (`oip.creator.publicKey`).
    Key(String),
    /// A deployed node, which signs nothing about itself: what is pulled from this peer.
    Peer {
        /// What it calls itself; proves nothing.
        id: String,
        /// Where it is asked.
        peer: PeerAddress,
    },
}

impl TrustedNode {
    /// Reads one name.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((id, address)) = text
            .split_once('@')
            .filter(|(_, address)| address.contains("://"))
        {
            let peer =
                PeerAddress::parse(address).map_err(|error| format!("has a fault: {error}"))?;
            if peer.transport() != Transport::Pull {
                return Err(
                    "names a peer whose relay passes on what others wrote: trust a node by its id, or a deployed one by the address it is pulled from (…/gun-relay)".to_owned(),
                );
            }
            let id = id.to_owned();
            return Ok(Self::Peer { id, peer });
        }
        if text.starts_with("did:") && !text.starts_with("did:gun:") {
            return Ok(Self::Creator(text.to_owned()));
        }
        match Name::read(text) {
            Some(Name::NodeId(id)) => Ok(Self::Node {
                id: id.to_owned(),
                public: None,
            }),
            Some(Name::SeaKey(public)) => Ok(Self::Node {
                id: NodeIdentity::id_of(public),
                public: Some(public.to_owned()),
            }),
            Some(Name::UserKey(key)) => Ok(Self::Key(key)),
            Some(Name::Alias { alias, pin }) => Ok(Self::Alias {
                alias: alias.to_owned(),
                pin: pin.map(str::to_owned),
            }),
            Some(Name::Organization(_)) | None => Err(
                "names nobody; give a node id (32 hex digits), an alias, alias@<first 16 digits of the id>, a creator's did:arweave:… or did:key:…, a public key, or id@<address of a peer that is pulled from>"
                    .to_owned(),
            ),
        }
    }
}

/// As it is given.
impl fmt::Display for TrustedNode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { id, .. } => out.write_str(id),
            Self::Alias { alias, pin: None } => out.write_str(alias),
            Self::Alias {
                alias,
                pin: Some(pin),
            } => write!(out, "{alias}@{pin}"),
            Self::Creator(name) | Self::Key(name) => out.write_str(name),
            Self::Peer { id, peer } => write!(out, "{id}@{peer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_told_as_it_was_given() {
        let identity = NodeIdentity::from_scalar([1; 32]).expect("a scalar");
        let id = identity.node_id();
        let key = "A".repeat(43);
        for text in [
            &*id,
            "node-b",
            "node-b@0123456789abcdef",
            "did:arweave:abc",
            "did:key:z6Mk",
            &key,
            "old@http://node.example:3005/gun-relay",
        ] {
            let read = TrustedNode::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(read.to_string(), text);
        }
        let by_key = TrustedNode::parse(identity.public()).expect("a SEA key");
        assert_eq!(by_key.to_string(), id, "one name for one node");
    }

    #[test]
    fn what_names_nobody_is_refused_with_the_forms_that_do() {
        for (text, part) in [
            ("node b", "node id"),
            ("did:gun:0123456789ab:x", "node id"),
            ("node-b@0123", "node id"),
            ("old@ws://relay.example:8765/gun", "passes on"),
        ] {
            let why = TrustedNode::parse(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
