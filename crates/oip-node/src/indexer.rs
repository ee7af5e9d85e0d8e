//! Keeps the index in step with the store: follows the change feed, applies it in batches, and
//! lets the index keep the position it has reached; fills a new index beside the old one when that is
//! due or asked for.
//!
//! The store is the truth. A batch that is applied twice, after a crash, changes nothing. What feeds
//! the index is this one task; what it does in one step is `feeder`'s,
//! what belongs into it `scope`'s, `verify` compares, and `origin` names the store.

pub(crate) mod feeder;
mod origin;
pub(crate) mod scope;
pub(crate) mod verify;

pub(crate) use origin::store_id;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gun::Soul;
use oip_index::Rebuild;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use feeder::{BATCH_RECORDS_MAX, Feeder};

/// Pause after a first failure, before the same batch is tried again; doubled from failure to failure.
const RETRY: Duration = Duration::from_secs(1);

/// Longest such pause: a server that is back is taken up within this time, and one that is away for a
/// night doesn't fill the log.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// How often the index is looked at: an operator may change a server's mapping.
const LOOK: Duration = Duration::from_secs(30);

/// How long after a change the index is told to drop from its files what was private and is gone. Changes in between share
/// one look, under steady load too.
const TIDY: Duration = Duration::from_secs(10);

/// Failures in a row after which an index in a folder counts as damaged. A disk that was full for a moment
/// passes sooner.
const DAMAGED_AFTER: u32 = 3;

/// Why rebuilds begin that nothing else asks for.
const ASKED_FOR: &str = "it was asked for";
const DAMAGED: &str = "it fails again and again: its files may be damaged";

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
    /// Why one begins as soon as the index works.
    pub waiting: Option<String>,
    /// Given up since the start.
    pub given_up: u64,
    /// Why the last of these was, if none was finished after it.
    pub last_given_up: Option<String>,
}

/// What the indexer works with.
pub(crate) struct Indexer {
    pub feeder: Arc<Feeder>,
    /// The position reached, for lag and for those who wait for a record to be searchable.
    pub reached: watch::Sender<u64>,
    pub rebuilds: watch::Sender<Rebuilds>,
    pub requests: mpsc::Receiver<Request>,
    /// Pause after a commit while more keeps coming. The first record after a pause is committed at once.
    pub gather: Duration,
}

/// Whether it is known what the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Unknown,
    Known,
    /// It can't be fed any more; another is to take its place.
    Damaged,
}

struct Rebuilding {
    index: Box<dyn Rebuild>,
    cursor: u64,
    progress: RebuildProgress,
}

/// Where the indexer stands.
struct Course {
    cursor: u64,
    position: Position,
    /// Failures in a row.
    failures: u32,
    rebuilding: Option<Rebuilding>,
    /// Why a rebuild is to begin as soon as it can.
    wish: Option<String>,
    /// The last one was given up, and is not begun again by itself before the next look.
    rebuild_failed: bool,
    /// When the index is looked at next.
    look_at: Instant,
    /// When it drops what is gone, if anything changed. What was dropped before the start may lie there still.
    tidy_at: Option<Instant>,
}

impl Course {
    fn new() -> Self {
        Self {
            cursor: 0,
            // The index says where to go on: at the start, and after a failure, since it may have been lost.
            position: Position::Unknown,
            failures: 0,
            rebuilding: None,
            wish: None,
            rebuild_failed: false,
            look_at: Instant::now() + LOOK,
            tidy_at: Some(Instant::now() + TIDY),
        }
    }

    fn wakes_at(&self) -> Instant {
        self.tidy_at.map_or(self.look_at, |at| at.min(self.look_at))
    }
}

