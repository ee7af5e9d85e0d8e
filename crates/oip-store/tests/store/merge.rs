//! The merge rule through the store: against durable state, across restarts.

use std::path::Path;

use gun::graph::Entry;
use gun::{Node, Soul, Value};
use oip_store::{Op, Store, StoreOptions, Transaction, WriteError};
use serde_json::Value as Json;

use crate::support::{NOW, commit, graph, key, merge, open, reopen, soul, state, text};

#[test]
fn merges_decide_as_the_rule_says() {
    // (first state, first value, second state, second value, who stands)
    let table = [
        (
            1_000.0,
            Value::text("a"),
            2_000.0,
            Value::text("b"),
            Value::text("b"),
        ),
        (
            2_000.0,
            Value::text("a"),
            1_000.0,
            Value::text("b"),
            Value::text("a"),
        ),
        (
            1_000.0,
            Value::text("a"),
            1_000.0,
            Value::text("b"),
            Value::text("b"),
        ),
        (
            1_000.0,
            Value::text("b"),
            1_000.0,
            Value::text("a"),
            Value::text("b"),
        ),
        (
            1_000.0,
            Value::Number(10.0),
            1_000.0,
            Value::Number(9.0),
            Value::Number(9.0),
        ),
        (
            1_000.0,
            Value::Number(9.0),
            1_000.0,
            Value::Number(10.0),
            Value::Number(9.0),
        ),
        (1_000.0, Value::text("x"), 1_000.5, Value::Null, Value::Null),
        (
            1_000.0,
            Value::Null,
            1_000.0,
            Value::Bool(true),
            Value::Bool(true),
        ),
        (
            1_000.0,
            Value::Bool(true),
            1_000.0,
            Value::Link(soul("s")),
            Value::Link(soul("s")),
        ),
        (
            -5.0,
            Value::text("a"),
            0.0,
            Value::text("b"),
            Value::text("b"),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (at, (first_state, first, second_state, second, wins)) in table.into_iter().enumerate() {
        let node = format!("n{at}");
        commit(
            &store,
            Op::Merge {
                graph: graph(&node, "k", first_state, first.clone()),
            },
            NOW,
        )
        .unwrap();
        let done = commit(
            &store,
            Op::Merge {
                graph: graph(&node, "k", second_state, second.clone()),
            },
            NOW,
        )
        .unwrap();
        let (_, stands) = store.value(&soul(&node), &key("k")).unwrap().unwrap();
        assert_eq!(stands, wins, "row {at}");
        assert_eq!(
            done.changed.is_empty(),
            wins == first,
            "row {at}: only a win is a change"
        );
    }
}

#[test]
fn older_value_never_overwrites_a_newer_one_after_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, merge("n", "k", 2_000.0, "new"), NOW).unwrap();
    let store = reopen(store, folder.path());
    let done = commit(&store, merge("n", "k", 1_000.0, "old"), NOW).unwrap();
    assert!(done.changed.is_empty());
    let store = reopen(store, folder.path());
    assert_eq!(text(&store, "n", "k").as_deref(), Some("new"));
}

/// Client frames and restarts of a recorded session.
enum Step {
    Put(Vec<Node>),
    Restart,
}

fn recorded(name: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/gun")
        .join(name);
    let lines = std::fs::read_to_string(path).unwrap();
    lines
        .lines()
        .filter_map(|line| {
            let line: Json = serde_json::from_str(line).unwrap();
            if line["note"]
                .as_str()
                .is_some_and(|note| note.contains("started again"))
            {
                return Some(Step::Restart);
            }
            if line["dir"] != "client->relay" {
                return None;
            }
            let frame: Json = serde_json::from_str(line["frame"].as_str()?).ok()?;
            let nodes = frame.get("put")?.as_object()?;
            Some(Step::Put(
                nodes
                    .iter()
                    .map(|(name, node)| recorded_node(name, node))
                    .collect(),
            ))
        })
        .collect()
}

