//! What follows from one judgement: what is written to the store, and what is asked for or healed.
//!
//! Reads the store, counts and tells; the writing is `settle`'s, one transaction for each judgement.

use std::sync::Arc;

use gun::Soul;
use oip_record::limits::FUTURE_MS_MAX;
use oip_record::order::SignatureClass;
use oip_record::{Accepted, Did, Guard, Reject, Verification};
use oip_store::{Op, QuarantineRow, RecordRow, WantedRow};
use oip_vault::audit::Action;

use super::heal::{Turn, is_healable};
use super::intake::Intake;
use super::judge::{Judgement, Texts, data_mark, did_of, row_of, signed_ms, signer_mark};
use super::marks;
use super::origin::{self, Later, published_by};
use super::owned;
use crate::audit::Told;
use crate::explain;
use crate::publish::event;
use crate::vault::hints_mark;

/// Wait before a soul that no peer had is asked for again: 1 s, doubled each time …
const RETRY_MS: u64 = 1_000;

/// … up to an hour, which keeps a lost record from costing anything.
const RETRY_MS_MAX: u64 = 3_600_000;

/// Why a soul waits whose record was healed within the last minute.
const WAITS_TO_HEAL: &str = "healed a moment ago";

/// Longest note of what lies beside a record: two keys and some words.
const HINTS_BYTES_MAX: usize = 4_096;

/// By which ways a record came.
pub(super) struct Ways {
    /// The peer.
    pub source: Option<String>,
    /// The node that its entry named there.
    pub entry: Option<String>,
}

/// What came of the judgements of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    pub ops: Vec<(Vec<Op>, Kept)>,
    pub fetch: Vec<(WantedRow, Vec<Soul>)>,
    pub heal: Vec<WantedRow>,
    /// Entries of the registry that may tell who published what.
    pub ask: Vec<Soul>,
    pub failed: bool,
}

/// What a transaction keeps, told once it is durable.
pub(super) enum Kept {
    Record(String, Verification),
    Tombstone(String),
    Nothing,
}

/// A judgement that refuses.
struct Refusal {
    reject: Box<Reject>,
    texts: Option<Box<Texts>>,
    heal: Option<Box<RecordRow>>,
    is_sealed: bool,
}

