//! Judges a record's texts: form, owner, signature, privacy, time; cheap checks first.

use gun::Soul;
use serde_json::{Map, Value};

use crate::canonical::{
    Domain, LEVEL_PUBLIC, SCHEME_PUBLIC, SCHEME_SEALED, SignedBody, True, data_digest, digest_of,
    foreign_digest,
};
use crate::creator::Creator;
use crate::did::Did;
use crate::json::{self, JsonError};
use crate::keys::{self, PublicKey};
use crate::limits::{DATA_BYTES_MAX, FUTURE_MS_MAX, OIP_BYTES_MAX};
use crate::oip::Oip;
use crate::order::{Claim, Order, SignatureClass};
use crate::read::{Raw, TextOrigin, Unity};
use crate::reject::Reject;
use crate::sealed::SealedForm;
use crate::stamp::Stamp;
use crate::template::{self, ShapeError};
use crate::{arrays, document, privacy, soul};

/// `GUN_SYNC_SIGNATURES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// What can't be verified is refused.
    Require,
    /// A bad signature is refused, a missing one accepted and marked.
    Prefer,
    /// For closed networks: signatures decide precedence only.
    Off,
}

/// What is known about the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// It verifies.
    Verified,
    /// There is none (or, with [`SignaturePolicy::Off`], it does not verify).
    Unverified,
    /// There is one, but the text it covers is not at hand.
    Unverifiable,
}

impl Verification {
    /// The name, for the index and counters.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Unverifiable => "unverifiable",
        }
    }

    /// The number under which a store keeps it.
    #[must_use]
    pub fn to_u8(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Unverified => 1,
            Self::Unverifiable => 2,
        }
    }

    /// Reads [`Verification::to_u8`] back.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Verified),
            1 => Some(Self::Unverified),
            2 => Some(Self::Unverifiable),
            _ => None,
        }
    }
}

/// A record that may be stored and indexed, if [`crate::order::resolve`] takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// Where it lies.
    pub soul: Soul,
    /// Its identifier, from the soul.
    pub did: Did,
    /// Its type.
    pub record_type: String,
    /// Its maker.
    pub creator: Creator,
    /// Its time, if it has one.
    pub indexed_at: Option<Stamp>,
    /// Its place among versions.
    pub order: Order,
    /// How it is vouched for.
    pub class: SignatureClass,
    /// What is known about the signature.
    pub verification: Verification,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// SHA-256 of the canonical data: deployed signatures don't cover the time, so a data digest
    /// once superseded must not be taken again.
    pub data_digest: [u8; 32],
    /// The index form; of a sealed record as anyone sees it, ciphertext.
    pub document: Value,
    /// The sealed form, if the record is private.
    pub sealed: Option<SealedForm>,
    /// The packed data as received; `None` for a tombstone.
    pub data_text: Option<String>,
    /// The packed `oip` as received.
    pub oip_text: String,
}

impl Accepted {
    /// What the version claims when versions are compared.
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            order: self.order,
            class: self.class,
            creator: &self.creator.did_address,
        }
    }
}

