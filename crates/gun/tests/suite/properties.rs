//! Laws that hold for all inputs: of the merge, of the codec, of the order of texts; and that
//! no text, however mangled, stops the relay.

use std::collections::BTreeMap;
use std::sync::Arc;

use gun::graph::Entry;
use gun::mesh::Direction;
use gun::text::{compare_utf16, value_text};
use gun::wire::{
    Ack, AckWish, Body, Dam, Get, Interest, KeyQuery, Lex, Limits, Message, MessageId, Order, Put,
    SoulQuery, encode, graph_hash, parse_frame, split_graph,
};
use gun::{Graph, Key, Node, Soul, State, Value};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::facts;
use crate::relay::Relay;
use crate::store::Store;
use crate::vector;

const NOW: u64 = 1_795_400_000_000;

/// Any text, with a liking for what is hard: quotes, controls, the top of the first plane,
/// the other planes.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let hard = select(vec![
        'a',
        'b',
        '_',
        '"',
        '\\',
        '\n',
        '\0',
        '\u{7f}',
        '\u{fffd}',
        '\u{e000}',
        '😀',
        '\u{10ffff}',
    ]);
    prop::collection::vec(prop_oneof![3 => hard, 1 => any::<char>()], 0..8)
        .prop_map(String::from_iter)
}

pub(crate) fn soul() -> impl Strategy<Value = Soul> {
    text().prop_filter_map("no soul", |text| Soul::new(text).ok())
}

pub(crate) fn key() -> impl Strategy<Value = Key> {
    text().prop_filter_map("no key", |text| Key::new(text).ok())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |n| n.is_finite()),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |n| n.is_finite()),
        (-1_000..1_000_i32).prop_map(f64::from),
    ]
    // Zero has one sign on the wire.
    .prop_map(|number| number + 0.0)
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        text().prop_map(Value::text),
        soul().prop_map(Value::Link),
    ]
}

pub(crate) fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        (0..4_u64).prop_map(State::from_millis),
        number().prop_filter_map("state", State::new)
    ]
}

fn in_text_order<T>(mut items: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    items.sort_by(|l, r| compare_utf16(name(l), name(r)));
    items
}

/// A graph in text order, as it comes from the wire.
fn graph_of(
    soul: impl Strategy<Value = Soul>,
    key: impl Strategy<Value = Key>,
    state: impl Strategy<Value = State>,
) -> impl Strategy<Value = Graph> {
    let values = prop::collection::btree_map(key, (state, value()), 0..5);
    prop::collection::btree_map(soul, values, 0..4).prop_map(|nodes| {
        let nodes = nodes.into_iter().map(|(soul, values)| {
            let entry = |(key, (state, value))| Entry { key, state, value };
            let entries = values.into_iter().map(entry).collect();
            Node {
                soul,
                entries: in_text_order(entries, |entry: &Entry| entry.key.as_str()),
            }
        });
        in_text_order(nodes.collect(), |node: &Node| node.soul.as_str())
    })
}

/// Graphs that meet in few souls, keys and states, all in the past.
fn meeting() -> impl Strategy<Value = Graph> {
    let soul = select(vec!["a", "b", "c"]).prop_map(|name| Soul::new(name).unwrap());
    let key = select(vec!["k", "l", "m"]).prop_map(|name| Key::new(name).unwrap());
    graph_of(soul, key, (0..3_u64).prop_map(State::from_millis))
}

fn id() -> impl Strategy<Value = MessageId> {
    "[0-9A-Za-z]{1,12}".prop_map(|text| MessageId::new(&text).unwrap())
}

fn lex() -> impl Strategy<Value = Lex> {
    let part = || prop::option::of(text().prop_map(Arc::from));
    (part(), part(), part(), part()).prop_map(|(exact, prefix, from, to)| Lex {
        exact,
        prefix,
        from,
        to,
    })
}

fn get() -> impl Strategy<Value = Get> {
    let souls = prop_oneof![
        soul().prop_map(SoulQuery::One),
        lex().prop_map(SoulQuery::Lex)
    ];
    let keys = prop_oneof![
        Just(KeyQuery::All),
        key().prop_map(KeyQuery::One),
        lex().prop_map(KeyQuery::Lex)
    ];
    let order = select(vec![Order::Ascending, Order::Descending]);
    let interest = select(vec![Interest::Subscribe, Interest::Once]);
    (
        souls,
        keys,
        prop::option::of(0..1_u64 << 53),
        order,
        interest,
    )
        .prop_map(|(souls, keys, bytes_max, order, interest)| Get {
            souls,
            keys,
            bytes_max,
            order,
            interest,
        })
}

