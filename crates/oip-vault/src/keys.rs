//! Encryption keys: P-256 pairs for HPKE, apart from every key that signs (`trust-and-privacy` 1).
//!
//! Owns how a key is written (base64url of the compressed point) and named (16 hex digits of a
//! hash of it), and which key of a ring opens what.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem};
use oip_record::sealed::KEY_ID_DIGITS;
use oip_record::soul::hex;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The domain of a proof that a user has the encryption key that he names.
const PROOF_DOMAIN: &[u8] = b"oip-encryption-key-1";

/// The name of the encapsulation under which these keys are used.
pub const KEM: &str = "P-256";

/// Most keys of a ring: a key rotated every month for twenty years.
pub const RING_KEYS_MAX: usize = 256;

/// Why a key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionKeyError {
    /// Not the text of a key.
    #[error(
        "the encryption key is not readable: give a P-256 JWK with its private part, or 32 bytes in base64url"
    )]
    Form,
    /// Not a point of the curve, or a scalar out of range.
    #[error("the encryption key is not a P-256 key")]
    Invalid,
    /// The halves don't belong together.
    #[error("the encryption key's public part does not belong to its private part")]
    Halves,
    /// Over [`RING_KEYS_MAX`].
    #[error("the key ring holds more than {RING_KEYS_MAX} keys")]
    TooMany,
}

/// The public half: what others wrap content keys for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncryptionPublic {
    compressed: [u8; 33],
    whole: [u8; 65],
}

/// What the holder of an encryption key signs with it once, for the user whose key it is: a domain of its own, a zero byte,
/// the user's public key as in `oip.creator`. Nothing else is ever signed with an encryption key.
#[must_use]
pub fn proof_bytes(owner: &str) -> Vec<u8> {
    [PROOF_DOMAIN, b"\0", owner.as_bytes()].concat()
}

impl EncryptionPublic {
    /// From a SEC 1 point in either form.
    ///
    /// # Errors
    /// [`EncryptionKeyError::Invalid`].
    pub fn from_point(point: &[u8]) -> Result<Self, EncryptionKeyError> {
        let key =
            p256::PublicKey::from_sec1_bytes(point).map_err(|_| EncryptionKeyError::Invalid)?;
        Self::from_key(&key)
    }

    fn from_key(key: &p256::PublicKey) -> Result<Self, EncryptionKeyError> {
        let invalid = |_| EncryptionKeyError::Invalid;
        Ok(Self {
            compressed: key
                .to_sec1_point(true)
                .as_bytes()
                .try_into()
                .map_err(invalid)?,
            whole: key
                .to_sec1_point(false)
                .as_bytes()
                .try_into()
                .map_err(invalid)?,
        })
    }

    /// From the text of the compressed point in base64url, or SEA's `x.y`.
    ///
    /// # Errors
    /// [`EncryptionKeyError`].
    pub fn from_text(text: &str) -> Result<Self, EncryptionKeyError> {
        let bytes = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| EncryptionKeyError::Form)
        };
        match text.split_once('.') {
            Some((x, y)) => {
                let (x, y) = (bytes(x)?, bytes(y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(EncryptionKeyError::Form);
                }
                Self::from_point(&[&[4], x.as_slice(), y.as_slice()].concat())
            }
            None => match bytes(text)? {
                point if point.len() == 33 => Self::from_point(&point),
                _ => Err(EncryptionKeyError::Form),
            },
        }
    }

    /// The compressed point in base64url.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.compressed)
    }

    /// The compressed point.
    #[must_use]
    pub fn compressed(&self) -> &[u8; 33] {
        &self.compressed
    }

    /// The uncompressed point.
    pub(crate) fn whole(&self) -> &[u8; 65] {
        &self.whole
    }

    /// The first 16 hex digits of SHA-256 over the compressed point.
    #[must_use]
    pub fn id(&self) -> String {
        let mut id = hex(digest(&SHA256, &self.compressed).as_ref());
        id.truncate(KEY_ID_DIGITS);
        id
    }

    /// Whether the holder of this key has signed, with it, that it is the encryption key of the user with `owner` as
    /// his public key: an ECDSA signature (P-256, SHA-256, low s, `r` and `s` in standard base64) over [`proof_bytes`].
    #[must_use]
    pub fn is_proven_by(&self, owner: &str, proof: &str) -> bool {
        let key = oip_record::keys::PublicKey::P256(self.compressed);
        key.verify(&proof_bytes(owner), proof).is_ok()
    }

    pub(crate) fn for_hpke(
        &self,
    ) -> Result<<DhP256HkdfSha256 as Kem>::PublicKey, EncryptionKeyError> {
        <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(&self.whole)
            .map_err(|_| EncryptionKeyError::Invalid)
    }
}

