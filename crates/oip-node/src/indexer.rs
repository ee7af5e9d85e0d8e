//! Keeps the index in step with the store: follows the change feed, applies it in batches, and
//! lets the index keep the position it has reached.
//!
//! The store is the truth. A batch that is applied twice, after a crash, changes nothing.

use std::sync::Arc;
use std::time::Duration;

use gun::Soul;
use oip_index::{Envelope, Index, IndexOp, Readers, Version};
use oip_record::Did;
use oip_store::{Op, QuarantineRow, RecordRow, Store, Transaction};
use oip_vault::audit::Action;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::clock;
use crate::config::TypeFilter;
use crate::metrics::Metrics;
use crate::publish::event;
use crate::sync::judge::signed_ms;
use crate::vault::{self, Closed, Shown, Vault};

/// Records per index commit: large enough to spread the cost of a commit, small enough that a
/// first sync becomes searchable as it goes and that a batch stays within some megabytes.
const BATCH_RECORDS_MAX: usize = 2_000;

/// Raw bytes of records per index commit, so that a batch of large records stays small too.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pause after a commit while more keeps coming. The first record after a pause is committed at once.
const GATHER: Duration = Duration::from_millis(20);

/// Pause after a failure, before the same batch is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the indexer works with.
pub(crate) struct Indexer {
    pub store: Store,
    pub index: Arc<dyn Index>,
    pub types: TypeFilter,
    pub vault: Arc<Vault>,
    pub audit: Arc<Audit>,
    pub metrics: Arc<Metrics>,
    /// The position reached, for lag and for those who wait for a record to be searchable.
    pub reached: watch::Sender<u64>,
}

struct Batch {
    ops: Vec<IndexOp>,
    cursor: u64,
}

impl Indexer {
    /// Runs until cancelled, then finishes what the feed holds.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let this = Arc::new(self);
        let mut feed = this.store.watch_feed();
        let mut cursor = match this.index.cursor() {
            // An index ahead of the store belongs to another or an older store: fill it anew.
            Ok(cursor) if cursor > this.store.feed_head() => {
                tracing::warn!(
                    cursor,
                    head = this.store.feed_head(),
                    "index is ahead of the store, rebuilding it"
                );
                if let Err(error) = this.index.clear() {
                    tracing::error!(%error, "failed to clear the index");
                }
                0
            }
            Ok(cursor) => cursor,
            Err(error) => {
                tracing::error!(%error, "failed to read the index position, indexing anew");
                0
            }
        };
        this.reached.send_replace(cursor);
        loop {
            feed.mark_unchanged();
            if cursor >= this.store.feed_head() {
                tokio::select! {
                    changed = feed.changed() => if changed.is_err() { return },
                    () = cancel.cancelled() => return,
                }
                continue;
            }
            let worker = Arc::clone(&this);
            let step = tokio::task::spawn_blocking(move || worker.step(cursor)).await;
            let pause = match step {
                Ok(Some(reached)) => {
                    cursor = reached;
                    this.reached.send_replace(cursor);
                    // Under steady load, commits are spaced; a backlog is worked off without pause.
                    if this.store.feed_head().saturating_sub(cursor) > BATCH_RECORDS_MAX as u64 {
                        continue;
                    }
                    GATHER
                }
                _ => RETRY,
            };
            if !cancel.is_cancelled() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => {}
                }
            } else if pause == RETRY {
                return;
            }
        }
    }

    /// Applies one batch; the position reached, or `None` on a failure that was logged.
    fn step(&self, cursor: u64) -> Option<u64> {
        let batch = match self.batch(cursor) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, "failed to read the feed");
                return None;
            }
        };
        match self.index.apply(&batch.ops, batch.cursor) {
            Ok(applied) => {
                self.metrics
                    .indexed
                    .inc_by(batch.ops.len() as u64 - applied.refused.len() as u64);
                for refused in applied.refused {
                    self.metrics.index_refused.inc();
                    tracing::warn!(did = %refused.did, reason = %refused.reason, "index refused a document");
                }
                Some(batch.cursor)
            }
            Err(error) => {
                self.metrics.index_failures.inc();
                tracing::error!(%error, "failed to update the index");
                None
            }
        }
    }

    fn batch(&self, cursor: u64) -> Result<Batch, oip_store::ReadError> {
        let mut batch = Batch {
            ops: Vec::new(),
            cursor,
        };
        // Read before the feed: what is appended in between belongs to the next batch.
        let head = self.store.feed_head();
        let mut bytes = 0;
        for (seq, soul) in self.store.feed(cursor, BATCH_RECORDS_MAX)? {
            batch.cursor = seq;
            if let Some(op) = self.op(&soul, &mut bytes)? {
                batch.ops.push(op);
            }
            if bytes > BATCH_BYTES_MAX {
                break;
            }
        }
        // Positions without a row are records that have moved on in the feed.
        if batch.ops.is_empty() && batch.cursor == cursor {
            batch.cursor = head;
        }
        Ok(batch)
    }

    fn op(&self, soul: &Soul, bytes: &mut usize) -> Result<Option<IndexOp>, oip_store::ReadError> {
        let Some(row) = self.store.record(soul)? else {
            return Ok(None);
        };
        let (did, version) = (Did::from_soul(soul).to_string(), version_of(&row));
        if row.deleted || !self.types.wants(&row.record_type) {
            return Ok(Some(IndexOp::Delete { did, version }));
        }
        *bytes += row.oip.len() + row.data.as_ref().map_or(0, |data| data.len());
        let (document, readers) = match self.vault.read(&row) {
            Ok(Shown::Public(document)) => (document, Readers::Public),
            Ok(Shown::Opened(opened)) => {
                if !row.own {
                    self.metrics.sealed_opened.inc();
                    let did = Did::from_soul(soul);
                    self.audit.note_later(event(
                        Action::Opened,
                        &did,
                        &opened.key_id,
                        "node",
                        "indexed",
                    ));
                }
                (opened.document, vault::for_index(opened.readers))
            }
            // Whoever may not read it any more drops what it showed of it before.
            Ok(Shown::Sealed { why, .. }) => {
                self.stays_closed(&row, why);
                return Ok(Some(IndexOp::Delete { did, version }));
            }
            Err(error) => {
                tracing::error!(%did, %error, "stored record can't be decoded, left out of the index");
                return Ok(None);
            }
        };
        let envelope = Envelope {
            readers,
            version,
            node: row.source.filter(|_| !row.own),
        };
        Ok(Some(IndexOp::Upsert {
            did,
            document,
            envelope,
        }))
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
        let written = Transaction::from(Op::QuarantineAdd(entry));
        self.store.submit(written, now_ms, |result| {
            if let Err(error) = result {
                tracing::error!(%error, "failed to write down a sealed record that does not open");
            }
        });
    }
}

/// The version of a row, as the index compares it.
fn version_of(row: &RecordRow) -> Version {
    Version {
        indexed_at_ms: row.at_ms,
        revision: row.revision,
        digest: row.digest,
    }
}
