//! Recorded traffic: reading it, and replaying the client's side of it against our relay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use gun::mesh::{Direction, Input, MeshConfig, PeerId};
use gun::wire::{Body, Limits, Message, graph_hash, parse_frame};
use serde_json::Value as Json;

use crate::facts;
use crate::relay::Relay;

/// A moment after every state in the recordings that was meant to be present.
const START_MS: u64 = 1_795_400_000_000;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/gun")
}

/// One line of a recording.
pub(crate) struct Line {
    pub(crate) at_ms: u64,
    pub(crate) conn: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    ToRelay(String),
    ToClient(String),
    Binary,
    Closed,
    Restart,
    Other,
}

pub(crate) fn read(name: &str) -> Vec<Line> {
    let path = folder().join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().skip(1).map(line).collect()
}

fn line(text: &str) -> Line {
    let json: Json = serde_json::from_str(text).expect("each line of a recording is JSON");
    let field = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    let frame = field("frame");
    let kind = match (field("dir").as_str(), field("event").as_str()) {
        _ if json["truncated"] == true => panic!("a frame of this recording is cut: {text:.80}"),
        _ if json["binary"] == true => Kind::Binary,
        ("client->relay", "") => Kind::ToRelay(frame),
        ("relay->client", "") => Kind::ToClient(frame),
        ("event", "close" | "client closed") => Kind::Closed,
        _ if field("note").starts_with("relay stopped and started again") => Kind::Restart,
        _ => Kind::Other,
    };
    Line {
        at_ms: json["t"].as_u64().unwrap_or_default(),
        conn: field("conn"),
        kind,
    }
}

/// A replay, and what is expected to differ.
pub(crate) struct Replay {
    name: &'static str,
    start_ms: u64,
    /// Recorded, but not done by us: why, and which facts.
    missing: Vec<(Rule, &'static str, String)>,
    /// Done by us, though not recorded.
    extra: Vec<(Rule, &'static str, String)>,
    /// Kinds of facts that our relay never produces.
    never: Vec<(Rule, &'static str)>,
}

/// The rows of the table of deviations in `docs/wire.md`, by their first column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    AckAll,
    AnswerAll,
    Budget,
    Certificates,
    Dial,
    Durable,
    Echo,
    FanOut,
    Flood,
    Future,
    Ids,
    Json,
    News,
    Refuse,
    Repeat,
    Ranges,
}

impl Rule {
    pub(crate) const ALL: [Self; 16] = [
        Self::AckAll,
        Self::AnswerAll,
        Self::Budget,
        Self::Certificates,
        Self::Dial,
        Self::Durable,
        Self::Echo,
        Self::FanOut,
        Self::Flood,
        Self::Future,
        Self::Ids,
        Self::Json,
        Self::News,
        Self::Refuse,
        Self::Repeat,
        Self::Ranges,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::AckAll => "ack-all",
            Self::AnswerAll => "answer-all",
            Self::Budget => "budget",
            Self::Certificates => "certificates",
            Self::Dial => "no-dial",
            Self::Durable => "durable",
            Self::Echo => "no-echo",
            Self::FanOut => "no-fan-out",
            Self::Flood => "no-flood",
            Self::Future => "future",
            Self::Ids => "ids",
            Self::Json => "strict-json",
            Self::News => "answers-are-news",
            Self::Refuse => "refuse-whole",
            Self::Repeat => "repeat",
            Self::Ranges => "ranges",
        }
    }
}

impl Replay {
    pub(crate) fn of(name: &'static str) -> Self {
        let (missing, extra, never) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            name,
            start_ms: START_MS,
            missing,
            extra,
            never,
        }
    }

    pub(crate) fn starting_at(mut self, start_ms: u64) -> Self {
        self.start_ms = start_ms;
        self
    }

    pub(crate) fn without(mut self, rule: Rule, conn: &'static str, facts: &[&str]) -> Self {
        self.missing
            .extend(facts.iter().map(|fact| (rule, conn, (*fact).to_owned())));
        self
    }

    pub(crate) fn with(mut self, rule: Rule, conn: &'static str, facts: &[&str]) -> Self {
        self.extra
            .extend(facts.iter().map(|fact| (rule, conn, (*fact).to_owned())));
        self
    }

    pub(crate) fn never(mut self, rule: Rule, start_of_fact: &'static str) -> Self {
        self.never.push((rule, start_of_fact));
        self
    }

