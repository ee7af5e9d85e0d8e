//! The chain of what was done with private records (`trust-and-privacy` 8): who, when, which record,
//! with which key, why. Never plaintext, never the text of a query.
//!
//! Each entry bears the hash of the one before; a head, signed by the node's identity, says how many
//! there are and where they end. So a changed, removed or cut-off entry shows. Entries after the
//! head are not vouched for yet.

use aws_lc_rs::digest::{SHA256, digest};
use oip_record::NodeIdentity;
use oip_record::canonical::canonical;
use oip_record::soul::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::statement::SignError;

/// The domain of the head's signature.
const DOMAIN: &str = "oip-audit-1";

/// How old an entry may be that no head vouches for: one is signed every minute of activity, and a busy machine may be
/// late by another.
pub const UNSIGNED_MS_MAX: u64 = 120_000;

/// The hash before the first entry.
pub const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Longest text of one field: a DID and some words.
const FIELD_CHARS_MAX: usize = 2_100;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// A record was sealed and published here.
    Sealed,
    /// A sealed record was opened for the index.
    Opened,
    /// One could not be opened, or was refused.
    Refused,
    /// A record was shared with more readers.
    Shared,
    /// A record was sealed anew for fewer readers.
    Revoked,
    /// The node's encryption key was replaced.
    Rotated,
    /// An administrator read a private record.
    AdminRead,
    /// A record of an old scheme was sealed anew.
    Migrated,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// When, ms since 1970.
    pub at_ms: u64,
    /// What.
    pub action: Action,
    /// Which record; empty for what concerns none.
    pub did: String,
    /// The id of the encryption key; empty if none was used.
    pub key_id: String,
    /// Who: a kind of caller, or the id of a node.
    pub caller: String,
    /// Why, by its name.
    pub reason: String,
    /// How often, where like ones are counted together.
    pub count: u64,
    /// The hash of the entry before.
    pub previous: String,
}

/// What an entry says, before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub action: Action,
    /// Which record.
    pub did: String,
    /// Which key.
    pub key_id: String,
    /// Who.
    pub caller: String,
    /// Why.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// How far the chain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The last entry's number; 0 for an empty chain.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for End {
    fn default() -> Self {
        Self {
            seq: 0,
            hash: START.to_owned(),
        }
    }
}

impl Entry {
    /// The hash by which the next entry names this one.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(digest(&SHA256, &canonical(self)).as_ref())
    }
}

/// Puts an event at the end of the chain.
#[must_use]
pub fn append(end: &End, event: Event, at_ms: u64) -> (Entry, End) {
    let entry = Entry {
        seq: end.seq + 1,
        at_ms,
        action: event.action,
        did: bounded(event.did),
        key_id: bounded(event.key_id),
        caller: bounded(event.caller),
        reason: bounded(event.reason),
        count: event.count,
        previous: end.hash.clone(),
    };
    let end = End {
        seq: entry.seq,
        hash: entry.hash(),
    };
    (entry, end)
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(FIELD_CHARS_MAX) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}

/// The end as the node vouches for it: `{seq, hash, at, signature}`.
///
/// # Errors
/// [`SignError`].
pub fn sign_head(end: &End, at_ms: u64, identity: &NodeIdentity) -> Result<Value, SignError> {
    let signed = gun::sea::sign(&said(end, at_ms), &identity.sea_pair()?)?;
    Ok(json!({"seq": end.seq, "hash": end.hash, "at": at_ms, "signed": signed}))
}

fn said(end: &End, at_ms: u64) -> Value {
    json!({"domain": DOMAIN, "seq": end.seq, "hash": end.hash, "at": at_ms})
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// An entry is not where its number says.
    #[error("entry {0} of the audit trail is missing")]
    Missing(u64),
    /// An entry, or the one before it, was changed.
    #[error(
        "entry {0} of the audit trail does not follow from the one before: one of them was changed"
    )]
    Changed(u64),
    /// Fewer entries than the head or the count says.
    #[error(
        "the audit trail ends at entry {found}, and {counted} were counted: its end was cut off"
    )]
    CutOff {
        /// The last entry there is.
        found: u64,
        /// How many there should be.
        counted: u64,
    },
    /// Entries that ought to be vouched for.
    #[error(
        "entry {0} of the audit trail is older than {max} minutes, and no signed head vouches for it",
        max = UNSIGNED_MS_MAX / 60_000
    )]
    Unsigned(u64),
    /// The head is not signed by this node.
    #[error("the head of the audit trail is not signed by this node's identity")]
    Head,
}

