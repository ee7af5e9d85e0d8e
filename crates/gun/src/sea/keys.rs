//! Keys of users: P-256 pairs in SEA's text form, and whether a signature is of one
//! (`gun-protocol` 12.1 and 12.3).
//!
//! Refuses public keys that are spelled in another way than SEA spells them: a key with two
//! names would get around whatever is decided by name, block lists first of all.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::SeaError;

/// A user's keys: one pair signs, the other agrees on secrets. Its `Debug` form shows only the
/// public side.
pub struct KeyPair {
    signing: EcdsaKeyPair,
    agreement: agreement::PrivateKey,
    public: String,
    encryption_public: String,
    encryption_private: Zeroizing<String>,
}

impl KeyPair {
    /// Keys from `priv` and `epriv` of a SEA pair; the public side follows from them.
    ///
    /// # Errors
    /// [`SeaError::PrivateKey`].
    pub fn new(private: &str, encryption_private: &str) -> Result<Self, SeaError> {
        let (signing, encryption) = (scalar(private)?, scalar(encryption_private)?);
        Self::from_scalars(&signing, &encryption)
    }

    /// Keys from 32 random bytes each.
    ///
    /// # Errors
    /// [`SeaError::PrivateKey`] for the few numbers out of range (1 in 2^32): draw again.
    pub fn from_scalars(signing: &[u8; 32], encryption: &[u8; 32]) -> Result<Self, SeaError> {
        let (_, point) = private_key(signing)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            signing,
            point.as_ref(),
        )
        .map_err(|_| SeaError::PrivateKey)?;
        let (agreement, encryption_point) = private_key(encryption)?;
        Ok(Self {
            signing: pair,
            agreement,
            public: key_text(point.as_ref()),
            encryption_public: key_text(encryption_point.as_ref()),
            encryption_private: Zeroizing::new(URL_SAFE_NO_PAD.encode(encryption)),
        })
    }

    /// `pub`: the key under which the user is known; `~` and this is the soul of the account.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// `epub`: what others need for a secret with this user.
    #[must_use]
    pub fn encryption_public(&self) -> &str {
        &self.encryption_public
    }

    /// `epriv`, the key text under which a user seals what is for himself.
    #[must_use]
    pub fn encryption_private(&self) -> &str {
        &self.encryption_private
    }

    /// Signs a text: 64 bytes in standard base64. GUN hashes the text and signs that hash, which
    /// ECDSA hashes once more.
    pub(super) fn sign_text(&self, text: &str) -> Result<String, SeaError> {
        let hash = digest(&SHA256, text.as_bytes());
        let signature = self
            .signing
            .sign(&SystemRandom::new(), hash.as_ref())
            .map_err(|_| SeaError::Library)?;
        Ok(STANDARD.encode(signature))
    }

    /// The secret shared with the holder of `encryption_public`: the same text as he gets with
    /// this user's, to be used as a key for sealing.
    ///
    /// # Errors
    /// [`SeaError::PublicKey`] if it is not a point of the curve.
    pub fn secret(&self, encryption_public: &str) -> Result<Zeroizing<String>, SeaError> {
        let point = point(encryption_public).ok_or(SeaError::PublicKey)?;
        let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, point);
        agreement::agree(&self.agreement, theirs, SeaError::PublicKey, |x| {
            Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(x)))
        })
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("public", &self.public)
            .field("encryption_public", &self.encryption_public)
            .finish_non_exhaustive()
    }
}

/// Whether `signature` over a text, as [`KeyPair::sign_text`] writes it, is of the key `public`.
pub(super) fn verify_text(text: &str, signature: &str, public: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let Some(point) = point(public) else {
        return false;
    };
    let hash = digest(&SHA256, text.as_bytes());
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(hash.as_ref(), &signature)
        .is_ok()
}

fn private_key(
    scalar: &[u8; 32],
) -> Result<(agreement::PrivateKey, agreement::PublicKey), SeaError> {
    let private = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar)
        .map_err(|_| SeaError::PrivateKey)?;
    let public = private
        .compute_public_key()
        .map_err(|_| SeaError::PrivateKey)?;
    Ok((private, public))
}

fn scalar(text: &str) -> Result<Zeroizing<[u8; 32]>, SeaError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| SeaError::PrivateKey)?;
    let scalar = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SeaError::PrivateKey)?;
    Ok(Zeroizing::new(scalar))
}

/// `base64url(x).base64url(y)` of an uncompressed point: 4, x, y.
fn key_text(point: &[u8]) -> String {
    let (x, y) = point[1..].split_at(32);
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(x),
        URL_SAFE_NO_PAD.encode(y)
    )
}

/// The uncompressed point of a key text.
fn point(key: &str) -> Option<Vec<u8>> {
    let (x, y) = key.split_once('.')?;
    let x = URL_SAFE_NO_PAD.decode(x).ok()?;
    let y = URL_SAFE_NO_PAD.decode(y).ok()?;
    (x.len() == 32 && y.len() == 32).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}
