//! A graph in memory that merges as a durable store must: the counterpart of the mesh in tests.

use std::collections::BTreeMap;

use gun::graph::Entry;
use gun::ham::{self, Verdict};
use gun::wire::Reject;
use gun::{Graph, Key, Node, Soul, State, Value};

/// Values further ahead than this are refused.
const FUTURE_MS_MAX: f64 = 600_000.0;

type Values = BTreeMap<Key, (State, Value)>;

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Store {
    nodes: BTreeMap<Soul, Values>,
    deferred: Vec<(Soul, Key, State, Value)>,
}

impl Store {
    /// Merges, and gives what won and why something was refused.
    pub(crate) fn merge(&mut self, graph: &Graph, now_ms: u64) -> (Graph, Option<Reject>) {
        let now = State::from_millis(now_ms);
        let mut changed = Graph::new();
        let mut rejected = None;
        for node in graph {
            for entry in &node.entries {
                if entry.state.as_f64() > now.as_f64() + FUTURE_MS_MAX {
                    rejected = Some(Reject::FutureState);
                    continue;
                }
                let known = self.value(&node.soul, &entry.key).map(|(s, v)| (*s, v));
                match ham::decide(known, entry.state, &entry.value, now) {
                    Verdict::Take => {
                        let values = self.nodes.entry(node.soul.clone()).or_default();
                        values.insert(entry.key.clone(), (entry.state, entry.value.clone()));
                        push(&mut changed, &node.soul, entry.clone());
                    }
                    Verdict::Defer => self.deferred.push((
                        node.soul.clone(),
                        entry.key.clone(),
                        entry.state,
                        entry.value.clone(),
                    )),
                    Verdict::Historical | Verdict::Same | Verdict::Lesser => {}
                }
            }
        }
        (changed, rejected)
    }

    /// Decides again on the values whose time has come.
    pub(crate) fn fall_due(&mut self, now_ms: u64) -> Graph {
        let now = State::from_millis(now_ms);
        let (due, later) = self
            .deferred
            .drain(..)
            .partition(|(_, _, state, _)| *state <= now);
        self.deferred = later;
        let due: Vec<(Soul, Key, State, Value)> = due;
        let mut changed = Graph::new();
        // One by one, since several values of one key may be due.
        for (soul, key, state, value) in due {
            let entries = vec![Entry { key, state, value }];
            for won in self.merge(&vec![Node { soul, entries }], now_ms).0 {
                for entry in won.entries {
                    push(&mut changed, &won.soul, entry);
                }
            }
        }
        changed
    }

    pub(crate) fn next_due(&self) -> Option<u64> {
        self.deferred
            .iter()
            .map(|(_, _, state, _)| state.as_f64().ceil() as u64)
            .min()
    }

    pub(crate) fn value(&self, soul: &Soul, key: &Key) -> Option<&(State, Value)> {
        self.nodes.get(soul)?.get(key)
    }

    pub(crate) fn node(&self, soul: &Soul) -> Option<Node> {
        let values = self.nodes.get(soul)?;
        let entries = values
            .iter()
            .map(|(key, (state, value))| Entry {
                key: key.clone(),
                state: *state,
                value: value.clone(),
            })
            .collect();
        Some(Node {
            soul: soul.clone(),
            entries,
        })
    }

    /// All values, in JavaScript's order of their names.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Soul, &Key, &State, &Value)> {
        let mut values: Vec<_> = self
            .nodes
            .iter()
            .flat_map(|(soul, values)| values.iter().map(move |(key, (s, v))| (soul, key, s, v)))
            .collect();
        let names = |(soul, key, ..): &(&Soul, &Key, &State, &Value)| {
            let utf16 = |text: &str| text.encode_utf16().collect::<Vec<_>>();
            (utf16(soul.as_str()), utf16(key.as_str()))
        };
        values.sort_by_cached_key(names);
        values.into_iter()
    }
}

/// Adds a value to a graph that may hold a part of its node already.
pub(crate) fn push(graph: &mut Graph, soul: &Soul, entry: Entry) {
    let at = graph
        .iter()
        .position(|node| node.soul == *soul)
        .unwrap_or_else(|| {
            graph.push(Node {
                soul: soul.clone(),
                entries: Vec::new(),
            });
            graph.len() - 1
        });
    let entries = &mut graph[at].entries;
    match entries.iter_mut().find(|known| known.key == entry.key) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}
