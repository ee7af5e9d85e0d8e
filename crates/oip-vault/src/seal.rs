//! Sealing, opening, sharing (`trust-and-privacy` 5).
//!
//! A version has one content key. Its content is AES-256-GCM under that key, bound to soul, type,
//! time, creator and level; the key is wrapped for each recipient by HPKE, bound to soul, time and
//! key id. A commitment binds the ciphertext to the one key, which GCM alone does not.
//! Refuses, in this order: no wrap for any key of ours, a wrap that does not open, another key than
//! committed to, changed ciphertext, content that is no record, a content that the creator did not sign.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gun::Soul;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use oip_record::canonical::canonical;
use oip_record::sealed::{ENCRYPTION_TYPE, RECIPIENTS_MAX, Recipient, SealedForm};
use oip_record::{Creator, Stamp, json, keys, publish, template};
use rand_core::CryptoRng;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::keys::{EncryptionPublic, KEM, KeyRing};
use crate::padme;

/// The whole suite, as it is bound into each wrap.
const SUITE: &str = "HPKE base, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM";

/// Bytes of a content key, of the iv, and of the tag.
const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What a sealed version is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where it lies.
    pub soul: &'a Soul,
    /// Its type.
    pub record_type: &'a str,
    /// Its time.
    pub indexed_at: &'a Stamp,
    /// Its maker.
    pub creator: &'a Creator,
}

/// What was inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The data, access control included; signed by the creator.
    pub data: Value,
    /// The id of the key that opened it.
    pub key_id: String,
}

/// Why a record was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Nobody could open it.
    #[error("a sealed record needs a recipient")]
    NoRecipient,
    /// Over the form's bound.
    #[error(
        "a record is sealed to at most {RECIPIENTS_MAX} recipients: share with an organization in parts"
    )]
    TooManyRecipients,
    /// The cryptographic library refused.
    #[error("the record could not be sealed")]
    Library,
}

/// Why a sealed record can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No wrap is for a key of this ring.
    #[error("the record is sealed to others")]
    NotARecipient,
    /// The wrap is of another kind, or does not open: made for another key, place or time.
    #[error(
        "the record's content key does not unwrap: the wrap was made for another key, soul or time"
    )]
    Wrap,
    /// The wrapped key is not the one that was committed to.
    #[error("the record's content key is not the one it commits to")]
    Commitment,
    /// The ciphertext was changed, or moved to another soul, type, time, creator or level.
    #[error("the record's ciphertext does not open: it was changed, or moved from another place")]
    Ciphertext,
    /// The content is not a private record's.
    #[error("the record's content is not that of a private record")]
    Content,
    /// The creator did not sign the content.
    #[error("the signature inside the record does not verify")]
    InnerSignature,
}

impl OpenError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotARecipient => "sealed-to-others",
            Self::Wrap => "sealed-wrap",
            Self::Commitment => "sealed-commitment",
            Self::Ciphertext => "sealed-ciphertext",
            Self::Content => "sealed-content",
            Self::InnerSignature => "sealed-inner-signature",
        }
    }
}

/// Seals the data with its inner signature to the recipients, each once.
///
/// # Errors
/// [`SealError`].
pub fn seal(
    place: Place<'_>,
    level: &str,
    data: &Value,
    signature: &str,
    recipients: &[EncryptionPublic],
    random: &mut impl CryptoRng,
) -> Result<SealedForm, SealError> {
    let mut content_key = Zeroizing::new([0; KEY_BYTES]);
    random.fill_bytes(content_key.as_mut_slice());
    let mut iv = [0; IV_BYTES];
    random.fill_bytes(&mut iv);
    let mut text = content_text(data, signature);
    let key = cipher(&content_key)?;
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(iv),
            Aad::from(associated(place, level)),
            &mut text,
        )
        .map_err(|_| SealError::Library)?;
    let mut form = SealedForm {
        level: level.to_owned(),
        revision: 0,
        encrypted: STANDARD.encode(&*text),
        iv: STANDARD.encode(iv),
        tag: STANDARD.encode(tag.as_ref()),
        commitment: STANDARD.encode(commitment(&content_key)),
        recipients: Vec::new(),
    };
    add_recipients(&mut form, place, &content_key, recipients, random)?;
    if form.recipients.is_empty() {
        return Err(SealError::NoRecipient);
    }
    Ok(form)
}