/// Judges the record found at `soul`.
///
/// # Errors
/// [`Reject`] with the first fault.
pub fn accept(
    soul: &Soul,
    raw: Raw,
    policy: SignaturePolicy,
    now_ms: i64,
) -> Result<Accepted, Reject> {
    if raw.oip_text.len() > OIP_BYTES_MAX {
        return Err(Reject::OipTooLarge);
    }
    if raw
        .data_text
        .as_ref()
        .is_some_and(|text| text.len() > DATA_BYTES_MAX)
    {
        return Err(ShapeError::TooLarge.into());
    }
    let oip_value: Value = serde_json::from_str(&raw.oip_text).map_err(|_| Reject::NotOip)?;
    let oip = Oip::parse(&oip_value)?;
    match oip.scheme.as_deref() {
        None | Some(SCHEME_PUBLIC | SCHEME_SEALED) => {}
        Some(other) => return Err(Reject::UnknownScheme(other.chars().take(80).collect())),
    }
    if policy != SignaturePolicy::Off {
        check_owner(soul, &oip)?;
    }
    if let Some(stamp) = &oip.indexed_at
        && stamp.ms().saturating_sub(now_ms) > FUTURE_MS_MAX
    {
        return Err(Reject::FutureStamp { at_ms: stamp.ms() });
    }
    let found = match oip.scheme.as_deref() {
        Some(SCHEME_SEALED) => judge_sealed(soul, &raw, &oip, policy)?,
        Some(_) => judge_ours(soul, &raw, &oip, policy)?,
        None => judge_foreign(soul, &raw, &oip, &oip_value, policy)?,
    };
    if found.sealed.is_none()
        && let Some(reason) = privacy::asks_for_privacy(&found.data, &Map::new())
    {
        return Err(Reject::ExposedPrivate(reason));
    }
    // Anyone can write `meta`, so that it counts only where nobody vouches for the record.
    let is_clear = matches!(
        raw.meta.get("encrypted"),
        None | Some(Value::Null | Value::Bool(false))
    );
    if found.sealed.is_none() && found.class == SignatureClass::None && !is_clear {
        return Err(Reject::ExposedPrivate(privacy::Reason::meta_encrypted()));
    }
    let did = Did::from_soul(soul);
    let document = document::build(&oip, &did, found.data, found.verification);
    Ok(Accepted {
        soul: soul.clone(),
        did,
        record_type: oip.record_type,
        creator: oip.creator,
        indexed_at: oip.indexed_at,
        order: found.order,
        class: found.class,
        verification: found.verification,
        deleted: oip.deleted,
        data_digest: found.data_digest,
        document,
        sealed: found.sealed,
        data_text: raw.data_text,
        oip_text: raw.oip_text,
    })
}

/// What the signature of either kind of record says.
struct Found {
    /// Arrays restored; null for a tombstone.
    data: Value,
    data_digest: [u8; 32],
    order: Order,
    class: SignatureClass,
    verification: Verification,
    sealed: Option<SealedForm>,
}

/// The soul's prefix and the creator's address must both come from the creator's key.
fn check_owner(soul: &Soul, oip: &Oip) -> Result<(), Reject> {
    if !soul::belongs_to(soul, &oip.creator.public_key) {
        Err(Reject::PrefixMismatch)
    } else if PublicKey::of_creator(&oip.creator).is_none() {
        Err(Reject::CreatorMismatch)
    } else {
        Ok(())
    }
}

/// A sealed record: the signature over the form as it lies here. What is inside is for recipients.
fn judge_sealed(
    soul: &Soul,
    raw: &Raw,
    oip: &Oip,
    policy: SignaturePolicy,
) -> Result<Found, Reject> {
    json::parse(&raw.oip_text).map_err(Reject::Json)?;
    let stamp = match &oip.indexed_at {
        Some(stamp) if stamp.is_canonical() => stamp,
        _ => return Err(Reject::BadMember("indexedAt")),
    };
    let signature = oip
        .signature
        .as_deref()
        .ok_or(Reject::BadMember("signature"))?;
    // The form has its own, which are signed; another beside it could only mislead.
    if oip.revision.is_some() {
        return Err(Reject::BadMember("revision"));
    } else if oip.level.is_some() {
        return Err(Reject::BadMember("level"));
    } else if oip.arrays.is_some() {
        return Err(Reject::BadMember("arrays"));
    } else if oip.deleted {
        return Err(Reject::BadMember("deleted"));
    }
    if oip.did.as_deref() != Some(Did::from_soul(soul).to_string().as_str()) {
        return Err(Reject::DidMismatch);
    }
    let text = raw.data_text.as_deref().ok_or(Reject::Torn)?;
    let form = match SealedForm::parse(&json::parse(text).map_err(Reject::Json)?) {
        Ok(form) => form,
        // The data of a version that was public, with the `oip` of one that is not.
        Err(_) if raw.unity == Unity::Mixed => return Err(Reject::Torn),
        Err(fault) => return Err(fault.into()),
    };
    let data = form.to_value();
    let signed = SignedBody {
        soul: soul.as_str(),
        record_type: &oip.record_type,
        indexed_at: stamp.as_str(),
        revision: form.revision,
        creator: &oip.creator,
        level: &form.level,
        arrays: &[],
        deleted: None,
        data: &data,
    }
    .signed_bytes_in(Domain::Sealed);
    // Without a valid signature nobody can tell who may have sealed it, whatever the policy.
    if policy == SignaturePolicy::Off {
        check_owner(soul, oip)?;
    }
    if keys::verify(&oip.creator, &signed, signature).is_err() {
        return Err(bad_signature(raw));
    }
    Ok(Found {
        data_digest: data_digest(&data),
        data,
        order: Order {
            at_ms: stamp.ms(),
            revision: form.revision,
            digest: digest_of(&signed),
        },
        class: SignatureClass::Ours,
        verification: Verification::Verified,
        sealed: Some(form),
    })
}

