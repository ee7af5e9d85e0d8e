//! Judges a record's texts: form, owner, signature, privacy, time; cheap checks first.

use gun::Soul;
use serde_json::{Map, Value};

use crate::canonical::{
    Domain, LEVEL_PUBLIC, SCHEME_OWNER, SCHEME_PUBLIC, SCHEME_SEALED, SignedBody, True,
    data_digest, digest_of, foreign_digest,
};
use crate::creator::Creator;
use crate::did::Did;
use crate::json::{self, JsonError};
use crate::keys::{self, PublicKey};
use crate::limits::{DATA_BYTES_MAX, FUTURE_MS_MAX, OIP_BYTES_MAX};
use crate::oip::Oip;
use crate::order::{Claim, Order, SignatureClass};
use crate::owner::OwnerKey;
use crate::read::{Raw, TextOrigin, Unity};
use crate::reject::Reject;
use crate::sealed::SealedForm;
use crate::stamp::Stamp;
use crate::template::{self, ShapeError};
use crate::{arrays, document, owner, privacy, soul};

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
    /// The owner who signed the tombstone in the creator's place. That he is the owner is for
    /// [`crate::order::resolve`] to say, from what is held.
    pub deleted_by: Option<OwnerKey>,
    /// The owner that the version names, if its creator signed that for all to see.
    pub owner: Option<OwnerKey>,
    /// SHA-256 of the canonical data: deployed signatures don't cover the time, so a data digest
    /// once superseded must not be taken again.
    pub data_digest: [u8; 32],
    /// The index form; of a sealed record as anyone sees it, ciphertext.
    pub document: Value,
    /// Who can read it as it lies.
    pub guard: Guard,
    /// The packed data as received; `None` for a tombstone.
    pub data_text: Option<String>,
    /// The packed `oip` as received.
    pub oip_text: String,
}

/// Who can read a record as it lies, and who may.
#[derive(Debug, Clone, PartialEq)]
pub enum Guard {
    /// Everyone, as is meant.
    Public,
    /// Those it is sealed to.
    Sealed(SealedForm),
    /// Everyone, though it asks for privacy: whoever published it did so in clear.
    Exposed(privacy::Reason),
    /// Ciphertext of a scheme of the past (`oip-formats` 4.1), whose key most readers can make. What
    /// `meta` says of it stands beside, unsigned: hints to that key.
    Legacy(Map<String, Value>),
}

impl Accepted {
    /// The form it is sealed in, if it is.
    #[must_use]
    pub fn sealed(&self) -> Option<&SealedForm> {
        match &self.guard {
            Guard::Sealed(form) => Some(form),
            _ => None,
        }
    }

    /// Whether it is for everyone.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.guard == Guard::Public
    }

    /// What the version claims when versions are compared.
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            order: self.order,
            class: self.class,
            creator: &self.creator.did_address,
            deleted_by: self.deleted_by.as_ref(),
            owner: self.owner.as_ref(),
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
        None | Some(SCHEME_PUBLIC | SCHEME_SEALED | SCHEME_OWNER) => {}
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
    let guard = match found.form {
        Form::Sealed(form) => Guard::Sealed(form),
        Form::Legacy => Guard::Legacy(raw.meta),
        Form::Clear => guard_of_clear(&found.data, found.class, &raw.meta)?,
    };
    let did = Did::from_soul(soul);
    let owner = owner::named_in(&found.data).filter(|_| found.class == SignatureClass::Ours);
    let deleted_by = oip.deleted_by.as_ref().and_then(PublicKey::of_creator);
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
        deleted_by: deleted_by.map(|key| key.owner()),
        owner,
        data_digest: found.data_digest,
        document,
        guard,
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
    form: Form,
}

/// The form that `data` lies in.
enum Form {
    Clear,
    Sealed(SealedForm),
    Legacy,
}

