//! A submission becomes a signed record: its graph entries, its texts, its index document.

use gun::{Key, Soul, Value as GunValue};
use serde_json::{Map, Value};

use crate::canonical::{
    Domain, LEVEL_PUBLIC, SCHEME_OWNER, SCHEME_PUBLIC, SCHEME_SEALED, SignedBody, True, digest_of,
};
use crate::creator::Creator;
use crate::did::Did;
use crate::json::JsonError;
use crate::keys::{CreatorKey, KeyError};
use crate::limits::{ARRAYS_MAX, DATA_BYTES_MAX, FUTURE_MS_MAX, OIP_BYTES_MAX};
use crate::oip::{Oip, VERSION};
use crate::order::Order;
use crate::sealed::{ENCRYPTION_TYPE, SealedForm};
use crate::soul::{self, LocalIdError};
use crate::stamp::Stamp;
use crate::template::{self, ShapeError};
use crate::verify::Verification;
use crate::{arrays, document, json, privacy};

/// The revision of every version with a time of its own.
const REVISION_NEW: u64 = 0;

/// Characters of a faulty name that are repeated in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// A record as a user submits it.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The type, such as `post`.
    pub record_type: String,
    /// Names the record among those of its creator; the same one again is an edit.
    pub local_id: Option<String>,
    /// The templates. Read submitted texts with [`crate::json::parse`], which sees what a
    /// parsed value no longer shows.
    pub data: Value,
    /// The request's other parameters, among which access parameters count as flags.
    pub params: Map<String, Value>,
}

/// What a version depends on besides its content.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Signs.
    pub key: &'a CreatorKey,
    /// The clock.
    pub now_ms: i64,
    /// The newest version known for the soul, tombstones included; the new one is stamped after it.
    pub newest_known: Option<Order>,
    /// Makes a local id where none is given.
    pub random: [u8; 16],
    /// The soul of the record that is edited, whatever the width of its prefix.
    pub existing: Option<&'a Soul>,
}

/// A record that is ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Where it lies.
    pub soul: Soul,
    /// Its identifier.
    pub did: Did,
    /// Its type.
    pub record_type: String,
    /// Its maker.
    pub creator: Creator,
    /// What to write into the graph, in one put: the record node, then its meta node.
    pub entries: Vec<(Soul, Vec<(Key, GunValue)>)>,
    /// The packed data; `None` for a tombstone.
    pub data_text: Option<String>,
    /// The packed `oip`.
    pub oip_text: String,
    /// Its place among versions.
    pub order: Order,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The index form, equal to what every other node indexes.
    pub document: Value,
}

/// Why a submission is not published; nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a name for a type.
    #[error("the record type `{0}` is refused: use up to 64 letters, digits, `_` or `-`")]
    RecordType(String),
    /// Not a local id.
    #[error(transparent)]
    LocalId(#[from] LocalIdError),
    /// Not the data of a record.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Not JSON that every node reads alike.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// More arrays than are packed.
    #[error(
        "the record has more than {} arrays: split it",
        crate::limits::ARRAYS_MAX
    )]
    TooManyArrays,
    /// The record asks for privacy, and is not sealed.
    #[error(
        "the record asks for privacy by {0}, and is never published in clear: nothing of it was written"
    )]
    Private(privacy::Reason),
    /// The record to change belongs to another key.
    #[error("the record belongs to another key: only its creator can change or delete it")]
    NotYours,
    /// The newest version is stamped so far ahead that a later one would be refused elsewhere.
    #[error(
        "the newest version is stamped more than 10 minutes ahead of this node's clock: set the clock, or wait"
    )]
    ClockBehind,
    /// The key failed.
    #[error("the creator key failed")]
    Key(#[source] KeyError),
}

impl Refusal {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::RecordType(_) => "bad-record-type",
            Self::LocalId(_) => "bad-local-id",
            Self::Shape(shape) => shape.label(),
            Self::Json(json) => json.label(),
            Self::TooManyArrays => "too-many-arrays",
            Self::Private(_) => "private",
            Self::NotYours => "not-yours",
            Self::ClockBehind => "clock-behind",
            Self::Key(_) => "key",
        }
    }
}

/// A private version before it is sealed: judged, placed and stamped. Nothing of it may be written
/// but what [`Draft::seal`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Where it will lie.
    pub soul: Soul,
    /// Its type.
    pub record_type: String,
    /// Its maker.
    pub creator: Creator,
    /// Its time.
    pub stamp: Stamp,
    /// Its level; never `public`.
    pub level: String,
    /// The data, arrays as arrays.
    pub data: Value,
}