/// A record of our scheme: every member that is signed must be there in its one form.
fn judge_ours(soul: &Soul, raw: &Raw, oip: &Oip, policy: SignaturePolicy) -> Result<Found, Reject> {
    // Read again strictly: of a doubled member another reader might take the other one.
    json::parse(&raw.oip_text).map_err(Reject::Json)?;
    let stamp = match &oip.indexed_at {
        Some(stamp) if stamp.is_canonical() => stamp,
        _ => return Err(Reject::BadMember("indexedAt")),
    };
    let revision = oip.revision.ok_or(Reject::BadMember("revision"))?;
    let arrays = oip.arrays.as_deref().ok_or(Reject::BadMember("arrays"))?;
    let signature = oip
        .signature
        .as_deref()
        .ok_or(Reject::BadMember("signature"))?;
    if oip.level.as_deref() != Some(LEVEL_PUBLIC) {
        return Err(Reject::BadMember("level"));
    }
    if oip.did.as_deref() != Some(Did::from_soul(soul).to_string().as_str()) {
        return Err(Reject::DidMismatch);
    }
    let (packed, data) = match (&raw.data_text, oip.deleted) {
        (None, true) => (Value::Null, Value::Null),
        (Some(text), false) => {
            let packed = json::parse(text).map_err(Reject::Json)?;
            if SealedForm::is_claimed(&packed) && raw.unity == Unity::Mixed {
                return Err(Reject::Torn);
            }
            check_not_sealed(&packed)?;
            let data = arrays::unpack(packed.clone(), arrays).map_err(Reject::Arrays)?;
            template::check_received(&data)?;
            json::check_numbers(&data).map_err(Reject::Json)?;
            (packed, data)
        }
        _ => return Err(Reject::Torn),
    };
    let signed = SignedBody {
        soul: soul.as_str(),
        record_type: &oip.record_type,
        indexed_at: stamp.as_str(),
        revision,
        creator: &oip.creator,
        level: LEVEL_PUBLIC,
        arrays,
        deleted: oip.deleted.then_some(True),
        data: &data,
    }
    .signed_bytes();
    let verifies = keys::verify(&oip.creator, &signed, signature).is_ok();
    let (class, verification) = match (verifies, policy) {
        (true, _) => (SignatureClass::Ours, Verification::Verified),
        (false, SignaturePolicy::Off) => (SignatureClass::None, Verification::Unverified),
        (false, _) => return Err(bad_signature(raw)),
    };
    let order = Order {
        at_ms: stamp.ms(),
        revision,
        digest: digest_of(&signed),
    };
    Ok(Found {
        data_digest: data_digest(&packed),
        data,
        order,
        class,
        verification,
        sealed: None,
    })
}

