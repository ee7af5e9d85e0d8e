//! Random transactions with random restarts end as a plain model in memory says.

use std::collections::{BTreeMap, BTreeSet};

use gun::graph::Entry;
use gun::ham::{Verdict, decide};
use gun::{Graph, Node, State, Value};
use oip_store::{Change, Op, Store, StoreOptions, Transaction, Wanted};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{NOW, commit, key, record, soul, state};

const FUTURE_MS: f64 = 100.0;

fn options() -> StoreOptions {
    StoreOptions {
        watch: Box::new(announced),
        future_ms_max: FUTURE_MS as u64,
        // So small that rows go through table files and merges, not only the journal.
        memtable_bytes: 8 * 1_024,
        ..StoreOptions::default()
    }
}

/// A text value of the node `s0` announces the soul it names.
fn announced(change: &Change) -> Option<Wanted> {
    let text = change
        .value
        .as_text()
        .filter(|_| change.soul.as_str() == "s0")?;
    (!text.is_empty()).then(|| Wanted {
        soul: soul(text),
        record_type: None,
        at_ms: None,
    })
}

#[derive(Debug, Clone)]
enum Step {
    Commit { ops: Vec<ModelOp>, now_ms: u64 },
    Reopen,
}

#[derive(Debug, Clone)]
enum ModelOp {
    Merge(Vec<(u8, u8, f64, Value)>),
    Write(u8, u8, Value),
    Release,
    Record(u8),
    Unwant(u8),
    Retry(u8, u32),
    Cursor(u8, u8),
    /// Fails, and the transaction with it.
    Fail,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    values: BTreeMap<(String, String), (State, Value)>,
    /// By the bits of the state, which sort as these positive states do.
    deferred: BTreeMap<(u64, String, String), (State, Value)>,
    wanted: BTreeMap<String, (u64, u32)>,
    /// Souls wanted anew by the transaction itself, whose retries then do nothing.
    anew: BTreeSet<String>,
    feed: Vec<(u64, String)>,
    feed_head: u64,
    cursors: BTreeMap<String, u8>,
}

fn node_name(n: u8) -> String {
    format!("s{n}")
}

fn key_name(n: u8) -> String {
    // Long enough that a node of all keys outgrows its row in bytes before it does in keys.
    format!("k{n:02}{}", "-".repeat(100))
}

impl Model {
    fn merge(&mut self, name: &str, key_name: &str, at: State, value: &Value, now: State) {
        let id = (name.to_owned(), key_name.to_owned());
        let known = self.values.get(&id).map(|(state, value)| (*state, value));
        match decide(known, at, value, now) {
            Verdict::Take => self.take(id, at, value, now),
            Verdict::Defer => {
                let later = decide(known, at, value, at) == Verdict::Take;
                if later && at.as_f64() - now.as_f64() <= FUTURE_MS {
                    let slot = (at.as_f64().to_bits(), id.0, id.1);
                    let held = self
                        .deferred
                        .entry(slot)
                        .or_insert_with(|| (at, value.clone()));
                    if gun::ham::compare_values(value, &held.1).is_gt() {
                        held.1 = value.clone();
                    }
                }
            }
            Verdict::Historical | Verdict::Same | Verdict::Lesser => {}
        }
    }

    fn take(&mut self, id: (String, String), at: State, value: &Value, now: State) {
        let change = Change {
            soul: soul(&id.0),
            key: key(&id.1),
            state: at,
            value: value.clone(),
        };
        if let Some(wanted) = announced(&change) {
            let name = wanted.soul.as_str().to_owned();
            self.wanted.entry(name.clone()).or_default().0 = now.as_f64() as u64;
            self.anew.insert(name);
        }
        self.values.insert(id, (at, value.clone()));
    }