/// Opens what was sealed to a key of the ring, and checks everything inside.
///
/// # Errors
/// [`OpenError`] with the first fault.
pub fn open(place: Place<'_>, form: &SealedForm, ring: &KeyRing) -> Result<Opened, OpenError> {
    let (content_key, key_id) = content_key(place, form, ring)?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| OpenError::Ciphertext);
    let mut sealed = bytes(&form.encrypted)?;
    let iv: [u8; IV_BYTES] = bytes(&form.iv)?
        .try_into()
        .map_err(|_| OpenError::Ciphertext)?;
    let tag = bytes(&form.tag)?;
    if tag.len() != TAG_BYTES {
        return Err(OpenError::Ciphertext);
    }
    sealed.extend_from_slice(&tag);
    let mut sealed = Zeroizing::new(sealed);
    let text = cipher(&content_key)
        .map_err(|_| OpenError::Ciphertext)?
        .open_in_place(
            Nonce::assume_unique_for_key(iv),
            Aad::from(associated(place, &form.level)),
            &mut sealed,
        )
        .map_err(|_| OpenError::Ciphertext)?;
    let (data, signature) = read_content(text)?;
    let signed = publish::content_bytes(
        place.soul,
        place.record_type,
        place.indexed_at,
        place.creator,
        &form.level,
        &data,
    );
    keys::verify(place.creator, &signed, &signature).map_err(|_| OpenError::InnerSignature)?;
    Ok(Opened { data, key_id })
}

/// The form with more recipients and the next revision: content, key and time stay. Those who can
/// open it already are not wrapped for again; `None` if all can.
///
/// # Errors
/// [`ShareError`].
pub fn share(
    place: Place<'_>,
    form: &SealedForm,
    ring: &KeyRing,
    more: &[EncryptionPublic],
    random: &mut impl CryptoRng,
) -> Result<Option<SealedForm>, ShareError> {
    let (content_key, _) = content_key(place, form, ring)?;
    let mut shared = form.clone();
    add_recipients(&mut shared, place, &content_key, more, random)?;
    if shared.recipients.len() == form.recipients.len() {
        return Ok(None);
    }
    shared.revision += 1;
    Ok(Some(shared))
}

/// Why a record was not shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It can't be opened here.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be wrapped for them.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The content key from the wrap for one of ours, if it is the one committed to.
fn content_key(
    place: Place<'_>,
    form: &SealedForm,
    ring: &KeyRing,
) -> Result<(Zeroizing<[u8; KEY_BYTES]>, String), OpenError> {
    let (wrap, key) = form
        .recipients
        .iter()
        .find_map(|wrap| Some((wrap, ring.key(&wrap.key)?)))
        .ok_or(OpenError::NotARecipient)?;
    if wrap.kem != KEM {
        return Err(OpenError::Wrap);
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| OpenError::Wrap);
    let enc = EncryptionPublic::from_point(&bytes(&wrap.enc)?).map_err(|_| OpenError::Wrap)?;
    let enc = <DhP256HkdfSha256 as Kem>::EncappedKey::from_bytes(enc.whole())
        .map_err(|_| OpenError::Wrap)?;
    let unwrapped = hpke::single_shot_open::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
        &OpModeR::Base,
        &key.for_hpke().map_err(|_| OpenError::Wrap)?,
        &enc,
        &info(place, key.id()),
        &bytes(&wrap.wrapped)?,
        &[],
    )
    .map(Zeroizing::new)
    .map_err(|_| OpenError::Wrap)?;
    let content_key: [u8; KEY_BYTES] = unwrapped
        .as_slice()
        .try_into()
        .map_err(|_| OpenError::Wrap)?;
    let content_key = Zeroizing::new(content_key);
    let committed = STANDARD
        .decode(&form.commitment)
        .map_err(|_| OpenError::Commitment)?;
    verify_slices_are_equal(&committed, &commitment(&content_key))
        .map_err(|_| OpenError::Commitment)?;
    Ok((content_key, key.id().to_owned()))
}

