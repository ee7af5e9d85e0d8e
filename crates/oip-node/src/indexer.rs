//! Keeps the index in step with the store: follows the change feed, applies it in batches, and
//! lets the index keep the position it has reached; fills a new index beside the old one when that is
//! due or asked for.
//!
//! The store is the truth. A batch that is applied twice, after a crash, changes nothing. What feeds
//! the index is this one task; what it does in one step is `feeder`'s,
//! what belongs into it `scope`'s, and `verify` compares.

pub(crate) mod feeder;
pub(crate) mod scope;
pub(crate) mod verify;

use std::sync::Arc;
use std::time::Duration;

use gun::Soul;
use oip_index::Rebuild;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use feeder::{BATCH_RECORDS_MAX, Feeder};

/// Pause after a commit while more keeps coming. The first record after a pause is committed at once.
const GATHER: Duration = Duration::from_millis(20);

/// Pause after a first failure, before the same batch is tried again; doubled from failure to failure.
const RETRY: Duration = Duration::from_secs(1);

/// Longest such pause: a server that is back is taken up within this time, and one that is away for a
/// night doesn't fill the log.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// How often an idle index is asked whether its mapping changed: an operator may change a server's.
const LOOK: Duration = Duration::from_secs(30);

/// Requests that wait: one of each kind from each of a few operators.
pub(crate) const REQUESTS_MAX: usize = 16;

/// What operators ask of the indexer.
pub(crate) enum Request {
    /// Fill a new index and put it in place of the old one.
    Rebuild,
    /// Try again what the index refused; all of it where no soul is named. Answers how many it took.
    Replay {
        soul: Option<Soul>,
        reply: oneshot::Sender<Replayed>,
    },
}

/// What became of another try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Tried again.
    pub tried: u64,
    /// Taken this time.
    pub taken: u64,
}

/// A rebuild that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildProgress {
    /// Records put into the new index.
    pub done: u64,
    /// Records that the store holds.
    pub total: u64,
    /// When it began, ms since 1970.
    pub began_ms: u64,
    /// Why: asked for, or what the index said.
    pub reason: String,
}

/// How rebuilding stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rebuilds {
    /// Finished since the start.
    pub finished: u64,
    /// Under way.
    pub running: Option<RebuildProgress>,
}

/// What the indexer works with.
pub(crate) struct Indexer {
    pub feeder: Arc<Feeder>,
    /// The position reached, for lag and for those who wait for a record to be searchable.
    pub reached: watch::Sender<u64>,
    pub rebuilds: watch::Sender<Rebuilds>,
    pub requests: mpsc::Receiver<Request>,
}

/// Whether it is known what the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Unknown,
    Known,
}

struct Rebuilding {
    index: Box<dyn Rebuild>,
    cursor: u64,
    progress: RebuildProgress,
}