/// Judges a private submission and stamps it. `data` holds the whole access control.
///
/// # Errors
/// [`Refusal`] with the first fault.
pub fn draft(
    submission: &Submission,
    level: &str,
    context: &Context<'_>,
) -> Result<Draft, Refusal> {
    template::check_submitted(&submission.data)?;
    json::check_numbers(&submission.data)?;
    if !template::is_record_type(&submission.record_type) {
        return Err(record_type_refused(&submission.record_type));
    }
    let soul = match context.existing {
        Some(soul) => soul.clone(),
        None => soul_for(context.key, submission.local_id.as_deref(), context.random)?,
    };
    let creator = context.key.creator().clone();
    if !soul::belongs_to(&soul, &creator.public_key) {
        return Err(Refusal::NotYours);
    }
    Ok(Draft {
        soul,
        record_type: submission.record_type.clone(),
        creator,
        stamp: stamp_after(context)?,
        level: level.to_owned(),
        data: submission.data.clone(),
    })
}

impl Draft {
    /// The signature that goes inside the ciphertext, over the data itself. Its revision is always 0:
    /// a share changes the form around the content, and not the content.
    ///
    /// # Errors
    /// [`Refusal::Key`].
    pub fn sign_content(&self, key: &CreatorKey) -> Result<String, Refusal> {
        key.sign(&content_bytes(
            &self.soul,
            &self.record_type,
            &self.stamp,
            &self.creator,
            &self.level,
            &self.data,
        ))
        .map_err(Refusal::Key)
    }

    /// The version as it is written: the sealed form, signed outside.
    ///
    /// # Errors
    /// [`Refusal`] if it is too large or the key fails.
    pub fn seal(&self, form: &SealedForm, key: &CreatorKey) -> Result<Built, Refusal> {
        sealed_version(
            &self.soul,
            &self.record_type,
            &self.creator,
            &self.stamp,
            form,
            key,
        )
    }
}

/// The bytes that the signature inside a private record covers.
#[must_use]
pub fn content_bytes(
    soul: &Soul,
    record_type: &str,
    stamp: &Stamp,
    creator: &Creator,
    level: &str,
    data: &Value,
) -> Vec<u8> {
    SignedBody {
        soul: soul.as_str(),
        record_type,
        indexed_at: stamp.as_str(),
        revision: REVISION_NEW,
        creator,
        level,
        arrays: &[],
        deleted: None,
        deleted_by: None,
        data,
    }
    .signed_bytes_in(Domain::Private)
}

/// A sealed version with a form that was made for this place and time: a new one, or one that was
/// shared with more readers.
///
/// # Errors
/// [`Refusal`] if it is another's, too large, or the key fails.
pub fn sealed_version(
    soul: &Soul,
    record_type: &str,
    creator: &Creator,
    stamp: &Stamp,
    form: &SealedForm,
    key: &CreatorKey,
) -> Result<Built, Refusal> {
    if creator != key.creator() {
        return Err(Refusal::NotYours);
    }
    let data = form.to_value();
    let data_text = data.to_string();
    if data_text.len() > DATA_BYTES_MAX {
        return Err(ShapeError::TooLarge.into());
    }
    let signed = SignedBody {
        soul: soul.as_str(),
        record_type,
        indexed_at: stamp.as_str(),
        revision: form.revision,
        creator,
        level: &form.level,
        arrays: &[],
        deleted: None,
        deleted_by: None,
        data: &data,
    }
    .signed_bytes_in(Domain::Sealed);
    let did = Did::from_soul(soul);
    let oip = Oip {
        ver: VERSION.to_owned(),
        record_type: record_type.to_owned(),
        indexed_at: Some(stamp.clone()),
        creator: creator.clone(),
        did: Some(did.to_string()),
        revision: None,
        level: None,
        arrays: None,
        deleted: false,
        deleted_by: None,
        scheme: Some(SCHEME_SEALED.to_owned()),
        signature: Some(key.sign(&signed).map_err(Refusal::Key)?),
        creator_extra: Map::new(),
        extra: Map::new(),
    };
    let oip_text = Value::Object(oip.to_members(&did)).to_string();
    let meta_soul = child(soul, "meta")?;
    let record = vec![
        (self::key("data"), GunValue::text(data_text.as_str())),
        (self::key("oip"), GunValue::text(oip_text.as_str())),
        (self::key("meta"), GunValue::Link(meta_soul.clone())),
    ];
    // As the origin shows it; nothing in it is needed or trusted.
    let meta = vec![
        (self::key("created"), GunValue::Number(stamp.ms() as f64)),
        (self::key("encrypted"), GunValue::Bool(true)),
        (self::key("encryptionMethod"), GunValue::text("aes-256-gcm")),
        (self::key("encryptionType"), GunValue::text(ENCRYPTION_TYPE)),
    ];
    Ok(Built {
        document: document::build(&oip, &did, data, Verification::Verified),
        order: Order {
            at_ms: stamp.ms(),
            revision: form.revision,
            digest: digest_of(&signed),
        },
        record_type: record_type.to_owned(),
        creator: creator.clone(),
        entries: vec![(soul.clone(), record), (meta_soul, meta)],
        data_text: Some(data_text),
        soul: soul.clone(),
        did,
        oip_text,
        deleted: false,
    })
}

