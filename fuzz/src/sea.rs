//! Signed data: a value that is admitted to a user's space is admitted nowhere else, and not later.

use gun::graph::Entry;
use gun::sea::{
    LookUp, Space, author, decrypt, kept_seconds, owner, space, verify, verify_signed, verify_value,
};
use gun::{Graph, Key, Node, Soul, State, Value};

/// Four lines and more: soul, key, state, and the value's text.
///
/// # Panics
/// Where a rule does not hold.
pub fn sea(input: &str) {
    let mut lines = input.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (soul, key, state, text) = (line(), line(), line(), line());
    // None of these may panic, whatever they make of it.
    let _ = kept_seconds(soul);
    let _ = verify_signed(text, owner(soul).as_deref().unwrap_or(key));
    let _ = decrypt(text, key);

    let state = state.parse().ok().and_then(State::new);
    let (Ok(soul), Ok(key), Some(state)) = (Soul::new(soul), Key::new(key), state) else {
        return;
    };
    let value = match text {
        "null" => Value::Null,
        link if link.starts_with("link ") => match Soul::new(&link[5..]) {
            Ok(soul) => Value::Link(soul),
            Err(_) => return,
        },
        text => Value::text(text),
    };
    let entry = Entry { key, state, value };
    let blocks: [&LookUp<'_>; 2] = [&|_, _| Ok(None), &|_, _| Err(gun::sea::Unavailable)];
    for look_up in blocks {
        judge(&soul, &entry, look_up);
    }
}

fn judge(soul: &Soul, entry: &Entry, look_up: &LookUp<'_>) {
    let verdict = verify_value(soul, entry, look_up);
    let graph: Graph = vec![Node {
        soul: soul.clone(),
        entries: vec![entry.clone()],
    }];
    assert_eq!(verify(&graph, look_up), verdict, "a value alone in a graph");
    let Space::Owned(_) = space(soul.as_str()) else {
        return;
    };
    if verdict.is_err() || author(soul, entry).is_none() {
        return;
    }
    assert!(
        matches!(entry.value, Value::Text(_)),
        "only a text is signed"
    );
    let elsewhere = Soul::new(format!("{soul}/elsewhere"));
    let other_key = Key::new(format!("{}x", entry.key));
    let later = Entry {
        state: entry.state.successor(),
        ..entry.clone()
    };
    assert!(
        verify_value(soul, &later, look_up).is_err(),
        "at another time"
    );
    if let Ok(key) = other_key {
        let renamed = Entry {
            key,
            ..entry.clone()
        };
        assert!(
            verify_value(soul, &renamed, look_up).is_err(),
            "at another key"
        );
    }
    if let Ok(elsewhere) = elsewhere {
        assert!(
            verify_value(&elsewhere, entry, look_up).is_err(),
            "elsewhere"
        );
    }
}
