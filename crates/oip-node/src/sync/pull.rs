//! Pulls records from deployed nodes that expose only `/gun-relay/get` (`oip-formats` 2, 3, 10, 11).
//!
//! Such a peer tells nothing by itself: its type indexes are read again and again, and each record
//! that is new there is read once. What is read goes the way of every other candidate, see
//! [`super::settle`].
//!
//! Owns what was read and what is still open, in memory alone: the peer's index is read again after a
//! restart, and what is held is known from the store. Concludes nothing from what an index does not
//! show, since a relay that just started shows parts of it. One entry that leads nowhere keeps
//! nothing else waiting.

mod again;
mod record;

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gun::Soul;
use gun_net::{Known, PullError, PullPeer, Pulled};
use oip_record::Reject;
use serde_json::{Map, Value};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::decide::backoff_ms;
use super::intake::Intake;
use super::marks::{Marks, is_made_here};
use super::settle::Took;
use super::sweep::TYPES_MAX;
use crate::clock;
use crate::config::TypeFilter;
use crate::registry::{DEPLOYED_TYPES, Registry, is_type_name};

/// Entries remembered as read, by hash; beyond it all are forgotten, and those that are not held are
/// read once more. 24 MiB.
const DONE_MAX: usize = 1_000_000;

/// Entries that could not be read and are tried again later. More come back with the next index.
const OPEN_MAX: usize = 65_536;

/// Records being read at a time: fewer than the client lets through, so that records which hang
/// leave the indexes a way.
const READS_MAX: usize = 3;

/// Indexes being read at a time; the client lets through fewer, the rest wait in its line.
const INDEX_READS_MAX: usize = 8;

/// How long a round waits when none of its reads ends, before other work goes on.
const STRAGGLING: Duration = Duration::from_secs(2);

/// Failures in a row after which the peer is left alone: one record that hangs says nothing of the
/// peer, that many do.
const FAILURES_MAX: usize = 8;

/// Times an index that shows less than it did is asked for again within one round.
const SHORT_TRIES: usize = 3;

/// Rounds for which an index that was not there is passed over, at most: doubled each time. A
/// deployed relay takes 3 s to say so, and there are dozens of types.
const MISSING_ROUNDS_MAX: u64 = 16;

/// Marks of the peer that are remembered for being deleted again: 10 MB of names.
const MARKED_MAX: usize = 100_000;

/// Entries whose targets are remembered: 25 MB of names. At eight a round, it takes four days to look at all.
const LINKED_MAX: usize = 100_000;

/// The shortest pause between two rounds, so that due entries are worked off together.
const PAUSE: Duration = Duration::from_millis(250);

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Questions that got no answer.
    pub failures: usize,
    /// Of these, how many in a row, up to now.
    in_a_row: usize,
    /// Whether the peer can't be asked for now.
    pub is_down: bool,
}

/// Whether a round asks for everything, or spares what was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Sparing,
    Full,
}

/// One peer that is pulled from.
pub(crate) struct Puller {
    pub peer: Arc<PullPeer>,
    pub intake: Arc<Intake>,
    pub marks: Arc<Marks>,
    pub registry: Arc<Registry>,
    pub types: TypeFilter,
    /// No round starts while one runs.
    running: tokio::sync::Mutex<()>,
    /// Records being read, over all rounds.
    reads: tokio::sync::Mutex<JoinSet<(Soul, Open, Ended)>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    round: u64,
    indexes: HashMap<Soul, IndexMemory>,
    /// By the hash of a soul, the hash of the entry that was worked off.
    done: HashMap<u64, u64>,
    open: HashMap<Soul, Open>,
    reading: HashSet<Soul>,
    /// Records that the peer's deletion registry marks, and the last of them that was looked at.
    marked: BTreeSet<Soul>,
    marked_after: Option<Soul>,
    /// Records whose entries are links to targets here, with their types, and the last that was looked at.
    linked: BTreeMap<Soul, Linked>,
    linked_after: Option<Soul>,
    hashes: RandomState,
}

#[derive(Default)]
struct IndexMemory {
    known: Option<Known>,
    /// The most entries it ever showed.
    most: usize,
    /// How often in a row it was not there.
    missing: u32,
    /// The last round in which it was not there.
    missing_in: u64,
    /// The round in which to ask again.
    next_round: u64,
}

