//! Short ways to build values and to write without a runtime.

use std::path::Path;
use std::sync::mpsc;

use gun::graph::Entry;
use gun::{Graph, Key, Node, Soul, State, Value};
use oip_store::{Committed, Op, RecordRow, Store, StoreOptions, Transaction, WriteError};

/// The clock of most tests.
pub(crate) const NOW: u64 = 1_700_000_000_000;

pub(crate) fn soul(name: &str) -> Soul {
    Soul::new(name).unwrap()
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn state(millis: f64) -> State {
    State::new(millis).unwrap()
}

/// A graph of one value.
pub(crate) fn graph(node: &str, name: &str, millis: f64, value: Value) -> Graph {
    let entry = Entry {
        key: key(name),
        state: state(millis),
        value,
    };
    vec![Node {
        soul: soul(node),
        entries: vec![entry],
    }]
}

pub(crate) fn merge(node: &str, name: &str, millis: f64, value: &str) -> Op {
    Op::Merge {
        graph: graph(node, name, millis, Value::text(value)),
    }
}

pub(crate) fn open(path: &Path) -> Store {
    Store::open(path, StoreOptions::default()).unwrap()
}

/// Closes the store and opens it again.
pub(crate) fn reopen(store: Store, path: &Path) -> Store {
    store.close().unwrap();
    open(path)
}

pub(crate) fn commit(
    store: &Store,
    transaction: impl Into<Transaction>,
    now_ms: u64,
) -> Result<Committed, WriteError> {
    let (sender, receiver) = mpsc::channel();
    store.submit(transaction.into(), now_ms, move |outcome| {
        sender.send(outcome).unwrap()
    });
    receiver.recv().unwrap()
}

/// The text of one value.
pub(crate) fn text(store: &Store, node: &str, name: &str) -> Option<String> {
    let (_, value) = store.value(&soul(node), &key(name)).unwrap()?;
    value.as_text().map(str::to_owned)
}

pub(crate) fn record(name: &str, data: &str) -> RecordRow {
    RecordRow {
        soul: soul(name),
        record_type: "post".to_owned(),
        creator: "did:key:z6Mk".to_owned(),
        at_ms: 1_700_000_000_123,
        revision: 3,
        digest: [7; 32],
        class: 2,
        deleted: false,
        own: true,
        first_seen_ms: NOW,
        source: Some("ws://peer/gun".to_owned()),
        verification: 1,
        data: Some(data.into()),
        oip: "{\"ver\":\"0.8.0\"}".into(),
        seq: 0,
    }
}