    /// Feeds the client's frames to our relay, and compares what it says with the recording.
    pub(crate) fn check(self) {
        let lines = read(self.name);
        let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut ours: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut relay = Relay::new(self.start_ms);
        let mut peers: BTreeMap<String, u64> = BTreeMap::new();
        let mut heard: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        let mut peer_next = 0;
        for line in lines {
            relay.advance(self.start_ms + line.at_ms);
            let known = !line.conn.is_empty() && !matches!(line.kind, Kind::Closed);
            if known && !peers.contains_key(&line.conn) {
                peer_next += 1;
                peers.insert(line.conn.clone(), peer_next);
                relay.open(peer_next, Direction::Accepted);
            }
            match line.kind {
                Kind::ToRelay(frame) => {
                    settle(&mut relay, &peers, &mut heard, &mut ours, &mut recorded);
                    relay.hear(peers[&line.conn], &frame);
                }
                Kind::ToClient(frame) => heard.entry(line.conn).or_default().extend(parse(&frame)),
                Kind::Closed => {
                    settle(&mut relay, &peers, &mut heard, &mut ours, &mut recorded);
                    if let Some(peer) = peers.remove(&line.conn) {
                        relay.input(Input::Closed { peer: PeerId(peer) });
                    }
                }
                Kind::Restart => {
                    settle(&mut relay, &peers, &mut heard, &mut ours, &mut recorded);
                    peers.clear();
                    let config = MeshConfig::new("relay1pid");
                    relay = Relay::with(config, relay.store, relay.now_ms);
                }
                Kind::Binary | Kind::Other => {}
            }
        }
        settle(&mut relay, &peers, &mut heard, &mut ours, &mut recorded);
        self.compare(recorded, ours);
    }

    fn compare(
        self,
        mut recorded: BTreeMap<String, Vec<String>>,
        ours: BTreeMap<String, Vec<String>>,
    ) {
        for (rule, start) in &self.never {
            let before: usize = recorded.values().map(Vec::len).sum();
            for facts in recorded.values_mut() {
                facts.retain(|fact| !fact.starts_with(start));
            }
            let after: usize = recorded.values().map(Vec::len).sum();
            assert!(
                after < before,
                "{}: nothing starts with {start:?} ({rule:?})",
                self.name
            );
        }
        for (rule, conn, fact) in self.missing {
            let facts = recorded.entry(conn.to_owned()).or_default();
            let at = facts.iter().position(|recorded| *recorded == fact);
            let at = at.unwrap_or_else(|| panic!("{}: not recorded ({rule:?}): {fact}", self.name));
            facts.remove(at);
        }
        for (_, conn, fact) in self.extra {
            recorded.entry(conn.to_owned()).or_default().push(fact);
        }
        let mut differences = String::new();
        let conns: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
        for conn in conns {
            let none = Vec::new();
            let (expected, got) = (recorded.get(conn), ours.get(conn));
            let (expected, got) = (expected.unwrap_or(&none), got.unwrap_or(&none));
            for fact in beyond(expected, got) {
                differences += &format!("{conn}: we lack     {fact}\n");
            }
            for fact in beyond(got, expected) {
                differences += &format!("{conn}: we say more {fact}\n");
            }
        }
        assert!(differences.is_empty(), "{}:\n{differences}", self.name);
    }
}

/// The facts of `left` that `right` does not have, or not so often.
fn beyond<'f>(left: &'f [String], right: &[String]) -> Vec<&'f String> {
    let mut rest = right.to_vec();
    left.iter()
        .filter(|fact| match rest.iter().position(|other| other == *fact) {
            Some(at) => {
                rest.swap_remove(at);
                false
            }
            None => true,
        })
        .collect()
}

/// Ends a stretch between two frames of clients: turns what was said in it into facts.
fn settle(
    relay: &mut Relay,
    peers: &BTreeMap<String, u64>,
    heard: &mut BTreeMap<String, Vec<Message>>,
    ours: &mut BTreeMap<String, Vec<String>>,
    recorded: &mut BTreeMap<String, Vec<String>>,
) {
    for (conn, peer) in peers {
        let facts = facts::of(&relay.taken(*peer));
        ours.entry(conn.clone()).or_default().extend(facts);
    }
    for (conn, messages) in std::mem::take(heard) {
        recorded
            .entry(conn)
            .or_default()
            .extend(facts::of(&messages));
    }
}

/// The messages of a frame recorded from gun.js; checks its hashes on the way.
fn parse(frame: &str) -> Vec<Message> {
    if frame == "[]" {
        return vec![Message::keepalive()];
    }
    let messages: Vec<Message> = parse_frame(frame, &Limits::DIALLED)
        .into_iter()
        .filter_map(|parsed| match parsed {
            Ok(message) => Some(message),
            // Flooded to all by gun.js, noise to us.
            Err(refused) if refused.reject == gun::wire::Reject::Empty => None,
            Err(refused) => panic!("{refused:?} in {frame}"),
        })
        .collect();
    for message in &messages {
        if let (Body::Put(put), Some(hash)) = (&message.body, message.hash) {
            assert_eq!(graph_hash(&put.graph), hash, "{frame}");
        }
    }
    messages
}
