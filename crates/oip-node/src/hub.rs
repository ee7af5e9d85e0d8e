//! The hub: the one task that joins mesh, store and sockets. Messages go in as they are heard;
//! what the mesh decides is carried out; what the store commits is pushed to subscribers and
//! noticed by discovery.
//!
//! Owns the order of things: an ack leaves only after the commit it speaks of. Refuses nothing
//! itself; admission and limits stand in `admission`, the mesh and the store.

mod gate;
mod greeting;
mod handle;
mod held;
mod lines;
mod outputs;
mod writes;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gun::Graph;
use gun::mesh::{
    Direction, Input, Loaded, Mesh, MeshConfig, Output, PeerId, SoulFilter, StoreOutcome, Ticket,
    Token, Told,
};
use gun::wire::{Get, MessageId, Reject};
use gun_net::{Background, NetEvent, Network};
use oip_store::{Committed, Store, WriteError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub(crate) use self::handle::HubHandle;
use self::handle::{Asked, Command};
use self::held::Wish;
use self::lines::{Lines, Next};
use self::writes::Writes;
use crate::admission;
use crate::allowance::{Allowances, Cost};
use crate::clock;
use crate::config::{Admission, TypeFilter};
use crate::loader::Given;
use crate::metrics::Metrics;
use crate::random;
use crate::registry::{Notice, Registry};
use crate::turns::Turns;

/// Commands of the node's own parts that may wait; beyond it they wait in line themselves.
const COMMANDS_MAX: usize = 4_096;

/// Puts and gets handed to store and loader and not yet answered. At the bound the hub stops
/// reading from sockets, so that a flood is held back by TCP and not by memory.
const UNANSWERED_MAX: usize = 8_192;

/// Parts of ranges that were read and not yet sent. The thread that reads waits when there are more: a
/// part is half a millisecond of the hub's time, and acks of others must not stand behind many.
const RANGE_PARTS_MAX: usize = 1;

/// Events worked off before the hub looks at its other sources again.
const TURN_EVENTS_MAX: usize = 64;

/// How often the mesh's counters are noted for metrics.
const COUNTS_EVERY: Duration = Duration::from_secs(1);

/// What the rest of the node hears from the hub.
#[derive(Debug)]
pub(crate) enum HubEvent {
    /// A connection is open.
    Opened {
        peer: PeerId,
        direction: Direction,
        label: Arc<str>,
    },
    /// A connection is gone.
    Closed { peer: PeerId },
    /// The peer runs this program and syncs records.
    Greeted { peer: PeerId, node_id: Arc<str> },
}

/// A registry change, and from whom it came: a hint where to fetch.
#[derive(Debug)]
pub(crate) struct Noticed {
    pub notice: Notice,
    pub peer: Option<PeerId>,
    /// The state of the value that says so, in ms since 1970.
    pub at_ms: u64,
}

/// How a question to one peer ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fetched {
    /// It gave data, which is in the store now; of a large node, this is the last part.
    Data(Graph),
    /// It has nothing, or gave something the store refused.
    Nothing,
    /// No answer in time.
    TimedOut,
    /// The connection closed.
    PeerGone,
}

enum Done {
    Stored {
        ticket: Ticket,
        peer: PeerId,
        origin: Option<MessageId>,
        kept: Option<Graph>,
        result: Result<Committed, WriteError>,
    },
    Checked {
        put: Unchecked,
        took: Duration,
        result: Result<(), Reject>,
    },
    Loaded {
        ticket: Ticket,
        peer: PeerId,
        given: Given,
        /// Whether it has the one place for ranges.
        is_scan: bool,
    },
}

/// What the hub works with.
pub(crate) struct Hub {
    pub store: Store,
    pub network: Network,
    pub background: Background,
    pub mesh: Mesh,
    pub registry: Arc<Registry>,
    pub types: TypeFilter,
    pub admission: Admission,
    pub allowances: Allowances,
    pub metrics: Arc<Metrics>,
    /// Our id, for the greeting.
    pub node_id: Arc<str>,
    /// The id that our key has, whatever we are called.
    pub identity_id: Arc<str>,
    /// Woken when a peer shows a pointer under our id that leads elsewhere.
    pub misled: Arc<tokio::sync::Notify>,
    /// Connections: few, and none may be missed.
    pub events: mpsc::UnboundedSender<HubEvent>,
    /// Registry changes: many; when full they are left to the durable list of wanted souls.
    pub notices: mpsc::Sender<Noticed>,
    /// Woken when values of the future were put aside.
    pub deferred: Arc<tokio::sync::Notify>,
}

