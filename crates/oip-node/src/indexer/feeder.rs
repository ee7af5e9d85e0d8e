//! One step of feeding an index: reading a batch from the store, applying it, and keeping what the index
//! refuses in the store's quarantine. Blocks; the indexer runs it off the reactor.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use gun::Soul;
use oip_index::{Applied, Envelope, Index, IndexOp, Readers, Rebuild, Version};
use oip_record::Did;
use oip_store::{Op, QuarantineRow, ReadError, RecordRow, Store, Transaction};
use oip_vault::audit::Action;

use super::scope::Scope;
use super::{Replayed, Step};
use crate::audit::Audit;
use crate::clock;
use crate::metrics::Metrics;
use crate::publish::event;
use crate::sync::judge::signed_ms;
use crate::vault::{self, Closed, Shown};

/// Records per index commit: large enough to spread the cost of a commit, small enough that a
/// first sync becomes searchable as it goes and that a batch stays within some megabytes.
pub(crate) const BATCH_RECORDS_MAX: usize = 2_000;

/// Raw bytes of records per index commit, so that a batch of large records stays small too.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Rows of the quarantine read at a time.
const PAGE_ROWS: usize = 1_000;

/// The store's named value: the mapping under which refused documents were last tried.
const MAPPING_CURSOR: &str = "index-mapping";

/// Reads the store and writes the index.
pub(crate) struct Feeder {
    pub(crate) store: Store,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) scope: Scope,
    audit: Arc<Audit>,
    pub(crate) metrics: Arc<Metrics>,
    /// Souls whose documents the index refuses, as the store has them.
    unindexed: Mutex<BTreeSet<Soul>>,
}

/// A batch and where in the feed it ends.
struct Batch {
    ops: Vec<IndexOp>,
    /// Records that can't be made into documents, with the reason.
    broken: Vec<(Soul, String)>,
    cursor: u64,
}

/// Why a record is not in the index.
struct Refusal {
    soul: Soul,
    label: &'static str,
    reason: String,
}