impl Indexer {
    /// Runs until cancelled, then finishes what the feed holds. A rebuild that is not finished by then
    /// is given up, and begun anew at the next start if it is still due.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut feed = self.feeder.store.watch_feed();
        let mut cursor = 0;
        let mut failures = 0;
        // The index says where to go on: at the start, and after a failure, since it may have been lost.
        let mut known = Position::Unknown;
        let mut rebuilding = None;
        let mut rebuild_failed = false;
        loop {
            if known == Position::Unknown {
                let feeder = Arc::clone(&self.feeder);
                if let Ok(Some(found)) = tokio::task::spawn_blocking(move || feeder.start()).await {
                    cursor = found;
                    known = Position::Known;
                    self.reached.send_replace(cursor);
                } else if !self.wait_for_index(failures, &cancel).await {
                    return;
                } else {
                    failures += 1;
                    continue;
                }
            }
            feed.mark_unchanged();
            let mut pause = None;
            if cursor < self.feeder.store.feed_head() {
                let feeder = Arc::clone(&self.feeder);
                match tokio::task::spawn_blocking(move || feeder.step(cursor)).await {
                    Ok(Some(reached)) => {
                        cursor = reached;
                        failures = 0;
                        self.reached.send_replace(cursor);
                        let behind = self.feeder.store.feed_head().saturating_sub(cursor);
                        // Under steady load, commits are spaced; a backlog is worked off without pause.
                        if behind <= BATCH_RECORDS_MAX as u64 {
                            pause = Some(GATHER);
                        }
                    }
                    _ if cancel.is_cancelled() => return,
                    _ => {
                        known = Position::Unknown;
                        rebuilding = None;
                        if !self.wait_for_index(failures, &cancel).await {
                            return;
                        }
                        failures += 1;
                        continue;
                    }
                }
                if cancel.is_cancelled() {
                    continue;
                }
            } else if cancel.is_cancelled() {
                return;
            }
            if let Ok(request) = self.requests.try_recv() {
                rebuild_failed = false;
                self.serve(request, &mut rebuilding, cursor).await;
                continue;
            }
            if rebuilding.is_none()
                && !rebuild_failed
                && let Some(reason) = self.feeder.rebuild_due()
            {
                rebuilding = self.begin(reason).await;
                rebuild_failed = rebuilding.is_none();
            }
            if let Some(running) = rebuilding.take() {
                match self.rebuild_step(running).await {
                    Step::More(running) => rebuilding = Some(running),
                    Step::Done(reached) => {
                        cursor = reached;
                        self.reached.send_replace(cursor);
                    }
                    Step::Failed => rebuild_failed = true,
                }
                continue;
            }
            match pause {
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => {}
                },
                None if cursor < self.feeder.store.feed_head() => {}
                None => tokio::select! {
                    changed = feed.changed() => if changed.is_err() { return },
                    request = self.requests.recv() => if let Some(request) = request {
                        rebuild_failed = false;
                        self.serve(request, &mut rebuilding, cursor).await;
                    },
                    () = tokio::time::sleep(LOOK) => {
                        rebuild_failed = false;
                        let feeder = Arc::clone(&self.feeder);
                        let _ = tokio::task::spawn_blocking(move || feeder.look_at_mapping(cursor)).await;
                    }
                    () = cancel.cancelled() => {}
                },
            }
        }
    }

    async fn serve(&self, request: Request, rebuilding: &mut Option<Rebuilding>, cursor: u64) {
        match request {
            Request::Rebuild if rebuilding.is_some() => {}
            Request::Rebuild => *rebuilding = self.begin("it was asked for".to_owned()).await,
            Request::Replay { soul, reply } => {
                let feeder = Arc::clone(&self.feeder);
                let replayed =
                    tokio::task::spawn_blocking(move || feeder.replay(soul.as_ref(), cursor)).await;
                // Nobody waits any more: what was taken is taken.
                let _ = reply.send(replayed.unwrap_or_default());
            }
        }
    }

    /// Waits before the index is asked again, longer from failure to failure. False when the node ends.
    async fn wait_for_index(&mut self, failures: u32, cancel: &CancellationToken) -> bool {
        let pause = (RETRY * 2_u32.saturating_pow(failures.min(10))).min(RETRY_MAX);
        let waited = tokio::time::sleep(pause);
        tokio::pin!(waited);
        loop {
            tokio::select! {
                () = &mut waited => return true,
                () = cancel.cancelled() => return false,
                request = self.requests.recv() => match request {
                    Some(Request::Replay { reply, .. }) => {
                        // Nothing can be tried now; whoever asked sees that nothing was.
                        let _ = reply.send(Replayed::default());
                    }
                    Some(Request::Rebuild) => {
                        tracing::warn!("the index can't be reached, no new one is begun; ask again when it can");
                    }
                    None => return false,
                },
            }
        }
    }

    async fn begin(&self, reason: String) -> Option<Rebuilding> {
        let index = Arc::clone(&self.feeder.index);
        let begun = tokio::task::spawn_blocking(move || index.begin_rebuild()).await;
        match begun.ok()? {
            Ok(index) => {
                tracing::info!(reason, "rebuilding the index beside the present one");
                let progress = RebuildProgress {
                    done: 0,
                    total: self.feeder.store.count_records(),
                    began_ms: crate::clock::wall_ms(),
                    reason,
                };
                self.show(Some(progress.clone()));
                Some(Rebuilding {
                    index,
                    cursor: 0,
                    progress,
                })
            }
            Err(error) => {
                tracing::error!(%error, "failed to begin a new index; the old one serves on");
                None
            }
        }
    }

    fn show(&self, running: Option<RebuildProgress>) {
        self.rebuilds
            .send_modify(|rebuilds| rebuilds.running = running);
    }

    async fn rebuild_step(&self, mut running: Rebuilding) -> Step {
        let feeder = Arc::clone(&self.feeder);
        let step = tokio::task::spawn_blocking(move || {
            if running.cursor >= feeder.store.feed_head() {
                return match running.index.finish() {
                    Ok(()) => feeder.finished(),
                    Err(error) => {
                        tracing::error!(%error, "failed to put the new index in place; the old one serves on");
                        Step::Failed
                    }
                };
            }
            match feeder.fill(running.index.as_mut(), running.cursor) {
                Some((cursor, records)) => {
                    running.cursor = cursor;
                    running.progress.done += records;
                    running.progress.total = feeder.store.count_records();
                    Step::More(running)
                }
                None => Step::Failed,
            }
        });
        let step = step.await.unwrap_or(Step::Failed);
        match &step {
            Step::More(running) => self.show(Some(running.progress.clone())),
            Step::Failed => self.show(None),
            Step::Done(_) => self.rebuilds.send_modify(|rebuilds| {
                rebuilds.running = None;
                rebuilds.finished += 1;
            }),
        }
        step
    }
}

enum Step {
    More(Rebuilding),
    /// The new index is in place, and holds this much of the feed.
    Done(u64),
    Failed,
}