/// Who may read what lies in clear.
fn guard_of_clear(
    data: &Value,
    class: SignatureClass,
    meta: &Map<String, Value>,
) -> Result<Guard, Reject> {
    if let Some(reason) = privacy::asks_for_privacy(data, &Map::new()) {
        return Ok(Guard::Exposed(reason));
    }
    // Anyone can write `meta`, so that it counts only where nobody vouches for the record. It names no
    // reader: nobody could be shown what it guards.
    let is_clear = matches!(
        meta.get("encrypted"),
        None | Some(Value::Null | Value::Bool(false))
    );
    if class == SignatureClass::None && !is_clear {
        return Err(Reject::ExposedPrivate(privacy::Reason::meta_encrypted()));
    }
    Ok(Guard::Public)
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
    } else if oip.deleted_by.is_some() {
        return Err(Reject::BadMember("deletedBy"));
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
        deleted_by: None,
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
        form: Form::Sealed(form),
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
    let is_an_owners = oip.scheme.as_deref() == Some(SCHEME_OWNER);
    let (signer, domain) = match &oip.deleted_by {
        None if !is_an_owners => (&oip.creator, Domain::Public),
        // What no signature can be checked with signs nothing, not even where signatures are off.
        Some(owner) if is_an_owners && oip.deleted && PublicKey::of_creator(owner).is_some() => {
            (owner, Domain::Owner)
        }
        _ => return Err(Reject::BadMember("deletedBy")),
    };
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
        deleted_by: oip.deleted_by.as_ref(),
        data: &data,
    }
    .signed_bytes_in(domain);
    let verifies = keys::verify(signer, &signed, signature).is_ok();
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
        form: Form::Clear,
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
    let form = if is_legacy(&packed) {
        Form::Legacy
    } else {
        check_not_sealed(&packed)?;
        Form::Clear
    };
    // It was made over what is inside ciphertext.
    let covered = match (&form, &oip.signature) {
        (Form::Clear, Some(signature)) => covered(raw.origin, text, &packed, oip, signature),
        _ => None,
    };
    let data = match (&form, &oip.arrays) {
        (Form::Legacy, _) => packed.clone(),
        (_, Some(pointers)) => arrays::unpack(packed.clone(), pointers).map_err(Reject::Arrays)?,
        (_, None) => {
            // Of arrays that a restore script unpacked the items are not looked into again.
            let repacked = covered
                .as_ref()
                .and_then(|covered| covered.repacked.clone());
            arrays::unpack_heuristic(repacked.unwrap_or_else(|| packed.clone()))
        }
    };
    if matches!(form, Form::Clear) {
        template::check_received(&data)?;
    }
    if oip.deleted {
        return Err(Reject::Unsigned);
    }
    let (class, verification) = match (&covered, &oip.signature) {
        (Some(_), _) => (SignatureClass::Deployed, Verification::Verified),
        (None, None) => (SignatureClass::None, Verification::Unverified),
        (None, Some(_)) if matches!(form, Form::Legacy) => {
            (SignatureClass::None, without_its_text(&oip.creator))
        }
        (None, Some(_)) if policy == SignaturePolicy::Off => {
            (SignatureClass::None, Verification::Unverified)
        }
        (None, Some(_)) if raw.origin == TextOrigin::Rebuilt => {
            (SignatureClass::None, without_its_text(&oip.creator))
        }
        (None, Some(_)) => return Err(bad_signature(raw)),
    };
    if policy == SignaturePolicy::Require {
        match verification {
            Verification::Verified => {}
            Verification::Unverified => return Err(Reject::Unsigned),
            Verification::Unverifiable => return Err(Reject::Unverifiable),
        }
    }
    let order = Order {
        at_ms: oip.indexed_at.as_ref().map_or(0, Stamp::ms),
        revision: oip.revision.unwrap_or(0),
        digest: foreign_digest(soul, &packed, oip_value),
    };
    // The same data has one digest, in whatever form a signature is found to cover it.
    let signed = covered.map_or(packed, |covered| covered.signed);
    Ok(Found {
        data_digest: data_digest(&signed),
        data,
        order,
        class,
        verification,
        form,
    })
}

/// What is known of a deployed signature whose text is not at hand. Only wallets make such signatures: in
/// the name of another key it says no more than none.
fn without_its_text(creator: &Creator) -> Verification {
    match PublicKey::of_creator(creator) {
        Some(PublicKey::Rsa(_)) => Verification::Unverifiable,
        _ => Verification::Unverified,
    }
}

