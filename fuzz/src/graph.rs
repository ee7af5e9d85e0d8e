//! Puts: cutting loses nothing, the hash is that of the text, and every pair of values has one winner.

use std::cmp::Ordering;

use gun::graph::Entry;
use gun::ham::{Verdict, compare_values, decide};
use gun::wire::{Body, FRAME_CHARS_MAX, Message, MessageId, Put, encode, encode_graph};
use gun::wire::{graph_hash, parse_frame, split_graph, text_hash};
use gun::{Graph, State};

use crate::wire::{LIMITS, read_again};

/// What stands at `put` in a message.
///
/// # Panics
/// Where a rule does not hold.
pub fn put(input: &str) {
    let text = format!("{{\"#\":\"fuzzfuzz1\",\"put\":{input}}}");
    for limits in LIMITS {
        for message in parse_frame(&text, &limits).into_iter().flatten() {
            if let Body::Put(put) = message.body {
                cut(&put.graph);
                merge(&put.graph);
                let mut text = String::new();
                encode_graph(&mut text, &put.graph);
                assert_eq!(graph_hash(&put.graph), text_hash(&text));
            }
        }
    }
}

fn entries(graph: &Graph) -> usize {
    graph.iter().map(|node| node.entries.len()).sum()
}

fn cut(graph: &Graph) {
    let parts = split_graph(graph.clone());
    assert_eq!(
        parts.iter().map(entries).sum::<usize>(),
        entries(graph),
        "cutting loses no value"
    );
    for part in parts {
        let values = entries(&part);
        let message = Message::new(MessageId::from_random(2), Body::Put(Put::new(part)));
        let text = encode(&message);
        assert!(
            values == 1 || text.len() <= FRAME_CHARS_MAX || values == 0,
            "a part of {values} values takes {} characters",
            text.len()
        );
        let Body::Put(again) = read_again(&text).body else {
            panic!("a put is read as something else: {text}");
        };
        assert_eq!(entries(&again.graph), values, "and reading again none");
    }
}

/// Pairs looked at in one input; more show nothing new.
const PAIRS_MAX: usize = 64;

fn merge(graph: &Graph) {
    // A clock that no state is ahead of.
    let Some(late) = State::new(f64::MAX) else {
        return;
    };
    let values: Vec<&Entry> = graph.iter().flat_map(|node| &node.entries).collect();
    for pair in values.windows(2).take(PAIRS_MAX) {
        let [left, right] = pair else { continue };
        let order = compare_values(&left.value, &right.value);
        assert_eq!(compare_values(&right.value, &left.value), order.reverse());
        // Whichever comes first, the same one stays.
        let first = decide(
            Some((left.state, &left.value)),
            right.state,
            &right.value,
            late,
        );
        let second = decide(
            Some((right.state, &right.value)),
            left.state,
            &left.value,
            late,
        );
        let same = left.state == right.state && order == Ordering::Equal;
        match (first, second) {
            (Verdict::Same, Verdict::Same) => assert!(same),
            (first, second) => {
                assert!(!same);
                assert!(
                    (first == Verdict::Take) != (second == Verdict::Take),
                    "{first:?} and {second:?} of {left:?} and {right:?}"
                );
            }
        }
    }
}