struct Running {
    hub: Hub,
    done: mpsc::UnboundedSender<Done>,
    range_parts: mpsc::Sender<Done>,
    unanswered: usize,
    next_token: u64,
    asked: HashMap<Token, Asked>,
    told: HashMap<Token, oneshot::Sender<Told>>,
    /// The addresses of those who dialled us.
    origins: HashMap<PeerId, IpAddr>,
    lines: Lines,
    writes: Writes,
    checks: Turns<Unchecked>,
    scans: Turns<Scan>,
    /// Whom we have greeted, and who has greeted us.
    greeted: HashSet<PeerId>,
    greeted_by: HashSet<PeerId>,
    inputs: VecDeque<Input>,
    deciding: bool,
    out: Vec<Output>,
}

/// A put whose signatures are to be checked.
struct Unchecked {
    ticket: Ticket,
    peer: PeerId,
    origin: Option<MessageId>,
    graph: Graph,
    /// How many there are. They count as under way in its line while they are checked.
    signatures: usize,
    /// The same once more, where some of it was left out.
    kept: Option<Graph>,
}

/// A range to be read.
struct Scan {
    ticket: Ticket,
    peer: PeerId,
    get: Get,
}

/// The mesh of a node. What is refused here is not asked of others; what the registry says is followed by the sync itself.
pub(crate) fn mesh(admission: Admission, registry: &Arc<Registry>) -> Mesh {
    let (asked, followed) = (Arc::clone(registry), Arc::clone(registry));
    let name = MessageId::from_random(random::number());
    let config = MeshConfig {
        forwards: SoulFilter::new(move |soul| admission::admits(admission, &asked, soul)),
        follows: SoulFilter::new(move |soul| {
            admission::admits(admission, &followed, soul) && !followed.owns(soul.as_str())
        }),
        ..MeshConfig::new(name.as_str())
    };
    Mesh::new(config, Box::new(random::number))
}

impl Hub {
    /// A handle and the task to run.
    pub(crate) fn start(
        self,
        net_events: mpsc::Receiver<NetEvent>,
        cancel: CancellationToken,
    ) -> (HubHandle, impl Future<Output = ()>) {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        (
            HubHandle { commands },
            self.run(net_events, command_queue, cancel),
        )
    }