/// An entry that is to be read, or read again.
#[derive(Debug, Clone)]
struct Open {
    record_type: String,
    print: u64,
    node_id: Option<String>,
    attempts: u32,
    due_ms: u64,
}

/// An entry that says nothing of the version it announces: its target does.
#[derive(Debug, Clone)]
struct Linked {
    record_type: String,
    target: Soul,
    /// The time that the target said last.
    seen_ms: f64,
}

/// What an index shows, if it changed.
type IndexRead = Result<Option<Map<String, Value>>, PullError>;

/// How reading one record ended.
enum Ended {
    Took(Took),
    Absent,
    Failed(PullError),
}

impl Puller {
    pub(crate) fn new(
        peer: Arc<PullPeer>,
        intake: Arc<Intake>,
        marks: Arc<Marks>,
        registry: Arc<Registry>,
        types: TypeFilter,
    ) -> Self {
        Self {
            peer,
            intake,
            marks,
            registry,
            types,
            running: tokio::sync::Mutex::default(),
            reads: tokio::sync::Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// A round at every interval until cancelled, and in between what is due.
    pub(crate) async fn run(self: Arc<Self>, interval: Duration, cancel: CancellationToken) {
        let mut next_round = Instant::now();
        loop {
            let work = async {
                let is_time = Instant::now() >= next_round;
                let round = if is_time {
                    self.round(Effort::Sparing).await
                } else {
                    self.work_off().await
                };
                (is_time, round)
            };
            let (was_round, round) = tokio::select! {
                done = work => done,
                () = cancel.cancelled() => return,
            };
            if round.is_down {
                next_round = Instant::now() + self.peer.give_up_for_now();
            } else if was_round {
                next_round = Instant::now() + interval;
            }
            let until_round = next_round.saturating_duration_since(Instant::now());
            let pause = match self.next_due() {
                Some(due) if !round.is_down => due.max(PAUSE).min(until_round),
                _ => until_round,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Reads the peer's indexes, and then what is new in them.
    pub(crate) async fn round(self: &Arc<Self>, effort: Effort) -> Round {
        let _running = self.running.lock().await;
        let mut round = Round::default();
        self.lock().round += 1;
        let directory = self.registry.directory();
        let named = match self.read_index(&directory, effort).await {
            Ok(entries) => entries,
            Err(error) => {
                round.note(&error);
                None
            }
        };
        if let Err(error) = self.read_marks(effort).await {
            round.note(&error);
        }
        if let Err(error) = self.read_marks_again().await {
            round.note(&error);
        }
        let mut reads = JoinSet::new();
        for record_type in self.types_of(named) {
            let Some(index) = self.registry.index(&record_type) else {
                continue;
            };
            if round.is_down {
                break;
            }
            while reads.len() >= INDEX_READS_MAX {
                self.collect_index(reads.join_next().await, &mut round);
                self.work_off_into(&mut round).await;
            }
            let this = Arc::clone(self);
            reads.spawn(async move {
                let read = this.read_index(&index, effort).await;
                (record_type, read)
            });
        }
        while let Some(read) = reads.join_next().await {
            self.collect_index(Some(read), &mut round);
            self.work_off_into(&mut round).await;
        }
        if !round.is_down
            && let Err(error) = self.read_targets_again().await
        {
            round.note(&error);
        }
        self.work_off_into(&mut round).await;
        if !round.is_down {
            self.peer.worked();
        }
        round
    }

    /// Reads what is open by now: the records of one type don't wait for the indexes of all others, each
    /// of which may take a deployed relay 3 s to say that it is not there.
    async fn work_off_into(self: &Arc<Self>, round: &mut Round) {
        let is_due = self.next_due().is_some_and(|due| due.is_zero());
        if is_due && !round.is_down {
            let worked = self.read_open().await;
            round.failures += worked.failures;
            round.is_down |= worked.is_down;
        }
    }

    /// Reads what is open and due, without asking for indexes.
    async fn work_off(self: &Arc<Self>) -> Round {
        let _running = self.running.lock().await;
        self.read_open().await
    }

    /// Forgets what was read: other records are taken than before.
    pub(crate) fn look_again(&self) {
        let mut memory = self.lock();
        memory.done.clear();
        for index in memory.indexes.values_mut() {
            index.known = None;
            index.next_round = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn label(&self) -> String {
        self.peer.address().to_string()
    }

    /// When the next open entry is due, from now on.
    fn next_due(&self) -> Option<Duration> {
        let memory = self.lock();
        let open = memory.open.iter();
        let open = open.filter(|(soul, _)| !memory.reading.contains(*soul));
        let due_ms = open.map(|(_, open)| open.due_ms).min()?;
        drop(memory);
        Some(Duration::from_millis(
            due_ms.saturating_sub(clock::wall_ms()),
        ))
    }

    /// The types of the peer's directory, if it keeps one, and those that deployed nodes know.
    fn types_of(&self, directory: Option<Map<String, Value>>) -> BTreeSet<String> {
        let named = directory.unwrap_or_default();
        let named = named.into_iter().map(|(record_type, _)| record_type);
        let deployed = DEPLOYED_TYPES
            .iter()
            .map(|record_type| (*record_type).to_owned());
        named
            .take(TYPES_MAX)
            .chain(deployed)
            .filter(|record_type| is_type_name(record_type) && self.types.wants(record_type))
            .collect()
    }

    fn collect_index(
        &self,
        read: Option<Result<(String, IndexRead), JoinError>>,
        round: &mut Round,
    ) {
        match read {
            Some(Ok((record_type, Ok(Some(entries))))) => {
                round.in_a_row = 0;
                self.note_entries(&record_type, entries);
            }
            Some(Ok((_, Ok(None)))) => round.in_a_row = 0,
            Some(Ok((_, Err(error)))) => round.note(&error),
            // A task that was lost with the process.
            Some(Err(_)) | None => {}
        }
    }

    /// An index as it stands, if it has changed; asked for again while it shows less than it did.
    async fn read_index(&self, index: &Soul, effort: Effort) -> IndexRead {
        let known = {
            let mut memory = self.lock();
            let round = memory.round;
            let known = memory.indexes.entry(index.clone()).or_default();
            if effort == Effort::Sparing && known.next_round > round {
                return Ok(None);
            }
            known.known.clone()
        };
        let mut merged: Option<Map<String, Value>> = None;
        for _ in 0..=SHORT_TRIES {
            let answer = self.peer.get(index.as_str(), known.as_ref()).await?;
            let mut memory = self.lock();
            let round = memory.round;
            let noted = memory.indexes.entry(index.clone()).or_default();
            match answer {
                Pulled::Unchanged => {
                    noted.missing = 0;
                    return Ok(merged);
                }
                Pulled::Absent => {
                    noted.missing += 1;
                    noted.missing_in = round;
                    // What it says when it is there again is read, were it the same.
                    noted.known = None;
                    let skipped = 1_u64 << noted.missing.min(5);
                    noted.next_round = round + skipped.min(MISSING_ROUNDS_MAX);
                    return Ok(merged);
                }
                Pulled::Node { node, known } => {
                    let shown = node.len();
                    noted.missing = 0;
                    noted.known = Some(known);
                    match &mut merged {
                        Some(merged) => merged.extend(node),
                        None => merged = Some(node),
                    }
                    let is_short = shown < noted.most;
                    noted.most = noted.most.max(merged.as_ref().map_or(0, Map::len));
                    if !is_short {
                        return Ok(merged);
                    }
                    // A part is never taken for what is known.
                    noted.known = None;
                }
            }
        }
        Ok(merged)
    }

    /// Opens what is new in an index.
    fn note_entries(&self, record_type: &str, entries: Map<String, Value>) {
        for (key, entry) in entries {
            // The origin design keeps metadata beside the entries, under names like these.
            if key.starts_with(['_', '#']) || key.starts_with("oip:") {
                continue;
            }
            let named = entry["soul"].as_str().unwrap_or(&key);
            let Ok(soul) = Soul::new(named) else { continue };
            let mut memory = self.lock();
            if let Some(target) = entry["#"]
                .as_str()
                .and_then(|target| Soul::new(target).ok())
                && memory.linked.len() < LINKED_MAX
            {
                let record_type = record_type.to_owned();
                let seen_ms = 0.0;
                memory.linked.entry(soul.clone()).or_insert(Linked {
                    record_type,
                    target,
                    seen_ms,
                });
            }
            let (id, print) = memory.hashes(&soul, &entry);
            if memory.done.get(&id) == Some(&print) || memory.open.contains_key(&soul) {
                continue;
            }
            let is_changed = memory.done.contains_key(&id);
            drop(memory);
            if !is_changed && self.is_known(&soul, &entry) {
                self.lock().set_done(id, print);
                continue;
            }
            let mut memory = self.lock();
            if memory.open.len() < OPEN_MAX {
                let open = Open {
                    record_type: record_type.to_owned(),
                    print,
                    node_id: entry["nodeId"].as_str().map(str::to_owned),
                    attempts: 0,
                    due_ms: 0,
                };
                memory.open.insert(soul, open);
            } else if let Some(index) = self.registry.index(record_type) {
                // No room: the index has to be seen again, changed or not.
                memory.indexes.entry(index).or_default().known = None;
            }
        }
    }

    /// Whether a record need not be read: a version at least as new is held, or it was read from
    /// this peer before and refused.
    fn is_known(&self, soul: &Soul, entry: &Value) -> bool {
        let store = &self.intake.judge.store;
        match store.record(soul) {
            Ok(Some(held)) => {
                let announced = entry["timestamp"].as_f64().unwrap_or(0.0);
                return held.deleted || is_made_here(&held) || announced <= held.at_ms as f64;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(event = "error", operation = "pull", %error, "failed to read what is held");
                return true;
            }
        }
        let refused = store.quarantined(soul).ok().flatten();
        refused.is_some_and(|row| {
            row.source.as_deref() == Some(&*self.label()) && row.reason != Reject::Torn.label()
        })
    }

    /// Reads what is open and due. Those that don't answer soon are left to answer while other work goes
    /// on; ends early if the peer as a whole can't be asked.
    async fn read_open(self: &Arc<Self>) -> Round {
        let mut round = Round::default();
        let mut reads = self.reads.lock().await;
        let now_ms = clock::wall_ms();
        let mut due: Vec<(Soul, Open)> = {
            let memory = self.lock();
            let due = memory.open.iter();
            due.filter(|(soul, open)| open.due_ms <= now_ms && !memory.reading.contains(*soul))
                .map(|(soul, open)| (soul.clone(), open.clone()))
                .collect()
        };
        // Those that failed before come last.
        due.sort_by_key(|(_, open)| std::cmp::Reverse(open.attempts));
        loop {
            while reads.len() < READS_MAX && !round.is_down {
                let Some((soul, open)) = due.pop() else { break };
                self.lock().reading.insert(soul.clone());
                let this = Arc::clone(self);
                reads.spawn(async move {
                    let ended = this.read_record(&soul, &open).await;
                    (soul, open, ended)
                });
            }
            let Ok(read) = tokio::time::timeout(STRAGGLING, reads.join_next()).await else {
                return round;
            };
            match read {
                None => return round,
                Some(Ok((soul, open, ended))) => {
                    match &ended {
                        Ended::Failed(error) => round.note(error),
                        _ => round.in_a_row = 0,
                    }
                    self.close(soul, open, &ended);
                }
                // A task that was lost: what it held is read again.
                Some(Err(_)) => self.lock().reading.clear(),
            }
        }
    }

    /// What becomes of an entry after it was read.
    fn close(&self, soul: Soul, mut open: Open, ended: &Ended) {
        let mut memory = self.lock();
        memory.reading.remove(&soul);
        match ended {
            Ended::Took(Took::Settled) => {
                memory.open.remove(&soul);
                let id = memory.hash(&soul);
                memory.set_done(id, open.print);
            }
            Ended::Took(Took::Again) | Ended::Absent | Ended::Failed(_) => {
                open.due_ms = clock::wall_ms() + backoff_ms(open.attempts);
                open.attempts += 1;
                memory.open.insert(soul, open);
            }
        }
    }
}

impl Round {
    fn note(&mut self, error: &PullError) {
        self.failures += 1;
        self.in_a_row += 1;
        self.is_down |= error.is_of_the_peer() || self.in_a_row >= FAILURES_MAX;
    }
}

impl Memory {
    fn hash(&self, soul: &Soul) -> u64 {
        self.hashes.hash_one(soul.as_str())
    }

    fn hashes(&self, soul: &Soul, entry: &Value) -> (u64, u64) {
        (self.hash(soul), self.hashes.hash_one(entry.to_string()))
    }

    fn set_done(&mut self, id: u64, print: u64) {
        if self.done.len() >= DONE_MAX {
            self.done.clear();
        }
        self.done.insert(id, print);
    }
}