impl Feeder {
    pub(crate) fn new(
        store: Store,
        index: Arc<dyn Index>,
        scope: Scope,
        audit: Arc<Audit>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            index,
            scope,
            audit,
            metrics,
            unindexed: Mutex::default(),
        }
    }

    /// Where to go on in the feed. Reads what was refused before.
    pub(super) fn start(&self) -> Option<u64> {
        match self.unindexed_rows() {
            Ok(rows) => {
                let souls = rows.into_iter().map(|row| row.soul).collect();
                *self
                    .unindexed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = souls;
            }
            Err(error) => tracing::error!(%error, "failed to read what the index refused"),
        }
        let head = self.store.feed_head();
        match self.index.cursor() {
            // An index ahead of the store belongs to another or an older store: fill it anew.
            Ok(cursor) if cursor > head => {
                tracing::warn!(cursor, head, "index is ahead of the store, rebuilding it");
                match self.index.clear() {
                    Ok(()) => Some(0),
                    Err(error) => {
                        tracing::error!(error = told(&error), "failed to clear the index");
                        None
                    }
                }
            }
            Ok(cursor) => {
                self.look_at_mapping(cursor);
                Some(cursor)
            }
            Err(error) => {
                tracing::error!(error = told(&error), "failed to read the index position");
                None
            }
        }
    }

    /// Why the index is to be rebuilt, if it is.
    pub(super) fn rebuild_due(&self) -> Option<String> {
        self.index.status().rebuild_due
    }

    /// Applies one batch; the position reached, or `None` on a failure that was logged.
    pub(super) fn step(&self, cursor: u64) -> Option<u64> {
        let batch = self.read(cursor)?;
        let applied = self.applied(self.index.apply(&batch.ops, batch.cursor))?;
        self.keep_refusals(&batch.ops, &batch.broken, applied)?;
        Some(batch.cursor)
    }

    /// Applies one batch to a new index; the position reached, and the records read.
    pub(super) fn fill(&self, rebuild: &mut dyn Rebuild, cursor: u64) -> Option<(u64, u64)> {
        let batch = self.read(cursor)?;
        let applied = self.applied(rebuild.apply(&batch.ops, batch.cursor))?;
        let records = (batch.ops.len() + batch.broken.len()) as u64;
        self.keep_refusals(&batch.ops, &batch.broken, applied)?;
        Some((batch.cursor, records))
    }

    /// A new index is in place.
    pub(super) fn finished(&self) -> Step {
        match self.index.cursor() {
            Ok(cursor) => {
                tracing::info!("the new index is in place");
                self.remember_mapping();
                Step::Done(cursor)
            }
            Err(error) => {
                tracing::error!(%error, "failed to read the position of the new index");
                Step::Failed
            }
        }
    }

    /// Tries again what was refused, if the mapping is not the one under which it was.
    pub(super) fn look_at_mapping(&self, cursor: u64) {
        let status = self.index.status();
        if status.rebuild_due.is_some() || status.trouble.is_some() || status.mapping.is_empty() {
            return;
        }
        match self.store.cursor(MAPPING_CURSOR) {
            Ok(Some(tried)) if tried == status.mapping.as_bytes() => {}
            Ok(_) => {
                let replayed = self.replay(None, cursor);
                if replayed.tried > 0 {
                    tracing::info!(
                        tried = replayed.tried,
                        taken = replayed.taken,
                        "the index has another mapping, tried again what it had refused"
                    );
                }
                self.remember_mapping();
            }
            Err(error) => tracing::error!(%error, "failed to read the mapping of the index"),
        }
    }

    fn remember_mapping(&self) {
        self.commit(vec![Op::SetCursor {
            name: MAPPING_CURSOR.to_owned(),
            value: self.index.status().mapping.into_bytes(),
        }]);
    }

    /// Tries again what the index refused: one record, or all.
    pub(super) fn replay(&self, soul: Option<&Soul>, cursor: u64) -> Replayed {
        let mut replayed = Replayed::default();
        let souls: Vec<Soul> = {
            let unindexed = self
                .unindexed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match soul {
                Some(soul) => unindexed.get(soul).cloned().into_iter().collect(),
                None => unindexed.iter().cloned().collect(),
            }
        };
        for souls in souls.chunks(BATCH_RECORDS_MAX / 10) {
            let mut batch = Batch {
                ops: Vec::new(),
                broken: Vec::new(),
                cursor,
            };
            for soul in souls {
                if let Err(error) = self.add(&mut batch, soul, &mut 0) {
                    tracing::error!(%error, "failed to read a record that the index refused");
                    return replayed;
                }
            }
            let Some(applied) = self.applied(self.index.apply(&batch.ops, cursor)) else {
                return replayed;
            };
            replayed.tried += souls.len() as u64;
            let refused = (applied.refused.len() + batch.broken.len()) as u64;
            if self
                .keep_refusals(&batch.ops, &batch.broken, applied)
                .is_none()
            {
                return replayed;
            }
            replayed.taken += (souls.len() as u64).saturating_sub(refused);
        }
        replayed
    }

    fn unindexed_rows(&self) -> Result<Vec<QuarantineRow>, ReadError> {
        let mut rows: Vec<QuarantineRow> = Vec::new();
        loop {
            let page = self
                .store
                .unindexed(rows.last().map(|row| &row.soul), PAGE_ROWS)?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.extend(page);
        }
    }

    fn read(&self, cursor: u64) -> Option<Batch> {
        match self.batch(cursor) {
            Ok(batch) => Some(batch),
            Err(error) => {
                tracing::error!(%error, "failed to read the feed");
                None
            }
        }
    }

    fn applied(&self, outcome: Result<Applied, oip_index::IndexError>) -> Option<Applied> {
        match outcome {
            Ok(applied) => Some(applied),
            Err(error) => {
                self.metrics.index_failures.inc();
                tracing::error!(%error, "failed to update the index");
                None
            }
        }
    }

    /// Keeps what was refused with the reason, and takes off the list what no longer is.
    fn keep_refusals(
        &self,
        ops: &[IndexOp],
        broken: &[(Soul, String)],
        applied: Applied,
    ) -> Option<()> {
        self.metrics
            .indexed
            .inc_by((ops.len() - applied.refused.len().min(ops.len())) as u64);
        let mut refusals: Vec<Refusal> = broken
            .iter()
            .map(|(soul, reason)| Refusal {
                soul: soul.clone(),
                label: "index-undecodable",
                reason: reason.clone(),
            })
            .collect();
        for refused in applied.refused {
            let Ok(did) = Did::parse(&refused.did) else {
                continue;
            };
            refusals.push(Refusal {
                soul: did.soul().clone(),
                label: refused.reason.label(),
                reason: refused.reason.to_string(),
            });
        }
        let mut unindexed = self
            .unindexed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        let mut after = unindexed.clone();
        if !after.is_empty() {
            for op in ops {
                let Ok(did) = Did::parse(op.did()) else {
                    continue;
                };
                let is_refused = refusals.iter().any(|refusal| refusal.soul == *did.soul());
                if !is_refused && after.remove(did.soul()) {
                    changes.push(Op::UnindexedRemove(did.soul().clone()));
                }
            }
        }
        for refusal in refusals {
            self.metrics.index_refused.inc();
            let did = Did::from_soul(&refusal.soul);
            tracing::warn!(%did, reason = refusal.reason, "the index refused a document; `oip-gun quarantine show` tells more");
            after.insert(refusal.soul.clone());
            changes.push(self.note(refusal));
        }
        if changes.is_empty() {
            return Some(());
        }
        let kept = self.commit(changes);
        if kept {
            *unindexed = after;
        }
        kept.then_some(())
    }

    fn note(&self, refusal: Refusal) -> Op {
        let now_ms = clock::wall_ms();
        let held = self.store.record(&refusal.soul).ok().flatten();
        let before = self.store.unindexed_row(&refusal.soul).ok().flatten();
        Op::UnindexedAdd(QuarantineRow {
            record_type: held.as_ref().map(|row| row.record_type.clone()),
            creator: held.as_ref().map(|row| row.creator.clone()),
            source: held.and_then(|row| row.source),
            soul: refusal.soul,
            reason: refusal.label.to_owned(),
            detail: refusal.reason,
            attempts: before.map_or(0, |row| row.attempts).saturating_add(1),
            first_ms: now_ms,
            last_ms: now_ms,
            due_ms: None,
            // The record itself is held.
            data: None,
            oip: None,
        })
    }

    /// Waits for a commit; whether it stands.
    fn commit(&self, ops: Vec<Op>) -> bool {
        let (reply, answer) = mpsc::channel();
        self.store
            .submit(Transaction { ops }, clock::wall_ms(), move |outcome| {
                // The receiver waits below.
                let _ = reply.send(outcome);
            });
        match answer.recv() {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::error!(%error, "failed to keep what the index refused");
                false
            }
            Err(_) => false,
        }
    }

    fn batch(&self, cursor: u64) -> Result<Batch, ReadError> {
        let mut batch = Batch {
            ops: Vec::new(),
            broken: Vec::new(),
            cursor,
        };
        // Read before the feed: what is appended in between belongs to the next batch.
        let head = self.store.feed_head();
        let mut bytes = 0;
        for (seq, soul) in self.store.feed(cursor, BATCH_RECORDS_MAX)? {
            batch.cursor = seq;
            self.add(&mut batch, &soul, &mut bytes)?;
            if bytes > BATCH_BYTES_MAX {
                break;
            }
        }
        // Positions without a row are records that have moved on in the feed.
        if batch.ops.is_empty() && batch.broken.is_empty() && batch.cursor == cursor {
            batch.cursor = head;
        }
        Ok(batch)
    }

    fn add(&self, batch: &mut Batch, soul: &Soul, bytes: &mut usize) -> Result<(), ReadError> {
        let Some(row) = self.store.record(soul)? else {
            return Ok(());
        };
        let did = Did::from_soul(soul).to_string();
        let version = version_of(&row);
        if !self.scope.takes(&row)? {
            batch.ops.push(IndexOp::Delete { did, version });
            return Ok(());
        }
        *bytes += row.oip.len() + row.data.as_ref().map_or(0, |data| data.len());
        let (document, readers) = match self.scope.vault.read(&row) {
            Ok(Shown::Public(document)) => (document, Readers::Public),
            Ok(Shown::Opened(opened)) => {
                if !row.own {
                    self.metrics.sealed_opened.inc();
                    let did = Did::from_soul(soul);
                    let opening = event(Action::Opened, &did, &opened.key_id, "node", "indexed");
                    self.audit.note_later(opening);
                }
                (opened.document, vault::for_index(opened.readers))
            }
            // Whoever may not read it any more drops what it showed of it before.
            Ok(Shown::Sealed { why, .. }) => {
                self.stays_closed(&row, why);
                batch.ops.push(IndexOp::Delete { did, version });
                return Ok(());
            }
            Err(error) => {
                batch.broken.push((soul.clone(), error.to_string()));
                return Ok(());
            }
        };
        let envelope = Envelope {
            readers,
            version,
            node: row.source.filter(|_| !row.own),
        };
        batch.ops.push(IndexOp::Upsert {
            did,
            document,
            envelope,
        });
        Ok(())
    }

    /// Counts a record that is kept as ciphertext; one with something wrong inside is named too.
    fn stays_closed(&self, row: &RecordRow, why: Closed) {
        self.metrics.sealed_kept.inc();
        if !why.is_fault() {
            return;
        }
        let now_ms = clock::wall_ms();
        self.metrics.reject_record(why.label(), signed_ms(now_ms));
        let did = Did::from_soul(&row.soul);
        self.audit
            .note_later(event(Action::Refused, &did, "", "node", why.label()));
        let entry = QuarantineRow {
            soul: row.soul.clone(),
            record_type: Some(row.record_type.clone()),
            creator: Some(row.creator.clone()),
            reason: why.label().to_owned(),
            detail: "what is inside this sealed record is not in order; it is kept as ciphertext and not shown".to_owned(),
            source: row.source.clone(),
            attempts: 1,
            first_ms: now_ms,
            last_ms: now_ms,
            due_ms: None,
            data: None,
            oip: None,
        };
        self.commit(vec![Op::QuarantineAdd(entry)]);
    }
}

/// A row's version, as the index keeps it.
pub(super) fn version_of(row: &RecordRow) -> Version {
    Version {
        indexed_at_ms: row.at_ms,
        revision: row.revision,
        digest: row.digest,
    }
}

/// An error with its cause: what a server said is in there.
fn told(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