impl std::fmt::Debug for EncryptionPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EncryptionPublic").field(&self.id()).finish()
    }
}

/// A whole key. Its `Debug` form shows only the public side.
#[derive(Clone)]
pub struct EncryptionKey {
    secret: Zeroizing<[u8; 32]>,
    public: EncryptionPublic,
    id: String,
}

impl EncryptionKey {
    /// From 32 random bytes.
    ///
    /// # Errors
    /// [`EncryptionKeyError::Invalid`] for the few numbers out of range (1 in 2^32): draw again.
    pub fn from_scalar(scalar: [u8; 32]) -> Result<Self, EncryptionKeyError> {
        let secret = Zeroizing::new(scalar);
        let key = p256::SecretKey::from_slice(secret.as_slice())
            .map_err(|_| EncryptionKeyError::Invalid)?;
        let public = EncryptionPublic::from_key(&key.public_key())?;
        Ok(Self {
            id: public.id(),
            secret,
            public,
        })
    }

    /// From a private JWK, or from 32 bytes in base64url as a secret store may hold them.
    ///
    /// # Errors
    /// [`EncryptionKeyError`].
    pub fn from_text(text: &str) -> Result<Self, EncryptionKeyError> {
        let text = text.trim();
        match serde_json::from_str::<Value>(text) {
            Ok(jwk @ Value::Object(_)) => Self::from_jwk(&jwk),
            _ => Self::from_scalar(scalar(text)?),
        }
    }

    fn from_jwk(jwk: &Value) -> Result<Self, EncryptionKeyError> {
        if jwk["kty"] != "EC" || jwk["crv"] != "P-256" {
            return Err(EncryptionKeyError::Form);
        }
        let key = Self::from_scalar(scalar(jwk["d"].as_str().ok_or(EncryptionKeyError::Form)?)?)?;
        let made = key.to_jwk();
        for name in ["x", "y"] {
            if !jwk[name].is_null() && jwk[name] != made[name] {
                return Err(EncryptionKeyError::Halves);
            }
        }
        Ok(key)
    }

    fn to_jwk(&self) -> Value {
        let (x, y) = self.public.whole[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            "d": URL_SAFE_NO_PAD.encode(self.secret.as_slice()),
        })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &EncryptionPublic {
        &self.public
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn for_hpke(
        &self,
    ) -> Result<<DhP256HkdfSha256 as Kem>::PrivateKey, EncryptionKeyError> {
        <DhP256HkdfSha256 as Kem>::PrivateKey::from_bytes(self.secret.as_slice())
            .map_err(|_| EncryptionKeyError::Invalid)
    }
}

impl std::fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EncryptionKey").field(&self.id).finish()
    }
}

/// The keys that a node opens with: new records are sealed to the current one, what was sealed to
/// those it replaced stays readable.
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: EncryptionKey,
    retired: Vec<EncryptionKey>,
}

impl KeyRing {
    /// A ring of one key.
    #[must_use]
    pub fn new(current: EncryptionKey) -> Self {
        Self {
            current,
            retired: Vec::new(),
        }
    }

    /// The key that new records are sealed to.
    #[must_use]
    pub fn current(&self) -> &EncryptionKey {
        &self.current
    }

    /// The keys kept for reading.
    #[must_use]
    pub fn retired(&self) -> &[EncryptionKey] {
        &self.retired
    }

