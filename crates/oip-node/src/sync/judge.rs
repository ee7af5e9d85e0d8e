//! One candidate: what lies at a soul in the graph, what is held of it, and what follows.
//!
//! Reads the store, writes nothing, asks nobody. Cheap checks come first; the signature is
//! checked once, and not at all for a version that is held already.

use gun::{Node, Soul, Value};
use oip_record::order::{Held, SignatureClass};
use oip_record::read::Raw;
use oip_record::verify::{self, Accepted, Guard};
use oip_record::{
    Candidate, Did, Order, Reject, Resolution, SignaturePolicy, Verification, arrays, privacy, read,
};
use oip_store::{ReadError, RecordRow, Store, WantedRow};

use super::heal;
use super::owned;
use super::trust::Trust;
use crate::config::TypeFilter;
use crate::registry::Registry;
use crate::vault::Vault;

/// Times a version that is announced and not yet to be had is asked for again: with the waits of
/// the intake, over a quarter of a minute.
const BEHIND_TRIES: u32 = 4;

/// What judging works with.
#[derive(Clone)]
pub(crate) struct Judge {
    pub store: Store,
    pub registry: std::sync::Arc<Registry>,
    pub types: TypeFilter,
    pub signatures: SignaturePolicy,
    pub trust: std::sync::Arc<Trust>,
    pub vault: std::sync::Arc<Vault>,
}

/// Whether peers were asked before this judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    NotYet,
    Already,
}

/// What follows for a candidate.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// A version to keep, in place of the one that is held.
    Take {
        accepted: Box<Accepted>,
        held: Option<Box<RecordRow>>,
    },
    /// Nothing new; what the graph shows may have to be healed.
    Known { heal: Option<Box<RecordRow>> },
    /// These souls have to be asked of peers first.
    Fetch(Vec<Soul>),
    /// Not here, and no peer has it: look again later.
    Absent,
    /// Not here and unregistered: nothing to look for.
    Gone,
    /// Of no wanted type.
    Unwanted,
    /// Of no trusted node: put aside until it is.
    Untrusted(Box<Accepted>),
    /// Refused; what the graph shows may have to be healed.
    Refuse {
        reject: Box<Reject>,
        texts: Option<Box<Texts>>,
        heal: Option<Box<RecordRow>>,
        /// Whether it claimed to be sealed, for the audit trail.
        is_sealed: bool,
    },
    /// A second key claims the soul.
    Contested(Box<Accepted>),
}

/// What a candidate is beside what is held.
enum Weighed {
    /// It can't be taken.
    Refused {
        reject: Reject,
        texts: Option<Texts>,
    },
    /// Of no wanted type.
    Unwanted,
    /// It would be taken, but for whoever made it.
    Untrusted(Box<Accepted>),
    /// It takes the place of what is held.
    Newer(Box<Accepted>),
    /// It is what is held.
    Same,
    /// What is held is newer, or better vouched for.
    Lesser,
    /// A second key claims the soul.
    Contested(Box<Accepted>),
}

/// Whether anything of a record is shown to anybody. Where nothing is, there is nothing that a signature
/// would have to vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Readable,
    Closed,
}

/// What a refused record said, for the quarantine.
#[derive(Debug)]
pub(crate) struct Texts {
    pub data: Option<String>,
    pub oip: String,
}

impl Texts {
    fn claim_to_be_sealed(&self) -> bool {
        let form = oip_record::sealed::ENCRYPTION_TYPE;
        let data = self.data.as_deref().unwrap_or_default();
        data.contains(form) || self.oip.contains(oip_record::canonical::SCHEME_SEALED)
    }

    /// Whether nothing in them asks for privacy. Why the record was refused says nothing about
    /// that, and a text that can't be read is not taken for public.
    fn are_public(&self) -> bool {
        [self.data.as_deref(), Some(&*self.oip)]
            .into_iter()
            .flatten()
            .all(|text| {
                serde_json::from_str(text).is_ok_and(|value| {
                    let value = arrays::unpack_heuristic(value);
                    privacy::asks_for_privacy(&value, &serde_json::Map::new()).is_none()
                })
            })
    }
}

