//! Keys and signatures: creator keys that sign records, public keys that check them, and the
//! node's own identity.
//!
//! The nonce of a P-256 signature and the salt of an RSA signature are drawn by the
//! cryptographic library; they show in nothing but the signature itself. All other randomness
//! comes in as an argument.

mod identity;
mod pair;
mod public;
mod secret;

pub use identity::NodeIdentity;
pub use public::{PublicKey, verify, verify_deployed};
pub use secret::CreatorKey;

/// Why a key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file's text is not JSON.
    #[error("the key file is not JSON: give a private JWK")]
    NotJson,
    /// A member of the JWK is missing or malformed.
    #[error("the key's member `{0}` is missing or malformed")]
    Member(&'static str),
    /// A kind of key that signs no records.
    #[error("the key is of no known kind: use an RSA, Ed25519, P-256 or secp256k1 JWK")]
    UnknownKind,
    /// Verifiers know only the modulus of an RSA key.
    #[error("the RSA key's exponent is not 65537 (`\"e\": \"AQAB\"`): use an Arweave wallet")]
    Exponent,
    /// The parts of the key don't belong together, or are out of range.
    #[error("the key is not valid: its parts don't belong together, or are out of range")]
    Invalid,
    /// The cryptographic library refused to sign.
    #[error("the key failed to sign")]
    Signing,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not standard base64.
    #[error("the signature is not base64")]
    Encoding,
    /// Of another length than the key's algorithm has.
    #[error("the signature has the wrong length")]
    Length,
    /// An ECDSA signature whose `s` lies in the upper half: its twin would be a second
    /// signature of the same text.
    #[error("the signature is not in low-S form")]
    HighS,
    /// It does not verify.
    #[error("the signature does not verify")]
    Mismatch,
}

#[cfg(test)]
mod tests;