    /// The key with this id.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&EncryptionKey> {
        std::iter::once(&self.current)
            .chain(&self.retired)
            .find(|key| key.id() == id)
    }

    /// Makes `key` the current one; the one before is kept for reading.
    ///
    /// # Errors
    /// [`EncryptionKeyError::TooMany`].
    pub fn rotate(&mut self, key: EncryptionKey) -> Result<(), EncryptionKeyError> {
        if key.id() == self.current.id() {
            return Ok(());
        }
        if self.retired.len() + 2 > RING_KEYS_MAX {
            return Err(EncryptionKeyError::TooMany);
        }
        self.retired.retain(|old| old.id() != key.id());
        self.retired.push(std::mem::replace(&mut self.current, key));
        Ok(())
    }

    /// Adds a key for reading alone, as when one was brought from another node.
    ///
    /// # Errors
    /// [`EncryptionKeyError::TooMany`].
    pub fn keep(&mut self, key: EncryptionKey) -> Result<(), EncryptionKeyError> {
        if self.key(key.id()).is_some() {
            return Ok(());
        }
        if self.retired.len() + 2 > RING_KEYS_MAX {
            return Err(EncryptionKeyError::TooMany);
        }
        self.retired.push(key);
        Ok(())
    }

    /// The text to be kept in a file of mode 0600.
    #[must_use]
    pub fn to_file_json(&self) -> String {
        let retired: Vec<Value> = self.retired.iter().map(EncryptionKey::to_jwk).collect();
        json!({ "current": self.current.to_jwk(), "retired": retired }).to_string()
    }

    /// Reads [`KeyRing::to_file_json`] back.
    ///
    /// # Errors
    /// [`EncryptionKeyError`].
    pub fn from_file_json(text: &str) -> Result<Self, EncryptionKeyError> {
        let file: Value = serde_json::from_str(text).map_err(|_| EncryptionKeyError::Form)?;
        let mut ring = Self::new(EncryptionKey::from_jwk(&file["current"])?);
        for jwk in file["retired"].as_array().into_iter().flatten() {
            ring.keep(EncryptionKey::from_jwk(jwk)?)?;
        }
        Ok(ring)
    }
}

fn scalar(text: &str) -> Result<[u8; 32], EncryptionKeyError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| EncryptionKeyError::Form)?;
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| EncryptionKeyError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> EncryptionKey {
        EncryptionKey::from_scalar([seed; 32]).unwrap()
    }

    #[test]
    fn a_public_key_is_read_from_each_of_its_forms() {
        let public = key(1).public().clone();
        assert_eq!(
            EncryptionPublic::from_text(&public.to_text()).unwrap(),
            public
        );
        let jwk = key(1).to_jwk();
        let sea = format!(
            "{}.{}",
            jwk["x"].as_str().unwrap(),
            jwk["y"].as_str().unwrap()
        );
        assert_eq!(EncryptionPublic::from_text(&sea).unwrap(), public);
        assert_eq!(public.id().len(), KEY_ID_DIGITS);
        for bad in ["", "AAAA", "x.y", &"A".repeat(44)] {
            assert!(EncryptionPublic::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_private_key_is_read_as_jwk_or_bare_and_its_halves_must_fit() {
        let jwk = key(1).to_jwk();
        assert_eq!(
            EncryptionKey::from_text(&jwk.to_string()).unwrap().id(),
            key(1).id()
        );
        let bare = jwk["d"].as_str().unwrap();
        assert_eq!(EncryptionKey::from_text(bare).unwrap().id(), key(1).id());
        let mut mixed = jwk.clone();
        mixed["x"] = key(2).to_jwk()["x"].clone();
        assert_eq!(
            EncryptionKey::from_text(&mixed.to_string()).unwrap_err(),
            EncryptionKeyError::Halves
        );
        assert!(EncryptionKey::from_scalar([0; 32]).is_err());
        assert!(EncryptionKey::from_scalar([255; 32]).is_err());
    }

    #[test]
    fn a_rotated_key_still_opens_and_survives_the_file() {
        let mut ring = KeyRing::new(key(1));
        ring.rotate(key(2)).unwrap();
        let ring = KeyRing::from_file_json(&ring.to_file_json()).unwrap();
        assert_eq!(ring.current().id(), key(2).id());
        assert!(ring.key(key(1).id()).is_some() && ring.key(key(3).id()).is_none());
    }

    #[test]
    fn a_ring_is_bounded() {
        let scalar = |n: usize| {
            let mut scalar = [1; 32];
            scalar[..8].copy_from_slice(&(n as u64).to_be_bytes());
            scalar
        };
        let mut ring = KeyRing::new(key(1));
        for n in 1..RING_KEYS_MAX {
            ring.keep(EncryptionKey::from_scalar(scalar(n)).unwrap())
                .unwrap();
        }
        let one_more = EncryptionKey::from_scalar(scalar(RING_KEYS_MAX)).unwrap();
        assert_eq!(ring.keep(one_more), Err(EncryptionKeyError::TooMany));
    }

    #[test]
    fn no_secret_shows_in_debug_text() {
        let shown = format!("{:?}", KeyRing::new(key(1)));
        let secret = key(1).to_jwk()["d"].as_str().unwrap().to_owned();
        assert!(
            shown.contains(key(1).id()) && !shown.contains(&secret),
            "{shown}"
        );
    }
}
