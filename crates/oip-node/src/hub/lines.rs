//! Whose message is next: one line for each address (for peers that this node dialled, each), served
//! in turns, so that whoever sends much waits behind himself and not in front of others.
//!
//! Owns the turns, what a line may take while others are served too, and the rest that a line has to
//! take after refusals, by what they cost. What a reader who has much to read asks for is held back (`held`). Holds no more
//! than the sockets let in; refuses nothing.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use gun::mesh::PeerId;
use gun::wire::{Message, Refused};
use gun_net::IntoMessages;
use tokio::time::Instant;

use super::held::{Held, TooMuch, Wish};

/// Messages of one turn, and the time after which it ends: long enough to spread the cost of taking
/// turns, short enough that nobody notices the turns of others.
const TURN_MESSAGES_MAX: usize = 64;
const TURN_MAX: Duration = Duration::from_micros(500);

/// Puts, gets and signatures to check of one line that may be under way while other lines are served too. What
/// is under way is what the next one of another line has to wait for in the store: some milliseconds.
const UNDER_WAY_SHARED_MAX: usize = 32;

/// The same while nobody else wants anything: as many as fill a few commits.
const UNDER_WAY_ALONE_MAX: usize = 8_192;

/// How long a line rests for a message of it that was refused. Refusing costs some 20 us; whoever sends
/// nothing else keeps a fiftieth of one core busy, and his own socket waiting.
const REFUSAL_REST: Duration = Duration::from_millis(1);

/// For how many times as long as it took to check what was refused in the end its line rests besides: strangers
/// get a twentieth of one core for it.
const FAILED_CHECK_RESTS: u32 = 20;

/// The longest rest: what many refused at once, when the line was alone, make the next one wait.
const REST_MAX: Duration = Duration::from_millis(250);

/// A line was served this recently: others share with it.
const SHARING: Duration = Duration::from_secs(1);

/// Whom a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Address(IpAddr),
    Peer(PeerId),
}

/// What waits in a line, in the order in which it came.
enum Waiting {
    Frame(PeerId, IntoMessages),
    /// What was held back of this connection can be done now.
    Held(PeerId),
    Closed(PeerId),
}

impl Waiting {
    fn peer(&self) -> PeerId {
        match self {
            Self::Frame(peer, _) | Self::Held(peer) | Self::Closed(peer) => *peer,
        }
    }
}

/// What is next.
pub(super) enum Next {
    /// A message, or what the parser made of one that is none.
    Message(PeerId, Result<Message, Refused>),
    /// What a connection asked for, and was held back.
    Held(PeerId, Wish),
    /// What a connection asked for that has ended meanwhile.
    Forgotten(Wish),
    /// A connection has ended, and all that came on it was served.
    Closed(PeerId),
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    under_way: usize,
    /// In the ring of those whose turn comes.
    queued: bool,
    /// Not to be served before.
    resumes: Option<Instant>,
}

impl Line {
    /// Rests so much longer.
    fn rest(&mut self, time: Duration, now: Instant) {
        let from = self.resumes.map_or(now, |at| at.max(now));
        self.resumes = Some((from + time).min(now + REST_MAX));
    }
}

/// A connection, for as long as it is open or something of it is under way.
struct Known {
    owner: Owner,
    under_way: usize,
    closed: bool,
}

/// All lines.
#[derive(Default)]
pub(super) struct Lines {
    peers: HashMap<PeerId, Known>,
    lines: HashMap<Owner, Line>,
    ring: VecDeque<Owner>,
    /// The lines served last and before it, and when.
    served: [Option<(Owner, Instant)>; 2],
    held: Held,
}

/// A turn under way.
pub(super) struct Turn {
    owner: Owner,
    began: Instant,
    taken: usize,
}

impl Lines {
    /// A connection is open; `origin` is its address, if the other side opened it.
    pub(super) fn opened(&mut self, peer: PeerId, origin: Option<IpAddr>) {
        let owner = origin.map_or(Owner::Peer(peer), Owner::Address);
        let known = Known {
            owner,
            under_way: 0,
            closed: false,
        };
        self.peers.insert(peer, known);
    }

