//! The sealed form `oip-sealed-1`: what lies in `data` of a private record, as a strict shape. Its
//! contents are ciphertext here; opening and sealing are `oip-vault`'s.
//!
//! Refuses whatever is not exactly the form: the outer signature covers every member, so that
//! nothing in it can be without meaning.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::oip::REVISION_MAX;

/// What `encryptionType` says.
pub const ENCRYPTION_TYPE: &str = "oip-sealed-1";

/// The version of the seal that is written and read.
const SEAL_VERSION: u64 = 1;

/// Most recipients of one record: an organization of a few thousand. 4,096 of them take some 700 KB,
/// and sealing to them a few seconds.
pub const RECIPIENTS_MAX: usize = 4_096;

/// Longest level name that is carried.
pub const LEVEL_CHARS_MAX: usize = 32;

/// Longest name of a key encapsulation. Others than P-256 are carried for those who know them.
const KEM_CHARS_MAX: usize = 32;

/// Longest encapsulated or wrapped key, in base64: the largest that is discussed today (ML-KEM-1024)
/// needs 2,091.
const WRAP_CHARS_MAX: usize = 4_096;

/// Bytes of AES-GCM's iv and tag, and of the commitment.
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const COMMITMENT_BYTES: usize = 32;

/// Hex digits of a key id.
pub const KEY_ID_DIGITS: usize = 16;

/// Why a text is not in the sealed form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// `encryptionType` or the seal's version is another.
    #[error("the sealed form is not `oip-sealed-1`: upgrade this node, or seal it anew")]
    UnknownForm,
    /// A member is missing, too long, or of a wrong form.
    #[error("the sealed form's member `{0}` is missing or malformed")]
    Member(&'static str),
    /// A member that the form does not have.
    #[error("the sealed form has a member that it must not have")]
    UnknownMember,
    /// Over [`RECIPIENTS_MAX`].
    #[error("the sealed form has more than {RECIPIENTS_MAX} recipients")]
    TooManyRecipients,
    /// Nobody could open it.
    #[error("the sealed form has no recipient")]
    NoRecipient,
    /// One key twice.
    #[error("the sealed form names a recipient twice")]
    RecipientTwice,
    /// A level that says the record is for everyone.
    #[error("the sealed form says that it is public")]
    PublicLevel,
}

impl SealedError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownForm => "sealed-unknown-form",
            Self::Member(_) => "sealed-bad-member",
            Self::UnknownMember => "sealed-unknown-member",
            Self::TooManyRecipients => "sealed-too-many-recipients",
            Self::NoRecipient => "sealed-no-recipient",
            Self::RecipientTwice => "sealed-recipient-twice",
            Self::PublicLevel => "sealed-public-level",
        }
    }
}

/// The content key, wrapped for one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The id of the reader's encryption key: 16 hex digits.
    pub key: String,
    /// How the key is encapsulated: `P-256`, or what a later reader knows.
    pub kem: String,
    /// The encapsulated key, base64.
    pub enc: String,
    /// The wrapped content key, base64.
    pub wrapped: String,
}

/// A private record's `data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedForm {
    /// `private`, `shared`, `organization`, or another that is not `public`.
    pub level: String,
    /// Counts shares of one version.
    pub revision: u64,
    /// The ciphertext, base64.
    pub encrypted: String,
    /// 12 bytes, base64.
    pub iv: String,
    /// 16 bytes, base64.
    pub tag: String,
    /// 32 bytes, base64: binds the ciphertext to one content key.
    pub commitment: String,
    /// Who can open it.
    pub recipients: Vec<Recipient>,
}

impl SealedForm {
    /// Whether `data` claims to be ciphertext of ours.
    #[must_use]
    pub fn is_claimed(data: &Value) -> bool {
        data["encryptionType"] == ENCRYPTION_TYPE
    }