impl Judge {
    /// Judges the candidate at `row.soul`.
    pub(crate) fn judge(
        &self,
        row: &WantedRow,
        asked: Asked,
        now_ms: u64,
    ) -> Result<Judgement, ReadError> {
        let soul = &row.soul;
        let held = self.store.record(soul)?;
        if asked == Asked::NotYet && self.is_current(row, held.as_ref())? {
            return Ok(Judgement::Known { heal: None });
        }
        let Some(node) = self.node(soul)? else {
            return self.absent(row, asked, held.is_some());
        };
        let resolve = |child: &Soul| self.node(child).ok().flatten();
        let raw = match read::candidate(&node, resolve) {
            Ok(Candidate::Whole(raw)) => raw,
            Ok(Candidate::NotYet { missing }) => {
                return Ok(match asked {
                    // Nothing in particular is missing: the node itself is not whole yet.
                    Asked::NotYet if missing.is_empty() => Judgement::Fetch(vec![soul.clone()]),
                    Asked::NotYet => Judgement::Fetch(missing),
                    // A link to nowhere in place of a signed version is an overwrite like others.
                    Asked::Already if held.as_ref().is_some_and(heal::is_healable) => {
                        refused(Reject::Torn, None, held, asked, soul)
                    }
                    Asked::Already => Judgement::Absent,
                });
            }
            Err(reject) => return Ok(refused(reject, None, held, asked, soul)),
        };
        Ok(match self.weigh(soul, raw, held.as_ref(), None, now_ms)? {
            Weighed::Refused { reject, texts } => refused(reject, texts, held, asked, soul),
            Weighed::Unwanted => Judgement::Unwanted,
            Weighed::Untrusted(accepted) => Judgement::Untrusted(accepted),
            Weighed::Newer(accepted) => Judgement::Take {
                accepted,
                held: held.map(Box::new),
            },
            Weighed::Same => return self.settled(row, asked, &node, None),
            Weighed::Lesser => return self.settled(row, asked, &node, held),
            Weighed::Contested(accepted) => Judgement::Contested(accepted),
        })
    }

    /// Judges a candidate that lies in no graph here, such as one that a peer showed over HTTP: `from`.
    pub(crate) fn judge_shown(
        &self,
        soul: &Soul,
        raw: Raw,
        from: Option<&str>,
        now_ms: u64,
    ) -> Result<Judgement, ReadError> {
        let held = self.store.record(soul)?;
        Ok(match self.weigh(soul, raw, held.as_ref(), from, now_ms)? {
            Weighed::Refused { reject, texts } => {
                refused(reject, texts, None, Asked::Already, soul)
            }
            Weighed::Unwanted => Judgement::Unwanted,
            Weighed::Untrusted(accepted) => Judgement::Untrusted(accepted),
            Weighed::Newer(accepted) => Judgement::Take {
                accepted,
                held: held.map(Box::new),
            },
            // What the peer shows can't be healed from here.
            Weighed::Same | Weighed::Lesser => Judgement::Known { heal: None },
            Weighed::Contested(accepted) => Judgement::Contested(accepted),
        })
    }

    /// Weighs a candidate against what is held. Every path by which a record comes ends here.
    fn weigh(
        &self,
        soul: &Soul,
        raw: Raw,
        held: Option<&RecordRow>,
        from: Option<&str>,
        now_ms: u64,
    ) -> Result<Weighed, ReadError> {
        // The same text as held: nothing to check again.
        if let Some(held) = held
            && *held.oip == *raw.oip_text
            && held.data.as_deref() == raw.data_text.as_deref()
        {
            return Ok(Weighed::Same);
        }
        let texts = Texts {
            data: raw.data_text.clone(),
            oip: raw.oip_text.clone(),
        };
        let accepted = match verify::accept(soul, raw, self.signatures, signed_ms(now_ms)) {
            Ok(accepted) => accepted,
            Err(reject) => {
                let texts = Some(texts);
                return Ok(Weighed::Refused { reject, texts });
            }
        };
        if !self.types.wants(&accepted.record_type) {
            return Ok(Weighed::Unwanted);
        }
        let (accepted, content) = match self.guarded(accepted) {
            Ok(guarded) => guarded,
            Err(reject) => {
                let texts = None;
                return Ok(Weighed::Refused { reject, texts });
            }
        };
        // What has a signature that this copy can't show to be right is marked, and not missing one. Of old
        // ciphertext whose key anybody can make, only a signature that verifies tells who wrote it.
        let is_unsigned = accepted.verification == Verification::Unverified
            || matches!(accepted.guard, Guard::Legacy(_));
        if is_unsigned
            && accepted.class == SignatureClass::None
            && content == Content::Readable
            && self.signatures == SignaturePolicy::Prefer
            && self
                .store
                .cursor(&signer_mark(&accepted.creator.did_address))?
                .is_some()
        {
            return Ok(Weighed::Refused {
                reject: Reject::Unsigned,
                texts: Some(texts),
            });
        }
        if accepted.class == SignatureClass::Deployed
            && let Some(held) = held
            && held.data.as_deref() != accepted.data_text.as_deref()
            && self.store.cursor(&data_mark(&accepted))?.is_some()
            && !holds_same_data(held, &accepted)
        {
            return Ok(Weighed::Lesser);
        }
        let claimed = held
            .map(|held| held_version(&self.store, held, &accepted))
            .transpose()?;
        // A deletion takes nothing in.
        let is_deletion = accepted.deleted && held.is_some();
        let is_trusted = is_deletion || self.trust.takes(&accepted, from);
        Ok(
            match oip_record::order::resolve(claimed.as_ref(), &accepted.claim()) {
                Resolution::Take if !is_trusted => Weighed::Untrusted(Box::new(accepted)),
                Resolution::Take => Weighed::Newer(Box::new(accepted)),
                Resolution::Same => Weighed::Same,
                Resolution::Older | Resolution::LowerClass => Weighed::Lesser,
                Resolution::Contested => Weighed::Contested(Box::new(accepted)),
                // As it was before a backup was restored.
                Resolution::OwnerUnknown if is_trusted && self.was_his(&accepted)? => {
                    Weighed::Newer(Box::new(accepted))
                }
                Resolution::OwnerUnknown => Weighed::Refused {
                    reject: Reject::OwnerUnknown,
                    texts: Some(texts),
                },
                Resolution::NotOwner => Weighed::Refused {
                    reject: Reject::NotOwner,
                    texts: Some(texts),
                },
            },
        )
    }