    pub(super) fn frame(&mut self, peer: PeerId, messages: IntoMessages) {
        self.add(peer, Waiting::Frame(peer, messages));
    }

    pub(super) fn closed(&mut self, peer: PeerId) {
        self.add(peer, Waiting::Closed(peer));
    }

    /// Whether the connection is open, as far as it has been served.
    pub(super) fn is_open(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(|known| !known.closed)
    }

    /// Ends a connection before what came on it is served.
    pub(super) fn cut_off(&mut self, peer: PeerId) {
        let owner = self.owner(peer);
        if let Some(line) = self.lines.get_mut(&owner) {
            line.waiting.retain(|what| what.peer() != peer);
        }
        self.end_connection(peer);
    }

    /// Gives a wish back if it can be fulfilled now; holds it if its connection has much to read before.
    pub(super) fn hold(&mut self, peer: PeerId, wish: Wish) -> Result<Option<Wish>, TooMuch> {
        self.held.hold(peer, wish)
    }

    /// The connection has much to read: nothing more is made for it.
    pub(super) fn crowded(&mut self, peer: PeerId) {
        if self.is_open(peer) {
            self.held.crowded(peer);
        }
    }

    /// It has read it: what was held back has its turn.
    pub(super) fn relieved(&mut self, peer: PeerId) {
        if self.held.relieved(peer) {
            self.add(peer, Waiting::Held(peer));
        }
    }

    /// A message of this peer was refused: its line rests.
    pub(super) fn refused(&mut self, peer: PeerId, now: Instant) {
        self.rest(peer, REFUSAL_REST, now);
    }

    /// Signatures of this peer were checked for so long, and were not what they claimed to be: its line rests.
    pub(super) fn failed_check(&mut self, peer: PeerId, took: Duration, now: Instant) {
        self.rest(peer, took.saturating_mul(FAILED_CHECK_RESTS), now);
    }

    /// Peers that this node dialled don't rest: the operator named them, and they pass on what others have said.
    fn rest(&mut self, peer: PeerId, time: Duration, now: Instant) {
        let owner = self.owner(peer);
        if let Owner::Address(_) = owner {
            self.lines.entry(owner).or_default().rest(time, now);
            self.queue(owner);
        }
    }

    fn add(&mut self, peer: PeerId, what: Waiting) {
        let owner = self.owner(peer);
        self.lines.entry(owner).or_default().waiting.push_back(what);
        self.queue(owner);
    }

    fn owner(&self, peer: PeerId) -> Owner {
        let known = self.peers.get(&peer);
        known.map_or(Owner::Peer(peer), |known| known.owner)
    }

    /// Puts a line into the ring if it has something and may be served.
    fn queue(&mut self, owner: Owner) {
        let max = self.under_way_max(owner);
        let Some(line) = self.lines.get_mut(&owner) else {
            return;
        };
        // A rest that nothing waits for is taken in the ring too, so that it is not forgotten.
        if line.waiting.is_empty() && line.resumes.is_none() {
            if line.under_way == 0 && !line.queued {
                self.lines.remove(&owner);
            }
        } else if !line.queued && line.under_way < max {
            line.queued = true;
            self.ring.push_back(owner);
        }
    }

    /// Whether another line than this one was served just now.
    fn is_shared(&self, owner: Owner) -> bool {
        let other = |served: &&(Owner, Instant)| served.0 != owner;
        self.served
            .iter()
            .flatten()
            .find(other)
            .is_some_and(|(_, at)| at.elapsed() < SHARING)
    }

    fn under_way_max(&self, owner: Owner) -> usize {
        if self.is_shared(owner) {
            UNDER_WAY_SHARED_MAX
        } else {
            UNDER_WAY_ALONE_MAX
        }
    }

    /// When the next turn can begin: now, later, or `None` while nothing waits that may be served.
    pub(super) fn ready_at(&self, now: Instant) -> Option<Instant> {
        let resumes = |owner: &Owner| self.lines.get(owner).and_then(|line| line.resumes);
        self.ring
            .iter()
            .map(|owner| resumes(owner).unwrap_or(now))
            .min()
    }

