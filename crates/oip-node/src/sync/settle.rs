//! What follows from judgements: a version is kept, a soul put off, a refusal written down. Each
//! judgement is one transaction; those of a batch share one sync of the store.
//!
//! Owns what is said of it, in counters and in the log.

use std::collections::HashSet;
use std::sync::Arc;

use gun::Soul;
use oip_record::limits::FUTURE_MS_MAX;
use oip_record::order::SignatureClass;
use oip_record::{Accepted, Did, Guard, Raw, Reject, Verification};
use oip_store::{Committed, Op, QuarantineRow, RecordRow, Transaction, WantedRow, WriteError};
use oip_vault::audit::Action;

use super::heal::{Turn, is_healable};
use super::intake::{Ended, Intake, LOOK};
use super::judge::{Asked, Judgement, data_mark, did_of, row_of, signed_ms, signer_mark};
use super::marks;
use super::origin::{self, Later, published_by};
use super::owned;
use crate::admission;
use crate::audit::Told;
use crate::clock;
use crate::explain;
use crate::publish::event;
use crate::vault::hints_mark;

/// Wait before a soul that no peer had is asked for again: 1 s, doubled each time …
const RETRY_MS: u64 = 1_000;

/// … up to an hour, which keeps a lost record from costing anything.
const RETRY_MS_MAX: u64 = 3_600_000;

/// Times a record is read again over HTTP whose signature does not verify over what was shown: with the
/// waits in between, over a quarter of a minute. What is in its form of long ago stays unverifiable.
const UNVERIFIABLE_TRIES: u32 = 4;

/// Why a soul waits whose record was healed within the last minute.
const WAITS_TO_HEAL: &str = "healed a moment ago";

/// Who published a record, when an entry does not say; deployed nodes write the same.
const UNKNOWN_NODE: &str = "unknown";

/// Longest note of what lies beside a record: two keys and some words.
const HINTS_BYTES_MAX: usize = 4_096;

/// A record as a peer showed it over HTTP.
pub(crate) struct Shown {
    pub soul: Soul,
    pub record_type: String,
    /// Its texts, or why they make no record.
    pub raw: Result<Raw, Reject>,
    /// The peer.
    pub source: String,
    /// The node that its entry names.
    pub node_id: Option<String>,
    /// How often it was read before.
    pub attempts: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    /// Decided, one way or the other.
    Settled,
    /// To be read again later.
    Again,
}

/// By which ways a record came.
struct Ways {
    /// The peer.
    source: Option<String>,
    /// The node that its entry named there.
    entry: Option<String>,
}

impl Intake {
    /// Judges a batch on all cores, and stores what follows.
    pub(super) async fn judge_batch(
        self: Arc<Self>,
        rows: Vec<(WantedRow, Option<String>)>,
        asked: Asked,
    ) -> Ended {
        let souls: Vec<Soul> = rows.iter().map(|(row, _)| row.soul.clone()).collect();
        let now_ms = clock::wall_ms();
        let share = rows.len().div_ceil(self.cores);
        let mut rest = rows;
        let mut shares = Vec::new();
        while !rest.is_empty() {
            let next = rest.split_off(share.min(rest.len()));
            let judge = self.judge.clone();
            shares.push(tokio::task::spawn_blocking(move || {
                rest.into_iter()
                    .map(|(row, source)| (judge.judge(&row, asked, now_ms), row, source))
                    .collect::<Vec<_>>()
            }));
            rest = next;
        }
        let mut outcome = Outcome::default();
        for share in shares {
            let Ok(judged) = share.await else {
                outcome.failed = true;
                continue;
            };
            for (judgement, row, source) in judged {
                match judgement {
                    Ok(judgement) => {
                        let ways = Ways {
                            source,
                            entry: None,
                        };
                        self.decide(judgement, row, ways, now_ms, &mut outcome);
                    }
                    Err(error) => {
                        outcome.failed = true;
                        tracing::error!(event = "error", operation = "judge", did = %did_of(&row.soul), %error, "failed to judge a record");
                    }
                }
            }
        }
        outcome.failed |= !self.keep(std::mem::take(&mut outcome.ops), now_ms).await;
        if outcome.failed {
            // The rows are still due: without a pause a broken disk would be tried in a tight loop.
            tokio::time::sleep(LOOK).await;
        }
        let fetching: HashSet<&Soul> = outcome.fetch.iter().map(|(row, _)| &row.soul).collect();
        let settled = souls
            .into_iter()
            .filter(|soul| !fetching.contains(soul))
            .collect();
        Ended::Judged {
            settled,
            fetch: outcome.fetch,
            heal: outcome.heal,
            ask: outcome.ask,
            failed: outcome.failed,
        }
    }

