//! Gets and ranges: a question can be asked again, and a range holds what a plain reading of the rule
//! says it holds.

use std::cmp::Ordering;

use gun::wire::{Body, Get, KeyQuery, Lex, Message, MessageId, SoulQuery, encode, parse_frame};
use gun::{Key, Soul};

use crate::wire::{LIMITS, read_again};

fn question(input: &str) -> Option<Get> {
    let text = format!("{{\"#\":\"fuzzfuzz1\",\"get\":{input}}}");
    let mut found = None;
    for limits in LIMITS {
        for message in parse_frame(&text, &limits).into_iter().flatten() {
            if let Body::Get(get) = message.body {
                found = Some(get);
            }
        }
    }
    found
}

/// What stands at `get` in a message.
///
/// # Panics
/// Where a rule does not hold.
pub fn get(input: &str) {
    let Some(get) = question(input) else { return };
    let _ = get.budget();
    let message = Message::new(MessageId::from_random(3), Body::Get(get.clone()));
    let Body::Get(again) = read_again(&encode(&message)).body else {
        panic!("a get is read as something else");
    };
    assert_eq!(again, get, "asked again, a question is the same");
    if let SoulQuery::One(soul) = &get.souls {
        if let KeyQuery::One(key) = &get.keys {
            assert!(get.matches(soul, key), "what is asked for is in the answer");
        }
        if let (KeyQuery::All, Ok(key)) = (&get.keys, Key::new("any")) {
            assert!(get.matches(soul, &key), "a whole node holds any key");
        }
    }
}

/// A range as JSON on the first line, and names on the others. A first line that is more than a range may
/// give the question a second half; what that half holds is [`get`]'s matter.
///
/// # Panics
/// Where a rule does not hold.
pub fn lex(input: &str) {
    let mut lines = input.split('\n');
    let range = lines.next().unwrap_or_default();
    let of_keys = question(&format!("{{\"#\":\"s\",\".\":{range}}}"));
    let of_souls = question(&format!("{{\"#\":{range}}}"));
    for name in lines {
        if let (Some(get), Ok(key), Ok(soul)) = (&of_keys, Key::new(name), Soul::new("s"))
            && let KeyQuery::Lex(lex) = &get.keys
            && get.souls == SoulQuery::One(soul.clone())
        {
            assert_eq!(
                get.matches(&soul, &key),
                holds(lex, name),
                "{lex:?} {name:?}"
            );
        }
        if let (Some(get), Ok(soul), Ok(key)) = (&of_souls, Soul::new(name), Key::new("k"))
            && let (SoulQuery::Lex(lex), KeyQuery::All) = (&get.souls, &get.keys)
        {
            let expected = holds(lex, name) && !ends(lex, name);
            assert_eq!(get.matches(&soul, &key), expected, "{lex:?} {name:?}");
        }
    }
}

/// The rule over again, in the plainest words: over lists of UTF-16 units.
fn holds(lex: &Lex, name: &str) -> bool {
    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    let name = units(name);
    if let Some(exact) = &lex.exact {
        return units(exact) == name;
    }
    let prefix = lex.prefix.as_deref().map(units).unwrap_or_default();
    if !name.starts_with(&prefix) {
        return false;
    }
    let rest = &name[prefix.len()..];
    let from = lex.from.as_deref().map(units);
    let to = lex.to.as_deref().map(units);
    from.is_none_or(|from| rest.cmp(&from) != Ordering::Less)
        && to.is_none_or(|to| rest.cmp(&to) != Ordering::Greater)
}

/// Whether a name is the upper bound itself, which belongs to a range of keys and not to one of souls.
fn ends(lex: &Lex, name: &str) -> bool {
    let prefix = lex.prefix.as_deref().unwrap_or_default();
    lex.exact.is_none()
        && lex
            .to
            .as_deref()
            .is_some_and(|to| name == format!("{prefix}{to}"))
}