    /// Begins the turn of the next line that may be served.
    pub(super) fn begin_turn(&mut self, now: Instant) -> Option<Turn> {
        for _ in 0..self.ring.len() {
            let owner = self.ring.pop_front()?;
            let line = self.lines.get_mut(&owner)?;
            if line.resumes.is_some_and(|at| at > now) {
                self.ring.push_back(owner);
                continue;
            }
            line.resumes = None;
            line.queued = false;
            return Some(Turn {
                owner,
                began: now,
                taken: 0,
            });
        }
        None
    }

    /// The next message of a turn; `None` ends it.
    pub(super) fn next(&mut self, turn: &mut Turn) -> Option<Next> {
        if turn.taken >= TURN_MESSAGES_MAX || turn.began.elapsed() >= TURN_MAX {
            return None;
        }
        let max = self.under_way_max(turn.owner);
        let line = self.lines.get_mut(&turn.owner)?;
        if line.under_way >= max {
            return None;
        }
        loop {
            match line.waiting.front_mut()? {
                Waiting::Held(peer) => {
                    let peer = *peer;
                    if let Some(wish) = self.held.next(peer) {
                        turn.taken += 1;
                        return Some(match self.is_open(peer) {
                            true => Next::Held(peer, wish),
                            false => Next::Forgotten(wish),
                        });
                    }
                    line.waiting.pop_front();
                    self.forget(peer);
                    return self.next(turn);
                }
                Waiting::Frame(peer, messages) => {
                    let peer = *peer;
                    if let Some(message) = messages.next() {
                        turn.taken += 1;
                        return Some(Next::Message(peer, message));
                    }
                    line.waiting.pop_front();
                }
                Waiting::Closed(peer) => {
                    let peer = *peer;
                    line.waiting.pop_front();
                    self.end_connection(peer);
                    return Some(Next::Closed(peer));
                }
            }
        }
    }

    /// Ends a turn. A line that has more, while others are served too, rests for as long as it was
    /// served: the processor is not all its own.
    pub(super) fn end_turn(&mut self, turn: &Turn, now: Instant) {
        let shared = self.is_shared(turn.owner);
        if let Some(line) = self.lines.get_mut(&turn.owner)
            && shared
            && !line.waiting.is_empty()
        {
            line.rest(now - turn.began, now);
        }
        match &mut self.served {
            // Nothing but a rest was over.
            _ if turn.taken == 0 => {}
            [Some((last, at)), _] if *last == turn.owner => *at = now,
            served => {
                served.swap(0, 1);
                served[0] = Some((turn.owner, now));
            }
        }
        self.queue(turn.owner);
    }