    /// Judges what a peer showed over HTTP, and stores what follows. What is taken enters the graph too,
    /// so that others find it here; stamped with its own time, it takes the place of nothing that
    /// was written since.
    pub(crate) async fn take_shown(self: &Arc<Self>, shown: Shown) -> Took {
        let now_ms = clock::wall_ms();
        let row = WantedRow {
            soul: shown.soul.clone(),
            record_type: Some(shown.record_type),
            at_ms: None,
            attempts: shown.attempts,
            due_ms: now_ms,
            reason: None,
            // Of no row in the list: what is wanted through other peers stays so.
            generation: u64::MAX,
        };
        let (this, soul, raw) = (Arc::clone(self), shown.soul.clone(), shown.raw);
        let from = shown.source.clone();
        let judged = tokio::task::spawn_blocking(move || {
            if this.is_full(&soul)? {
                return Ok(None);
            }
            match raw {
                Ok(raw) => this
                    .judge
                    .judge_shown(&soul, raw, Some(&from), now_ms)
                    .map(Some),
                Err(reject) => Ok(Some(Judgement::Refuse {
                    is_sealed: false,
                    reject: Box::new(reject),
                    texts: None,
                    heal: None,
                })),
            }
        });
        let judgement = match judged.await {
            Ok(Ok(Some(judgement))) => judgement,
            Ok(Ok(None)) => {
                self.metrics.reject_record("quota", signed_ms(now_ms));
                return Took::Again;
            }
            Ok(Err(error)) => {
                tracing::error!(event = "error", operation = "judge", did = %did_of(&shown.soul), %error, "failed to judge a record");
                return Took::Again;
            }
            // Lost with the process.
            Err(_) => return Took::Again,
        };
        let mut announced = Vec::new();
        let mut took = Took::Settled;
        match &judgement {
            // What is private and lies in clear is kept for its readers, and not passed on.
            Judgement::Take { accepted, .. } if passes_on(accepted) => {
                let graph = super::graph_of(
                    &self.judge.registry,
                    accepted,
                    shown.node_id.as_deref().unwrap_or(UNKNOWN_NODE),
                    now_ms,
                );
                announced.push(Op::Offer { graph });
            }
            Judgement::Refuse { reject, .. } => match **reject {
                Reject::Torn | Reject::FutureStamp { .. } => took = Took::Again,
                Reject::Unverifiable if shown.attempts < UNVERIFIABLE_TRIES => took = Took::Again,
                _ => {}
            },
            _ => {}
        }
        let mut outcome = Outcome::default();
        let ways = Ways {
            source: Some(shown.source),
            entry: shown.node_id,
        };
        self.decide(judgement, row, ways, now_ms, &mut outcome);
        if let Some((ops, _)) = outcome.ops.first_mut() {
            ops.extend(announced);
        }
        if !self.keep(outcome.ops, now_ms).await
            || (shown.attempts < UNVERIFIABLE_TRIES && self.awaits_better(&shown.soul))
        {
            took = Took::Again;
        }
        took
    }

    /// Whether what is held was shown with a signature that does not verify over it, though its creator is
    /// known to sign. A relay shows parts of two versions as one: the next answer may be whole.
    fn awaits_better(&self, soul: &Soul) -> bool {
        let store = &self.judge.store;
        let held = store.record(soul).ok().flatten().filter(|held| {
            held.class == SignatureClass::None.to_u8()
                && held.verification == Verification::Unverifiable.to_u8()
        });
        held.is_some_and(|held| {
            let signs = store.cursor(&signer_mark(&held.creator));
            signs.ok().flatten().is_some()
        })
    }

    /// Whether the record's author has used up what authors may store here.
    fn is_full(&self, soul: &Soul) -> Result<bool, oip_store::ReadError> {
        let account = admission::account(&self.judge.registry, &self.quotas, soul.as_str());
        let usage = self.judge.store.usage(&account.name)?;
        Ok(usage.bytes >= account.bytes_max || usage.nodes >= account.nodes_max)
    }

