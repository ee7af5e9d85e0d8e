//! Candidates are judged, and what follows is stored. Each judgement is one transaction; those of a batch share one
//! sync of the store.
//!
//! Owns what is said of versions that are kept, in counters and in the log. What follows from a judgement: `decide`.

use std::collections::HashSet;
use std::sync::Arc;

use gun::Soul;
use oip_record::order::SignatureClass;
use oip_record::{Raw, Reject, Verification};
use oip_store::{Committed, Op, Transaction, WantedRow, WriteError};

use super::decide::{Kept, Outcome, Ways, passes_on};
use super::intake::{Ended, Intake, LOOK};
use super::judge::{Asked, Judgement, did_of, signed_ms, signer_mark};
use crate::admission;
use crate::clock;

/// Times a record is read again over HTTP whose signature does not verify over what was shown: with the
/// waits in between, over a quarter of a minute. What is in its form of long ago stays unverifiable.
const UNVERIFIABLE_TRIES: u32 = 4;

/// Who published a record, when an entry does not say; deployed nodes write the same.
const UNKNOWN_NODE: &str = "unknown";

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