    /// So many puts, gets or signatures of this peer were handed on.
    pub(super) fn begin(&mut self, peer: PeerId, count: usize) {
        let owner = self.owner(peer);
        self.lines.entry(owner).or_default().under_way += count;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.under_way += count;
        }
    }

    /// They were answered, or checked.
    pub(super) fn end(&mut self, peer: PeerId, count: usize) {
        let owner = self.owner(peer);
        if let Some(line) = self.lines.get_mut(&owner) {
            line.under_way = line.under_way.saturating_sub(count);
        }
        self.queue(owner);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.under_way = known.under_way.saturating_sub(count);
        }
        self.forget(peer);
    }

    /// What was held back is forgotten in turns too: thirty thousand wishes at once would be a long turn.
    fn end_connection(&mut self, peer: PeerId) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.closed = true;
        }
        self.relieved(peer);
        self.forget(peer);
    }

    fn forget(&mut self, peer: PeerId) {
        let holds = self.held.holds(peer);
        let is_over = |known: &Known| known.closed && known.under_way == 0 && !holds;
        if self.peers.get(&peer).is_some_and(is_over) {
            self.peers.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use gun::wire::{Limits, parse_frame};

    use super::*;

    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn frame(messages: usize) -> IntoMessages {
        let text = format!("[{}]", vec!["{\"dam\":\"hi\"}"; messages].join(","));
        gun_net::Messages::of(parse_frame(&text, &Limits::ACCEPTED)).into_iter()
    }

    /// Serves one turn; says whose it was and how many messages it had.
    fn turn(lines: &mut Lines, now: Instant) -> Option<(PeerId, usize)> {
        let mut turn = lines.begin_turn(now)?;
        // However slow the machine is, the turn does not end by it.
        turn.began = now + Duration::from_secs(3_600);
        let (mut whose, mut count) = (None, 0);
        while let Some(Next::Message(peer, _)) = lines.next(&mut turn) {
            whose = Some(peer);
            count += 1;
        }
        lines.end_turn(&turn, now);
        whose.map(|peer| (peer, count))
    }

    #[test]
    fn what_was_held_of_a_connection_that_ended_is_forgotten_in_turns() {
        let mut lines = Lines::default();
        lines.opened(PeerId(1), Some(FAR));
        lines.crowded(PeerId(1));
        let wish = |number| Wish {
            ticket: gun::mesh::Ticket(number),
            load: crate::loader::Load::Get(gun::wire::Get::node(gun::Soul::new("s").unwrap())),
        };
        let held = 2 * TURN_MESSAGES_MAX as u64 + 1;
        for number in 0..held {
            assert!(matches!(lines.hold(PeerId(1), wish(number)), Ok(None)));
        }
        lines.cut_off(PeerId(1));
        let now = Instant::now();
        let mut turns = Vec::new();
        while let Some(mut turn) = lines.begin_turn(now) {
            // Time stands still in this test.
            turn.began = Instant::now();
            let mut forgotten = 0;
            while let Some(next) = lines.next(&mut turn) {
                assert!(matches!(next, Next::Forgotten(_)));
                forgotten += 1;
                turn.began = Instant::now();
            }
            turns.push(forgotten);
            lines.end_turn(&turn, now);
        }
        assert_eq!(turns, [TURN_MESSAGES_MAX, TURN_MESSAGES_MAX, 1]);
        assert!(lines.peers.is_empty() && lines.lines.is_empty());
    }

    #[test]
    fn a_short_line_waits_for_one_turn_of_a_long_one() {
        let mut lines = Lines::default();
        let (many, few) = (PeerId(1), PeerId(2));
        lines.opened(many, Some(FAR));
        lines.opened(few, Some(NEAR));
        lines.frame(many, frame(1_000));
        lines.frame(few, frame(1));
        let now = Instant::now();
        assert_eq!(turn(&mut lines, now), Some((many, TURN_MESSAGES_MAX)));
        assert_eq!(turn(&mut lines, now), Some((few, 1)));
    }

    #[test]
    fn connections_of_one_address_share_a_line() {
        let mut lines = Lines::default();
        for peer in 1..=10 {
            lines.opened(PeerId(peer), Some(FAR));
            lines.frame(PeerId(peer), frame(TURN_MESSAGES_MAX));
        }
        lines.opened(PeerId(11), Some(NEAR));
        lines.frame(PeerId(11), frame(1));
        let now = Instant::now();
        assert_eq!(turn(&mut lines, now), Some((PeerId(1), TURN_MESSAGES_MAX)));
        assert_eq!(turn(&mut lines, now), Some((PeerId(11), 1)));
    }

    #[test]
    fn a_line_with_much_under_way_waits_once_others_are_served() {
        let mut lines = Lines::default();
        let (many, few) = (PeerId(1), PeerId(2));
        lines.opened(many, Some(FAR));
        lines.opened(few, Some(NEAR));
        lines.frame(few, frame(1));
        let now = Instant::now();
        assert!(turn(&mut lines, now).is_some());
        lines.begin(many, UNDER_WAY_SHARED_MAX);
        lines.frame(many, frame(10));
        assert_eq!(lines.ready_at(now), None);
        lines.end(many, 1);
        assert!(lines.ready_at(now).is_some());
        assert_eq!(turn(&mut lines, now), Some((many, 10)));
    }

    #[test]
    fn a_line_rests_for_each_refusal_also_when_nothing_waits() {
        let mut lines = Lines::default();
        let (bad, good) = (PeerId(1), PeerId(2));
        lines.opened(bad, Some(FAR));
        lines.opened(good, Some(NEAR));
        lines.frame(bad, frame(2));
        let now = Instant::now();
        assert_eq!(turn(&mut lines, now), Some((bad, 2)));
        for _ in 0..3 {
            lines.refused(bad, now);
        }
        lines.frame(bad, frame(1));
        lines.frame(good, frame(1));
        assert_eq!(turn(&mut lines, now), Some((good, 1)));
        let rested = now + 3 * REFUSAL_REST;
        assert_eq!(lines.ready_at(now), Some(rested));
        assert_eq!(turn(&mut lines, rested), Some((bad, 1)));
        for _ in 0..1_000 {
            lines.refused(bad, rested);
        }
        assert_eq!(lines.ready_at(rested), Some(rested + REST_MAX));
        assert_eq!(turn(&mut lines, rested + REST_MAX), None);
        assert!(lines.lines.is_empty() && lines.ring.is_empty());
    }

    #[test]
    fn a_line_rests_for_what_checking_cost_that_was_refused() {
        let mut lines = Lines::default();
        lines.opened(PeerId(1), Some(FAR));
        lines.frame(PeerId(1), frame(1));
        let now = Instant::now();
        lines.failed_check(PeerId(1), Duration::from_millis(2), now);
        assert_eq!(lines.ready_at(now), Some(now + Duration::from_millis(40)));
        lines.failed_check(PeerId(1), Duration::from_secs(3_600), now);
        assert_eq!(lines.ready_at(now), Some(now + REST_MAX));
    }

    #[test]
    fn a_peer_that_the_operator_named_does_not_rest() {
        let mut lines = Lines::default();
        lines.opened(PeerId(1), None);
        lines.frame(PeerId(1), frame(1));
        let now = Instant::now();
        lines.refused(PeerId(1), now);
        lines.failed_check(PeerId(1), Duration::from_secs(1), now);
        assert_eq!(turn(&mut lines, now), Some((PeerId(1), 1)));
    }

    #[test]
    fn what_is_held_has_its_turn_once_its_reader_has_read() {
        let mut lines = Lines::default();
        let peer = PeerId(1);
        lines.opened(peer, Some(FAR));
        lines.crowded(peer);
        let get = gun::wire::Get::node(gun::Soul::new("s").unwrap());
        let wish = Wish {
            ticket: gun::mesh::Ticket(7),
            load: crate::loader::Load::Get(get),
        };
        assert!(matches!(lines.hold(peer, wish), Ok(None)));
        let now = Instant::now();
        assert_eq!(lines.ready_at(now), None);
        lines.relieved(peer);
        let mut turn = lines.begin_turn(now).unwrap();
        let held = lines.next(&mut turn);
        assert!(matches!(held, Some(Next::Held(_, wish)) if wish.ticket.0 == 7));
        assert!(lines.next(&mut turn).is_none());
        lines.end_turn(&turn, now);
        assert!(lines.lines.is_empty());
    }

    #[test]
    fn a_connection_that_is_cut_off_leaves_others_of_its_line_alone() {
        let mut lines = Lines::default();
        let (bad, good) = (PeerId(1), PeerId(2));
        for peer in [bad, good] {
            lines.opened(peer, Some(FAR));
            lines.frame(peer, frame(1));
        }
        lines.cut_off(bad);
        assert!(!lines.is_open(bad));
        assert_eq!(turn(&mut lines, Instant::now()), Some((good, 1)));
        assert_eq!(turn(&mut lines, Instant::now()), None);
    }

    #[test]
    fn a_connection_ends_after_all_that_came_on_it_and_leaves_nothing_behind() {
        let mut lines = Lines::default();
        let peer = PeerId(1);
        lines.opened(peer, Some(FAR));
        lines.frame(peer, frame(2));
        lines.closed(peer);
        lines.begin(peer, 1);
        let mut turn = lines.begin_turn(Instant::now()).unwrap();
        let mut seen = Vec::new();
        while let Some(next) = lines.next(&mut turn) {
            seen.push(match next {
                Next::Message(..) => "message",
                Next::Held(..) | Next::Forgotten(..) => "held",
                Next::Closed(_) => "closed",
            });
        }
        assert_eq!(seen, ["message", "message", "closed"]);
        lines.end_turn(&turn, Instant::now());
        lines.end(peer, 1);
        assert!(lines.peers.is_empty() && lines.lines.is_empty() && lines.ring.is_empty());
    }
}
