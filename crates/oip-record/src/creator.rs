//! Who made a record: a public key, and the address that must derive from it.

use serde::Serialize;
use serde_json::{Value, json};

/// `oip.creator`: the address and the key, as texts. That they belong together is checked by
/// [`crate::keys::PublicKey::of_creator`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Creator {
    /// `did:arweave:<base64url SHA-256 of the modulus>` for RSA wallets, else `did:key:z…`.
    pub did_address: String,
    /// base64url without padding of the raw key: RSA modulus, 32 bytes of Ed25519, or the
    /// compressed 33 bytes of a curve point.
    pub public_key: String,
}

impl Creator {
    /// The member as it is written.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({ "didAddress": self.did_address, "publicKey": self.public_key })
    }
}