fn record_type_refused(record_type: &str) -> Refusal {
    Refusal::RecordType(record_type.chars().take(SHOWN_CHARS_MAX).collect())
}

/// Where a submission will lie: the same soul for every version with the same local id.
///
/// # Errors
/// [`Refusal::LocalId`].
pub fn soul_for(
    key: &CreatorKey,
    local_id: Option<&str>,
    random: [u8; 16],
) -> Result<Soul, Refusal> {
    let prefix = key.soul_prefix();
    Ok(match local_id {
        Some(local_id) => soul::with_local_id(&prefix, local_id)?,
        None => soul::hashed(&prefix, random),
    })
}

/// Builds a new record, or a new version of one.
///
/// # Errors
/// [`Refusal`] with the first fault.
pub fn build(submission: &Submission, context: &Context<'_>) -> Result<Built, Refusal> {
    let data = &submission.data;
    template::check_submitted(data)?;
    if let Some(reason) = privacy::asks_for_privacy(data, &submission.params) {
        return Err(Refusal::Private(reason));
    }
    json::check_numbers(data)?;
    let (packed, pointers) = arrays::pack(data);
    if pointers.len() > ARRAYS_MAX {
        return Err(Refusal::TooManyArrays);
    }
    let data_text = packed.to_string();
    if data_text.len() > DATA_BYTES_MAX {
        return Err(ShapeError::TooLarge.into());
    }
    let soul = match context.existing {
        Some(soul) => soul.clone(),
        None => soul_for(context.key, submission.local_id.as_deref(), context.random)?,
    };
    let local_id = submission.local_id.clone();
    let version = Version {
        soul,
        record_type: &submission.record_type,
        pointers,
        data,
        in_place_of: None,
    };
    let mut built = version.sign(context)?;

    let meta_soul = child(&built.soul, "meta")?;
    let meta = vec![
        (key("created"), GunValue::Number(built.order.at_ms as f64)),
        (
            key("localId"),
            local_id.map_or(GunValue::Null, GunValue::text),
        ),
        (key("encrypted"), GunValue::Bool(false)),
    ];
    let record = vec![
        (key("data"), GunValue::text(data_text.as_str())),
        (key("oip"), GunValue::text(built.oip_text.as_str())),
        (key("meta"), GunValue::Link(meta_soul.clone())),
    ];
    built.entries = vec![(built.soul.clone(), record), (meta_soul, meta)];
    built.data_text = Some(data_text);
    Ok(built)
}

/// Builds the tombstone of the record at `soul` (`trust-and-privacy` 3.8): `data` null, and a
/// signed `oip` with `deleted: true`, which stays for ever. `context.existing` is not used.
///
/// # Errors
/// [`Refusal`] if the record is another's or the clock is behind.
pub fn tombstone(soul: &Soul, record_type: &str, context: &Context<'_>) -> Result<Built, Refusal> {
    entombed(soul, record_type, None, context)
}

/// Builds the tombstone that the record's owner signs in its creator's place: `context.key` is the
/// owner's. It is taken wherever the version stands that names him ([`crate::order::resolve`]).
///
/// # Errors
/// [`Refusal`] if the soul is not the creator's or the clock is behind.
pub fn tombstone_by_owner(
    soul: &Soul,
    record_type: &str,
    creator: &Creator,
    context: &Context<'_>,
) -> Result<Built, Refusal> {
    entombed(soul, record_type, Some(creator), context)
}

