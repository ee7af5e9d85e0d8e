//! Works off the durable list of wanted souls: judges what the graph shows, asks peers for what it
//! lacks, keeps what is verified. A bounded number is under way at any time; the rest waits in
//! the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gun::mesh::PeerId;
use gun::wire::Get;
use gun::{Graph, Soul};
use oip_record::Reject;
use oip_record::limits::FUTURE_MS_MAX;
use oip_record::order::SignatureClass;
use oip_store::{Committed, Op, QuarantineRow, RecordRow, Transaction, WantedRow, WriteError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::heal::{Healer, Turn, is_healable};
use super::judge::{Asked, Judge, Judgement, did_of, row_of, signed_ms, signer_mark};
use crate::clock;
use crate::hub::{Fetched, HubHandle, Noticed};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::registry::Notice;

/// Candidates judged at a time: signatures of one batch are checked on all cores.
const BATCH_MAX: usize = 256;

/// Candidates being fetched at a time, at most: keeps a relay's pipeline full.
const FETCHES_MAX: usize = 512;

/// And at least, however large records are: an outbox holds six of the largest.
const FETCHES_MIN: usize = 4;

/// Bytes of records being fetched, by the average of the last ones. What is asked for at once
/// waits in one outbox of the peer, which closes the connection when it overflows.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// The average to begin with: a chat session, so that the window opens after some answers.
const FETCH_BYTES_FIRST: usize = 64 << 10;

/// Whom to ask first, remembered for this many souls; others are asked of every peer in turn.
const HINTS_MAX: usize = 65_536;

/// How often the list is looked at while something in it waits for its time.
const LOOK: Duration = Duration::from_millis(500);

/// Wait before a soul that no peer had is asked for again: 1 s, doubled each time …
const RETRY_MS: u64 = 1_000;

/// … up to an hour, which keeps a lost record from costing anything.
const RETRY_MS_MAX: u64 = 3_600_000;

/// Why a soul waits whose record was healed within the last minute.
const WAITS_TO_HEAL: &str = "healed a moment ago";

/// What the intake works with.
pub(crate) struct Intake {
    pub judge: Judge,
    pub healer: Arc<Healer>,
    pub hub: HubHandle,
    pub peers: Arc<Peers>,
    pub metrics: Arc<Metrics>,
    /// Types that a directory names, for those who keep the links.
    pub new_types: mpsc::Sender<String>,
}

struct Fetch {
    row: WantedRow,
    found: Found,
}

/// What asking the peers gave.
enum Found {
    At {
        peer: PeerId,
        bytes: usize,
    },
    Nowhere,
    /// A connection ended meanwhile, perhaps because too much was asked of it.
    Interrupted,
}

struct Running {
    intake: Arc<Intake>,
    active: HashSet<Soul>,
    fetching: usize,
    /// Bytes of a fetched record, on average.
    average_bytes: usize,
    hints: HashMap<Soul, PeerId>,
    work: JoinSet<Ended>,
}

enum Ended {
    /// A batch was judged; what has to be fetched goes on.
    Judged {
        settled: Vec<Soul>,
        fetch: Vec<(WantedRow, Vec<Soul>)>,
        heal: Vec<WantedRow>,
        failed: bool,
    },
    /// Peers were asked for one candidate.
    Fetched(Fetch),
    /// A record was healed, or needed it no longer.
    Healed,
}

impl Intake {
    /// Runs until cancelled; what is under way then is finished.
    pub(crate) async fn run(self, mut notices: mpsc::Receiver<Noticed>, cancel: CancellationToken) {
        let mut running = Running {
            intake: Arc::new(self),
            active: HashSet::new(),
            fetching: 0,
            average_bytes: FETCH_BYTES_FIRST,
            hints: HashMap::new(),
            work: JoinSet::new(),
        };
        let mut fetched = Vec::new();
        let mut look = true;
        while !cancel.is_cancelled() {
            if look {
                running.start_due();
                look = false;
            }
            let waiting = running.intake.judge.store.wanted_len() > 0;
            tokio::select! {
                Some(ended) = running.work.join_next() => {
                    running.collect(ended, &mut fetched);
                    while let Some(ended) = running.work.try_join_next() {
                        running.collect(ended, &mut fetched);
                    }
                    running.judge_fetched(&mut fetched);
                    look = true;
                }
                noticed = notices.recv() => match noticed {
                    Some(noticed) => {
                        running.notice(noticed);
                        while let Ok(noticed) = notices.try_recv() {
                            running.notice(noticed);
                        }
                        look = true;
                    }
                    None => return,
                },
                () = tokio::time::sleep(LOOK), if waiting => look = true,
                () = cancel.cancelled() => {}
            }
        }
        while running.work.join_next().await.is_some() {}
    }
}

impl Running {
    fn notice(&mut self, noticed: Noticed) {
        match (noticed.notice, noticed.peer) {
            (Notice::Record { soul, .. }, Some(peer)) if self.hints.len() < HINTS_MAX => {
                self.hints.insert(soul, peer);
            }
            (Notice::Record { .. }, _) => {}
            // Full: the sweep reads the directory.
            (Notice::Type(record_type), _) => drop(self.intake.new_types.try_send(record_type)),
        }
    }

    /// Takes what is due from the list, as far as there is room.
    fn start_due(&mut self) {
        let window = (FETCH_BYTES_MAX / self.average_bytes).clamp(FETCHES_MIN, FETCHES_MAX);
        let room = window.saturating_sub(self.fetching);
        if room == 0 {
            return;
        }
        // What is under way is still in the list.
        let limit = self.active.len() + room.min(BATCH_MAX);
        let rows = match self.intake.judge.store.wanted_due(clock::wall_ms(), limit) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(event = "error", operation = "wanted", %error, "failed to read the wanted list");
                return;
            }
        };
        let fresh: Vec<_> = rows
            .into_iter()
            .filter(|row| !self.active.contains(&row.soul))
            .take(BATCH_MAX)
            .collect();
        self.judge(fresh, Asked::NotYet);
    }

    fn judge_fetched(&mut self, fetched: &mut Vec<Fetch>) {
        if !fetched.is_empty() {
            let rows = fetched.drain(..).map(|fetch| {
                match fetch.found {
                    Found::At { peer, bytes } => {
                        self.hints.insert(fetch.row.soul.clone(), peer);
                        self.average_bytes = (self.average_bytes * 7 + bytes) / 8 + 1;
                    }
                    Found::Nowhere => {}
                    Found::Interrupted => {
                        self.average_bytes = (self.average_bytes * 2).min(FETCH_BYTES_MAX);
                    }
                }
                fetch.row
            });
            let rows = rows.collect();
            self.judge(rows, Asked::Already);
        }
    }

    fn judge(&mut self, rows: Vec<WantedRow>, asked: Asked) {
        if rows.is_empty() {
            return;
        }
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| {
                self.active.insert(row.soul.clone());
                let source = self
                    .hints
                    .get(&row.soul)
                    .and_then(|peer| self.intake.peers.peer(*peer));
                (
                    row,
                    source.map(|peer| peer.node_id.unwrap_or(peer.label).to_string()),
                )
            })
            .collect();
        let intake = Arc::clone(&self.intake);
        self.work
            .spawn(async move { intake.judge_batch(rows, asked).await });
    }

    fn collect(&mut self, ended: Result<Ended, tokio::task::JoinError>, fetched: &mut Vec<Fetch>) {
        match ended {
            Ok(Ended::Judged {
                settled,
                fetch,
                heal,
                failed,
            }) => {
                for soul in settled {
                    self.active.remove(&soul);
                    self.hints.remove(&soul);
                }
                if failed {
                    tracing::error!(
                        event = "error",
                        operation = "intake",
                        "failed to keep judged records, trying again"
                    );
                }
                for (row, missing) in fetch {
                    self.fetch(row, missing);
                }
                for row in heal {
                    self.heal(row);
                }
            }
            Ok(Ended::Fetched(fetch)) => {
                self.fetching -= 1;
                fetched.push(fetch);
            }
            Ok(Ended::Healed) => {}
            Err(error) => {
                tracing::error!(event = "error", operation = "intake", %error, "a sync task failed");
                // Whatever it held is still in the list.
                self.active.clear();
            }
        }
    }

    fn fetch(&mut self, row: WantedRow, missing: Vec<Soul>) {
        self.fetching += 1;
        let order = self
            .intake
            .peers
            .with_registry(self.hints.get(&row.soul).copied());
        let intake = Arc::clone(&self.intake);
        self.work.spawn(async move {
            let found = intake.ask_for(&missing, &order).await;
            Ended::Fetched(Fetch { row, found })
        });
    }

    fn heal(&mut self, row: WantedRow) {
        let healer = Arc::clone(&self.intake.healer);
        self.work.spawn(async move {
            healer.heal(row).await;
            Ended::Healed
        });
    }
}