impl Indexer {
    /// Runs until cancelled, then finishes what the feed holds. A rebuild that is not finished by then
    /// is given up, and begun anew at the next start if it is still due.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut feed = self.feeder.store.watch_feed();
        let mut course = Course::new();
        loop {
            if course.position == Position::Unknown {
                let feeder = Arc::clone(&self.feeder);
                if let Ok(Some(found)) = tokio::task::spawn_blocking(move || feeder.start()).await {
                    course.cursor = found;
                    course.position = Position::Known;
                    course.look_at = Instant::now() + LOOK;
                    self.reached.send_replace(found);
                } else if !self.failed(&mut course, &cancel).await {
                    return;
                } else {
                    continue;
                }
            }
            feed.mark_unchanged();
            let mut pause = None;
            let is_damaged = course.position == Position::Damaged;
            if !is_damaged && course.cursor < self.feeder.store.feed_head() {
                let (feeder, cursor) = (Arc::clone(&self.feeder), course.cursor);
                match tokio::task::spawn_blocking(move || feeder.step(cursor)).await {
                    Ok(Some(reached)) => {
                        course.cursor = reached;
                        course.failures = 0;
                        course.tidy_at.get_or_insert_with(|| Instant::now() + TIDY);
                        self.reached.send_replace(reached);
                        let behind = self.feeder.store.feed_head().saturating_sub(reached);
                        // Under steady load, commits are spaced; a backlog is worked off without pause.
                        if behind <= BATCH_RECORDS_MAX as u64 {
                            pause = Some(self.gather);
                        }
                    }
                    _ if cancel.is_cancelled() => return,
                    _ => {
                        if !self.failed(&mut course, &cancel).await {
                            return;
                        }
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
                self.serve(request, &mut course).await;
                continue;
            }
            if !is_damaged && Instant::now() >= course.look_at {
                course.rebuild_failed = false;
                let (feeder, cursor) = (Arc::clone(&self.feeder), course.cursor);
                let look = move || feeder.look_at_mapping(cursor);
                let _ = tokio::task::spawn_blocking(look).await;
                course.look_at = Instant::now() + LOOK;
            }
            if !is_damaged && course.tidy_at.is_some_and(|at| Instant::now() >= at) {
                let feeder = Arc::clone(&self.feeder);
                let tidied = tokio::task::spawn_blocking(move || feeder.tidy()).await;
                let is_more = tidied.unwrap_or(true);
                course.tidy_at = is_more.then(|| Instant::now() + TIDY);
            }
            match self.rebuild(&mut course).await {
                Rebuilt::Nothing => {}
                Rebuilt::Something => continue,
                Rebuilt::Interrupted => {
                    if !self.failed(&mut course, &cancel).await {
                        return;
                    }
                    continue;
                }
            }
            match pause {
                Some(pause) => tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => {}
                },
                None if course.cursor < self.feeder.store.feed_head() => {}
                None => tokio::select! {
                    changed = feed.changed() => if changed.is_err() { return },
                    request = self.requests.recv() => if let Some(request) = request {
                        self.serve(request, &mut course).await;
                    },
                    () = tokio::time::sleep_until(course.wakes_at().into()) => {}
                    () = cancel.cancelled() => {}
                },
            }
        }
    }

    async fn serve(&self, request: Request, course: &mut Course) {
        match request {
            Request::Rebuild if course.rebuilding.is_some() => {}
            Request::Rebuild => course.wish = Some(ASKED_FOR.to_owned()),
            Request::Replay { soul, reply } => {
                let (feeder, cursor) = (Arc::clone(&self.feeder), course.cursor);
                let replayed =
                    tokio::task::spawn_blocking(move || feeder.replay(soul.as_ref(), cursor)).await;
                // Nobody waits any more: what was taken is taken.
                let _ = reply.send(replayed.unwrap_or_default());
            }
        }
    }

    /// The index failed: a rebuild that was under way is wished for again, and the index asked again after a
    /// pause. One whose files may be damaged is rebuilt when it has failed often enough. False when the node ends.
    async fn failed(&mut self, course: &mut Course, cancel: &CancellationToken) -> bool {
        course.position = Position::Unknown;
        if let Some(running) = course.rebuilding.take() {
            let reason = running.progress.reason;
            tracing::warn!(
                reason,
                "the new index is given up, and begun again when the index works"
            );
            course.wish.get_or_insert(reason);
        }
        self.show(None, course.wish.clone());
        if !self
            .wait_for_index(course.failures, &mut course.wish, cancel)
            .await
        {
            return false;
        }
        course.failures += 1;
        let may_be_damaged = self.feeder.index.may_be_damaged();
        if may_be_damaged && (course.failures >= DAMAGED_AFTER || course.wish.is_some()) {
            course.position = Position::Damaged;
            course.wish.get_or_insert_with(|| DAMAGED.to_owned());
        }
        true
    }