fn json() -> impl Strategy<Value = Arc<str>> {
    select(vec![
        "true",
        "1",
        "0",
        r##"{"":1}"##,
        r##""text""##,
        r##"[{"a":[]}]"##,
        r##"{"rtc":{"x":"\\\""}}"##,
    ])
    .prop_map(Arc::from)
}

fn body() -> impl Strategy<Value = Body> {
    let wish = (0..100_i64, 0..100_i64).prop_map(|(acks, peers)| AckWish { acks, peers });
    let put = (
        graph_of(soul(), key(), state()),
        prop::option::of(id()),
        prop::option::of(wish),
    )
        .prop_map(|(graph, more, wants)| Put {
            graph,
            more,
            wants,
            dropped: 0,
        });
    let err = prop::option::of(text().prop_map(Arc::from));
    let ack = (prop::option::of(json()), err).prop_map(|(ok, err)| Ack { ok, err });
    let pid = "[0-9A-Za-z]{9}".prop_map(Arc::from);
    let dam = prop_oneof![
        prop::option::of(pid).prop_map(|pid| Dam::Hello { pid }),
        text().prop_map(|err| Dam::Error { err: err.into() }),
        Just(Dam::Hi),
        Just(Dam::Unknown),
        ("[a-z]{1,5}:[a-z]{1,5}".prop_map(Arc::from), json())
            .prop_map(|(name, body)| Dam::Extension { name, body }),
    ];
    prop_oneof![
        put.prop_map(Body::Put),
        get().prop_map(Body::Get),
        ack.prop_map(Body::Ack),
        dam.prop_map(Body::Dam)
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let names = prop::collection::vec("[0-9A-Za-z]{9}".prop_map(Arc::from), 0..7);
    let hash = prop::option::of(any::<i32>());
    (id(), prop::option::of(id()), hash, names, body()).prop_map(
        |(id, reply_to, hash, seen_by, body)| {
            // An ack that answers nothing is no message.
            let answers = matches!(body, Body::Ack(_));
            let reply_to = reply_to.or_else(|| answers.then(|| id.clone()));
            // Control messages carry neither.
            let plain = matches!(body, Body::Dam(_));
            let hash = hash.filter(|_| !plain);
            let seen_by = if plain { Vec::new() } else { seen_by };
            Message {
                id: Some(id),
                reply_to,
                hash,
                seen_by,
                body,
            }
        },
    )
}

fn merged<'g>(graphs: impl IntoIterator<Item = &'g Graph>) -> Store {
    let mut store = Store::default();
    for graph in graphs {
        store.merge(graph, NOW);
    }
    store
}

fn all_of(store: &Store) -> Graph {
    ["a", "b", "c"]
        .iter()
        .filter_map(|name| store.node(&Soul::new(*name).ok()?))
        .collect()
}

/// All texts that anybody sent in any recording.
fn recorded() -> Vec<String> {
    let mut frames = Vec::new();
    for entry in std::fs::read_dir(vector::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "jsonl") {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let frame = |line: serde_json::Value| Some(line["frame"].as_str()?.to_owned());
            frames.extend(lines.filter_map(frame).filter(|frame| frame.len() < 4_000));
        }
    }
    assert!(frames.len() > 500);
    frames
}

/// One way to spoil a text.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, &'static str),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\",
        "\\ud800",
        "\\u0000",
        "null",
        "-",
        "1e999",
        "NaN",
        "\"#\":",
        "\"_\":{}",
        "\"put\":",
        "\"get\":",
        "\"dam\":\"?\",",
        "😀",
        "\u{0}",
        "__proto__",
        "0",
    ];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..9_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (any::<Index>(), select(pieces)).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, to)| Damage::Repeat(at, to)),
    ]
}

