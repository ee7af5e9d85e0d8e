//! Public keys: how an address derives from one, and how signatures are checked.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA256,
    RsaPssSaltLength, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use num_bigint::BigUint;

use super::SignatureError;
use super::pair::{P256_ORDER, SECP256K1_ORDER, is_low_s};
use crate::creator::Creator;
use crate::owner::OwnerKey;

/// The raw public key of a creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// The modulus of an RSA key, big-endian; the exponent is 65537.
    Rsa(Vec<u8>),
    /// 32 bytes.
    Ed25519([u8; 32]),
    /// The compressed point.
    P256([u8; 33]),
    /// The compressed point.
    Secp256k1([u8; 33]),
}

/// 65537, the only exponent of Arweave wallets.
pub(super) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// Salt lengths that wallets are known to use: as long as the digest (ours, and most), the
/// maximum (deployed nodes), none (some browser wallets).
const PSS_SALTS: [RsaPssSaltLength; 3] = [
    RsaPssSaltLength::Digest,
    RsaPssSaltLength::Max,
    RsaPssSaltLength::Custom(0),
];

/// Multicodec names of keys in a `did:key`, as unsigned varints.
const CODEC_ED25519: [u8; 2] = [0xed, 0x01];
const CODEC_SECP256K1: [u8; 2] = [0xe7, 0x01];
const CODEC_P256: [u8; 2] = [0x80, 0x24];

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

impl PublicKey {
    /// The key of a creator, if its address derives from its key.
    #[must_use]
    pub fn of_creator(creator: &Creator) -> Option<Self> {
        let raw = URL_SAFE_NO_PAD.decode(&creator.public_key).ok()?;
        let candidates: [Option<Self>; 4] = [
            raw.as_slice().try_into().ok().map(Self::Ed25519),
            raw.as_slice().try_into().ok().map(Self::P256),
            raw.as_slice().try_into().ok().map(Self::Secp256k1),
            Some(Self::Rsa(raw)),
        ];
        candidates
            .into_iter()
            .flatten()
            .find(|key| key.did_address() == creator.did_address)
    }

    /// The address: `did:arweave:<base64url SHA-256 of the modulus>`, or `did:key:z…`.
    #[must_use]
    pub fn did_address(&self) -> String {
        match self {
            Self::Rsa(modulus) => {
                let hash = digest(&SHA256, modulus);
                format!("did:arweave:{}", URL_SAFE_NO_PAD.encode(hash.as_ref()))
            }
            Self::Ed25519(key) => did_key(CODEC_ED25519, key),
            Self::P256(key) => did_key(CODEC_P256, key),
            Self::Secp256k1(key) => did_key(CODEC_SECP256K1, key),
        }
    }

    /// The two texts of `oip.creator`.
    #[must_use]
    pub fn creator(&self) -> Creator {
        Creator {
            did_address: self.did_address(),
            public_key: URL_SAFE_NO_PAD.encode(self.raw()),
        }
    }

    /// The key as a record's owner.
    #[must_use]
    pub fn owner(&self) -> OwnerKey {
        OwnerKey::of_raw(self.raw())
    }

    fn raw(&self) -> &[u8] {
        match self {
            Self::Rsa(modulus) => modulus,
            Self::Ed25519(key) => key,
            Self::P256(key) | Self::Secp256k1(key) => key,
        }
    }

    /// Checks a signature in standard base64 over `message`.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, message: &[u8], signature: &str) -> Result<(), SignatureError> {
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| SignatureError::Encoding)?;
        match self {
            Self::Rsa(modulus) => verify_rsa(modulus, message, &signature),
            Self::Ed25519(key) => verify_64(&ED25519, key, message, &signature),
            Self::P256(key) => {
                check_low_s(&signature, &P256_ORDER)?;
                verify_64(&ECDSA_P256_SHA256_FIXED, key, message, &signature)
            }
            Self::Secp256k1(key) => {
                check_low_s(&signature, &SECP256K1_ORDER)?;
                verify_64(&ECDSA_P256K1_SHA256_FIXED, key, message, &signature)
            }
        }
    }
}

/// Checks a signature of a creator whose address must derive from its key.
///
/// # Errors
/// [`SignatureError`]; a creator whose address is not its key's verifies nothing.
pub fn verify(creator: &Creator, message: &[u8], signature: &str) -> Result<(), SignatureError> {
    PublicKey::of_creator(creator)
        .ok_or(SignatureError::Mismatch)?
        .verify(message, signature)
}

/// Checks a deployed signature (`oip-formats` 5): RSA-PSS over the data text. Other keys have
/// none in that scheme.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_deployed(
    creator: &Creator,
    data_text: &str,
    signature: &str,
) -> Result<(), SignatureError> {
    match PublicKey::of_creator(creator) {
        Some(key @ PublicKey::Rsa(_)) => key.verify(data_text.as_bytes(), signature),
        _ => Err(SignatureError::Mismatch),
    }
}

fn verify_rsa(modulus: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    if signature.len() != modulus.len() {
        return Err(SignatureError::Length);
    }
    let key = RsaPublicKeyComponents {
        n: modulus,
        e: &RSA_EXPONENT,
    };
    let verifies = PSS_SALTS.into_iter().any(|salt| {
        let algorithm = RSA_PSS_2048_8192_SHA256.with_pss_salt_length(salt);
        key.verify(&algorithm, message, signature).is_ok()
    });
    if verifies {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

fn verify_64(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    if signature.len() != 64 {
        return Err(SignatureError::Length);
    }
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, signature)
        .map_err(|_| SignatureError::Mismatch)
}

fn check_low_s(signature: &[u8], order: &[u8; 32]) -> Result<(), SignatureError> {
    if signature.len() != 64 {
        Err(SignatureError::Length)
    } else if is_low_s(signature, order) {
        Ok(())
    } else {
        Err(SignatureError::HighS)
    }
}

/// `did:key` with base58btc (`z`). The codec never starts with a zero byte, so that the number's
/// digits are all of the text.
fn did_key(codec: [u8; 2], key: &[u8]) -> String {
    let number = BigUint::from_bytes_be(&[&codec, key].concat());
    let digits = number.to_radix_be(58);
    let text: String = digits
        .into_iter()
        .map(|d| char::from(BASE58[usize::from(d)]))
        .collect();
    format!("did:key:z{text}")
}