fn recorded_node(name: &str, node: &Json) -> Node {
    let members = node
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "_");
    let entries = members
        .map(|(name, value)| Entry {
            key: key(name),
            state: state(node["_"][">"][name].as_f64().unwrap()),
            value: match value {
                Json::Null => Value::Null,
                Json::Bool(bool) => Value::Bool(*bool),
                Json::Number(number) => Value::Number(number.as_f64().unwrap()),
                Json::String(text) => Value::text(text.as_str()),
                Json::Object(link) => Value::Link(soul(link["#"].as_str().unwrap())),
                Json::Array(_) => panic!("no session that is replayed puts an array"),
            },
        })
        .collect();
    Node {
        soul: soul(name),
        entries,
    }
}

#[test]
fn recorded_stale_puts_after_restart_do_not_win() {
    for name in [
        "34-stale-after-restart.jsonl",
        "35-stale-after-restart-get-first.jsonl",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let (mut puts, mut restarts) = (0, 0);
        for step in recorded(name) {
            match step {
                Step::Put(graph) => {
                    commit(&store, Op::Merge { graph }, NOW + 10_000).unwrap();
                    puts += 1;
                }
                Step::Restart => {
                    store = reopen(store, folder.path());
                    restarts += 1;
                }
            }
            assert_eq!(text(&store, "dl", "k").as_deref(), Some("NEW"), "{name}");
        }
        assert_eq!((puts, restarts), (2, 2), "{name} was replayed whole");
    }
}

#[test]
fn recorded_conflicts_of_equal_state_end_as_gun_js_ended_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/gun/13-conflict-equal-state.jsonl");
    for step in recorded("13-conflict-equal-state.jsonl") {
        if let Step::Put(graph) = step {
            commit(&store, Op::Merge { graph }, NOW).unwrap();
        }
    }
    // Each pair has its own soul, and the relay's answer to the get that followed is the judge.
    let mut judged = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let Some(frame) = line["frame"]
            .as_str()
            .filter(|_| line["dir"] == "relay->client")
        else {
            continue;
        };
        let frame: Json = serde_json::from_str(frame).unwrap();
        let frames = frame.as_array().cloned().unwrap_or_else(|| vec![frame]);
        for frame in frames.iter().filter(|frame| frame["@"].as_str().is_some()) {
            for (name, node) in frame["put"].as_object().into_iter().flatten() {
                let expected = recorded_node(name, node);
                assert_eq!(store.node(&soul(name)).unwrap(), Some(expected), "{name}");
                judged += 1;
            }
        }
    }
    assert!(
        judged >= 10,
        "the session has answers to judge by, {judged} seen"
    );
}

#[test]
fn own_write_is_stamped_now_or_just_above_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let write = |value: &str| Op::Write {
        soul: soul("n"),
        entries: vec![(key("k"), Value::text(value))],
    };
    let stamp = |store: &Store| store.value(&soul("n"), &key("k")).unwrap().unwrap().0;

    commit(&store, write("first"), NOW).unwrap();
    assert_eq!(stamp(&store), state(NOW as f64));
    let done = commit(&store, write("second"), NOW).unwrap();
    assert_eq!(stamp(&store), state(NOW as f64).successor());
    assert_eq!(
        done.changed[0].entries[0].state,
        state(NOW as f64).successor()
    );
    // The clock was set back a second.
    commit(&store, write("third"), NOW - 1_000).unwrap();
    assert_eq!(text(&store, "n", "k").as_deref(), Some("third"));
    assert!(stamp(&store) > state(NOW as f64).successor());
}

