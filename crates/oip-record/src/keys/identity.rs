//! The node's own identity: a SEA signing pair (P-256) in GUN's form (`gun-protocol` 12.1).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::KeyError;
use super::pair::P256Pair;
use crate::soul::hex;

/// A SEA pair: `pub` is base64url(x) + "." + base64url(y), `priv` is base64url(d).
#[derive(Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    public: String,
    private: String,
}

/// Hex digits of a node id.
const NODE_ID_DIGITS: usize = 32;

impl NodeIdentity {
    /// A pair from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the few numbers out of range (1 in 2^32): draw again.
    pub fn from_scalar(scalar: [u8; 32]) -> Result<Self, KeyError> {
        let pair = P256Pair::from_scalar(&scalar)?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Ok(Self {
            public: format!("{}.{}", text(&pair.x), text(&pair.y)),
            private: text(&scalar),
        })
    }

    /// The `pub` text, which also names the user space `~<pub>`.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The first 32 hex digits of SHA-256 over the `pub` text.
    #[must_use]
    pub fn node_id(&self) -> String {
        Self::id_of(&self.public)
    }

    /// The id of a node with another `pub` text.
    #[must_use]
    pub fn id_of(public: &str) -> String {
        let mut id = hex(digest(&SHA256, public.as_bytes()).as_ref());
        id.truncate(NODE_ID_DIGITS);
        id
    }

    /// The pair that signs in the node's user space. SEA's pairs have a half for agreeing on secrets
    /// too; this one's is the same scalar, and is never used: encryption has a key of its own.
    ///
    /// # Errors
    /// [`KeyError::Invalid`], which a pair that was made or read here never is.
    pub fn sea_pair(&self) -> Result<gun::sea::KeyPair, KeyError> {
        gun::sea::KeyPair::new(&self.private, &self.private).map_err(|_| KeyError::Invalid)
    }

    /// `{"pub":…,"priv":…}`, to be kept in a file of mode 0600.
    #[must_use]
    pub fn to_file_json(&self) -> String {
        json!({ "pub": self.public, "priv": self.private }).to_string()
    }

    /// Reads [`NodeIdentity::to_file_json`] back; the halves must belong together.
    ///
    /// # Errors
    /// [`KeyError`] names the fault.
    pub fn from_file_json(text: &str) -> Result<Self, KeyError> {
        let pair: Value = serde_json::from_str(text).map_err(|_| KeyError::NotJson)?;
        let public = pair["pub"].as_str().ok_or(KeyError::Member("pub"))?;
        let scalar = pair["priv"]
            .as_str()
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(KeyError::Member("priv"))?;
        let identity = Self::from_scalar(scalar)?;
        if identity.public == public {
            Ok(identity)
        } else {
            Err(KeyError::Invalid)
        }
    }
}

impl std::fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeIdentity")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