impl Intake {
    /// Adds what follows for one candidate.
    pub(super) fn decide(
        &self,
        judgement: Judgement,
        row: WantedRow,
        ways: Ways,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        match judgement {
            Judgement::Take { accepted, held } => {
                self.take(*accepted, held, row, ways, now_ms, outcome);
            }
            Judgement::Known { heal } => {
                self.metrics.skipped.inc();
                let soul = row.soul.clone();
                let next = match self.heal_or_wait(&row, heal.as_deref(), now_ms, outcome) {
                    Some(due_ms) => put_off(row, due_ms, WAITS_TO_HEAL),
                    None => done(&row),
                };
                let mut ops = vec![next];
                ops.extend(self.named_later(&soul, ways.entry, outcome));
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Gone | Judgement::Unwanted => {
                self.metrics.skipped.inc();
                outcome.ops.push((vec![done(&row)], Kept::Nothing));
            }
            Judgement::Untrusted(accepted) => {
                self.metrics.untrusted.inc();
                let mut ops = vec![done(&row)];
                // Of what is not held, judging what lies in the graph tells.
                if let Ok(Some(_)) = self.judge.store.record(&row.soul) {
                    let why = untrusted(&accepted);
                    let store = &self.judge.store;
                    ops.extend(explain::note(
                        store,
                        &row.soul,
                        "put aside",
                        why,
                        ways.source,
                    ));
                }
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Fetch(missing) => outcome.fetch.push((row, missing)),
            Judgement::Absent => {
                let due_ms = now_ms + backoff_ms(row.attempts);
                // What is announced may be late, and who announced it is known.
                let named = self.named_later(&row.soul, ways.entry, outcome);
                let mut ops = vec![tried(row, due_ms, "no peer has it yet")];
                ops.extend(named);
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Refuse {
                reject,
                texts,
                heal,
                is_sealed,
            } => {
                let refusal = Refusal {
                    reject,
                    texts,
                    heal,
                    is_sealed,
                };
                self.refuse(refusal, row, ways.source, now_ms, outcome);
            }
            Judgement::Contested(accepted) => {
                self.contest(*accepted, row, ways.source, now_ms, outcome);
            }
        }
    }

    /// A version is kept, in place of the one that is held.
    fn take(
        &self,
        accepted: Accepted,
        held: Option<Box<RecordRow>>,
        row: WantedRow,
        ways: Ways,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        let Ways { source, entry } = ways;
        let did = did_of(&row.soul);
        let node = source.as_deref().unwrap_or("unknown");
        self.metrics.discovered.inc();
        if self.log.allows(now_ms) {
            tracing::info!(
                event = "recordDiscovered",
                did,
                node,
                "discovered {did} from {node}"
            );
        }
        // A publish here may have come first: then the next look decides anew.
        let expected = Op::ExpectRecord {
            soul: row.soul.clone(),
            seq: held.as_ref().map(|held| held.seq),
        };
        let mut ops = vec![expected, done(&row)];
        if accepted.class != SignatureClass::None {
            ops.push(Op::SetCursor {
                name: signer_mark(&accepted.creator.did_address),
                value: vec![1],
            });
        }
        if accepted.class == SignatureClass::Deployed {
            ops.push(Op::SetCursor {
                name: data_mark(&accepted),
                value: vec![1],
            });
        }
        ops.extend(hints(&accepted));
        if let Guard::Exposed(_) = accepted.guard {
            self.metrics.exposed.inc();
        }
        ops.push(Op::QuarantineRemove(row.soul.clone()));
        let verification = accepted.verification;
        let (what, why) = taken(&accepted, held.is_some());
        ops.extend(explain::note(
            &self.judge.store,
            &row.soul,
            what,
            why,
            source.clone(),
        ));
        match owned::noted(&self.judge.store, &accepted, held.as_deref()) {
            Ok(noted) => ops.extend(noted),
            // Taken without it, the tombstone would be nobody's: the soul is looked at again.
            Err(error) => {
                tracing::error!(event = "error", operation = "judge", did, %error, "failed to read whose a record is");
                outcome.failed = true;
                return;
            }
        }
        let by_owner = accepted.deleted_by.clone();
        let was_own = held.as_ref().is_some_and(|held| held.own);
        let seen_ms = held.map_or(now_ms, |held| held.first_seen_ms);
        let named =
            entry.or_else(|| published_by(&self.judge, &accepted.record_type, &accepted.soul));
        if named.is_none()
            && let Some(unnamed) = origin::unnamed(&accepted)
        {
            ops.push(unnamed);
            let registry = &self.judge.registry;
            outcome
                .ask
                .extend(registry.target(&accepted.record_type, &accepted.soul));
        }
        let shown_as = named.or(source);
        let mut record = row_of(accepted, shown_as, seen_ms);
        // Deleted by its owner, it is still ours to announce, and now to take back.
        if by_owner.is_some() && was_own {
            record.own = true;
            let writes = self.healer.unregistration(&record);
            ops.extend(
                writes
                    .into_iter()
                    .map(|(soul, entries)| Op::Write { soul, entries }),
            );
        }
        let kept = if record.deleted {
            Kept::Tombstone(did)
        } else {
            Kept::Record(did, verification)
        };
        match self.marks.hides(&record) {
            Ok(None) => {}
            Ok(Some((peer, until_ms))) => {
                let entry = marks::shown(&record, &peer, until_ms);
                ops.push(Op::QuarantineAdd(entry));
            }
            Err(error) => {
                tracing::error!(event = "error", operation = "mark", %error, "failed to read who marked a record");
            }
        }
        ops.push(Op::PutRecord(record));
        outcome.ops.push((ops, kept));
    }

    /// What is not in order is written down, with the reason.
    fn refuse(
        &self,
        refusal: Refusal,
        row: WantedRow,
        source: Option<String>,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        let Refusal {
            reject,
            texts,
            heal,
            is_sealed,
        } = refusal;
        self.metrics
            .reject_record(reject.label(), signed_ms(now_ms));
        if is_sealed {
            let did = Did::from_soul(&row.soul);
            let refused = event(Action::Refused, &did, "", "peer", reject.label());
            self.audit.note_counted(refused, Told::Together);
        }
        let did = did_of(&row.soul);
        if self.log.allows(now_ms) {
            tracing::warn!(
                event = "error",
                operation = "verify",
                did,
                reason = reject.label(),
                "refused {did}: {reject}"
            );
        }
        // Of what is not held, the quarantine tells.
        let noted = heal.as_ref().and_then(|_| {
            let store = &self.judge.store;
            explain::note(
                store,
                &row.soul,
                "refused",
                reject.to_string(),
                source.clone(),
            )
        });
        let heal_ms = self.heal_or_wait(&row, heal.as_deref(), now_ms, outcome);
        // Only time cures a stamp ahead of ours; a torn record is written again by its owner, and what an owner
        // deleted may come yet.
        let due_ms = match &*reject {
            Reject::FutureStamp { at_ms } => {
                u64::try_from(at_ms.saturating_sub(FUTURE_MS_MAX)).ok()
            }
            Reject::Torn | Reject::OwnerUnknown => Some(now_ms + backoff_ms(row.attempts)),
            _ => None,
        };
        let (data, oip) = texts.map_or((None, None), |texts| {
            (texts.data.map(Into::into), Some(texts.oip.into()))
        });
        let entry = quarantined(
            &row,
            reject.label(),
            reject.to_string(),
            source,
            now_ms,
            due_ms,
            (data, oip),
        );
        let next = match (due_ms, heal_ms) {
            (Some(due_ms), _) => tried(row, due_ms, reject.label()),
            (None, Some(due_ms)) => put_off(row, due_ms, WAITS_TO_HEAL),
            (None, None) => done(&row),
        };
        let mut ops = vec![Op::QuarantineAdd(entry), next];
        ops.extend(noted);
        outcome.ops.push((ops, Kept::Nothing));
    }

    /// A second key signed what belongs to another.
    fn contest(
        &self,
        accepted: Accepted,
        row: WantedRow,
        source: Option<String>,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        self.metrics.reject_record("contested", signed_ms(now_ms));
        let detail = format!(
            "{} signed it too, but the soul belongs to another key",
            accepted.creator.did_address
        );
        // What asks for privacy is not kept in clear by a quarantine.
        let texts = match passes_on(&accepted) {
            true => (
                accepted.data_text.map(Into::into),
                Some(accepted.oip_text.into()),
            ),
            false => (None, None),
        };
        let store = &self.judge.store;
        let noted = explain::note(store, &row.soul, "contested", &*detail, source.clone());
        let entry = quarantined(&row, "contested", detail, source, now_ms, None, texts);
        let mut ops = vec![Op::QuarantineAdd(entry), done(&row)];
        ops.extend(noted);
        outcome.ops.push((ops, Kept::Nothing));
    }

    /// Gives a record that is held the name of the node that published it, if its entry came after it; has the entry
    /// asked for if it is not here yet.
    fn named_later(&self, soul: &Soul, entry: Option<String>, outcome: &mut Outcome) -> Vec<Op> {
        match origin::later(&self.judge, soul, entry) {
            Ok(Later::Nothing) => {}
            Ok(Later::Ask(target)) => outcome.ask.push(target),
            Ok(Later::Named(named)) => return named,
            Err(error) => {
                tracing::error!(event = "error", operation = "judge", did = %did_of(soul), %error, "failed to read who published a record");
            }
        }
        Vec::new()
    }

    /// Has the record healed if it is its turn; else says when that comes.
    fn heal_or_wait(
        &self,
        row: &WantedRow,
        held: Option<&RecordRow>,
        now_ms: u64,
        outcome: &mut Outcome,
    ) -> Option<u64> {
        held.filter(|held| is_healable(held))?;
        match self.healer.turns.take(&row.soul, now_ms) {
            Turn::Now => {
                outcome.heal.push(row.clone());
                None
            }
            Turn::At(due_ms) => Some(due_ms),
        }
    }
}

/// Whether what was brought past the graph enters it, for others to find.
pub(crate) fn passes_on(accepted: &Accepted) -> bool {
    matches!(accepted.guard, Guard::Public | Guard::Sealed(_))
}

/// Keeps what lies beside a record of an old scheme: it tells its key, and no signed text does.
pub(crate) fn hints(accepted: &Accepted) -> Option<Op> {
    let Guard::Legacy(meta) = &accepted.guard else {
        return None;
    };
    let meta = serde_json::to_vec(meta).ok()?;
    (meta.len() <= HINTS_BYTES_MAX).then(|| Op::SetCursor {
        name: hints_mark(&accepted.soul),
        value: meta,
    })
}

/// Why a version that is in order is put aside.
pub(crate) fn untrusted(accepted: &Accepted) -> String {
    format!(
        "{}, who made it, is of no node in GUN_SYNC_TRUSTED_NODES: name one of his nodes there, or him",
        accepted.creator.did_address
    )
}

/// What a taken version is called in notes.
fn taken(accepted: &Accepted, is_edit: bool) -> (&'static str, String) {
    let what = if accepted.deleted { "deleted" } else { "taken" };
    let version = accepted
        .indexed_at
        .as_ref()
        .map_or("without a time", |stamp| stamp.as_str());
    let place = if is_edit {
        ", in place of the one held"
    } else {
        ""
    };
    let why = format!(
        "version {version}, {}{place}",
        accepted.verification.label()
    );
    (what, why)
}

/// Takes a soul off the list, unless it was announced anew.
fn done(row: &WantedRow) -> Op {
    Op::WantedDone {
        soul: row.soul.clone(),
        generation: row.generation,
    }
}

/// Puts a soul off after an attempt that failed.
fn tried(row: WantedRow, due_ms: u64, reason: &str) -> Op {
    let attempts = row.attempts + 1;
    put_off(WantedRow { attempts, ..row }, due_ms, reason)
}

/// Puts a soul off until its time; announced anew meanwhile, it is due at once.
fn put_off(row: WantedRow, due_ms: u64, reason: &str) -> Op {
    Op::WantedRetry {
        soul: row.soul,
        generation: row.generation,
        attempts: row.attempts,
        due_ms,
        reason: reason.into(),
    }
}

pub(super) fn backoff_ms(attempts: u32) -> u64 {
    RETRY_MS
        .saturating_mul(1_u64 << attempts.min(16))
        .min(RETRY_MS_MAX)
}

type StoredTexts = (Option<Arc<str>>, Option<Arc<str>>);

fn quarantined(
    row: &WantedRow,
    reason: &str,
    detail: String,
    source: Option<String>,
    now_ms: u64,
    due_ms: Option<u64>,
    (data, oip): StoredTexts,
) -> QuarantineRow {
    QuarantineRow {
        soul: row.soul.clone(),
        record_type: row.record_type.clone(),
        creator: None,
        reason: reason.into(),
        detail,
        source,
        attempts: row.attempts + 1,
        first_ms: now_ms,
        last_ms: now_ms,
        due_ms,
        data,
        oip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        assert_eq!([0, 1, 3].map(backoff_ms), [1_000, 2_000, 8_000]);
        assert_eq!(backoff_ms(u32::MAX), RETRY_MS_MAX);
    }
}