#[test]
fn nodes_that_lag_differently_stamp_apart_and_never_ahead_of_the_clock() {
    let stamps = [0.0, 0.25, 0.999].map(|own_lag_ms| {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            own_lag_ms,
            ..StoreOptions::default()
        };
        let store = Store::open(folder.path(), options).unwrap();
        let write = |value: &str| Op::Write {
            soul: soul("n"),
            entries: vec![(key("k"), Value::text(value)), (key("l"), Value::Null)],
        };
        let stamp = |key: &gun::Key| store.value(&soul("n"), key).unwrap().unwrap().0;
        commit(&store, write("first"), NOW).unwrap();
        let first = stamp(&key("k"));
        assert_eq!(first, stamp(&key("l")), "one write, one state");
        assert!(first <= state(NOW as f64) && first > state(NOW as f64 - 1.0));
        commit(&store, write("second"), NOW).unwrap();
        assert_eq!(stamp(&key("k")), first.successor());
        first
    });
    assert!(stamps[0] > stamps[1] && stamps[1] > stamps[2]);
}

#[test]
fn own_write_over_a_stamp_that_peers_would_refuse_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, merge("n", "k", NOW as f64, "here"), NOW).unwrap();
    let long_ago = NOW - 3_600_000;
    let transaction = Transaction::new()
        .with(Op::SetCursor {
            name: "c".to_owned(),
            value: vec![1],
        })
        .with(Op::Write {
            soul: soul("n"),
            entries: vec![(key("k"), Value::Null)],
        });
    let error = commit(&store, transaction, long_ago).unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::ClockBehind {
                ahead_ms: 3_600_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("set the clock right"));
    assert_eq!(
        store.cursor("c").unwrap(),
        None,
        "nothing of the transaction is stored"
    );
    assert_eq!(text(&store, "n", "k").as_deref(), Some("here"));
}

#[test]
fn deferred_value_survives_a_restart_and_stands_when_its_time_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let due = NOW + 5_000;
    let done = commit(&store, merge("n", "k", due as f64 - 0.5, "later"), NOW).unwrap();
    assert_eq!((done.deferred, done.too_far, done.changed.len()), (1, 0, 0));
    assert_eq!(text(&store, "n", "k"), None);

    let store = reopen(store, folder.path());
    assert_eq!(store.next_deferred().unwrap(), Some(due));
    assert_eq!(store.stats().deferred, 1);
    let early = commit(&store, Op::ReleaseDeferred, due - 1).unwrap();
    assert!(early.changed.is_empty());
    let done = commit(&store, Op::ReleaseDeferred, due).unwrap();
    assert_eq!(
        done.changed,
        graph("n", "k", due as f64 - 0.5, Value::text("later"))
    );
    assert_eq!(store.next_deferred().unwrap(), None);
    assert_eq!(store.stats().deferred, 0);

    let store = reopen(store, folder.path());
    assert_eq!(text(&store, "n", "k").as_deref(), Some("later"));
}

#[test]
fn deferred_value_loses_to_a_newer_one_that_came_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(
        &store,
        merge("n", "k", NOW as f64 + 5_000.0, "deferred"),
        NOW,
    )
    .unwrap();
    commit(
        &store,
        merge("n", "k", NOW as f64 + 6_000.0, "newer"),
        NOW + 7_000,
    )
    .unwrap();
    let done = commit(&store, Op::ReleaseDeferred, NOW + 7_000).unwrap();
    assert!(done.changed.is_empty());
    assert_eq!(text(&store, "n", "k").as_deref(), Some("newer"));
}

#[test]
fn equal_deferred_states_keep_the_greater_text() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let later = NOW as f64 + 5_000.0;
    for value in ["b", "c", "a", "c"] {
        commit(&store, merge("n", "k", later, value), NOW).unwrap();
    }
    assert_eq!(store.stats().deferred, 1);
    commit(&store, Op::ReleaseDeferred, NOW + 5_000).unwrap();
    assert_eq!(text(&store, "n", "k").as_deref(), Some("c"));
}

