//! The one thread that writes: it takes what has queued, stages it as one batch, writes and
//! syncs that once, answers everyone in order, then moves the feed.
//!
//! It never waits to gather: with one transaction in the queue it commits that one. Refuses
//! every write after one failed, because what the disk then holds is unknown until the next start.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::apply;
use crate::error::WriteError;
use crate::folder::Folder;
use crate::model::Committed;
use crate::options::StoreOptions;
use crate::rows::counters::Counters;
use crate::rows::wanted;
use crate::shared::Shared;
use crate::stage::Stage;
use crate::tables::RowWrite;
use crate::transaction::Transaction;

/// Operations of one batch: about 20 ms of work on one core, so that the first transaction
/// of a batch doesn't wait long for the last.
const BATCH_OPS_MAX: usize = 4_096;
/// Bytes of one batch: the engine's journal file is 64 MiB, and the batch stands in memory
/// twice while it is written.
const BATCH_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// Takes the outcome of a transaction.
pub(crate) type Reply = Box<dyn FnOnce(Result<Committed, WriteError>) + Send>;

/// A transaction in the queue.
pub(crate) struct Job {
    pub(crate) transaction: Transaction,
    pub(crate) now_ms: u64,
    pub(crate) bytes: usize,
    pub(crate) reply: Reply,
    /// Its share of the queue's bytes, given back when it has been answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// The writer's side of the store.
pub(crate) struct Writer {
    pub(crate) folder: Arc<Folder>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: StoreOptions,
    pub(crate) counters: Counters,
    pub(crate) queue: mpsc::Receiver<Job>,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _guard = PanicGuard(self.shared.clone());
        while let Some(first) = self.queue.blocking_recv() {
            let batch = self.gather(first);
            self.write(batch);
        }
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut ops = first.transaction.ops.len();
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while ops < BATCH_OPS_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(job) = self.queue.try_recv() else {
                break;
            };
            ops += job.transaction.ops.len();
            bytes += job.bytes;
            batch.push(job);
        }
        batch
    }

    fn write(&mut self, batch: Vec<Job>) {
        let folder = self.folder.clone();
        let mut stage = Stage::new(&folder.tables, self.counters);
        let mut answers = Vec::with_capacity(batch.len());
        for Job {
            transaction,
            now_ms,
            reply,
            permit,
            ..
        } in batch
        {
            let outcome = match self.shared.poisoned() {
                Some(poisoned) => Err(poisoned),
                None => apply::transaction(&mut stage, &self.options, transaction, now_ms),
            };
            answers.push((reply, outcome, permit));
        }
        let (rows, counters) = stage.into_rows();
        let written = self.commit(rows, counters);
        if written.is_ok() {
            let committed = answers
                .iter()
                .filter(|(_, outcome, _)| outcome.is_ok())
                .count();
            self.shared
                .tallies
                .transactions
                .fetch_add(committed as u64, Relaxed);
        }
        for (reply, outcome, permit) in answers {
            reply(match &written {
                Ok(()) => outcome,
                // Also what would have failed anyway: nothing of this batch is stored.
                Err(poisoned) => Err(poisoned.clone()),
            });
            drop(permit);
        }
        self.shared.publish_feed();
    }

    /// Writes and syncs the rows; without any there is nothing to sync, since all that the
    /// batch was compared with is durable.
    fn commit(&mut self, rows: Vec<RowWrite>, counters: Counters) -> Result<(), WriteError> {
        if rows.is_empty() {
            return Ok(());
        }
        let bytes: usize = rows
            .iter()
            .map(|row| row.key.len() + row.value.as_ref().map_or(0, |value| value.len()))
            .sum();
        let due = rows.iter().filter(|row| row.value.is_some());
        let due = due.filter_map(|row| wanted::due_of(row.table, &row.key));
        let earliest_ms = due.min();
        if let Err(engine) = self.folder.tables.commit(rows.into_iter()) {
            tracing::error!(error = %engine, "failed to write to the store; it only reads from now on");
            return Err(self.shared.poison(&engine.to_string()));
        }
        if let Some(earliest_ms) = earliest_ms {
            self.shared.lower_wanted_floor(earliest_ms);
        }
        let tallies = &self.shared.tallies;
        tallies.batches.fetch_add(1, Relaxed);
        tallies.syncs.fetch_add(1, Relaxed);
        tallies.row_bytes.fetch_add(bytes as u64, Relaxed);
        self.counters = counters;
        self.shared.set_counters(counters);
        Ok(())
    }
}

/// A panic in a reply or in the watch function is a bug of the caller; it must not look like
/// a store that was closed in order.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison("the writer panicked");
        }
    }
}