fn spoil(frame: &str, damages: &[Damage]) -> String {
    let mut chars: Vec<char> = frame.chars().collect();
    for damage in damages {
        if chars.is_empty() {
            break;
        }
        match damage {
            Damage::Cut(at) => chars.truncate(at.index(chars.len())),
            Damage::Remove(at, count) => {
                let at = at.index(chars.len());
                chars.drain(at..(at + count).min(chars.len()));
            }
            Damage::Insert(at, piece) => {
                let at = at.index(chars.len());
                chars.splice(at..at, piece.chars());
            }
            Damage::Repeat(at, to) => {
                let (at, to) = (at.index(chars.len()), to.index(chars.len()));
                let piece = chars[at.min(to)..at.max(to)].to_vec();
                chars.splice(at..at, piece);
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merge_is_commutative(a in meeting(), b in meeting()) {
        prop_assert_eq!(merged([&a, &b]), merged([&b, &a]));
    }

    #[test]
    fn merge_is_associative(a in meeting(), b in meeting(), c in meeting()) {
        let ab = all_of(&merged([&a, &b]));
        let bc = all_of(&merged([&b, &c]));
        prop_assert_eq!(merged([&ab, &c]), merged([&a, &bc]));
    }

    #[test]
    fn merge_is_idempotent(a in meeting(), b in meeting()) {
        let mut store = merged([&a, &b]);
        let once = store.clone();
        for graph in [&a, &b] {
            let (changed, rejected) = store.merge(graph, NOW);
            prop_assert_eq!((changed.is_empty(), rejected), (true, None));
        }
        prop_assert_eq!(store, once);
    }

    #[test]
    fn a_message_survives_the_wire(mut message in message()) {
        let text = encode(&message);
        // Answers get their hash when they are written.
        if let (Body::Put(put), Some(_)) = (&message.body, &message.reply_to) {
            message.hash = Some(graph_hash(&put.graph));
        }
        prop_assert_eq!(parse_frame(&text, &Limits::ACCEPTED), vec![Ok(message.clone())]);
        prop_assert_eq!(parse_frame(&text, &Limits::DIALLED), vec![Ok(message)]);
    }

    #[test]
    fn cutting_loses_nothing(graph in graph_of(soul(), key(), state())) {
        let mut joined: BTreeMap<(Soul, Key), Entry> = BTreeMap::new();
        for node in split_graph(graph.clone()).into_iter().flatten() {
            for entry in node.entries {
                joined.insert((node.soul.clone(), entry.key.clone()), entry);
            }
        }
        let values: usize = graph.iter().map(|node| node.entries.len()).sum();
        prop_assert_eq!(joined.len(), values);
    }

    #[test]
    fn texts_are_ordered_by_utf16_units(left in text(), right in text()) {
        let naive = left.encode_utf16().cmp(right.encode_utf16());
        prop_assert_eq!(compare_utf16(&left, &right), naive);
    }

    #[test]
    fn the_text_of_a_number_is_read_back_as_that_number(number in number()) {
        let text = value_text(&Value::Number(number));
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
        prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), number.to_bits());
    }

    #[test]
    fn any_text_gives_messages_or_refusals(text in any::<String>()) {
        let _ = parse_frame(&text, &Limits::ACCEPTED);
        let _ = parse_frame(&format!("{{{text}}}"), &Limits::DIALLED);
        let _ = parse_frame(&format!("[{{\"#\":{text}}}]"), &Limits::ACCEPTED);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 64, ..ProptestConfig::default()
    })]

    #[test]
    fn spoiled_frames_never_stop_the_relay(
        seed in any::<Index>(),
        damages in prop::collection::vec(prop::collection::vec(damage(), 1..4), 64),
    ) {
        let frames = recorded();
        let start = seed.index(frames.len());
        let mut relay = Relay::new(NOW);
        relay.open(1, Direction::Accepted);
        relay.open(2, Direction::Dialled);
        for (at, damages) in damages.iter().enumerate() {
            let frame = spoil(&frames[(start + 17 * at) % frames.len()], damages);
            relay.hear(1 + at as u64 % 2, &frame);
            for parsed in parse_frame(&frame, &Limits::DIALLED).into_iter().flatten() {
                let _ = encode(&parsed);
            }
        }
        relay.all_taken();
        relay.hear(1, r##"{"#":"still","get":{"#":"never written"}}"##);
        prop_assert_eq!(facts::of(&relay.taken(1)), ["none @still"]);
    }
}
