//! Judges a record's texts: form, owner, signature, privacy, time; cheap checks first.

use gun::Soul;
use serde_json::Value;

use crate::creator::Creator;
use crate::did::Did;
use crate::order::{Claim, Order, SignatureClass};
use crate::read::Raw;
use crate::reject::Reject;
use crate::stamp::Stamp;

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
    /// The index form.
    pub document: Value,
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
    unimplemented!()
}
