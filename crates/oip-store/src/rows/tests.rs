//! Rows come back as written, sort as their names do, and never panic when perturbed.

use gun::graph::Entry;
use gun::{Key, Soul, State, Value};
use proptest::prelude::*;

use super::counters::Counters;
use super::field::{Reader, push_int, unzigzag, zigzag};
use super::graph::NodeRow;
use super::{deferred, graph, name, quarantine, record, wanted};
use crate::model::{QuarantineRow, RecordRow, WantedRow};

fn a_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a\u{0}\u{1}é😀/:~]{1,6}", "[\\PC]{1,40}"]
        .prop_filter("a name that may be stored", |name| {
            Key::new(name.as_str()).is_ok()
        })
}

fn a_soul() -> impl Strategy<Value = Soul> {
    a_name().prop_map(|name| Soul::new(name).unwrap())
}

fn a_key() -> impl Strategy<Value = Key> {
    a_name().prop_map(|name| Key::new(name).unwrap())
}

fn a_state() -> impl Strategy<Value = State> {
    prop_oneof![
        any::<f64>(),
        (0_u64..1 << 41).prop_map(|ms| ms as f64),
        Just(0.0)
    ]
    .prop_filter_map("a finite state", State::new)
}

fn a_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Value::Number),
        "\\PC{0,60}".prop_map(Value::text),
        a_soul().prop_map(Value::Link),
    ]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::btree_map(a_key(), (a_state(), a_value()), 0..40).prop_map(|map| {
        let entries = map.into_iter();
        entries
            .map(|(key, (state, value))| Entry { key, state, value })
            .collect()
    })
}

fn a_record() -> impl Strategy<Value = RecordRow> {
    let numbers = (
        any::<i64>(),
        any::<u64>(),
        any::<[u8; 32]>(),
        any::<u64>(),
        any::<u64>(),
    );
    let marks = (any::<u8>(), any::<u8>(), any::<bool>(), any::<bool>());
    let texts = (
        "\\PC*",
        "\\PC*",
        prop::option::of("\\PC*"),
        prop::option::of("\\PC*"),
        "\\PC*",
    );
    (a_soul(), numbers, marks, texts).prop_map(|(soul, numbers, marks, texts)| RecordRow {
        soul,
        at_ms: numbers.0,
        revision: numbers.1,
        digest: numbers.2,
        first_seen_ms: numbers.3,
        seq: numbers.4,
        class: marks.0,
        verification: marks.1,
        deleted: marks.2,
        own: marks.3,
        record_type: texts.0,
        creator: texts.1,
        source: texts.2,
        data: texts.3.map(Into::into),
        oip: texts.4.into(),
    })
}

fn a_wanted() -> impl Strategy<Value = WantedRow> {
    let numbers = (
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
        any::<Option<u64>>(),
    );
    (
        a_soul(),
        numbers,
        any::<Option<String>>(),
        any::<Option<String>>(),
    )
        .prop_map(|(soul, numbers, record_type, reason)| WantedRow {
            soul,
            due_ms: numbers.0,
            generation: numbers.1,
            attempts: numbers.2,
            at_ms: numbers.3,
            record_type,
            reason,
        })
}

fn a_quarantined() -> impl Strategy<Value = QuarantineRow> {
    let numbers = (
        any::<Option<u64>>(),
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
    );
    let texts = (any::<String>(), any::<String>());
    let optional = prop::array::uniform5(any::<Option<String>>());
    (a_soul(), numbers, texts, optional).prop_map(|(soul, numbers, texts, optional)| {
        let [record_type, creator, source, data, oip] = optional;
        QuarantineRow {
            soul,
            due_ms: numbers.0,
            first_ms: numbers.1,
            last_ms: numbers.2,
            attempts: numbers.3,
            reason: texts.0,
            detail: texts.1,
            record_type,
            creator,
            source,
            data: data.map(Into::into),
            oip: oip.map(Into::into),
        }
    })
}

/// Feeds a row, perturbed, to every decoder; whatever they say, none may panic.
fn decode_all(row: &[u8]) {
    let soul = Soul::new("soul").unwrap();
    let _ = graph::decode_node(row);
    let _ = graph::decode_value(row);
    let _ = record::decode(soul.clone(), row);
    let _ = record::decode_seq(row);
    let _ = record::decode_feed_key(row);
    let _ = record::decode_soul(row);
    let _ = wanted::decode(soul.clone(), row);
    let _ = wanted::parse_due(row);
    let _ = wanted::parse_soul(row);
    let _ = quarantine::decode(soul, row);
    let _ = Counters::decode(row);
    let _ = name::parse(row);
    let _ = deferred::parse(row);
}

