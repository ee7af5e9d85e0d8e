//! SEA, the signed and sealed data of GUN's users (`gun-protocol` 12).
//!
//! For relays: [`verify`] decides what may enter which soul, [`author`] says who wrote it, and
//! [`space`] what kind of soul it is. Owns the rule that nothing enters a user's space without
//! a signature of that user, or of one whom a certificate of that user names. What our rules
//! refuse that others take stands in `docs/wire.md`.
//!
//! For applications: keys, signing, sealing.

mod certificate;
mod cipher;
mod content;
mod envelope;
mod error;
mod json;
mod keys;
mod sign;
mod space;

pub use certificate::{LookUp, Unavailable};
pub use cipher::{Nonce, content_hash, decrypt, encrypt, work};
pub use envelope::{sign_delegated, sign_value, signed_text};
pub use error::SeaError;
pub use keys::KeyPair;
pub use sign::{sign, verify_signed};
pub use space::{Space, drop_expired, is_expired, kept_seconds, owner, space};

use crate::graph::{Entry, Graph, Soul, Value};
use crate::wire::Reject;
use certificate::{Certificate, Delegated};
use envelope::Envelope;

/// Checks every value of a put; the first that may not stand where it is put is told.
///
/// Call [`drop_expired`] before. A caller that merges first needs to check only what wins, with
/// [`verify_value`]: a signature costs some 60 µs, a delegated value two to four.
///
/// # Errors
/// * [`Reject::Unverified`]: the signature is missing, or not of the one who must sign
/// * [`Reject::BadAccount`], [`Reject::BadAlias`], [`Reject::MissingAlias`]: a name that does
///   not lead to itself
/// * [`Reject::WrongHash`]: another value than the key names
/// * [`Reject::BadCertificate`], [`Reject::CertificateExpired`], [`Reject::WriterBlocked`]: the
///   owner does not allow this writer this write
pub fn verify(graph: &Graph, look_up: &LookUp<'_>) -> Result<(), Reject> {
    for node in graph {
        let space = space(node.soul.as_str());
        for entry in &node.entries {
            check(&space, &node.soul, entry, look_up)?;
        }
    }
    Ok(())
}

/// Checks one value as [`verify`] does.
///
/// # Errors
/// As [`verify`].
pub fn verify_value(soul: &Soul, entry: &Entry, look_up: &LookUp<'_>) -> Result<(), Reject> {
    check(&space(soul.as_str()), soul, entry, look_up)
}

/// The key that signed a value in a user's space: the owner's, or that of a writer whom he
/// certified. `None` where nobody need sign: other kinds of souls, and the `pub` of an account,
/// which anybody may repeat. A claim, until [`verify`] has passed the value.
#[must_use]
pub fn author(soul: &Soul, entry: &Entry) -> Option<String> {
    let owner = owner(soul.as_str())?;
    if is_account_key(soul, entry, &owner) {
        return None;
    }
    let envelope = Envelope::parse(entry.value.as_text()?)?;
    Some(envelope.signer(&owner).to_owned())
}

fn check(space: &Space, soul: &Soul, entry: &Entry, look_up: &LookUp<'_>) -> Result<(), Reject> {
    match space {
        Space::Aliases => check_link(entry, &format!("~@{}", entry.key)),
        Space::Alias => check_link(entry, entry.key.as_str()),
        Space::Owned(owner) => check_owned(owner, soul, entry, look_up),
        Space::Content if content::is_named(&entry.key, &entry.value) => Ok(()),
        Space::Content => Err(Reject::WrongHash),
        Space::Free => Ok(()),
    }
}

/// In an alias, each value links to the soul that its key names.
fn check_link(entry: &Entry, expected: &str) -> Result<(), Reject> {
    match &entry.value {
        Value::Link(soul) if soul.as_str() == expected => Ok(()),
        Value::Null => Err(Reject::MissingAlias),
        _ => Err(Reject::BadAlias),
    }
}

/// The key itself stands unsigned at the top of its space.
fn is_account_key(soul: &Soul, entry: &Entry, owner: &str) -> bool {
    entry.key.as_str() == "pub" && soul.as_str().strip_prefix('~') == Some(owner)
}

fn check_owned(
    owner: &str,
    soul: &Soul,
    entry: &Entry,
    look_up: &LookUp<'_>,
) -> Result<(), Reject> {
    if is_account_key(soul, entry, owner) {
        return if entry.value.as_text() == Some(owner) {
            Ok(())
        } else {
            Err(Reject::BadAccount)
        };
    }
    let text = entry.value.as_text().ok_or(Reject::Unverified)?;
    let envelope = Envelope::parse(text).ok_or(Reject::Unverified)?;
    let signer = envelope.signer(owner);
    let is_signed = || envelope.is_signed(soul, entry.key.as_str(), entry.state, signer);
    if signer == owner {
        return if is_signed() {
            Ok(())
        } else {
            Err(Reject::Unverified)
        };
    }
    let write = Delegated {
        soul,
        key: &entry.key,
        state: entry.state,
        value: &envelope.value,
        owner,
        writer: signer,
    };
    // Cheap first: words, then signatures, then reads of the store.
    let certificate = Certificate::allowing(envelope.certificate, &write)?;
    if !is_signed() {
        return Err(Reject::Unverified);
    }
    if !certificate.is_signed(owner) {
        return Err(Reject::BadCertificate);
    }
    certificate.check_block(&write, look_up)
}