#[test]
fn state_more_than_ten_minutes_ahead_is_refused_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let limit = NOW as f64 + 600_000.0;
    let at_limit = commit(&store, merge("n", "a", limit, "x"), NOW).unwrap();
    assert_eq!((at_limit.deferred, at_limit.too_far), (1, 0));
    let beyond = commit(&store, merge("n", "b", limit + 1.0, "x"), NOW).unwrap();
    assert_eq!((beyond.deferred, beyond.too_far), (0, 1));
    let never = commit(&store, merge("n", "c", 9e15, "x"), NOW).unwrap();
    assert_eq!(never.too_far, 1);
    assert_eq!(store.stats().deferred, 1);
}

#[test]
fn too_far_value_does_not_hold_back_the_rest_of_its_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut both = graph("n", "far", 9e15, Value::text("x"));
    both.extend(graph("m", "near", 1.0, Value::text("y")));
    let done = commit(&store, Op::Merge { graph: both }, NOW).unwrap();
    assert_eq!((done.too_far, done.changed.len()), (1, 1));
    assert_eq!(text(&store, "m", "near").as_deref(), Some("y"));
}

#[test]
fn full_deferred_table_refuses_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        deferred_max: 2,
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    for (name, expected) in [("a", (1, 0)), ("b", (1, 0)), ("c", (0, 1))] {
        let done = commit(&store, merge("n", name, NOW as f64 + 1.0, "x"), NOW).unwrap();
        assert_eq!((done.deferred, done.over_quota), expected, "{name}");
    }
}

#[test]
fn what_is_known_already_is_not_deferred_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, merge("n", "k", NOW as f64, "x"), NOW).unwrap();
    let done = commit(&store, merge("n", "k", NOW as f64, "x"), NOW - 3_600_000).unwrap();
    assert_eq!((done.deferred, done.too_far), (0, 0));
}

#[test]
fn key_set_twice_in_a_transaction_is_one_change_with_the_last_value() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let transaction = Transaction::new()
        .with(merge("n", "k", 1.0, "a"))
        .with(merge("m", "k", 1.0, "x"))
        .with(merge("n", "k", 2.0, "b"));
    let done = commit(&store, transaction, NOW).unwrap();
    let mut expected = graph("n", "k", 2.0, Value::text("b"));
    expected.extend(graph("m", "k", 1.0, Value::text("x")));
    assert_eq!(done.changed, expected);
}

#[test]
fn number_that_is_not_finite_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in [f64::NAN, f64::INFINITY] {
        let put = Op::Merge {
            graph: graph("n", "k", 1.0, Value::Number(number)),
        };
        assert!(matches!(
            commit(&store, put, NOW),
            Err(WriteError::Invalid(_))
        ));
    }
    assert_eq!(store.node(&Soul::new("n").unwrap()).unwrap(), None);
}

#[test]
fn a_merge_tells_what_was_known_from_what_was_older() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let tally = |state: f64, value: &str, now_ms: u64| {
        let committed = commit(&store, merge("n", "k", state, value), now_ms).unwrap();
        let taken = committed.changed.len();
        (taken, committed.same, committed.older, committed.deferred)
    };
    let now = NOW as f64;
    assert_eq!(tally(now - 2.0, "b", NOW), (1, 0, 0, 0));
    assert_eq!(tally(now - 2.0, "b", NOW), (0, 1, 0, 0));
    assert_eq!(tally(now - 3.0, "c", NOW), (0, 0, 1, 0));
    assert_eq!(tally(now - 2.0, "a", NOW), (0, 0, 1, 0));
    assert_eq!(tally(now + 5.0, "d", NOW), (0, 0, 0, 1));
    assert_eq!(tally(now + 5.0, "d", NOW), (0, 1, 0, 0));
    // The clock was set back: what is stored lies ahead of it, and wins or is the same.
    assert_eq!(tally(now - 2.0, "b", NOW - 10), (0, 1, 0, 0));
    assert_eq!(tally(now - 3.0, "c", NOW - 10), (0, 0, 1, 0));
}