/// What a deployed signature was found to cover.
struct Covered {
    /// The data as it was signed.
    signed: Value,
    /// The data with its arrays as texts again, where they lay here as arrays.
    repacked: Option<Value>,
}

/// Checks over the text as stored, or as JavaScript would have written it; then with the arrays as
/// texts that restore scripts wrote as arrays; each of these also without the owner that deployed
/// publishers add after signing (`oip-formats` 1.9, 5).
fn covered(
    origin: TextOrigin,
    text: &str,
    packed: &Value,
    oip: &Oip,
    signature: &str,
) -> Option<Covered> {
    let check = |text: &str| keys::verify_deployed(&oip.creator, text, signature).is_ok();
    let is_as_it_lies = match origin {
        TextOrigin::Stored => check(text),
        TextOrigin::Rebuilt => check(&json::javascript_text(packed)),
    };
    if is_as_it_lies {
        let signed = packed.clone();
        return Some(Covered {
            signed,
            repacked: None,
        });
    }
    let repacked = arrays::repack(packed);
    let forms = repacked
        .iter()
        .cloned()
        .map(|form| (form, true))
        .chain(without_added_owner(packed, &oip.creator).map(|form| (form, false)))
        .chain(
            repacked
                .iter()
                .flat_map(|form| without_added_owner(form, &oip.creator))
                .map(|form| (form, true)),
        );
    let mut forms = forms;
    let (signed, is_repacked) = forms.find(|(form, _)| check(&json::javascript_text(form)))?;
    Some(Covered {
        signed,
        repacked: repacked.clone().filter(|_| is_repacked),
    })
}

/// SHA-256 of each form of a deployed record's data that its signature may have been found to cover.
#[must_use]
pub fn data_digests(data_text: &str, creator_key: &str) -> Vec<[u8; 32]> {
    let Ok(packed) = serde_json::from_str::<Value>(data_text) else {
        return Vec::new();
    };
    let creator = Creator {
        did_address: String::new(),
        public_key: creator_key.to_owned(),
    };
    let repacked = arrays::repack(&packed);
    [Some(packed), repacked]
        .into_iter()
        .flatten()
        .flat_map(|form| {
            let without = without_added_owner(&form, &creator);
            std::iter::once(form).chain(without).collect::<Vec<_>>()
        })
        .map(|form| data_digest(&form))
        .collect()
}

/// The data as it was before a publisher filled in itself as owner: without each, then without
/// both of the members that hold its key. Empty if it filled in nothing.
fn without_added_owner(packed: &Value, creator: &Creator) -> std::vec::IntoIter<Value> {
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
    let candidates = match added.as_slice() {
        [] => Vec::new(),
        [one] => vec![without(&[one])],
        several => {
            let mut candidates = vec![without(several)];
            candidates.extend(several.iter().map(|name| without(&[name])));
            candidates
        }
    };
    candidates.into_iter()
}

/// Whether `data` is ciphertext of a scheme of the past: texts `encrypted` and `iv`, and not in the
/// sealed form.
#[must_use]
pub fn is_legacy(data: &Value) -> bool {
    is_ciphertext(data) && !SealedForm::is_claimed(data)
}

/// What is known of the signature of a deployed record, from the data that was opened of it: deployed
/// nodes signed before they encrypted. Whether its text is the one that was signed is not known, so
/// that failing proves nothing.
#[must_use]
pub fn opened_signature(oip: &Oip, packed: &Value) -> (SignatureClass, Verification) {
    match &oip.signature {
        None => (SignatureClass::None, Verification::Unverified),
        Some(signature) if covered(TextOrigin::Rebuilt, "", packed, oip, signature).is_some() => {
            (SignatureClass::Deployed, Verification::Verified)
        }
        Some(_) => (SignatureClass::None, without_its_text(&oip.creator)),
    }
}

fn is_ciphertext(data: &Value) -> bool {
    ["encrypted", "iv"]
        .iter()
        .all(|name| data[*name].is_string())
}

/// Ciphertext in place of templates (`oip-formats` 4.1).
fn check_not_sealed(data: &Value) -> Result<(), Reject> {
    if is_ciphertext(data) {
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