    fn apply(&mut self, op: &ModelOp, now_ms: u64) -> Result<(), ()> {
        let now = State::from_millis(now_ms);
        match op {
            ModelOp::Merge(values) => {
                for (n, k, at, value) in values {
                    self.merge(&node_name(*n), &key_name(*k), state(*at), value, now);
                }
            }
            ModelOp::Write(n, k, value) => {
                let id = (node_name(*n), key_name(*k));
                let next = self
                    .values
                    .get(&id)
                    .map_or(now, |(state, _)| state.successor());
                let at = if next > now { next } else { now };
                if at.as_f64() - now.as_f64() > FUTURE_MS {
                    return Err(());
                }
                self.take(id, at, value, now);
            }
            ModelOp::Release => {
                while let Some(first) = self.deferred.first_entry() {
                    if first.get().0 > now {
                        break;
                    }
                    let ((_, name, key), (at, value)) = first.remove_entry();
                    self.merge(&name, &key, at, &value, now);
                }
            }
            ModelOp::Record(n) => {
                let name = node_name(*n);
                self.feed.retain(|(_, held)| *held != name);
                self.feed_head += 1;
                self.feed.push((self.feed_head, name));
            }
            ModelOp::Unwant(n) => {
                self.wanted.remove(&node_name(*n));
            }
            ModelOp::Retry(n, attempts) => {
                let name = node_name(*n);
                if let Some(row) = self
                    .wanted
                    .get_mut(&name)
                    .filter(|_| !self.anew.contains(&name))
                {
                    *row = (now_ms + 7, *attempts);
                }
            }
            ModelOp::Cursor(n, value) => {
                self.cursors.insert(node_name(*n), *value);
            }
            ModelOp::Fail => return Err(()),
        }
        Ok(())
    }
}

/// The operation as a worker sends it that read the store before the transaction.
fn store_op(store: &Store, op: &ModelOp, now_ms: u64) -> Op {
    match op {
        ModelOp::Merge(values) => Op::Merge {
            graph: to_graph(values),
        },
        ModelOp::Write(n, k, value) => Op::Write {
            soul: soul(&node_name(*n)),
            entries: vec![(key(&key_name(*k)), value.clone())],
        },
        ModelOp::Release => Op::ReleaseDeferred,
        ModelOp::Record(n) => Op::PutRecord(record(&node_name(*n), "{}")),
        ModelOp::Unwant(n) => Op::WantedRemove(soul(&node_name(*n))),
        ModelOp::Retry(n, attempts) => Op::WantedRetry {
            soul: soul(&node_name(*n)),
            generation: store
                .wanted(&soul(&node_name(*n)))
                .unwrap()
                .map_or(0, |row| row.generation),
            attempts: *attempts,
            due_ms: now_ms + 7,
            reason: String::new(),
        },
        ModelOp::Cursor(n, value) => Op::SetCursor {
            name: node_name(*n),
            value: vec![*value],
        },
        ModelOp::Fail => Op::SetCursor {
            name: String::new(),
            value: Vec::new(),
        },
    }
}

fn to_graph(values: &[(u8, u8, f64, Value)]) -> Graph {
    let mut graph: Graph = Vec::new();
    for (n, k, at, value) in values {
        let entry = Entry {
            key: key(&key_name(*k)),
            state: state(*at),
            value: value.clone(),
        };
        graph.push(Node {
            soul: soul(&node_name(*n)),
            entries: vec![entry],
        });
    }
    graph
}

/// Everything a store holds, read through its public face.
fn read(store: &Store) -> Model {
    let mut model = Model {
        feed_head: store.feed_head(),
        ..Model::default()
    };
    for name in store.souls("", None, 1_000).unwrap() {
        let mut after = None;
        loop {
            let page = store.keys(&name, after.as_ref(), 3).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for entry in page {
                assert_eq!(
                    store.value(&name, &entry.key).unwrap(),
                    Some((entry.state, entry.value.clone()))
                );
                let id = (name.as_str().to_owned(), entry.key.as_str().to_owned());
                model.values.insert(id, (entry.state, entry.value));
            }
        }
    }
    for row in store.wanted_due(u64::MAX, 1_000).unwrap() {
        model
            .wanted
            .insert(row.soul.as_str().to_owned(), (row.due_ms, row.attempts));
    }
    for (seq, name) in store.feed(0, 1_000).unwrap() {
        assert_eq!(store.record(&name).unwrap().unwrap().seq, seq);
        model.feed.push((seq, name.as_str().to_owned()));
    }
    for n in 0..8 {
        if let Some(value) = store.cursor(&node_name(n)).unwrap() {
            model.cursors.insert(node_name(n), value[0]);
        }
    }
    model
}

