//! The schemes under which deployed nodes encrypted records until 2026, for reading only
//! (`oip-formats` 4.1). Nothing is ever written in them: the keys of most can be had by anyone who
//! reads the record, so that such records were never private.
//!
//! Owns the keys and encodings of each; refuses to guess which one a record was made under where the
//! tag does not tell.

use std::num::NonZeroU32;

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

/// The password that stands in the deployed source, the same on every node.
const SHARED_PASSWORD: &[u8] = b"gun-encryption-key";
const SHARED_SALT: &[u8] = b"salt";

/// Rounds of PBKDF2 in every scheme.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(100_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};

/// Cost of scrypt in the oldest scheme: 2^14 rounds, blocks of 8, one lane.
const SCRYPT_LOG_N: u8 = 14;

/// A scheme, with what its key needs.
#[derive(Clone, PartialEq, Eq)]
pub enum Scheme {
    /// 2025-08 to 09: scrypt of the shared password; the tag was thrown away.
    Scrypt,
    /// 2025-09: PBKDF2 of the shared password.
    Shared,
    /// A user's public key and his salt, both as hex.
    PerUser {
        /// 66 hex digits.
        public_key: String,
        /// The user's GUN salt.
        salt: String,
    },
    /// A user's public key alone.
    PerUserFallback {
        /// As the record names it.
        public_key: String,
    },
    /// An organization owner's private key and the organization's public key, both as hex.
    Organization {
        /// The owner's private key.
        owner_private_key: String,
        /// The organization's public key.
        public_key: String,
    },
    /// The organization's DID alone.
    OrganizationByDid {
        /// `did:arweave:…`.
        did: String,
    },
}

impl Scheme {
    /// The scheme's name.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Scrypt => "scrypt",
            Self::Shared => "shared",
            Self::PerUser { .. } => "per-user",
            Self::PerUserFallback { .. } => "per-user-fallback",
            Self::Organization { .. } => "organization",
            Self::OrganizationByDid { .. } => "organization-by-did",
        }
    }

    /// Whether anybody who has the record has its key.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        !matches!(self, Self::PerUser { .. } | Self::Organization { .. })
    }

    /// The key. Takes tens of milliseconds.
    #[must_use]
    pub fn key(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Scrypt => {
                let mut key = Zeroizing::new([0; 32]);
                let cost = scrypt::Params::new(SCRYPT_LOG_N, 8, 1)
                    .expect("the deployed cost is within scrypt's bounds");
                scrypt::scrypt(SHARED_PASSWORD, SHARED_SALT, &cost, key.as_mut_slice())
                    .expect("32 bytes are within scrypt's bounds");
                key
            }
            Self::Shared => stretched(SHARED_PASSWORD, SHARED_SALT),
            Self::PerUser { public_key, salt } => {
                let password = Zeroizing::new(format!("{public_key}:{salt}"));
                stretched(password.as_bytes(), b"oip-gun-encryption")
            }
            Self::PerUserFallback { public_key } => {
                stretched(public_key.as_bytes(), b"oip-gun-fallback")
            }
            Self::Organization {
                owner_private_key,
                public_key,
            } => {
                let password = Zeroizing::new(format!("{owner_private_key}{public_key}"));
                stretched(password.as_bytes(), b"oip-organization-owner-encryption")
            }
            Self::OrganizationByDid { did } => {
                stretched(did.as_bytes(), b"oip-organization-encryption")
            }
        }
    }
}

impl std::fmt::Debug for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a record of an old scheme can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// Not `{encrypted, iv, tag}` in the scheme's encoding.
    #[error("the record is not in the form of that scheme")]
    Form,
    /// Another key, or changed ciphertext.
    #[error("the record does not open under that scheme's key")]
    Sealed,
    /// What came out is no record.
    #[error("what came out is not the data of a record")]
    Content,
}

/// Whether `data` has the encoding of a scheme: says, before its key is made, that it can't be another's.
#[must_use]
pub fn fits(data: &Value, scheme: &Scheme) -> bool {
    let iv = data["iv"].as_str().unwrap_or_default();
    match scheme {
        Scheme::Scrypt => from_hex(iv).is_ok_and(|iv| iv.len() == 16),
        _ => STANDARD.decode(iv).is_ok_and(|iv| iv.len() == 12) && data["tag"].is_string(),
    }
}

/// The schemes to try on a record, from what it says in clear: those whose key anyone can make.
#[must_use]
pub fn candidates(meta: &Value, creator_public_key: &str) -> Vec<Scheme> {
    let text = |name: &str| meta[name].as_str().map(str::to_owned);
    let mut schemes = Vec::new();
    if let Some(did) = text("encryptedForOrganization") {
        schemes.push(Scheme::OrganizationByDid { did });
    }
    let by = text("encryptedBy");
    for public_key in by.into_iter().chain([creator_public_key.to_owned()]) {
        schemes.push(Scheme::PerUserFallback { public_key });
    }
    schemes.push(Scheme::Shared);
    schemes.push(Scheme::Scrypt);
    schemes
}