fn add_recipients(
    form: &mut SealedForm,
    place: Place<'_>,
    content_key: &[u8; KEY_BYTES],
    recipients: &[EncryptionPublic],
    random: &mut impl CryptoRng,
) -> Result<(), SealError> {
    for recipient in recipients {
        let id = recipient.id();
        if form.names(&id) {
            continue;
        }
        if form.recipients.len() >= RECIPIENTS_MAX {
            return Err(SealError::TooManyRecipients);
        }
        let (enc, wrapped) =
            hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
                &OpModeS::Base,
                &recipient.for_hpke().map_err(|_| SealError::Library)?,
                &info(place, &id),
                content_key,
                &[],
                random,
            )
            .map_err(|_| SealError::Library)?;
        let enc = EncryptionPublic::from_point(&enc.to_bytes()).map_err(|_| SealError::Library)?;
        form.recipients.push(Recipient {
            key: id,
            kem: KEM.to_owned(),
            // Compressed: a third less on the wire, and one form per point.
            enc: STANDARD.encode(enc.compressed()),
            wrapped: STANDARD.encode(wrapped),
        });
    }
    Ok(())
}

/// What each wrap is bound to.
fn info(place: Place<'_>, key_id: &str) -> Vec<u8> {
    canonical(&[
        SUITE,
        place.soul.as_str(),
        place.indexed_at.as_str(),
        key_id,
    ])
}

/// What the ciphertext is bound to.
fn associated(place: Place<'_>, level: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Associated<'a> {
        soul: &'a str,
        record_type: &'a str,
        indexed_at: &'a str,
        creator: &'a Creator,
        level: &'a str,
    }
    canonical(&Associated {
        soul: place.soul.as_str(),
        record_type: place.record_type,
        indexed_at: place.indexed_at.as_str(),
        creator: place.creator,
        level,
    })
}

fn commitment(content_key: &[u8; KEY_BYTES]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, content_key);
    let tag = hmac::sign(&key, ENCRYPTION_TYPE.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

fn cipher(content_key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, content_key)
        .map(LessSafeKey::new)
        .map_err(|_| SealError::Library)
}

/// Canonical JSON of data and inner signature, and blanks up to the padded length.
fn content_text(data: &Value, signature: &str) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Content<'a> {
        data: &'a Value,
        signature: &'a str,
    }
    let mut text = Zeroizing::new(canonical(&Content { data, signature }));
    let padded = padme::padded(text.len());
    // In one allocation, so that no copy is left behind unwiped.
    let mut whole = Zeroizing::new(Vec::with_capacity(padded));
    whole.append(&mut text);
    whole.resize(padded, b' ');
    whole
}

fn read_content(text: &[u8]) -> Result<(Value, String), OpenError> {
    let text = std::str::from_utf8(text).map_err(|_| OpenError::Content)?;
    let content = json::parse(text).map_err(|_| OpenError::Content)?;
    let Value::Object(mut members) = content else {
        return Err(OpenError::Content);
    };
    let (Some(data), Some(Value::String(signature)), true) = (
        members.shift_remove("data"),
        members.shift_remove("signature"),
        members.is_empty(),
    ) else {
        return Err(OpenError::Content);
    };
    template::check_received(&data).map_err(|_| OpenError::Content)?;
    Ok((data, signature))
}

#[cfg(test)]
mod tests;