    async fn run(
        self,
        mut net_events: mpsc::Receiver<NetEvent>,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) {
        let (done, mut done_queue) = mpsc::unbounded_channel();
        let (range_parts, mut range_part_queue) = mpsc::channel(RANGE_PARTS_MAX);
        let mut running = Running {
            hub: self,
            done,
            range_parts,
            unanswered: 0,
            next_token: 0,
            asked: HashMap::new(),
            told: HashMap::new(),
            origins: HashMap::new(),
            lines: Lines::default(),
            writes: Writes::default(),
            checks: Turns::default(),
            scans: Turns::default(),
            greeted: HashSet::new(),
            greeted_by: HashSet::new(),
            inputs: VecDeque::new(),
            deciding: false,
            out: Vec::new(),
        };
        let mut look = tokio::time::interval(COUNTS_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Vec::with_capacity(TURN_EVENTS_MAX);
        let mut finished = Vec::with_capacity(TURN_EVENTS_MAX);
        loop {
            let deadline = running.hub.mesh.next_deadline();
            let tick = deadline.map(|at| {
                Instant::now() + Duration::from_millis(at.saturating_sub(clock::wall_ms()))
            });
            let ready = running.lines.ready_at(Instant::now());
            tokio::select! {
                biased;
                // Rare, and first, so that it is seen under load.
                _ = look.tick() => running.hub.metrics.set_mesh(running.hub.mesh.counts()),
                _ = done_queue.recv_many(&mut finished, TURN_EVENTS_MAX) => {
                    for done in finished.drain(..) {
                        running.finish(done);
                    }
                }
                command = commands.recv() => match command {
                    Some(command) => running.obey(command),
                    None => return,
                },
                count = net_events.recv_many(&mut heard, TURN_EVENTS_MAX) => {
                    if count == 0 { return }
                    for event in heard.drain(..) {
                        running.hear(event);
                    }
                }
                () = sleep_until(ready), if running.unanswered < UNANSWERED_MAX => {
                    running.serve();
                    // The sockets are looked at between two turns: those who have long been waiting
                    // may be on the same thread.
                    tokio::task::yield_now().await;
                }
                () = sleep_until(tick) => running.feed(Input::Tick),
                Some(part) = range_part_queue.recv() => running.finish(part),
                () = cancel.cancelled() => return,
            }
            // One in each round, however much else there is.
            if let Ok(part) = range_part_queue.try_recv() {
                running.finish(part);
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Running {
    /// Lets the mesh decide on one input and carries out what it says. What carrying out brings
    /// up at once (a refusal, a greeting) waits its turn in `inputs`.
    fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        if std::mem::replace(&mut self.deciding, true) {
            return;
        }
        while let Some(input) = self.inputs.pop_front() {
            let mut out = std::mem::take(&mut self.out);
            self.hub.mesh.handle(clock::wall_ms(), input, &mut out);
            for output in out.drain(..) {
                self.carry_out(output);
            }
            self.out = out;
        }
        self.deciding = false;
    }

    fn hear(&mut self, event: NetEvent) {
        match event {
            NetEvent::Opened {
                peer,
                direction,
                label,
                origin,
            } => {
                if let Some(origin) = origin {
                    self.origins.insert(peer, origin);
                }
                self.lines.opened(peer, origin);
                self.feed(Input::Opened { peer, direction });
                // The dialling side greets first: a client that dialled us may be a browser.
                if direction == Direction::Dialled {
                    self.greet(peer);
                }
                let _ = self.hub.events.send(HubEvent::Opened {
                    peer,
                    direction,
                    label: label.into(),
                });
            }
            // What came before has its turn first.
            NetEvent::Frame { peer, messages } if self.lines.is_open(peer) => {
                self.lines.frame(peer, messages.into_iter());
            }
            NetEvent::Closed { peer, .. } if self.lines.is_open(peer) => self.lines.closed(peer),
            NetEvent::Relieved { peer } => self.lines.relieved(peer),
            // The rest of a connection that was cut off.
            NetEvent::Frame { .. } | NetEvent::Closed { .. } => {}
        }
    }

    /// Serves the line whose turn it is.
    fn serve(&mut self) {
        let Some(mut turn) = self.lines.begin_turn(Instant::now()) else {
            return;
        };
        while let Some(next) = self.lines.next(&mut turn) {
            match next {
                Next::Message(peer, Ok(message)) => self.feed(Input::Heard { peer, message }),
                Next::Message(peer, Err(refused)) => {
                    self.rejected(peer, &refused.reject);
                    self.feed(Input::Refused { peer, refused });
                }
                Next::Held(peer, wish) => self.load(peer, wish),
                Next::Forgotten(Wish { ticket, .. }) => {
                    let parts = Loaded::Missing;
                    self.feed(Input::Loaded { ticket, parts });
                }
                Next::Closed(peer) => self.ended(peer),
            }
        }
        self.lines.end_turn(&turn, Instant::now());
    }

    /// Ends a connection that does not read what it asked for; what waits of it would be for nobody.
    fn cut_off(&mut self, peer: PeerId) {
        if self.lines.is_open(peer) {
            self.lines.cut_off(peer);
            self.ended(peer);
        }
    }

    fn ended(&mut self, peer: PeerId) {
        self.origins.remove(&peer);
        self.greeted.remove(&peer);
        self.greeted_by.remove(&peer);
        self.feed(Input::Closed { peer });
        let _ = self.hub.events.send(HubEvent::Closed { peer });
    }

    /// Counts what is refused, and has its sender rest.
    fn rejected(&mut self, peer: PeerId, reject: &Reject) {
        self.hub.metrics.reject(reject.name());
        self.lines.refused(peer, Instant::now());
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Ask { peer, get, reply } => {
                let token = self.token();
                self.asked.insert(token, Asked { reply, part: None });
                self.feed(Input::Ask { token, peer, get });
            }
            Command::Tell { peer, graph, reply } => {
                let token = self.token();
                self.told.insert(token, reply);
                self.feed(Input::Tell { token, peer, graph });
            }
            Command::Changed { graph } => {
                self.notice(&graph, None);
                self.feed(Input::Changed {
                    graph,
                    origin: None,
                });
            }
            // Who asked may have gone.
            Command::Afford {
                origin,
                costs,
                reply,
            } => drop(reply.send(self.can_afford(origin, costs))),
            Command::Spend {
                origin,
                cost,
                amount,
            } => self.spend_of(origin, cost, amount),
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Checked { put, took, result } => {
                self.checks.done();
                self.lines.end(put.peer, put.signatures);
                match result {
                    Ok(()) => self.submit(put),
                    Err(reject) => {
                        if reject != Reject::StoreFailed {
                            self.lines.failed_check(put.peer, took, Instant::now());
                        }
                        self.refuse(put.ticket, put.peer, reject);
                    }
                }
                self.check_next();
            }
            Done::Stored {
                ticket,
                peer,
                origin,
                kept,
                result,
            } => {
                self.end(peer);
                let (committed, rejected) = match result {
                    Ok(committed) => {
                        self.count(peer, &committed);
                        let rejected = match () {
                            () if committed.over_quota > 0 => Some(Reject::Quota),
                            () if committed.too_far > 0 => Some(Reject::FutureState),
                            () => None,
                        };
                        (committed, rejected)
                    }
                    Err(WriteError::Busy) => (Committed::default(), Some(Reject::Busy)),
                    Err(error) => {
                        tracing::error!(%error, "failed to store a put");
                        (Committed::default(), Some(Reject::StoreFailed))
                    }
                };
                if committed.deferred > 0 {
                    self.hub.deferred.notify_one();
                }
                match &rejected {
                    // Of these the sender is not to blame.
                    Some(reject @ (Reject::Busy | Reject::StoreFailed)) => {
                        self.hub.metrics.reject(reject.name());
                    }
                    Some(reject) => self.rejected(peer, reject),
                    None => {}
                }
                self.feed(Input::Stored {
                    ticket,
                    outcome: StoreOutcome { rejected, kept },
                });
                if !committed.changed.is_empty() {
                    self.notice(&committed.changed, Some(peer));
                    self.feed(Input::Changed {
                        graph: committed.changed,
                        origin: origin.map(|id| (peer, id)),
                    });
                }
                self.written(peer, ticket);
            }
            Done::Loaded {
                ticket,
                peer,
                given,
                is_scan,
            } => {
                self.spend(peer, Cost::Scanned, given.scanned as u64);
                // Unless the rest of a range is still on its way.
                let is_last = !matches!(given.part, Loaded::Part { more: true, .. });
                if is_last || !is_scan {
                    self.end(peer);
                }
                if is_last && is_scan {
                    self.scans.done();
                    self.scan_next();
                }
                self.given(ticket, peer, given);
            }
        }
    }

    /// Tells discovery what a durable change says about records.
    fn notice(&self, graph: &Graph, peer: Option<PeerId>) {
        for node in graph {
            for entry in &node.entries {
                let Some(notice) =
                    self.hub
                        .registry
                        .notice(node.soul.as_str(), entry.key.as_str(), &entry.value)
                else {
                    continue;
                };
                if notice.is_wanted(&self.hub.types) {
                    // Full: the wanted table has it, and the next look at the table finds it.
                    let at_ms = entry.state.as_f64().max(0.0) as u64;
                    let noticed = Noticed {
                        notice,
                        peer,
                        at_ms,
                    };
                    let _ = self.hub.notices.try_send(noticed);
                }
            }
        }
    }

    /// A put or get of a peer is handed on.
    fn begin(&mut self, peer: PeerId) {
        self.unanswered += 1;
        self.lines.begin(peer, 1);
    }

    /// It is answered.
    fn end(&mut self, peer: PeerId) {
        self.unanswered -= 1;
        self.lines.end(peer, 1);
    }

    fn refuse(&mut self, ticket: Ticket, peer: PeerId, reject: Reject) {
        self.end(peer);
        self.rejected(peer, &reject);
        self.feed(Input::Stored {
            ticket,
            outcome: StoreOutcome {
                rejected: Some(reject),
                kept: None,
            },
        });
        self.written(peer, ticket);
    }

    /// A put was stored or refused: what its sender asked for behind it has its turn.
    fn written(&mut self, peer: PeerId, ticket: Ticket) {
        for wish in self.writes.end(peer, ticket) {
            self.end(peer);
            self.wish(peer, wish);
        }
    }
}