/// Opens under one scheme's key: gives the data, arrays still as texts.
///
/// # Errors
/// [`LegacyError`].
pub fn open(data: &Value, scheme: &Scheme, key: &[u8; 32]) -> Result<Value, LegacyError> {
    let text = |name: &str| data[name].as_str().ok_or(LegacyError::Form);
    let opened = match scheme {
        Scheme::Scrypt => {
            // Without its tag there is only the key stream: what it encrypts once more comes back.
            let (sealed, iv) = (from_hex(text("encrypted")?)?, from_hex(text("iv")?)?);
            let iv: [u8; 16] = iv.try_into().map_err(|_| LegacyError::Form)?;
            let length = sealed.len();
            let mut opened = AesGcm::<Aes256, U16>::new(key.into())
                .encrypt(&iv.into(), sealed.as_slice())
                .map_err(|_| LegacyError::Sealed)?;
            opened.truncate(length);
            opened
        }
        _ => {
            let bytes = |name| STANDARD.decode(text(name)?).map_err(|_| LegacyError::Form);
            let iv: [u8; 12] = bytes("iv")?.try_into().map_err(|_| LegacyError::Form)?;
            let mut sealed = bytes("encrypted")?;
            sealed.extend(bytes("tag")?);
            let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| LegacyError::Form)?;
            LessSafeKey::new(key)
                .open_in_place(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut sealed)
                .map_err(|_| LegacyError::Sealed)?
                .to_vec()
        }
    };
    let opened = Zeroizing::new(opened);
    let content: Value = serde_json::from_slice(&opened).map_err(|_| LegacyError::Content)?;
    // Since 2025-11-18 the text was turned into JSON twice.
    let content = match content {
        Value::String(text) => serde_json::from_str(&text).map_err(|_| LegacyError::Content)?,
        content => content,
    };
    if content.is_object() {
        Ok(content)
    } else {
        Err(LegacyError::Content)
    }
}

fn stretched(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password,
        key.as_mut_slice(),
    );
    key
}

fn from_hex(text: &str) -> Result<Vec<u8>, LegacyError> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes()
        .chunks(2)
        .map(pair)
        .collect::<Option<_>>()
        .ok_or(LegacyError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> Vec<Value> {
        let file = include_str!("../../../testdata/vectors/oip/crypto-vectors.json");
        let file: Value = serde_json::from_str(file).unwrap();
        file["records"].as_array().unwrap().clone()
    }

    /// The scheme of a vector, from its description.
    fn scheme_of(vector: &Value) -> Scheme {
        let kdf = &vector["kdf"];
        let password = kdf["passwordUtf8"].as_str().unwrap();
        match (
            kdf["alg"].as_str().unwrap(),
            kdf["saltUtf8"].as_str().unwrap(),
        ) {
            ("scrypt", _) => Scheme::Scrypt,
            (_, "salt") => Scheme::Shared,
            (_, "oip-gun-encryption") => {
                let (public_key, salt) = password.split_once(':').unwrap();
                Scheme::PerUser {
                    public_key: public_key.into(),
                    salt: salt.into(),
                }
            }
            (_, "oip-gun-fallback") => Scheme::PerUserFallback {
                public_key: password.into(),
            },
            (_, "oip-organization-owner-encryption") => Scheme::Organization {
                owner_private_key: password[..64].into(),
                public_key: password[64..].into(),
            },
            (_, "oip-organization-encryption") => Scheme::OrganizationByDid {
                did: password.into(),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_recorded_scheme_is_opened_in_both_encodings() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let scheme = scheme_of(&vector);
            let key = scheme.key();
            assert_eq!(
                oip_record::soul::hex(key.as_slice()),
                vector["keyHex"],
                "{scheme:?}"
            );
            let expected: Value =
                serde_json::from_str(vector["plaintextSingle"].as_str().unwrap()).unwrap();
            let mut opened = 0;
            for name in ["dataSingle", "dataDouble", "data"] {
                let data = &vector[name];
                if data.is_object() {
                    assert!(oip_record::verify::is_legacy(data));
                    assert!(fits(data, &scheme));
                    assert_eq!(
                        open(data, &scheme, &key),
                        Ok(expected.clone()),
                        "{scheme:?} {name}"
                    );
                    opened += 1;
                }
            }
            assert!(opened > 0, "{scheme:?}");
        }
    }

    #[test]
    fn what_a_record_says_in_clear_leads_to_its_scheme_where_anyone_has_the_key() {
        for vector in vectors() {
            let scheme = scheme_of(&vector);
            let found = candidates(&vector["meta"], "another key").contains(&scheme);
            assert_eq!(found, scheme.is_open_to_all(), "{scheme:?}");
        }
    }

    #[test]
    fn another_key_changed_ciphertext_and_other_forms_are_refused() {
        let vector = &vectors()[0];
        let key = Scheme::Shared.key();
        let mut changed = vector["dataSingle"].clone();
        changed["tag"] = Value::from(STANDARD.encode([0; 16]));
        assert_eq!(
            open(&changed, &Scheme::Shared, &key),
            Err(LegacyError::Sealed)
        );
        assert_eq!(
            open(&vector["dataSingle"], &Scheme::Shared, &[1; 32]),
            Err(LegacyError::Sealed)
        );
        for bad in [
            serde_json::json!({}),
            serde_json::json!({"encrypted": "zz", "iv": "zz", "tag": ""}),
        ] {
            for scheme in [Scheme::Shared, Scheme::Scrypt] {
                assert_eq!(open(&bad, &scheme, &key), Err(LegacyError::Form));
            }
        }
    }
}