/// Checks the chain from its start, entry by entry.
#[derive(Debug)]
pub struct Verifier {
    /// The end that the store keeps.
    counted: End,
    /// The number that the head vouches for.
    head_seq: u64,
    end: End,
    /// The hash at the head's number, once passed.
    at_head: Option<String>,
    /// The hash at the number of the end that was counted, once passed.
    at_counted: Option<String>,
    /// The first entry that no head vouches for: its number and time.
    unsigned: Option<(u64, u64)>,
}

impl Verifier {
    /// Expects the end that the store keeps, and what the head vouches for. Entries that follow were written since.
    #[must_use]
    pub fn new(counted: End, head: Option<&Value>) -> Self {
        Self {
            counted,
            head_seq: head.and_then(|head| head["seq"].as_u64()).unwrap_or(0),
            end: End::default(),
            at_head: None,
            at_counted: None,
            unsigned: None,
        }
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn next(&mut self, entry: &Entry) -> Result<(), Broken> {
        if entry.seq != self.end.seq + 1 {
            return Err(Broken::Missing(self.end.seq + 1));
        }
        if entry.previous != self.end.hash {
            return Err(Broken::Changed(entry.seq));
        }
        self.end = End {
            seq: entry.seq,
            hash: entry.hash(),
        };
        if entry.seq == self.head_seq {
            self.at_head = Some(self.end.hash.clone());
        }
        if entry.seq == self.counted.seq {
            self.at_counted = Some(self.end.hash.clone());
        }
        if entry.seq > self.head_seq {
            self.unsigned.get_or_insert((entry.seq, entry.at_ms));
        }
        Ok(())
    }

    /// Checks what was read against the end that the store keeps and the signed head.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn finish(self, head: Option<&Value>, public: &str, now_ms: u64) -> Result<(), Broken> {
        let counted = &self.counted;
        if self.end.seq < counted.seq {
            return Err(Broken::CutOff {
                found: self.end.seq,
                counted: counted.seq,
            });
        }
        if counted.seq > 0 && self.at_counted.as_deref() != Some(&*counted.hash) {
            return Err(Broken::Changed(counted.seq));
        }
        if let Some(head) = head {
            self.check_head(head, public)?;
        }
        match self.unsigned {
            Some((seq, at_ms)) if now_ms.saturating_sub(at_ms) > UNSIGNED_MS_MAX => {
                Err(Broken::Unsigned(seq))
            }
            _ => Ok(()),
        }
    }

