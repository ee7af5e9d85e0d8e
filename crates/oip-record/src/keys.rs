//! Creator keys: what signs records, and how signatures are checked.

mod identity;

use serde_json::Value;

use crate::creator::Creator;
pub use identity::NodeIdentity;

/// Why a key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file's text is not JSON.
    #[error("the key file is not JSON")]
    NotJson,
    /// A member of the JWK is missing or malformed.
    #[error("the key's member `{0}` is missing or malformed")]
    Member(&'static str),
    /// A kind of key that signs no records.
    #[error("the key is of no known kind: use an RSA, Ed25519, P-256 or secp256k1 JWK")]
    UnknownKind,
    /// The parts of the key don't belong together, or are out of range.
    #[error("the key is not valid")]
    Invalid,
    /// The cryptographic library refused to sign.
    #[error("the key failed to sign")]
    Signing,
}

/// A private key that signs records. Never printed.
pub struct CreatorKey {}

impl CreatorKey {
    /// A key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] if the library refuses the seed.
    pub fn ed25519(seed: [u8; 32]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// A P-256 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the few scalars out of range: draw again.
    pub fn p256(scalar: [u8; 32]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// A secp256k1 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the few scalars out of range: draw again.
    pub fn secp256k1(scalar: [u8; 32]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// A private JWK: an Arweave wallet (RSA), or what [`CreatorKey::to_file_json`] wrote.
    ///
    /// # Errors
    /// [`KeyError`] names the faulty member.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// Reads a key file (a private JWK as JSON text).
    ///
    /// # Errors
    /// [`KeyError`] names the fault.
    pub fn from_file_json(text: &str) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// The private JWK as JSON text, to be kept in a file of mode 0600.
    ///
    /// # Errors
    /// [`KeyError`] if the library does not hand out the private part.
    pub fn to_file_json(&self) -> Result<String, KeyError> {
        unimplemented!()
    }

    /// The public side.
    #[must_use]
    pub fn creator(&self) -> &Creator {
        unimplemented!()
    }

    /// The prefix of the souls of this key's new records.
    #[must_use]
    pub fn soul_prefix(&self) -> String {
        unimplemented!()
    }

    /// Signs bytes; standard base64.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, message: &[u8]) -> Result<String, KeyError> {
        unimplemented!()
    }
}
