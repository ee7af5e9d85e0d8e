//! Why a record is not accepted: from the graph ([`Reject`]). Refusals of submissions are in
//! [`crate::publish`]. Every reason has a label for counters, a message with the cure, a test.

use crate::arrays::ArraysError;
use crate::json::JsonError;
use crate::limits::{FUTURE_MS_MAX, OIP_BYTES_MAX};
use crate::privacy::Reason;
use crate::sealed::SealedError;
use crate::template::ShapeError;

/// Why a graph node is not taken as a record. Remote input never ends in a bare string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// No `oip` object: any other graph data, which is left alone.
    #[error("the node is not an OIP record: it has no `oip` object")]
    NotOip,
    /// The `oip` member is over its limit.
    #[error("the record's `oip` is longer than {OIP_BYTES_MAX} bytes")]
    OipTooLarge,
    /// The nested layout does not end.
    #[error("the record's nested nodes are too many or too deep: publish it packed")]
    NestedTooLarge,
    /// `oip.ver` is missing, no text, or of another major form.
    #[error(
        "the record's version {0} is not carried: write `\"ver\": \"0.8.0\"` or a later minor version"
    )]
    BadVersion(String),
    /// `oip.recordType` is missing or can't name a type.
    #[error("the record's type {0} is refused: use up to 64 letters, digits, `_` or `-`")]
    BadRecordType(String),
    /// `oip.creator` lacks `didAddress` or `publicKey`.
    #[error("the record has no creator: `oip.creator` needs `didAddress` and `publicKey`")]
    NoCreator,
    /// The creator's address is not that of its key.
    #[error("the creator's `didAddress` does not derive from its `publicKey`")]
    CreatorMismatch,
    /// The soul belongs to another key.
    #[error("the soul's prefix is not the hash of the creator's `publicKey`")]
    PrefixMismatch,
    /// A signed record that names another DID than its soul.
    #[error("the record names another DID than the soul it lies at")]
    DidMismatch,
    /// `data` is not what a record holds: no template, an array, over a limit.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// `data` is not JSON, or has numbers or members that nodes read differently.
    #[error("the record's data can't be read")]
    Json(#[source] JsonError),
    /// `oip.arrays` does not fit the data.
    #[error("the record's `oip.arrays` does not fit its data")]
    Arrays(#[source] ArraysError),
    /// A member of `oip` that the scheme needs is missing or of a wrong form.
    #[error("the record's `oip.{0}` is missing or malformed")]
    BadMember(&'static str),
    /// `data` and `oip` come from two versions: fetch again.
    #[error("the record's data and oip come from two versions: fetch it again")]
    Torn,
    /// The signature does not verify.
    #[error("the record's signature does not verify")]
    BadSignature,
    /// No signature, and the policy demands one.
    #[error("the record has no signature that can be checked, and signatures are required")]
    Unsigned,
    /// An owner's deletion of a version that names another, or nobody.
    #[error(
        "the deletion is signed by a key that the version held here does not name as its owner: its creator has to sign it"
    )]
    NotOwner,
    /// An owner's deletion where nothing held tells whose the record is.
    #[error(
        "the deletion is signed by an owner, and no version that names him is held here: it waits for one"
    )]
    OwnerUnknown,
    /// A deployed signature whose text is not at hand, and the policy demands one that verifies.
    #[error(
        "the record's signature can't be checked over the copy at hand, and signatures are required"
    )]
    Unverifiable,
    /// A signature scheme of a later version.
    #[error("the record's signature scheme `{0}` is not known: upgrade this node")]
    UnknownScheme(String),
    /// The stamp lies too far ahead of the clock.
    #[error("the record's time lies more than {} minutes ahead: it waits until then", FUTURE_MS_MAX / 60_000)]
    FutureStamp {
        /// `oip.indexedAt`; the record may be taken 10 minutes before.
        at_ms: i64,
    },
    /// Cleartext that asks for privacy, and names nobody who might be shown it, or whom this node's
    /// settings show it to.
    #[error("the record lies in clear but asks for privacy: {0}")]
    ExposedPrivate(Reason),
    /// Ciphertext where a record of this scheme has none.
    #[error(
        "the record holds ciphertext, and does not say that it is sealed: seal it as docs/private-records.md says"
    )]
    Sealed,
    /// It claims to be sealed and is not in that form.
    #[error(transparent)]
    SealedForm(#[from] SealedError),
}

impl Reject {
    /// The name of the reason, for counters and the quarantine.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotOip => "not-oip",
            Self::OipTooLarge => "oip-too-large",
            Self::NestedTooLarge => "nested-too-large",
            Self::BadVersion(_) => "bad-version",
            Self::BadRecordType(_) => "bad-record-type",
            Self::NoCreator => "no-creator",
            Self::CreatorMismatch => "creator-mismatch",
            Self::PrefixMismatch => "prefix-mismatch",
            Self::DidMismatch => "did-mismatch",
            Self::Shape(shape) => shape.label(),
            Self::Json(json) => json.label(),
            Self::Arrays(_) => "bad-arrays",
            Self::BadMember(_) => "bad-member",
            Self::Torn => "torn",
            Self::BadSignature => "bad-signature",
            Self::Unsigned => "unsigned",
            Self::NotOwner => "not-owner",
            Self::OwnerUnknown => "owner-unknown",
            Self::Unverifiable => "unverifiable",
            Self::UnknownScheme(_) => "unknown-scheme",
            Self::FutureStamp { .. } => "future-stamp",
            Self::ExposedPrivate(_) => "exposed-private",
            Self::Sealed => "sealed",
            Self::SealedForm(fault) => fault.label(),
        }
    }
}