    fn decide(
        &self,
        judgement: Judgement,
        row: WantedRow,
        ways: Ways,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        let Ways { source, entry } = ways;
        let done = Op::WantedDone {
            soul: row.soul.clone(),
            generation: row.generation,
        };
        match judgement {
            Judgement::Take { accepted, held } => {
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
                let mut ops = vec![expected, done];
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
                let named = entry
                    .or_else(|| published_by(&self.judge, &accepted.record_type, &accepted.soul));
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
                let mut record = row_of(*accepted, shown_as, seen_ms);
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
            Judgement::Known { heal } => {
                self.metrics.skipped.inc();
                let soul = row.soul.clone();
                let next = match self.heal_or_wait(&row, heal.as_deref(), now_ms, outcome) {
                    Some(due_ms) => put_off(row, due_ms, WAITS_TO_HEAL),
                    None => done,
                };
                let mut ops = vec![next];
                ops.extend(self.named_later(&soul, entry, outcome));
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Gone | Judgement::Unwanted => {
                self.metrics.skipped.inc();
                outcome.ops.push((vec![done], Kept::Nothing));
            }
            Judgement::Untrusted(accepted) => {
                self.metrics.untrusted.inc();
                let mut ops = vec![done];
                // Of what is not held, judging what lies in the graph tells.
                if let Ok(Some(_)) = self.judge.store.record(&row.soul) {
                    let why = untrusted(&accepted);
                    let store = &self.judge.store;
                    ops.extend(explain::note(store, &row.soul, "put aside", why, source));
                }
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Fetch(missing) => outcome.fetch.push((row, missing)),
            Judgement::Absent => {
                let due_ms = now_ms + backoff_ms(row.attempts);
                // What is announced may be late, and who announced it is known.
                let named = self.named_later(&row.soul, entry, outcome);
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
                    (None, None) => done,
                };
                let mut ops = vec![Op::QuarantineAdd(entry), next];
                ops.extend(noted);
                outcome.ops.push((ops, Kept::Nothing));
            }
            Judgement::Contested(accepted) => {
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
                let mut ops = vec![Op::QuarantineAdd(entry), done];
                ops.extend(noted);
                outcome.ops.push((ops, Kept::Nothing));
            }
        }
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

    /// Commits each judgement in a transaction of its own; all share the store's next sync.
    async fn keep(&self, judged: Vec<(Vec<Op>, Kept)>, now_ms: u64) -> bool {
        let commits: Vec<_> = judged
            .into_iter()
            .map(|(ops, kept)| {
                let (reply, committed) =
                    tokio::sync::oneshot::channel::<Result<Committed, WriteError>>();
                self.judge
                    .store
                    .submit(Transaction { ops }, now_ms, move |result| {
                        let _ = reply.send(result);
                    });
                (committed, kept)
            })
            .collect();
        let mut all = true;
        for (committed, kept) in commits {
            match (committed.await, kept) {
                (Ok(Ok(committed)), Kept::Record(did, verification)) => {
                    self.hub.changed(committed.changed).await;
                    self.metrics.synced.inc();
                    self.metrics.verification(verification.label());
                    if self.log.allows(now_ms) {
                        tracing::info!(event = "recordSynced", did, "synced {did}");
                    }
                }
                (Ok(Ok(committed)), Kept::Tombstone(did)) => {
                    self.hub.changed(committed.changed).await;
                    self.metrics.deleted.inc();
                    if self.log.allows(now_ms) {
                        tracing::info!(
                            event = "recordSynced",
                            did,
                            deleted = true,
                            "synced the deletion of {did}"
                        );
                    }
                }
                // The soul is still wanted, and is judged against the version that came first.
                (Ok(Ok(_)), Kept::Nothing) | (Ok(Err(WriteError::Superseded(_))), _) => {}
                _ => all = false,
            }
        }
        all
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

#[derive(Default)]
struct Outcome {
    ops: Vec<(Vec<Op>, Kept)>,
    fetch: Vec<(WantedRow, Vec<Soul>)>,
    heal: Vec<WantedRow>,
    /// Entries of the registry that may tell who published what.
    ask: Vec<Soul>,
    failed: bool,
}

/// What a transaction keeps, told once it is durable.
enum Kept {
    Record(String, Verification),
    Tombstone(String),
    Nothing,
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