    fn check_head(&self, head: &Value, public: &str) -> Result<(), Broken> {
        let (seq, at) = (head["seq"].as_u64(), head["at"].as_u64());
        let (Some(seq), Some(at), Some(hash)) = (seq, at, head["hash"].as_str()) else {
            return Err(Broken::Head);
        };
        let end = End {
            seq,
            hash: hash.to_owned(),
        };
        let signed = head["signed"].as_str().unwrap_or_default();
        if gun::sea::verify_signed(signed, public) != Ok(said(&end, at)) {
            return Err(Broken::Head);
        }
        if self.end.seq < seq {
            return Err(Broken::CutOff {
                found: self.end.seq,
                counted: seq,
            });
        }
        match &self.at_head {
            Some(found) if found == hash => Ok(()),
            None if seq == 0 => Ok(()),
            _ => Err(Broken::Changed(seq)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> NodeIdentity {
        NodeIdentity::from_scalar([1; 32]).unwrap()
    }

    fn chain(length: u64) -> (Vec<Entry>, End) {
        let mut end = End::default();
        let mut entries = Vec::new();
        for n in 0..length {
            let event = Event {
                action: Action::Sealed,
                did: format!("did:gun:{n}"),
                key_id: "00".into(),
                caller: "admin".into(),
                reason: "published".into(),
                count: 1,
            };
            let (entry, next) = append(&end, event, n);
            entries.push(entry);
            end = next;
        }
        (entries, end)
    }

    /// All entries of these tests are made in the first milliseconds.
    const SOON: u64 = 1_000;
    const LATER: u64 = UNSIGNED_MS_MAX + 1_000;

    fn verify_at(
        entries: &[Entry],
        counted: &End,
        head: Option<&Value>,
        now_ms: u64,
    ) -> Result<(), Broken> {
        let mut verifier = Verifier::new(counted.clone(), head);
        for entry in entries {
            verifier.next(entry)?;
        }
        verifier.finish(head, identity().public(), now_ms)
    }

    fn verify(entries: &[Entry], counted: &End, head: Option<&Value>) -> Result<(), Broken> {
        verify_at(entries, counted, head, LATER)
    }

    #[test]
    fn a_whole_chain_verifies_with_and_without_entries_after_its_head() {
        let (entries, end) = chain(5);
        let (_, third) = chain(3);
        let head = sign_head(&third, 9, &identity()).unwrap();
        assert_eq!(verify_at(&entries, &end, Some(&head), SOON), Ok(()));
        assert_eq!(verify_at(&entries, &end, None, SOON), Ok(()));
        assert_eq!(verify(&[], &End::default(), None), Ok(()));
        // What was written while it is read has not been counted.
        assert_eq!(verify_at(&entries, &third, Some(&head), SOON), Ok(()));
    }

    #[test]
    fn what_no_head_vouches_for_in_time_shows() {
        let (entries, end) = chain(5);
        let (_, third) = chain(3);
        let head = sign_head(&third, 9, &identity()).unwrap();
        assert_eq!(
            verify(&entries, &end, Some(&head)),
            Err(Broken::Unsigned(4))
        );
        assert_eq!(verify(&entries, &end, None), Err(Broken::Unsigned(1)));
    }

    #[test]
    fn a_changed_removed_or_cut_off_entry_shows() {
        let (entries, end) = chain(5);
        let head = sign_head(&end, 9, &identity()).unwrap();
        let mut changed = entries.clone();
        changed[2].caller = "someone else".into();
        assert_eq!(verify(&changed, &end, Some(&head)), Err(Broken::Changed(4)));
        let mut removed = entries.clone();
        removed.remove(2);
        assert_eq!(verify(&removed, &end, Some(&head)), Err(Broken::Missing(3)));
        let cut = &entries[..4];
        let cut_off = Err(Broken::CutOff {
            found: 4,
            counted: 5,
        });
        assert_eq!(verify(cut, &end, Some(&head)), cut_off);
        // Count and entries agree, but the signed head does not.
        let (_, fourth) = chain(4);
        assert_eq!(verify(cut, &fourth, Some(&head)), cut_off);
        let mut last = entries;
        last[4].reason = "another".into();
        assert_eq!(verify(&last, &end, Some(&head)), Err(Broken::Changed(5)));
        // Also before the next signature, when the store's own end alone tells.
        let head = sign_head(&fourth, 9, &identity()).unwrap();
        for head in [Some(&head), None] {
            let verified = verify_at(&last, &end, head, SOON);
            assert_eq!(verified, Err(Broken::Changed(5)));
        }
    }

    #[test]
    fn a_head_of_another_key_or_another_end_is_refused() {
        let (entries, end) = chain(2);
        let other = NodeIdentity::from_scalar([2; 32]).unwrap();
        let head = sign_head(&end, 9, &other).unwrap();
        assert_eq!(verify(&entries, &end, Some(&head)), Err(Broken::Head));
        let mut head = sign_head(&end, 9, &identity()).unwrap();
        head["seq"] = json!(1);
        assert_eq!(verify(&entries, &end, Some(&head)), Err(Broken::Head));
    }

    #[test]
    fn fields_are_bounded() {
        let event = Event {
            action: Action::Refused,
            did: "é".repeat(FIELD_CHARS_MAX + 1),
            key_id: String::new(),
            caller: String::new(),
            reason: String::new(),
            count: 1,
        };
        let (entry, _) = append(&End::default(), event, 0);
        assert_eq!(entry.did.chars().count(), FIELD_CHARS_MAX);
    }
}
