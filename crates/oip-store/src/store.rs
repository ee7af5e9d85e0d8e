//! The handle to an open store: opening, submitting, closing. Reading is in [`crate::read`].
//!
//! Owns the queue's bounds. Refuses what exceeds them at once ([`WriteError::Busy`]) or makes
//! the caller wait ([`Store::commit`]).

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot, watch};

use crate::error::{OpenError, ReadError, WriteError};
use crate::folder::{self, Folder};
use crate::model::{Committed, Stats};
use crate::options::StoreOptions;
use crate::shared::Shared;
use crate::transaction::Transaction;
use crate::writer::{Job, Reply, Writer};

/// Transactions in the queue: what 5,000 puts in flight need, with room.
const QUEUE_TRANSACTIONS_MAX: usize = 8_192;
/// Bytes in the queue. Together with one batch in the making it bounds what unwritten
/// transactions cost in memory; a single transaction can't be larger.
pub const QUEUE_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// An open store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` once closed: the folder is free as soon as running reads have ended.
    folder: RwLock<Option<Arc<Folder>>>,
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    queue_bytes: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store in a folder of its own, making it if there is none. Blocks while the
    /// engine replays its journal.
    ///
    /// # Errors
    /// [`OpenError`], which names the cure.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let (folder, counters) = folder::open(path, &options)?;
        let folder = Arc::new(folder);
        let shared = Arc::new(Shared::new(counters));
        let (sender, queue) = mpsc::channel(QUEUE_TRANSACTIONS_MAX);
        let writer = Writer {
            folder: folder.clone(),
            shared: shared.clone(),
            options,
            counters,
            queue,
        };
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                folder: RwLock::new(Some(folder)),
                shared,
                queue: Mutex::new(Some(sender)),
                queue_bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
                writer: Mutex::new(Some(writer)),
            }),
        })
    }

    /// Queues a transaction and returns. `reply` gets the outcome when it is durable, on the
    /// writer thread (so it must be quick and must not panic), or at once if the transaction is refused: with
    /// [`WriteError::Busy`] when the queue is full. Replies come in the order of submission.
    pub fn submit(
        &self,
        transaction: Transaction,
        now_ms: u64,
        reply: impl FnOnce(Result<Committed, WriteError>) + Send + 'static,
    ) {
        let (bytes, sender) = match self.admit(&transaction) {
            Ok(admitted) => admitted,
            Err(error) => return reply(Err(error)),
        };
        let permit = match self
            .inner
            .queue_bytes
            .clone()
            .try_acquire_many_owned(share(bytes))
        {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => return reply(Err(self.busy())),
            Err(TryAcquireError::Closed) => return reply(Err(WriteError::Closed)),
        };
        match sender.try_reserve() {
            Ok(place) => {
                place.send(Job {
                    transaction,
                    now_ms,
                    bytes,
                    reply: Box::new(reply),
                    permit,
                });
            }
            Err(mpsc::error::TrySendError::Full(())) => reply(Err(self.busy())),
            Err(mpsc::error::TrySendError::Closed(())) => reply(Err(WriteError::Closed)),
        }
    }

    /// Commits a transaction: waits for a place in the queue, then until it is durable.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the transaction is stored then.
    pub async fn commit(
        &self,
        transaction: Transaction,
        now_ms: u64,
    ) -> Result<Committed, WriteError> {
        let (bytes, sender) = self.admit(&transaction)?;
        let permit = self
            .inner
            .queue_bytes
            .clone()
            .acquire_many_owned(share(bytes))
            .await
            .map_err(|_| WriteError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let reply: Reply = Box::new(move |outcome| {
            // Nobody waits any more: the transaction stands all the same.
            let _ = answer.send(outcome);
        });
        sender
            .send(Job {
                transaction,
                now_ms,
                bytes,
                reply,
                permit,
            })
            .await
            .map_err(|_| WriteError::Closed)?;
        drop(sender);
        answered.await.map_err(|_| WriteError::Closed)?
    }

    fn admit(&self, transaction: &Transaction) -> Result<(usize, mpsc::Sender<Job>), WriteError> {
        if let Some(poisoned) = self.inner.shared.poisoned() {
            return Err(poisoned);
        }
        let bytes = transaction.bytes();
        if bytes > QUEUE_BYTES_MAX {
            return Err(WriteError::Invalid("the transaction is larger than 32 MiB"));
        }
        let sender = self.inner.sender().clone().ok_or(WriteError::Closed)?;
        Ok((bytes, sender))
    }

    fn busy(&self) -> WriteError {
        self.inner.shared.tallies.busy.fetch_add(1, Relaxed);
        WriteError::Busy
    }

    /// Takes no more transactions, commits and answers those in the queue, ends the writer,
    /// and releases the folder. Reads fail afterwards. Blocks: call it off the reactor.
    /// Closing again does nothing.
    ///
    /// # Errors
    /// [`WriteError::Poisoned`] if a write had failed, so that the last ones are not stored.
    pub fn close(&self) -> Result<(), WriteError> {
        self.inner.close();
        self.inner.shared.poisoned().map_or(Ok(()), Err)
    }

    /// The newest number of the feed; 0 while it is empty.
    #[must_use]
    pub fn feed_head(&self) -> u64 {
        self.shared().counters().feed_head
    }

    /// Tells of the newest number of the feed, after each commit that added records.
    #[must_use]
    pub fn watch_feed(&self) -> watch::Receiver<u64> {
        self.shared().watch_feed()
    }

    /// Verified records, tombstones included.
    #[must_use]
    pub fn count_records(&self) -> u64 {
        self.shared().counters().records
    }

    /// Wanted souls.
    #[must_use]
    pub fn wanted_len(&self) -> u64 {
        self.shared().counters().wanted
    }

    /// Quarantined records.
    #[must_use]
    pub fn quarantine_len(&self) -> u64 {
        self.shared().counters().quarantine
    }

    /// Counters and sizes for metrics. Asks the file system for sizes: not for every request.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counters = self.shared().counters();
        let tallies = &self.shared().tallies;
        let queue_len = self
            .inner
            .sender()
            .as_ref()
            .map_or(0, |sender| sender.max_capacity() - sender.capacity());
        Stats {
            nodes: counters.nodes,
            records: counters.records,
            wanted: counters.wanted,
            quarantine: counters.quarantine,
            deferred: counters.deferred,
            feed_head: counters.feed_head,
            transactions: tallies.transactions.load(Relaxed),
            batches: tallies.batches.load(Relaxed),
            syncs: tallies.syncs.load(Relaxed),
            row_bytes: tallies.row_bytes.load(Relaxed),
            queue_len,
            busy: tallies.busy.load(Relaxed),
            disk_bytes: self.folder().map_or(0, |folder| folder.tables.disk_bytes()),
            poisoned: self.shared().poisoned().is_some(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The open folder.
    pub(crate) fn folder(&self) -> Result<Arc<Folder>, ReadError> {
        self.inner
            .folder
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(ReadError::Closed)
    }
}

/// A transaction's share of the queue's bytes, at least one.
fn share(bytes: usize) -> u32 {
    u32::try_from(bytes.max(1)).unwrap_or(u32::MAX)
}

impl Inner {
    fn sender(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Job>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.queue_bytes.close();
        drop(self.sender().take());
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // A reply may hold the last handle: then this is the writer thread itself, which
            // can't wait for its own end, and ends when the reply returns.
            if writer.thread().id() != thread::current().id() && writer.join().is_err() {
                tracing::error!("the store's writer panicked");
            }
        }
        self.folder
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