    /// Waits before the index is asked again, longer from failure to failure. False when the node ends.
    async fn wait_for_index(
        &mut self,
        failures: u32,
        wish: &mut Option<String>,
        cancel: &CancellationToken,
    ) -> bool {
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
                        tracing::warn!("the index does not work now; a new one is begun when it does");
                        wish.get_or_insert_with(|| ASKED_FOR.to_owned());
                        self.show(None, wish.clone());
                    }
                    None => return false,
                },
            }
        }
    }

    /// Begins a rebuild that is wished for or due, or takes it one step further.
    async fn rebuild(&self, course: &mut Course) -> Rebuilt {
        let running = match course.rebuilding.take() {
            Some(running) => running,
            None => {
                let due = || match course.rebuild_failed {
                    true => None,
                    false => self.feeder.rebuild_due(),
                };
                let Some(reason) = course.wish.take().or_else(due) else {
                    return Rebuilt::Nothing;
                };
                let Some(begun) = self.begin(reason).await else {
                    return Self::given_up(course);
                };
                begun
            }
        };
        match self.rebuild_step(running).await {
            Step::More(running) => course.rebuilding = Some(running),
            Step::Done(reached) => {
                course.cursor = reached;
                course.position = Position::Known;
                course.failures = 0;
                self.reached.send_replace(reached);
            }
            Step::Interrupted(running) => {
                course.rebuilding = Some(running);
                return Rebuilt::Interrupted;
            }
            Step::Failed(reason) => {
                self.give_up(reason);
                return Self::given_up(course);
            }
        }
        Rebuilt::Something
    }

    fn given_up(course: &mut Course) -> Rebuilt {
        course.rebuild_failed = true;
        match course.position {
            // It was the only way on.
            Position::Damaged => Rebuilt::Interrupted,
            _ => Rebuilt::Something,
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
                self.show(Some(progress.clone()), None);
                Some(Rebuilding {
                    index,
                    cursor: 0,
                    progress,
                })
            }
            Err(error) => {
                let cause = feeder::told(&error);
                tracing::error!(
                    reason,
                    cause,
                    "failed to begin a new index; the old one serves on"
                );
                self.give_up(cause);
                None
            }
        }
    }

    fn show(&self, running: Option<RebuildProgress>, waiting: Option<String>) {
        self.rebuilds.send_modify(|rebuilds| {
            rebuilds.running = running;
            rebuilds.waiting = waiting;
        });
    }

    fn give_up(&self, reason: String) {
        self.rebuilds.send_modify(|rebuilds| {
            rebuilds.running = None;
            rebuilds.waiting = None;
            rebuilds.given_up += 1;
            rebuilds.last_given_up = Some(reason);
        });
    }

    async fn rebuild_step(&self, mut running: Rebuilding) -> Step {
        let feeder = Arc::clone(&self.feeder);
        let step = tokio::task::spawn_blocking(move || {
            if running.cursor >= feeder.store.feed_head() {
                return match running.index.finish() {
                    Ok(()) => feeder.finished(),
                    Err(error) => {
                        let reason = feeder::told(&error);
                        tracing::error!(
                            reason,
                            "failed to put the new index in place; the old one serves on"
                        );
                        Step::Failed(reason)
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
                None => Step::Interrupted(running),
            }
        });
        let lost = |_| Step::Failed("the task that filled it was lost".to_owned());
        let step = step.await.unwrap_or_else(lost);
        match &step {
            Step::More(running) => self.show(Some(running.progress.clone()), None),
            Step::Interrupted(_) | Step::Failed(_) => {}
            Step::Done(_) => self.rebuilds.send_modify(|rebuilds| {
                rebuilds.running = None;
                rebuilds.finished += 1;
                rebuilds.last_given_up = None;
            }),
        }
        step
    }
}

enum Step {
    More(Rebuilding),
    /// The new index is in place, and holds this much of the feed.
    Done(u64),
    /// A batch was not taken; it was logged.
    Interrupted(Rebuilding),
    /// It can't take the place of the old one.
    Failed(String),
}

/// What became of one look at rebuilding.
enum Rebuilt {
    Nothing,
    Something,
    /// The index does not work now.
    Interrupted,
}