fn entombed(
    soul: &Soul,
    record_type: &str,
    in_place_of: Option<&Creator>,
    context: &Context<'_>,
) -> Result<Built, Refusal> {
    let version = Version {
        soul: soul.clone(),
        record_type,
        pointers: Vec::new(),
        data: &Value::Null,
        in_place_of,
    };
    let mut built = version.sign(context)?;
    let record = vec![
        (key("data"), GunValue::Null),
        (key("oip"), GunValue::text(built.oip_text.as_str())),
    ];
    built.entries = vec![(built.soul.clone(), record)];
    Ok(built)
}

/// What both a record and a tombstone are made from; a tombstone's data is null.
struct Version<'a> {
    soul: Soul,
    record_type: &'a str,
    pointers: Vec<String>,
    data: &'a Value,
    /// The creator, where another signs.
    in_place_of: Option<&'a Creator>,
}

impl Version<'_> {
    /// Stamps and signs; `entries` and `data_text` are the caller's.
    fn sign(self, context: &Context<'_>) -> Result<Built, Refusal> {
        let Self {
            soul,
            record_type,
            pointers,
            data,
            in_place_of,
        } = self;
        if !template::is_record_type(record_type) {
            return Err(record_type_refused(record_type));
        }
        let signer = context.key.creator();
        let creator = in_place_of.unwrap_or(signer).clone();
        let deleted_by = in_place_of.map(|_| signer.clone());
        if !soul::belongs_to(&soul, &creator.public_key) {
            return Err(Refusal::NotYours);
        }
        let stamp = stamp_after(context)?;
        let deleted = data.is_null();
        let body = SignedBody {
            soul: soul.as_str(),
            record_type,
            indexed_at: stamp.as_str(),
            revision: REVISION_NEW,
            creator: &creator,
            level: LEVEL_PUBLIC,
            arrays: &pointers,
            deleted: deleted.then_some(True),
            deleted_by: deleted_by.as_ref(),
            data,
        };
        let (scheme, domain) = match in_place_of {
            Some(_) => (SCHEME_OWNER, Domain::Owner),
            None => (SCHEME_PUBLIC, Domain::Public),
        };
        let signed = body.signed_bytes_in(domain);
        let signature = context.key.sign(&signed).map_err(Refusal::Key)?;
        let order = Order {
            at_ms: stamp.ms(),
            revision: REVISION_NEW,
            digest: digest_of(&signed),
        };
        let did = Did::from_soul(&soul);
        let oip = Oip {
            ver: VERSION.to_owned(),
            record_type: record_type.to_owned(),
            indexed_at: Some(stamp),
            creator: creator.clone(),
            did: Some(did.to_string()),
            revision: Some(REVISION_NEW),
            level: Some(LEVEL_PUBLIC.to_owned()),
            arrays: Some(pointers),
            deleted,
            deleted_by,
            scheme: Some(scheme.to_owned()),
            signature: Some(signature),
            creator_extra: Map::new(),
            extra: Map::new(),
        };
        let oip_text = Value::Object(oip.to_members(&did)).to_string();
        if oip_text.len() > OIP_BYTES_MAX {
            return Err(Refusal::TooManyArrays);
        }
        Ok(Built {
            document: document::build(&oip, &did, data.clone(), Verification::Verified),
            record_type: record_type.to_owned(),
            entries: Vec::new(),
            data_text: None,
            soul,
            did,
            creator,
            oip_text,
            order,
            deleted,
        })
    }
}

/// `max(now, newest known + 1 ms)`, unless other nodes would hold that back.
fn stamp_after(context: &Context<'_>) -> Result<Stamp, Refusal> {
    let after = context
        .newest_known
        .map_or(i64::MIN, |newest| newest.at_ms.saturating_add(1));
    let at_ms = context.now_ms.max(after);
    if at_ms.saturating_sub(context.now_ms) > FUTURE_MS_MAX {
        return Err(Refusal::ClockBehind);
    }
    Ok(Stamp::from_ms(at_ms))
}

fn child(soul: &Soul, name: &str) -> Result<Soul, Refusal> {
    Soul::new(format!("{soul}/{name}")).map_err(|_| LocalIdError::TooLong.into())
}

fn key(name: &'static str) -> Key {
    Key::new(name).expect("the names written here are plain words")
}

#[cfg(test)]
mod tests;