fn check(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    // The deferred table shows only by its size and its first time, until it is released.
    let expected = Model {
        deferred: BTreeMap::new(),
        ..model.clone()
    };
    prop_assert_eq!(read(store), expected);
    let first = model
        .deferred
        .values()
        .next()
        .map(|(at, _)| at.as_f64().ceil() as u64);
    prop_assert_eq!(store.next_deferred().unwrap(), first);
    let stats = store.stats();
    let nodes: BTreeSet<_> = model.values.keys().map(|(name, _)| name).collect();
    prop_assert_eq!(stats.deferred as usize, model.deferred.len());
    prop_assert_eq!(stats.nodes as usize, nodes.len());
    prop_assert_eq!(stats.wanted as usize, model.wanted.len());
    prop_assert_eq!(stats.records as usize, model.feed.len());
    Ok(())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "(s[0-7])?".prop_map(Value::text),
        1 => "[a-z😀\\PC]{0,200}".prop_map(Value::text),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => (-3.0..3.0).prop_map(Value::Number),
        1 => Just(Value::Null),
        1 => Just(Value::Link(soul("s1"))),
    ]
    // A text in the watched node must be a soul's name: keep it free of what none may hold.
    .prop_map(|value| match value {
        Value::Text(text) if gun::Soul::new(text.clone()).is_err() => Value::text(""),
        value => value,
    })
}

fn model_op() -> impl Strategy<Value = ModelOp> {
    let at = prop_oneof![
        6 => (0_u32..40).prop_map(|n| NOW as f64 - 20.0 + f64::from(n) / 2.0),
        2 => (0_u32..200).prop_map(|n| NOW as f64 + f64::from(n)),
    ];
    prop_oneof![
        8 => prop::collection::vec((0_u8..4, 0_u8..40, at, value()), 1..20).prop_map(ModelOp::Merge),
        3 => (0_u8..4, 0_u8..40, value()).prop_map(|(n, k, value)| ModelOp::Write(n, k, value)),
        2 => Just(ModelOp::Release),
        2 => (0_u8..8).prop_map(ModelOp::Record),
        1 => (0_u8..8).prop_map(ModelOp::Unwant),
        1 => (0_u8..8, 0_u32..9).prop_map(|(n, attempts)| ModelOp::Retry(n, attempts)),
        1 => (0_u8..8, any::<u8>()).prop_map(|(n, value)| ModelOp::Cursor(n, value)),
        1 => Just(ModelOp::Fail),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => (prop::collection::vec(model_op(), 1..5), 0_u64..150)
            .prop_map(|(ops, later)| Step::Commit { ops, now_ms: NOW + later }),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    // Each case opens a store several times, with real syncs: 24 take a second on an idle
    // disk and half a minute on a busy one.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_and_restarts_end_as_the_model_says(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), options()).unwrap();
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Reopen => {
                    store.close().unwrap();
                    store = Store::open(folder.path(), options()).unwrap();
                    check(&store, &model)?;
                }
                Step::Commit { ops, now_ms } => {
                    let transaction = Transaction { ops: ops.iter().map(|op| store_op(&store, op, *now_ms)).collect() };
                    let mut next = model.clone();
                    let expected = ops.iter().try_for_each(|op| next.apply(op, *now_ms));
                    let done = commit(&store, transaction, *now_ms);
                    prop_assert_eq!(done.is_ok(), expected.is_ok(), "{:?}", done);
                    if expected.is_ok() {
                        model = Model { anew: BTreeSet::new(), ..next };
                    }
                }
            }
        }
        check(&store, &model)?;
        store.close().unwrap();
        let store = Store::open(folder.path(), options()).unwrap();
        check(&store, &model)?;
    }

    #[test]
    fn values_arriving_in_any_order_and_split_end_alike(
        values in prop::collection::vec((0_u8..3, 0_u8..6, (0_u32..4).prop_map(f64::from), value()), 1..40),
        cuts in prop::collection::vec(any::<Index>(), 40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut ends = Vec::new();
        let mut shuffled = values.clone();
        for (at, cut) in cuts.iter().enumerate().take(shuffled.len()) {
            let other = cut.index(shuffled.len());
            shuffled.swap(at, other);
        }
        for (at, order) in [&values, &shuffled].into_iter().enumerate() {
            let store = Store::open(&folder.path().join(at.to_string()), StoreOptions::default()).unwrap();
            // The second store hears everything twice, in pieces.
            for chunk in order.chunks(if at == 0 { order.len() } else { 3 }) {
                for _ in 0..=at {
                    commit(&store, Op::Merge { graph: to_graph(chunk) }, NOW).unwrap();
                }
            }
            ends.push(read(&store));
        }
        prop_assert_eq!(&ends[0], &ends[1]);
    }
}