proptest! {
    #[test]
    fn nodes_come_back_as_written(entries in entries()) {
        match graph::encode_small(&entries) {
            Some(row) => {
                prop_assert!(row.len() <= graph::SMALL_BYTES_MAX);
                prop_assert_eq!(graph::decode_node(&row), Ok(NodeRow::Small(entries)));
            }
            None => prop_assert!(
                entries.len() > graph::SMALL_KEYS_MAX
                    || entries.iter().map(|e| e.key.as_str().len() + 200).sum::<usize>()
                        > graph::SMALL_BYTES_MAX
            ),
        }
    }

    #[test]
    fn values_come_back_as_written(state in a_state(), value in a_value()) {
        let row = graph::encode_value(state, &value);
        prop_assert_eq!(graph::decode_value(&row), Ok((state, value)));
    }

    #[test]
    fn graph_rows_sort_by_soul_then_key(
        left in (a_soul(), prop::option::of(a_key())),
        right in (a_soul(), prop::option::of(a_key())),
    ) {
        let row = |(soul, key): &(Soul, Option<Key>)| match key {
            Some(key) => name::key_row(soul, key),
            None => name::node_row(soul),
        };
        prop_assert_eq!(name::parse(&row(&left)), Ok(left.clone()));
        prop_assert_eq!(row(&left).cmp(&row(&right)), left.cmp(&right));
        prop_assert!(row(&left) < name::behind_soul(&left.0));
        if left.0 < right.0 {
            prop_assert!(name::behind_soul(&left.0) < row(&right));
        }
    }

    #[test]
    fn prefix_of_a_soul_is_a_prefix_of_its_rows(soul in a_soul(), prefix in a_name()) {
        prop_assert_eq!(
            name::node_row(&soul).starts_with(&name::souls_from(&prefix)),
            soul.as_str().starts_with(&prefix)
        );
    }

    #[test]
    fn deferred_rows_sort_by_state(left in a_state(), right in a_state(), soul in a_soul(), key in a_key()) {
        let row = |state| deferred::row(state, &soul, &key);
        prop_assert_eq!(deferred::parse(&row(left)), Ok((left, soul.clone(), key.clone())));
        if left < right {
            prop_assert!(row(left) < row(right));
        }
        prop_assert_eq!(row(left) < deferred::behind(right), left <= right);
    }

    #[test]
    fn records_come_back_as_written(row in a_record()) {
        let encoded = record::encode(&row);
        prop_assert_eq!(record::decode_seq(&encoded), Ok(row.seq));
        prop_assert_eq!(record::decode(row.soul.clone(), &encoded), Ok(row));
    }

    #[test]
    fn wanted_and_quarantine_rows_come_back_as_written(
        wanted_row in a_wanted(),
        quarantine_row in a_quarantined(),
    ) {
        let decoded = wanted::decode(wanted_row.soul.clone(), &wanted::encode(&wanted_row));
        let due = wanted::due_row(wanted_row.due_ms, &wanted_row.soul);
        prop_assert_eq!(wanted::parse_due(&due), Ok((wanted_row.due_ms, wanted_row.soul.clone())));
        prop_assert_eq!(wanted::parse_soul(&wanted::soul_row(&wanted_row.soul)), Ok(wanted_row.soul.clone()));
        prop_assert_eq!(decoded, Ok(wanted_row));
        let encoded = quarantine::encode(&quarantine_row);
        prop_assert_eq!(quarantine::decode(quarantine_row.soul.clone(), &encoded), Ok(quarantine_row));
    }

    #[test]
    fn integers_come_back_as_written(int in any::<u64>(), signed in any::<i64>()) {
        let mut row = Vec::new();
        push_int(&mut row, int);
        prop_assert_eq!(Reader::new(&row).int(), Ok(int));
        prop_assert_eq!(unzigzag(zigzag(signed)), signed);
    }

    #[test]
    fn perturbed_rows_are_faults_and_never_panics(
        entries in entries(),
        record_row in a_record(),
        quarantine_row in a_quarantined(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        decode_all(&noise);
        let rows = [
            graph::encode_small(&entries).unwrap_or_default(),
            record::encode(&record_row),
            quarantine::encode(&quarantine_row),
            Counters { nodes: u64::MAX, ..Counters::default() }.encode(),
        ];
        for mut row in rows.into_iter().filter(|row| !row.is_empty()) {
            let cut = at.index(row.len());
            decode_all(&row[..cut]);
            row[cut] ^= byte;
            decode_all(&row);
        }
    }
}

#[test]
fn every_way_a_row_is_cut_short_or_long_is_a_fault() {
    let entries = [Entry {
        key: Key::new("k").unwrap(),
        state: State::from_millis(5),
        value: Value::text("text"),
    }];
    let row = graph::encode_small(&entries).unwrap();
    for cut in 0..row.len() {
        assert!(graph::decode_node(&row[..cut]).is_err(), "cut at {cut}");
    }
    assert!(graph::decode_node(&[&row[..], &[0]].concat()).is_err());
    let counters = Counters::default().encode();
    assert!(Counters::decode(&counters[..3]).is_err());
    assert!(Counters::decode(&[&[9], &counters[1..]].concat()).is_err());
}
