//! Healing: what anybody wrote over a verified version in the graph is answered by writing that
//! version back, byte for byte as it was signed.
//!
//! What this node published it announces again with it: a peer that took the other version, or
//! itself published one at the same time under the same key, hears of ours only so.
//!
//! Owns how often: a soul has one turn a minute, so that two writers can't make us flood. What
//! comes sooner waits for the next turn, on the durable list, and is not forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gun::Soul;
use oip_record::order::SignatureClass;
use oip_store::{Op, RecordRow, Transaction, WantedRow, WriteError};

use super::judge::{Asked, Judge, Judgement, did_of};
use crate::clock;
use crate::deletions;
use crate::explain;
use crate::hub::HubHandle;
use crate::metrics::Metrics;
use crate::registry::{Registration, Writes};
use crate::vault;

/// A soul is healed at most once in this time.
const HEAL_MS: u64 = 60_000;

/// Healings remembered; beyond it those of over a minute ago are forgotten, and if there are none,
/// all: which only heals sooner.
const HEALED_MAX: usize = 10_000;

/// Longest wait before healing. The nodes that see an overwrite don't all answer at once: the
/// first one's answer makes the others' needless.
const JITTER_MS: u64 = 256;

/// What healing works with.
pub(crate) struct Healer {
    pub judge: Judge,
    pub hub: HubHandle,
    /// What registry entries of this node bear.
    pub node_id: Arc<str>,
    pub metrics: Arc<Metrics>,
    pub turns: Turns,
}

/// When each soul was last healed.
#[derive(Default)]
pub(crate) struct Turns {
    taken_ms: Mutex<HashMap<Soul, u64>>,
}

/// Whether a soul may be healed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Now; the turn is taken.
    Now,
    /// From this time on, ms since 1970.
    At(u64),
}

impl Turns {
    pub(crate) fn take(&self, soul: &Soul, now_ms: u64) -> Turn {
        let mut taken = self.taken_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |at: u64| now_ms.saturating_sub(at) >= HEAL_MS;
        if let Some(at) = taken.get(soul).copied().filter(|at| !is_over(*at)) {
            return Turn::At(at + HEAL_MS);
        }
        if taken.len() >= HEALED_MAX {
            taken.retain(|_, at| !is_over(*at));
        }
        if taken.len() >= HEALED_MAX {
            taken.clear();
        }
        taken.insert(soul.clone(), now_ms);
        Turn::Now
    }
}

/// Whether a version may be written back: one that nobody signed proves nothing against another, and one
/// that is private and lies in clear is not passed on.
pub(crate) fn is_healable(row: &RecordRow) -> bool {
    row.class != SignatureClass::None.to_u8() && !vault::is_exposed(row)
}

impl Healer {
    /// Writes the verified version of `row`'s record back, if after the jitter the graph still
    /// shows something else that may not take its place.
    pub(crate) async fn heal(&self, row: WantedRow) {
        tokio::time::sleep(Duration::from_millis(crate::random::number() % JITTER_MS)).await;
        let judge = self.judge.clone();
        let judged = tokio::task::spawn_blocking(move || {
            judge.judge(&row, Asked::Already, clock::wall_ms())
        });
        let held = match judged.await {
            Ok(Ok(
                Judgement::Known { heal: Some(held) }
                | Judgement::Refuse {
                    heal: Some(held), ..
                },
            )) => *held,
            // A newer version, or this one again, arrived meanwhile.
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::error!(event = "error", operation = "heal", %error, "failed to read a record to heal");
                return;
            }
            // Lost with the process.
            Err(_) => return,
        };
        let did = did_of(&held.soul);
        let noted = explain::note(
            &self.judge.store,
            &held.soul,
            "healed",
            "what was written over the verified version",
            None,
        );
        let mut ops = self.writes(held);
        ops.extend(noted);
        let committed = self
            .judge
            .store
            .commit(Transaction { ops }, clock::wall_ms());
        match committed.await {
            Ok(committed) => {
                self.metrics.healed.inc();
                tracing::info!(did, "wrote the verified version over an invalid one");
                self.hub.changed(committed.changed).await;
            }
            // A newer version was kept meanwhile; what the graph shows is looked at again for that one.
            Err(WriteError::Superseded(_)) => {}
            Err(error) => {
                tracing::error!(event = "error", operation = "heal", %error, "failed to heal a record")
            }
        }
    }

    fn writes(&self, held: RecordRow) -> Vec<Op> {
        let mut writes = vec![(held.soul.clone(), crate::document::entries_of(&held))];
        if held.own {
            writes.extend(self.registration(&held));
        }
        let expected = Op::ExpectRecord {
            soul: held.soul.clone(),
            seq: Some(held.seq),
        };
        let mut ops = vec![expected];
        ops.extend(
            writes
                .into_iter()
                .map(|(soul, entries)| Op::Write { soul, entries }),
        );
        if held.own {
            // Moves it to the head of the feed, so that dialled peers are told again.
            ops.push(Op::PutRecord(held));
        }
        ops
    }

    /// What takes back a record that this node published and its owner deleted; also for deployed nodes, which know no
    /// tombstones.
    pub(super) fn unregistration(&self, tombstone: &RecordRow) -> Writes {
        let mut writes = self.registration(tombstone);
        let oip: serde_json::Value = serde_json::from_str(&tombstone.oip).unwrap_or_default();
        let by = oip["creator"]["publicKey"].as_str().unwrap_or_default();
        writes.extend(deletions::mark(&tombstone.soul, by, tombstone.at_ms));
        writes
    }

    /// The registry's values with fresh states.
    fn registration(&self, held: &RecordRow) -> Writes {
        let registry = &self.judge.registry;
        if held.deleted {
            return registry.unregister(&self.node_id, &held.record_type, &held.soul);
        }
        let oip: serde_json::Value = serde_json::from_str(&held.oip).unwrap_or_default();
        registry.register(&Registration {
            soul: &held.soul,
            record_type: &held.record_type,
            creator_public_key: oip["creator"]["publicKey"].as_str().unwrap_or_default(),
            node_id: &self.node_id,
            at_ms: held.at_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soul_has_one_turn_a_minute_and_learns_when_the_next_one_is() {
        let turns = Turns::default();
        let soul = |name: &str| Soul::new(name).unwrap();
        assert_eq!(turns.take(&soul("a"), 1_000), Turn::Now);
        assert_eq!(turns.take(&soul("a"), 1_001), Turn::At(1_000 + HEAL_MS));
        assert_eq!(
            turns.take(&soul("a"), 999 + HEAL_MS),
            Turn::At(1_000 + HEAL_MS)
        );
        assert_eq!(turns.take(&soul("b"), 1_001), Turn::Now);
        assert_eq!(turns.take(&soul("a"), 1_000 + HEAL_MS), Turn::Now);
    }

    #[test]
    fn healings_remembered_stay_bounded() {
        let turns = Turns::default();
        for n in 0..=HEALED_MAX {
            assert_eq!(
                turns.take(&Soul::new(format!("s{n}")).unwrap(), 5),
                Turn::Now
            );
        }
        assert!(turns.taken_ms.lock().unwrap().len() <= HEALED_MAX);
    }
}