    /// Whether this node knew the owner who signed a tombstone as the record's, of which it holds nothing any more.
    fn was_his(&self, tombstone: &Accepted) -> Result<bool, ReadError> {
        let owned = owned::remembered(&self.store, &tombstone.soul)?;
        Ok(tombstone.class == SignatureClass::Ours
            && owned.is_some_and(|owned| {
                tombstone.deleted_by.as_ref() == Some(&owned.by) && tombstone.order > owned.order
            }))
    }

    /// What becomes of a record that is private and not sealed: kept for those who may read it, if the
    /// settings say so, with what is known of its signature once it is opened.
    fn guarded(&self, mut accepted: Accepted) -> Result<(Accepted, Content), Reject> {
        match &accepted.guard {
            Guard::Public | Guard::Sealed(_) => {}
            Guard::Exposed(reason) if !self.vault.keeps_exposed() => {
                return Err(Reject::ExposedPrivate(reason.clone()));
            }
            Guard::Exposed(_) => {}
            Guard::Legacy(meta) => match self.vault.legacy_signature(&accepted, meta) {
                Some((class, verification)) => {
                    (accepted.class, accepted.verification) = (class, verification);
                }
                None => return Ok((accepted, Content::Closed)),
            },
        }
        Ok((accepted, Content::Readable))
    }

    /// Whether the version that the registry announces is held already, and is what the graph shows.
    fn is_current(&self, row: &WantedRow, held: Option<&RecordRow>) -> Result<bool, ReadError> {
        let Some(held) = held.filter(|held| !held.deleted) else {
            return Ok(false);
        };
        let Some(node) = self.node(&row.soul)? else {
            return Ok(false);
        };
        let same_oip = node.value("oip").and_then(Value::as_text) == Some(&*held.oip);
        let same_data = node.value("data").and_then(Value::as_text) == held.data.as_deref();
        Ok(same_oip && same_data && !self.announces_newer(row, &node)?)
    }

    /// Whether the registry entry was written after the version that lies in the graph. Nodes write
    /// both at once, with one state; deployed ones register a little later, which costs one fetch.
    fn announces_newer(&self, row: &WantedRow, node: &Node) -> Result<bool, ReadError> {
        let Some(record_type) = row.record_type.as_deref() else {
            return Ok(false);
        };
        let mut announced = None;
        for (soul, key) in self.registry.announcements(record_type, &row.soul) {
            let state = self.store.value(&soul, &key)?.map(|(state, _)| state);
            announced = state
                .filter(|state| announced.is_none_or(|known| *state > known))
                .or(announced);
        }
        let written = node.entry("oip").map(|entry| entry.state);
        Ok(announced.is_some_and(|announced| written.is_none_or(|written| announced > written)))
    }

    /// Nothing new, unless the registry announces something newer than what is here. A peer in
    /// between may pass an announcement on before it has the version itself: it is asked again,
    /// though not for ever, since deployed nodes announce later than they write.
    fn settled(
        &self,
        row: &WantedRow,
        asked: Asked,
        node: &Node,
        heal: Option<RecordRow>,
    ) -> Result<Judgement, ReadError> {
        if self.announces_newer(row, node)? {
            match asked {
                Asked::NotYet => return Ok(Judgement::Fetch(vec![row.soul.clone()])),
                Asked::Already if heal.is_none() && row.attempts < BEHIND_TRIES => {
                    return Ok(Judgement::Absent);
                }
                Asked::Already => {}
            }
        }
        Ok(Judgement::Known {
            heal: heal.map(Box::new),
        })
    }

