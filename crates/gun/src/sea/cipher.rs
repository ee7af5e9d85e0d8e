//! Sealed texts and what turns passwords into keys (`gun-protocol` 12.7).
//!
//! Randomness comes in as an argument: a [`Nonce`] used twice with one key gives both texts away.

use std::num::NonZeroU32;

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U15;
use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::SeaError;
use super::json::{self, Members};

/// SEA draws 15 bytes where others take 12, and so does what it wrote.
type Cipher = AesGcm<Aes256, U15>;

/// Rounds of PBKDF2 and bytes of its result: SEA's, on both of which every password rests.
const WORK_ROUNDS: NonZeroU32 = match NonZeroU32::new(100_000) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
const WORK_BYTES: usize = 64;

/// What is drawn at random for each sealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce {
    /// Goes into the key.
    pub salt: [u8; 9],
    /// Starts the cipher.
    pub iv: [u8; 15],
}

/// Seals data under a key text: a passphrase, a secret, or `epriv`. Gives
/// `SEA{"ct","iv","s"}`. Members of objects are sorted.
///
/// # Errors
/// [`SeaError::Library`] if the data is beyond what AES-GCM can seal (64 GB).
pub fn encrypt(data: &Json, key: &str, nonce: Nonce) -> Result<String, SeaError> {
    let content = json::content(data, Members::Sorted);
    let sealed = cipher(key, &nonce.salt)
        .encrypt(&nonce.iv.into(), content.as_bytes())
        .map_err(|_| SeaError::Library)?;
    let sealed = json!({
        "ct": STANDARD.encode(sealed), "iv": STANDARD.encode(nonce.iv), "s": STANDARD.encode(nonce.salt)
    });
    Ok(format!("SEA{}", json::text(&sealed, Members::Sorted)))
}

/// Opens what [`encrypt`] sealed, with or without `SEA` before the object. A text that holds JSON
/// comes back as what it holds.
///
/// # Errors
/// [`SeaError::Form`] if the text is no sealed one, [`SeaError::Sealed`] for another key or
/// changed data.
pub fn decrypt(text: &str, key: &str) -> Result<Json, SeaError> {
    #[derive(serde::Deserialize)]
    struct Sealed {
        ct: String,
        iv: String,
        s: String,
    }
    let sealed: Sealed = serde_json::from_str(json::unmarked(text)).map_err(|_| SeaError::Form)?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SeaError::Form);
    let (content, iv, salt) = (bytes(&sealed.ct)?, bytes(&sealed.iv)?, bytes(&sealed.s)?);
    let iv = <[u8; 15]>::try_from(iv).map_err(|_| SeaError::Form)?;
    let opened = cipher(key, &salt)
        .decrypt(&iv.into(), content.as_slice())
        .map_err(|_| SeaError::Sealed)?;
    let opened = String::from_utf8(opened).map_err(|_| SeaError::Sealed)?;
    Ok(json::parse(&opened))
}

/// Turns a password into a key text: PBKDF2 with 100,000 rounds (tens of milliseconds), in base64.
#[must_use]
pub fn work(data: &Json, salt: &str) -> Zeroizing<String> {
    let content = Zeroizing::new(json::content(data, Members::Sorted));
    let mut bytes = Zeroizing::new([0; WORK_BYTES]);
    pbkdf2::derive(
        PBKDF2_HMAC_SHA256,
        WORK_ROUNDS,
        salt.as_bytes(),
        content.as_bytes(),
        bytes.as_mut_slice(),
    );
    Zeroizing::new(STANDARD.encode(bytes.as_slice()))
}

/// The hash under which data is found in a content-addressed soul: SHA-256 in base64.
#[must_use]
pub fn content_hash(data: &Json) -> String {
    let content = json::content(data, Members::Sorted);
    STANDARD.encode(digest(&SHA256, content.as_bytes()))
}

/// AES-256 under the hash of the key text and the salt, each byte of which is one character.
fn cipher(key: &str, salt: &[u8]) -> Cipher {
    let mut text = Zeroizing::new(String::with_capacity(key.len() + 2 * salt.len()));
    text.push_str(key);
    text.extend(salt.iter().map(|byte| char::from(*byte)));
    let key = digest(&SHA256, text.as_bytes());
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(key.as_ref());
    Cipher::new((&*bytes).into())
}
