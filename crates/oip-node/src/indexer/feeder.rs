//! One step of feeding an index: reading a batch from the store, applying it, and keeping what the index
//! refuses in the store's quarantine. Blocks; the indexer runs it off the reactor.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use gun::Soul;
use oip_index::{
    Applied, Envelope, Index, IndexError, IndexOp, KeepRefused, Readers, Rebuild, Refused, Version,
};
use oip_record::Did;
use oip_store::{Op, QuarantineRow, ReadError, RecordRow, Store, Transaction};
use oip_vault::audit::Action;

use super::scope::Scope;
use super::{Replayed, Step};
use crate::audit::{Audit, Told};
use crate::clock;
use crate::metrics::Metrics;
use crate::publish::event;
use crate::sync::judge::signed_ms;
use crate::vault::{self, Closed, Lies, Shown};

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

impl Refusal {
    fn undecodable((soul, reason): &(Soul, String)) -> Self {
        Self {
            soul: soul.clone(),
            label: "index-undecodable",
            reason: reason.clone(),
        }
    }

    /// `None` for a document of no record.
    fn of(refused: &Refused) -> Option<Self> {
        Some(Self {
            soul: Did::parse(&refused.did).ok()?.soul().clone(),
            label: refused.reason.label(),
            reason: refused.reason.to_string(),
        })
    }
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
                *self.locked_unindexed() = souls;
            }
            Err(error) => tracing::error!(%error, "failed to read what the index refused"),
        }
        let head = self.store.feed_head();
        match self.index.cursor() {
            // An index ahead of the store belongs to another or an older store: fill it anew.
            Ok(cursor) if cursor > head => {
                tracing::warn!(cursor, head, "index is ahead of the store, rebuilding it");
                self.clear()
            }
            Err(IndexError::OtherStore) => {
                tracing::warn!("index was filled from another store, rebuilding it");
                self.clear()
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

    fn clear(&self) -> Option<u64> {
        match self.index.clear() {
            Ok(()) => Some(0),
            Err(error) => {
                tracing::error!(error = told(&error), "failed to clear the index");
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
        self.apply(&batch, |ops, cursor, keep| {
            self.index.apply_keeping(ops, cursor, keep)
        })?;
        Some(batch.cursor)
    }

    /// Applies one batch to a new index; the position reached, and the records read.
    pub(super) fn fill(&self, rebuild: &mut dyn Rebuild, cursor: u64) -> Option<(u64, u64)> {
        let batch = self.read(cursor)?;
        let records = (batch.ops.len() + batch.broken.len()) as u64;
        self.apply(&batch, |ops, cursor, keep| {
            rebuild.apply_keeping(ops, cursor, keep)
        })?;
        Some((batch.cursor, records))
    }

    /// A new index is in place.
    pub(super) fn finished(&self) -> Step {
        match self.index.cursor() {
            Ok(cursor) => {
                tracing::info!("the new index is in place");
                self.remember_mapping(self.index.status().mapping);
                Step::Done(cursor)
            }
            Err(error) => {
                let reason = told(&error);
                tracing::error!(reason, "failed to read the position of the new index");
                Step::Failed(reason)
            }
        }
    }

    /// Looks at the index, and tries again what was refused, if the mapping is not the one under which it was.
    pub(super) fn look_at_mapping(&self, cursor: u64) {
        if let Err(error) = self.index.look() {
            tracing::warn!(error = told(&error), "failed to look at the index");
            return;
        }
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
                // As it was before: if somebody changed it meanwhile, the next look finds that.
                self.remember_mapping(status.mapping);
            }
            Err(error) => tracing::error!(%error, "failed to read the mapping of the index"),
        }
    }

    /// Has the index drop from its files what is private and was taken out. Whether to come again.
    pub(super) fn tidy(&self) -> bool {
        self.index.tidy().unwrap_or_else(|error| {
            tracing::warn!(
                error = told(&error),
                "failed to drop from the index's files what was taken out"
            );
            true
        })
    }

    fn remember_mapping(&self, mapping: String) {
        self.commit(vec![Op::SetCursor {
            name: MAPPING_CURSOR.to_owned(),
            value: mapping.into_bytes(),
        }]);
    }

    /// Tries again what the index refused: one record, or all.
    pub(super) fn replay(&self, soul: Option<&Soul>, cursor: u64) -> Replayed {
        let mut replayed = Replayed::default();
        let souls: Vec<Soul> = {
            let unindexed = self.locked_unindexed();
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
            let applied = self.apply(&batch, |ops, cursor, keep| {
                self.index.apply_keeping(ops, cursor, keep)
            });
            let Some(refused) = applied else {
                return replayed;
            };
            replayed.tried += souls.len() as u64;
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

    /// Applies a batch; how many records of it are refused, or `None` on a failure that was logged. What is
    /// refused is noted before the index moves on, and what no longer is taken off the list after: a
    /// crash in between leaves a note too many, never one too few.
    fn apply<F>(&self, batch: &Batch, apply: F) -> Option<u64>
    where
        F: FnOnce(&[IndexOp], u64, KeepRefused<'_>) -> Result<Applied, IndexError>,
    {
        let mut refusals: Vec<Refusal> = batch.broken.iter().map(Refusal::undecodable).collect();
        self.keep(&refusals)?;
        let mut keep = |refused: &[Refused]| {
            let named: Vec<Refusal> = refused.iter().filter_map(Refusal::of).collect();
            self.keep(&named).ok_or("the store did not take them")?;
            refusals.extend(named);
            Ok(())
        };
        match apply(&batch.ops, batch.cursor, &mut keep) {
            Ok(applied) => {
                let taken = batch.ops.len().saturating_sub(applied.refused.len());
                self.metrics.indexed.inc_by(taken as u64);
            }
            Err(error) => {
                self.metrics.index_failures.inc();
                tracing::error!(error = told(&error), "failed to update the index");
                return None;
            }
        }
        let refused: BTreeSet<&Soul> = refusals.iter().map(|refusal| &refusal.soul).collect();
        self.forget_taken(&batch.ops, &refused)?;
        Some(refused.len() as u64)
    }

    /// Notes what is refused, with the reason.
    fn keep(&self, refusals: &[Refusal]) -> Option<()> {
        if refusals.is_empty() {
            return Some(());
        }
        let notes = refusals.iter().map(|refusal| self.note(refusal)).collect();
        self.commit(notes).then_some(())?;
        let mut unindexed = self.locked_unindexed();
        for Refusal { soul, reason, .. } in refusals {
            self.metrics.index_refused.inc();
            let did = Did::from_soul(soul);
            tracing::warn!(%did, reason, "the index refused a document; `oip-gun quarantine show` tells more");
            unindexed.insert(soul.clone());
        }
        Some(())
    }

    /// Takes off the list what is refused no longer.
    fn forget_taken(&self, ops: &[IndexOp], refused: &BTreeSet<&Soul>) -> Option<()> {
        let taken: Vec<Soul> = {
            let unindexed = self.locked_unindexed();
            let souls = ops.iter().filter(|_| !unindexed.is_empty());
            souls
                .filter_map(|op| Some(Did::parse(op.did()).ok()?.soul().clone()))
                .filter(|soul| unindexed.contains(soul) && !refused.contains(soul))
                .collect()
        };
        if taken.is_empty() {
            return Some(());
        }
        let removals = taken.iter().cloned().map(Op::UnindexedRemove).collect();
        self.commit(removals).then_some(())?;
        let mut unindexed = self.locked_unindexed();
        for soul in &taken {
            unindexed.remove(soul);
        }
        Some(())
    }

    fn locked_unindexed(&self) -> MutexGuard<'_, BTreeSet<Soul>> {
        self.unindexed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, refusal: &Refusal) -> Op {
        let now_ms = clock::wall_ms();
        let held = self.store.record(&refusal.soul).ok().flatten();
        let before = self.store.unindexed_row(&refusal.soul).ok().flatten();
        Op::UnindexedAdd(QuarantineRow {
            record_type: held.as_ref().map(|row| row.record_type.clone()),
            creator: held.as_ref().map(|row| row.creator.clone()),
            source: held.and_then(|row| row.source),
            soul: refusal.soul.clone(),
            reason: refusal.label.to_owned(),
            detail: refusal.reason.clone(),
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
            Ok(Shown::Guarded(guarded)) => {
                if !row.own && guarded.lies != Lies::InClear {
                    self.metrics.sealed_opened.inc();
                    let did = Did::from_soul(soul);
                    let opening = event(Action::Opened, &did, &guarded.key_id, "node", "indexed");
                    self.audit.note_later(opening);
                }
                (guarded.document, vault::for_index(guarded.readers))
            }
            // Whoever may not read it any more drops what it showed of it before.
            Ok(Shown::Closed { why, .. }) => {
                self.stays_closed(&row, why);
                match self.scope.vault.metadata_of(&row) {
                    // For the operator alone.
                    Ok(Some(metadata)) => (metadata, vault::for_index(BTreeSet::new())),
                    Ok(None) => {
                        batch.ops.push(IndexOp::Delete { did, version });
                        return Ok(());
                    }
                    Err(error) => {
                        batch.broken.push((soul.clone(), error.to_string()));
                        return Ok(());
                    }
                }
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
        // At each indexing anew, and for as many records as somebody cares to write.
        let refused = event(Action::Refused, &did, "", "node", why.label());
        self.audit.note_counted(refused, Told::Together);
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
        class: row.class,
        indexed_at_ms: row.at_ms,
        revision: row.revision,
        digest: row.digest,
    }
}

/// An error with all its causes: what a server said is in there, and the cure.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