impl Intake {
    /// Asks peers in turn until one gives something.
    async fn ask_for(&self, missing: &[Soul], order: &[PeerId]) -> Found {
        let mut nothing = Found::Nowhere;
        for peer in order {
            let mut given = None;
            for soul in missing {
                self.metrics.fetches.inc();
                match self.hub.ask(*peer, Get::node(soul.clone()).once()).await {
                    Fetched::Data(graph) => *given.get_or_insert(0) += weight(&graph),
                    Fetched::PeerGone => nothing = Found::Interrupted,
                    Fetched::Nothing | Fetched::TimedOut => {}
                }
            }
            if let Some(bytes) = given {
                return Found::At { peer: *peer, bytes };
            }
        }
        nothing
    }

    async fn judge_batch(
        self: Arc<Self>,
        rows: Vec<(WantedRow, Option<String>)>,
        asked: Asked,
    ) -> Ended {
        let souls: Vec<Soul> = rows.iter().map(|(row, _)| row.soul.clone()).collect();
        let now_ms = clock::wall_ms();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = rows.len().div_ceil(cores);
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
                    Ok(judgement) => self.decide(judgement, row, source, now_ms, &mut outcome),
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
            failed: outcome.failed,
        }
    }

    fn decide(
        &self,
        judgement: Judgement,
        row: WantedRow,
        source: Option<String>,
        now_ms: u64,
        outcome: &mut Outcome,
    ) {
        let done = Op::WantedDone {
            soul: row.soul.clone(),
            generation: row.generation,
        };
        match judgement {
            Judgement::Take { accepted, held } => {
                let did = did_of(&row.soul);
                let node = source.as_deref().unwrap_or("unknown");
                self.metrics.discovered.inc();
                tracing::info!(
                    event = "recordDiscovered",
                    did,
                    node,
                    "discovered {did} from {node}"
                );
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
                ops.push(Op::QuarantineRemove(row.soul));
                let seen_ms = held.map_or(now_ms, |held| held.first_seen_ms);
                let record = row_of(*accepted, source, seen_ms);
                let kept = if record.deleted {
                    Kept::Tombstone(did)
                } else {
                    Kept::Record(did)
                };
                ops.push(Op::PutRecord(record));
                outcome.ops.push((ops, kept));
            }
            Judgement::Known { heal } => {
                self.metrics.skipped.inc();
                let next = match self.heal_or_wait(&row, heal.as_deref(), now_ms, outcome) {
                    Some(due_ms) => put_off(row, due_ms, WAITS_TO_HEAL),
                    None => done,
                };
                outcome.ops.push((vec![next], Kept::Nothing));
            }
            Judgement::Gone | Judgement::Unwanted => {
                self.metrics.skipped.inc();
                outcome.ops.push((vec![done], Kept::Nothing));
            }
            Judgement::Fetch(missing) => outcome.fetch.push((row, missing)),
            Judgement::Absent => {
                let due_ms = now_ms + backoff_ms(row.attempts);
                let next = tried(row, due_ms, "no peer has it yet");
                outcome.ops.push((vec![next], Kept::Nothing));
            }
            Judgement::Refuse {
                reject,
                texts,
                heal,
            } => {
                self.metrics
                    .reject_record(reject.label(), signed_ms(now_ms));
                let did = did_of(&row.soul);
                tracing::warn!(
                    event = "error",
                    operation = "verify",
                    did,
                    reason = reject.label(),
                    "refused {did}: {reject}"
                );
                let heal_ms = self.heal_or_wait(&row, heal.as_deref(), now_ms, outcome);
                // Only time cures a stamp ahead of ours; a torn record is written again by its owner.
                let due_ms = match &*reject {
                    Reject::FutureStamp { at_ms } => {
                        u64::try_from(at_ms.saturating_sub(FUTURE_MS_MAX)).ok()
                    }
                    Reject::Torn => Some(now_ms + backoff_ms(row.attempts)),
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
                outcome
                    .ops
                    .push((vec![Op::QuarantineAdd(entry), next], Kept::Nothing));
            }
            Judgement::Contested(accepted) => {
                self.metrics.reject_record("contested", signed_ms(now_ms));
                let detail = format!(
                    "{} signed it too, but the soul belongs to another key",
                    accepted.creator.did_address
                );
                let texts = (
                    accepted.data_text.map(Into::into),
                    Some(accepted.oip_text.into()),
                );
                let entry = quarantined(&row, "contested", detail, source, now_ms, None, texts);
                outcome
                    .ops
                    .push((vec![Op::QuarantineAdd(entry), done], Kept::Nothing));
            }
        }
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
                (Ok(Ok(_)), Kept::Record(did)) => {
                    self.metrics.synced.inc();
                    tracing::info!(event = "recordSynced", did, "synced {did}");
                }
                (Ok(Ok(_)), Kept::Tombstone(did)) => {
                    self.metrics.deleted.inc();
                    tracing::info!(
                        event = "recordSynced",
                        did,
                        deleted = true,
                        "synced the deletion of {did}"
                    );
                }
                // The soul is still wanted, and is judged against the version that came first.
                (Ok(Ok(_)), Kept::Nothing) | (Ok(Err(WriteError::Superseded(_))), _) => {}
                _ => all = false,
            }
        }
        all
    }
}

#[derive(Default)]
struct Outcome {
    ops: Vec<(Vec<Op>, Kept)>,
    fetch: Vec<(WantedRow, Vec<Soul>)>,
    heal: Vec<WantedRow>,
    failed: bool,
}

/// What a transaction keeps, told once it is durable.
enum Kept {
    Record(String),
    Tombstone(String),
    Nothing,
}

/// Bytes of the texts of a graph, which are nearly all of a record.
fn weight(graph: &Graph) -> usize {
    let texts = graph
        .iter()
        .flat_map(|node| &node.entries)
        .filter_map(|entry| entry.value.as_text());
    texts.map(str::len).sum()
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

fn backoff_ms(attempts: u32) -> u64 {
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
