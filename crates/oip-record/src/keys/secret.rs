//! Private keys that sign records.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use super::KeyError;
use super::pair::{P256_ORDER, P256Pair, SECP256K1_ORDER, make_low_s};
use super::public::{PublicKey, RSA_EXPONENT};
use crate::creator::Creator;
use crate::soul::{self, PrefixWidth};

/// A private key that signs records. Its `Debug` form shows only the public side.
pub struct CreatorKey {
    secret: Secret,
    creator: Creator,
    /// What [`CreatorKey::to_file_json`] writes.
    jwk: Value,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<P256Pair>),
    Secp256k1(Box<k256::ecdsa::SigningKey>),
}

impl CreatorKey {
    /// An Ed25519 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] if the library refuses the seed.
    pub fn ed25519(seed: [u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Invalid)?;
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Invalid)?;
        let jwk =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&public), "d": encode(&seed) });
        Ok(Self::new(
            Secret::Ed25519(Box::new(pair)),
            &PublicKey::Ed25519(public),
            jwk,
        ))
    }

    /// A P-256 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the few numbers out of range (1 in 2^32): draw again.
    pub fn p256(scalar: [u8; 32]) -> Result<Self, KeyError> {
        let pair = P256Pair::from_scalar(&scalar)?;
        let public = PublicKey::P256(pair.compressed());
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": encode(&pair.x), "y": encode(&pair.y), "d": encode(&scalar)
        });
        Ok(Self::new(Secret::P256(Box::new(pair)), &public, jwk))
    }

    /// A secp256k1 key from 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] for the very few numbers out of range: draw again.
    pub fn secp256k1(scalar: [u8; 32]) -> Result<Self, KeyError> {
        let key = k256::ecdsa::SigningKey::from_slice(&scalar).map_err(|_| KeyError::Invalid)?;
        let compressed = key.verifying_key().to_sec1_point(true);
        let whole = key.verifying_key().to_sec1_point(false);
        let point = compressed
            .as_bytes()
            .try_into()
            .map_err(|_| KeyError::Invalid)?;
        let (x, y) = whole.as_bytes()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC", "crv": "secp256k1", "x": encode(x), "y": encode(y), "d": encode(&scalar)
        });
        Ok(Self::new(
            Secret::Secp256k1(Box::new(key)),
            &PublicKey::Secp256k1(point),
            jwk,
        ))
    }

    /// A private JWK (RFC 7517): an Arweave wallet (RSA), or what
    /// [`CreatorKey::to_file_json`] wrote. Public members must belong to the private ones.
    ///
    /// # Errors
    /// [`KeyError`] names the faulty member.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let member = |name| jwk[name].as_str();
        let key = match (member("kty"), member("crv")) {
            (Some("RSA"), _) => return Self::rsa(jwk),
            (Some("OKP"), Some("Ed25519")) => Self::ed25519(scalar(jwk)?)?,
            (Some("EC"), Some("P-256")) => Self::p256(scalar(jwk)?)?,
            (Some("EC"), Some("secp256k1")) => Self::secp256k1(scalar(jwk)?)?,
            _ => return Err(KeyError::UnknownKind),
        };
        for name in ["x", "y"] {
            if !jwk[name].is_null() && jwk[name] != key.jwk[name] {
                return Err(KeyError::Invalid);
            }
        }
        Ok(key)
    }

    /// Reads a key file: a private JWK as JSON text.
    ///
    /// # Errors
    /// [`KeyError`] names the fault.
    pub fn from_file_json(text: &str) -> Result<Self, KeyError> {
        Self::from_jwk(&serde_json::from_str(text).map_err(|_| KeyError::NotJson)?)
    }

    /// The private JWK as JSON text, to be kept in a file of mode 0600.
    #[must_use]
    pub fn to_file_json(&self) -> String {
        self.jwk.to_string()
    }

    /// The public side.
    #[must_use]
    pub fn creator(&self) -> &Creator {
        &self.creator
    }

    /// The prefix of the souls of this key's new records: 12 hex digits for a wallet, as
    /// deployed nodes compute it, 32 for the curves.
    #[must_use]
    pub fn soul_prefix(&self) -> String {
        let width = match self.secret {
            Secret::Rsa(_) => PrefixWidth::Deployed,
            _ => PrefixWidth::Long,
        };
        soul::prefix(&self.creator.public_key, width)
    }

    /// Signs bytes; standard base64 of the RSA signature, of 64 bytes of Ed25519, or of `r || s`
    /// in low-S form.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, message: &[u8]) -> Result<String, KeyError> {
        let signature = match &self.secret {
            Secret::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PSS_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(|_| KeyError::Signing)?;
                signature
            }
            Secret::Ed25519(pair) => pair
                .try_sign(message)
                .map_err(|_| KeyError::Signing)?
                .as_ref()
                .to_vec(),
            Secret::P256(pair) => {
                let signature = pair
                    .pair
                    .sign(&SystemRandom::new(), message)
                    .map_err(|_| KeyError::Signing)?;
                low_s(signature.as_ref(), &P256_ORDER)?
            }
            Secret::Secp256k1(key) => {
                let signature: k256::ecdsa::Signature =
                    key.try_sign(message).map_err(|_| KeyError::Signing)?;
                low_s(&signature.to_bytes(), &SECP256K1_ORDER)?
            }
        };
        Ok(STANDARD.encode(signature))
    }

    fn rsa(jwk: &Value) -> Result<Self, KeyError> {
        let part = |name: &'static str| {
            let text = jwk[name].as_str().ok_or(KeyError::Member(name))?;
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| KeyError::Member(name))
        };
        let (n, e) = (part("n")?, part("e")?);
        if e != RSA_EXPONENT {
            return Err(KeyError::Exponent);
        }
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: n.clone(), e },
            d: part("d")?,
            p: part("p")?,
            q: part("q")?,
            dP: part("dp")?,
            dQ: part("dq")?,
            qInv: part("qi")?,
        })
        .map_err(|_| KeyError::Invalid)?;
        Ok(Self::new(
            Secret::Rsa(Box::new(pair)),
            &PublicKey::Rsa(n),
            jwk.clone(),
        ))
    }

    fn new(secret: Secret, public: &PublicKey, jwk: Value) -> Self {
        Self {
            secret,
            creator: public.creator(),
            jwk,
        }
    }
}

impl std::fmt::Debug for CreatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatorKey")
            .field("creator", &self.creator)
            .finish_non_exhaustive()
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn scalar(jwk: &Value) -> Result<[u8; 32], KeyError> {
    jwk["d"]
        .as_str()
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(KeyError::Member("d"))
}

fn low_s(signature: &[u8], order: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
    let mut signature: [u8; 64] = signature.try_into().map_err(|_| KeyError::Signing)?;
    make_low_s(&mut signature, order);
    Ok(signature.to_vec())
}