    fn absent(&self, row: &WantedRow, asked: Asked, held: bool) -> Result<Judgement, ReadError> {
        if asked == Asked::NotYet {
            return Ok(Judgement::Fetch(vec![row.soul.clone()]));
        }
        if held {
            return Ok(Judgement::Known { heal: None });
        }
        let unregistered = match row
            .record_type
            .as_deref()
            .and_then(|t| self.registry.index(t))
        {
            Some(index) => {
                let key = gun::Key::new(row.soul.as_str()).ok();
                let value = key
                    .map(|key| self.store.value(&index, &key))
                    .transpose()?
                    .flatten();
                matches!(value, Some((_, Value::Null)))
            }
            None => false,
        };
        Ok(if unregistered {
            Judgement::Gone
        } else {
            Judgement::Absent
        })
    }

    fn node(&self, soul: &Soul) -> Result<Option<Node>, ReadError> {
        match self.store.node(soul) {
            // No record has that many keys; it is refused as none.
            Err(ReadError::NodeTooLarge(_)) => Ok(None),
            other => other,
        }
    }
}

fn refused(
    reject: Reject,
    texts: Option<Texts>,
    held: Option<RecordRow>,
    asked: Asked,
    soul: &Soul,
) -> Judgement {
    // What lies here may be torn or stale: a peer may have better.
    if asked == Asked::NotYet {
        return Judgement::Fetch(vec![soul.clone()]);
    }
    // What asks for privacy is not kept in clear, not even in quarantine.
    let is_exposed = matches!(reject, Reject::ExposedPrivate(_));
    let is_sealed = texts.as_ref().is_some_and(Texts::claim_to_be_sealed);
    let texts = texts.filter(|texts| !is_exposed && texts.are_public());
    Judgement::Refuse {
        is_sealed,
        reject: Box::new(reject),
        texts: texts.map(Box::new),
        heal: held.map(Box::new),
    }
}

/// Whether what is held is the same data in another form. Then the order of versions decides, as on
/// every other node.
fn holds_same_data(held: &RecordRow, accepted: &Accepted) -> bool {
    held.data.as_deref().is_some_and(|data| {
        verify::data_digests(data, &accepted.creator.public_key).contains(&accepted.data_digest)
    })
}

/// The place of a version that is held.
pub(crate) fn order_of(row: &RecordRow) -> Order {
    Order {
        at_ms: row.at_ms,
        revision: row.revision,
        digest: row.digest,
    }
}

/// What is held, as a new version is compared with it.
pub(crate) fn held_version(
    store: &Store,
    row: &RecordRow,
    new: &Accepted,
) -> Result<Held, ReadError> {
    // Asked for where it counts only: the data of what is held is parsed for it.
    let owned = match row.deleted || new.deleted_by.is_some() {
        true => owned::of(store, row)?,
        false => None,
    };
    Ok(Held {
        owned,
        order: order_of(row),
        class: SignatureClass::from_u8(row.class).unwrap_or(SignatureClass::None),
        creator: row.creator.clone(),
        deleted: row.deleted,
    })
}

/// The row that keeps an accepted version.
pub(crate) fn row_of(accepted: Accepted, source: Option<String>, first_seen_ms: u64) -> RecordRow {
    RecordRow {
        soul: accepted.soul,
        record_type: accepted.record_type,
        creator: accepted.creator.did_address,
        at_ms: accepted.order.at_ms,
        revision: accepted.order.revision,
        digest: accepted.order.digest,
        class: accepted.class.to_u8(),
        deleted: accepted.deleted,
        own: false,
        first_seen_ms,
        source,
        verification: accepted.verification.to_u8(),
        data: accepted.data_text.map(Into::into),
        oip: accepted.oip_text.into(),
        seq: 0,
    }
}

/// Names the mark that a creator has been seen signing: unsigned records in its name are then refused.
pub(crate) fn signer_mark(did_address: &str) -> String {
    format!("signer:{did_address}")
}

/// Names the mark that a record held this data once. A deployed signature does not cover the time,
/// so that anyone can date old data anew: what was superseded here is not taken again.
pub(crate) fn data_mark(accepted: &Accepted) -> String {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut digest = Context::new(&SHA256);
    digest.update(&accepted.data_digest);
    digest.update(accepted.soul.as_str().as_bytes());
    format!("data:{}", oip_record::soul::hex(digest.finish().as_ref()))
}

/// The store counts time without sign, records with.
pub(crate) fn signed_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The DID to log for a soul.
pub(crate) fn did_of(soul: &Soul) -> String {
    Did::from_soul(soul).to_string()
}