    /// Reads the form. In the nested layout a list lies as its JSON text, and the seal may.
    ///
    /// # Errors
    /// [`SealedError`] with the first fault.
    pub fn parse(data: &Value) -> Result<Self, SealedError> {
        let members = data.as_object().ok_or(SealedError::UnknownForm)?;
        if members.get("encryptionType").and_then(Value::as_str) != Some(ENCRYPTION_TYPE) {
            return Err(SealedError::UnknownForm);
        }
        only(
            members,
            &["encrypted", "iv", "tag", "encryptionType", "seal"],
        )?;
        let seal = unpacked(members.get("seal"), "seal")?;
        let seal = seal.as_object().ok_or(SealedError::Member("seal"))?;
        if seal.get("v").and_then(Value::as_u64) != Some(SEAL_VERSION) {
            return Err(SealedError::UnknownForm);
        }
        only(
            seal,
            &["v", "revision", "level", "commitment", "recipients"],
        )?;
        let level = text(seal, "level", LEVEL_CHARS_MAX)?;
        if level == crate::canonical::LEVEL_PUBLIC {
            return Err(SealedError::PublicLevel);
        }
        if !level
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(SealedError::Member("level"));
        }
        let revision = seal
            .get("revision")
            .and_then(Value::as_u64)
            .filter(|&revision| revision <= REVISION_MAX)
            .ok_or(SealedError::Member("revision"))?;
        let encrypted = text(members, "encrypted", crate::limits::DATA_BYTES_MAX)?;
        if !is_base64(&encrypted) {
            return Err(SealedError::Member("encrypted"));
        }
        Ok(Self {
            level,
            revision,
            encrypted,
            iv: exactly(members, "iv", IV_BYTES)?,
            tag: exactly(members, "tag", TAG_BYTES)?,
            commitment: exactly(seal, "commitment", COMMITMENT_BYTES)?,
            recipients: recipients(seal)?,
        })
    }

    /// The form as it is signed and written.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let recipients: Vec<Value> = self
            .recipients
            .iter()
            .map(|to| json!({"key": to.key, "kem": to.kem, "enc": to.enc, "wrapped": to.wrapped}))
            .collect();
        json!({
            "encrypted": self.encrypted,
            "iv": self.iv,
            "tag": self.tag,
            "encryptionType": ENCRYPTION_TYPE,
            "seal": {
                "v": SEAL_VERSION,
                "revision": self.revision,
                "level": self.level,
                "commitment": self.commitment,
                "recipients": recipients,
            },
        })
    }

    /// Whether the key with this id is a recipient's.
    #[must_use]
    pub fn names(&self, key: &str) -> bool {
        self.recipients.iter().any(|to| to.key == key)
    }
}

fn recipients(seal: &Map<String, Value>) -> Result<Vec<Recipient>, SealedError> {
    let list = unpacked(seal.get("recipients"), "recipients")?;
    let list = list.as_array().ok_or(SealedError::Member("recipients"))?;
    if list.is_empty() {
        return Err(SealedError::NoRecipient);
    }
    if list.len() > RECIPIENTS_MAX {
        return Err(SealedError::TooManyRecipients);
    }
    let mut seen = std::collections::HashSet::new();
    list.iter()
        .map(|one| {
            let one = one.as_object().ok_or(SealedError::Member("recipients"))?;
            only(one, &["key", "kem", "enc", "wrapped"])?;
            let recipient = Recipient {
                key: text(one, "key", KEY_ID_DIGITS)?,
                kem: text(one, "kem", KEM_CHARS_MAX)?,
                enc: text(one, "enc", WRAP_CHARS_MAX)?,
                wrapped: text(one, "wrapped", WRAP_CHARS_MAX)?,
            };
            if !is_key_id(&recipient.key) {
                return Err(SealedError::Member("key"));
            }
            if !is_base64(&recipient.enc) {
                return Err(SealedError::Member("enc"));
            }
            if !is_base64(&recipient.wrapped) {
                return Err(SealedError::Member("wrapped"));
            }
            if seen.insert(recipient.key.clone()) {
                Ok(recipient)
            } else {
                Err(SealedError::RecipientTwice)
            }
        })
        .collect()
}

/// Whether a text is a key id: 16 lower-case hex digits.
#[must_use]
pub fn is_key_id(text: &str) -> bool {
    text.len() == KEY_ID_DIGITS
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), SealedError> {
    if members.keys().all(|name| known.contains(&name.as_str())) {
        Ok(())
    } else {
        Err(SealedError::UnknownMember)
    }
}

/// A member as it is, or what its JSON text holds.
fn unpacked(member: Option<&Value>, name: &'static str) -> Result<Value, SealedError> {
    match member {
        Some(Value::String(text)) => {
            crate::json::parse(text).map_err(|_| SealedError::Member(name))
        }
        Some(value) => Ok(value.clone()),
        None => Err(SealedError::Member(name)),
    }
}

fn text(
    members: &Map<String, Value>,
    name: &'static str,
    chars_max: usize,
) -> Result<String, SealedError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| (1..=chars_max).contains(&text.len()))
        .map(str::to_owned)
        .ok_or(SealedError::Member(name))
}

fn exactly(
    members: &Map<String, Value>,
    name: &'static str,
    bytes: usize,
) -> Result<String, SealedError> {
    let text = text(members, name, bytes * 2)?;
    match STANDARD.decode(&text) {
        Ok(decoded) if decoded.len() == bytes => Ok(text),
        _ => Err(SealedError::Member(name)),
    }
}

fn is_base64(text: &str) -> bool {
    STANDARD.decode(text).is_ok()
}

#[cfg(test)]
mod tests;
