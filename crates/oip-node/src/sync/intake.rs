//! Works off the durable list of wanted souls: judges what the graph shows, asks peers for what it
//! lacks, keeps what is verified. A bounded number is under way at any time; the rest waits in
//! the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gun::mesh::{Direction, PeerId};
use gun::wire::Get;
use gun::{Graph, Soul};
use oip_store::WantedRow;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::heal::Healer;
use super::judge::{Asked, Judge};
use super::log::LogBudget;
use super::marks::Marks;
use crate::audit::Audit;
use crate::clock;
use crate::config::RelayQuotas;
use crate::hub::{Fetched, HubHandle, Noticed};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::registry::Notice;

/// Candidates judged at a time: signatures of one batch are checked on all cores.
const BATCH_MAX: usize = 256;

/// Batches under way at a time: one is judged while the other is stored. What becomes due meanwhile makes
/// up the next one, so that a flood of announcements costs few commits, and not one for each.
const BATCHES_MAX: usize = 2;

/// Candidates being fetched at a time, at most: keeps a relay's pipeline full.
const FETCHES_MAX: usize = 512;

/// Tasks under way beyond which marks wait for the next sweep.
const WORK_MAX: usize = 2_048;

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
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What the intake works with.
pub(crate) struct Intake {
    pub judge: Judge,
    pub healer: Arc<Healer>,
    pub marks: Arc<Marks>,
    /// How much an author may store, for records that no put brings.
    pub quotas: RelayQuotas,
    pub hub: HubHandle,
    pub peers: Arc<Peers>,
    pub metrics: Arc<Metrics>,
    /// Hears of sealed input that was refused.
    pub audit: Arc<Audit>,
    /// Cores to judge on. Finding out reads files, which is not for every batch.
    pub cores: usize,
    /// The list grew by another hand than that of the hub, whose notices tell of it.
    pub listed: Arc<Notify>,
    /// How much is said about single records.
    pub log: LogBudget,
    /// Types that a directory names, for those who keep the links.
    pub new_types: mpsc::Sender<String>,
}

pub(super) struct Fetch {
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
    batches: usize,
    fetching: usize,
    /// Bytes of a fetched record, on average.
    average_bytes: usize,
    hints: HashMap<Soul, PeerId>,
    work: JoinSet<Ended>,
}

pub(super) enum Ended {
    /// A batch was judged; what has to be fetched goes on.
    Judged {
        settled: Vec<Soul>,
        fetch: Vec<(WantedRow, Vec<Soul>)>,
        heal: Vec<WantedRow>,
        ask: Vec<Soul>,
        failed: bool,
    },
    /// Peers were asked for one candidate.
    Fetched(Fetch),
    /// A record was healed, or needed it no longer; a mark was noted.
    Done,
}

impl Intake {
    /// Runs until cancelled; what is under way then is finished.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut notices: mpsc::Receiver<Noticed>,
        cancel: CancellationToken,
    ) {
        let mut running = Running {
            intake: self,
            active: HashSet::new(),
            batches: 0,
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
                () = running.intake.listed.notified() => look = true,
                () = tokio::time::sleep(LOOK), if waiting => look = true,
                () = cancel.cancelled() => {}
            }
        }
        while running.work.join_next().await.is_some() {}
    }
}

impl Running {
    fn notice(&mut self, noticed: Noticed) {
        let at_ms = noticed.at_ms;
        match (noticed.notice, noticed.peer) {
            (Notice::Mark { soul, is_set }, Some(peer)) => self.mark(soul, is_set, peer, at_ms),
            // Our own.
            (Notice::Mark { .. }, None) => {}
            (Notice::Record { soul, .. }, Some(peer)) if self.hints.len() < HINTS_MAX => {
                self.hints.insert(soul, peer);
            }
            (Notice::Record { .. }, _) => {}
            (Notice::Statement, _) => self.intake.judge.trust.seen.notify_one(),
            // Full: the sweep reads the directory.
            (Notice::Type(record_type), _) => drop(self.intake.new_types.try_send(record_type)),
        }
    }

    /// Takes what is due from the list, as far as there is room.
    fn start_due(&mut self) {
        let window = (FETCH_BYTES_MAX / self.average_bytes).clamp(FETCHES_MIN, FETCHES_MAX);
        let room = window.saturating_sub(self.fetching);
        if room == 0 || self.batches >= BATCHES_MAX {
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
        if !fetched.is_empty() && self.batches < BATCHES_MAX {
            let count = fetched.len().min(BATCH_MAX);
            let rows = fetched.drain(..count).map(|fetch| {
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
        self.batches += 1;
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
                ask,
                failed,
            }) => {
                self.batches = self.batches.saturating_sub(1);
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
                for entry in ask {
                    self.ask(entry);
                }
            }
            Ok(Ended::Fetched(fetch)) => {
                self.fetching -= 1;
                fetched.push(fetch);
            }
            Ok(Ended::Done) => {}
            Err(error) => {
                tracing::error!(event = "error", operation = "intake", %error, "a sync task failed");
                // Whatever it held is still in the list; what it was can't be told.
                self.active.clear();
                self.batches = self.batches.saturating_sub(1);
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

    /// Asks for an entry of the registry, and follows it where it is not there yet. What comes is noticed as a change of it.
    fn ask(&mut self, entry: Soul) {
        // Beyond it the next change of the entry, or of what names it, asks again.
        if self.work.len() >= WORK_MAX {
            return;
        }
        let order = self.intake.peers.with_registry(None);
        let intake = Arc::clone(&self.intake);
        self.work.spawn(async move {
            for peer in order {
                let asked = intake.hub.ask(peer, Get::node(entry.clone())).await;
                if let Fetched::Data(_) = asked {
                    break;
                }
            }
            Ended::Done
        });
    }

    fn heal(&mut self, row: WantedRow) {
        let healer = Arc::clone(&self.intake.healer);
        self.work.spawn(async move {
            healer.heal(row).await;
            Ended::Done
        });
    }

    /// A mark that a peer brought. Only those whom the operator named count.
    fn mark(&mut self, soul: Soul, is_set: bool, peer: PeerId, at_ms: u64) {
        let label = match self.intake.peers.peer(peer) {
            Some(peer) if peer.direction == Direction::Dialled => peer.label,
            _ => return,
        };
        // Beyond it the sweep brings them again.
        if self.work.len() >= WORK_MAX {
            return;
        }
        let marks = Arc::clone(&self.intake.marks);
        self.work.spawn(async move {
            if is_set {
                marks.set(&soul, &label, at_ms).await;
            } else {
                marks.clear(&soul, &label).await;
            }
            Ended::Done
        });
    }
}

impl Intake {
    /// A record that is held and announced anew is followed as well as asked for: a peer that has
    /// not got the newer version yet then pushes it as soon as it has.
    fn question(&self, soul: &Soul) -> Get {
        let get = Get::node(soul.clone());
        match self.judge.store.record(soul) {
            Ok(Some(_)) => get,
            _ => get.once(),
        }
    }

    /// Asks peers in turn until one gives something.
    async fn ask_for(&self, missing: &[Soul], order: &[PeerId]) -> Found {
        let mut nothing = Found::Nowhere;
        for peer in order {
            let mut given = None;
            for soul in missing {
                self.metrics.fetches.inc();
                match self.hub.ask(*peer, self.question(soul)).await {
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
}

/// Bytes of the texts of a graph, which are nearly all of a record.
fn weight(graph: &Graph) -> usize {
    let texts = graph
        .iter()
        .flat_map(|node| &node.entries)
        .filter_map(|entry| entry.value.as_text());
    texts.map(str::len).sum()
}