/// A record of a deployed node: a signature over the data text, or none.
fn judge_foreign(
    soul: &Soul,
    raw: &Raw,
    oip: &Oip,
    oip_value: &Value,
    policy: SignaturePolicy,
) -> Result<Found, Reject> {
    let text = raw.data_text.as_deref().ok_or(match oip.deleted {
        // A deletion mark that nobody signed deletes nothing.
        true => Reject::Unsigned,
        false => Reject::Torn,
    })?;
    let packed: Value = serde_json::from_str(text)
        .map_err(|error| Reject::Json(JsonError::Syntax(error.to_string())))?;
    check_not_sealed(&packed)?;
    let data = match &oip.arrays {
        Some(pointers) => arrays::unpack(packed.clone(), pointers).map_err(Reject::Arrays)?,
        None => arrays::unpack_heuristic(packed.clone()),
    };
    template::check_received(&data)?;
    if oip.deleted {
        return Err(Reject::Unsigned);
    }
    let (class, verification) = match &oip.signature {
        None => (SignatureClass::None, Verification::Unverified),
        Some(signature) if deployed_verifies(raw.origin, text, &packed, oip, signature) => {
            (SignatureClass::Deployed, Verification::Verified)
        }
        Some(_) if policy == SignaturePolicy::Off => {
            (SignatureClass::None, Verification::Unverified)
        }
        Some(_) if raw.origin == TextOrigin::Rebuilt => {
            (SignatureClass::None, Verification::Unverifiable)
        }
        Some(_) => return Err(bad_signature(raw)),
    };
    if policy == SignaturePolicy::Require && verification != Verification::Verified {
        return Err(Reject::Unsigned);
    }
    let order = Order {
        at_ms: oip.indexed_at.as_ref().map_or(0, Stamp::ms),
        revision: oip.revision.unwrap_or(0),
        digest: foreign_digest(soul, &packed, oip_value),
    };
    Ok(Found {
        data_digest: data_digest(&packed),
        data,
        order,
        class,
        verification,
        sealed: None,
    })
}

/// Checks over the text as stored, or as JavaScript would have written it; then without the
/// owner that deployed publishers add after signing (`oip-formats` 5).
fn deployed_verifies(
    origin: TextOrigin,
    text: &str,
    packed: &Value,
    oip: &Oip,
    signature: &str,
) -> bool {
    let check = |text: &str| keys::verify_deployed(&oip.creator, text, signature).is_ok();
    let as_is = match origin {
        TextOrigin::Stored => check(text),
        TextOrigin::Rebuilt => check(&json::javascript_text(packed)),
    };
    as_is
        || without_added_owner(packed, &oip.creator)
            .iter()
            .any(|candidate| check(&json::javascript_text(candidate)))
}

/// The data as it was before a publisher filled in itself as owner: without each, then without
/// both of the members that hold its key. Empty if it filled in nothing.
fn without_added_owner(packed: &Value, creator: &Creator) -> Vec<Value> {
    let is_added =
        |name: &&str| packed["accessControl"][*name].as_str() == Some(creator.public_key.as_str());
    let added: Vec<&str> = ["owner_public_key", "created_by"]
        .into_iter()
        .filter(is_added)
        .collect();
    let without = |names: &[&str]| {
        let mut data = packed.clone();
        if let Some(block) = data["accessControl"].as_object_mut() {
            names
                .iter()
                .for_each(|name| drop(block.shift_remove(*name)));
        }
        data
    };
    match added.as_slice() {
        [] => Vec::new(),
        [one] => vec![without(&[one])],
        several => {
            let mut candidates = vec![without(several)];
            candidates.extend(several.iter().map(|name| without(&[name])));
            candidates
        }
    }
}

/// Ciphertext in place of templates (`oip-formats` 4.1).
fn check_not_sealed(data: &Value) -> Result<(), Reject> {
    let is_sealed = ["encrypted", "iv"]
        .iter()
        .all(|name| data[*name].is_string());
    if is_sealed {
        Err(Reject::Sealed)
    } else {
        Ok(())
    }
}

/// A signature that fails over parts of two versions is no forgery: fetch again first.
fn bad_signature(raw: &Raw) -> Reject {
    match raw.unity {
        Unity::Mixed => Reject::Torn,
        Unity::SamePut => Reject::BadSignature,
    }
}

#[cfg(test)]
mod tests;
