//! Small and split nodes, pages, names of every kind.

use gun::graph::Entry;
use gun::{Key, Node, Value};
use oip_store::{KeysPage, Op, PageLimit, ReadError, Store};

use crate::support::{NOW, commit, key, merge, open, reopen, soul, state, text};

fn numbered(name: &str, keys: std::ops::Range<u32>) -> Node {
    let entries = keys
        .map(|n| Entry {
            key: key(&format!("key{n:06}")),
            state: state(1_000.0 + f64::from(n)),
            value: Value::Number(f64::from(n)),
        })
        .collect();
    Node {
        soul: soul(name),
        entries,
    }
}

fn put(store: &Store, node: Node) {
    commit(store, Op::Merge { graph: vec![node] }, NOW).unwrap();
}

/// All keys of a node, by pages of the given size.
fn paged(store: &Store, name: &str, limit: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map(|entry| entry.key.clone());
        let page = store.keys(&soul(name), after.as_ref(), limit).unwrap();
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= limit);
        all.extend(page);
    }
}

#[test]
fn node_that_outgrows_one_row_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let whole = numbered("list", 0..40);
    for entry in &whole.entries {
        let part = Node {
            soul: whole.soul.clone(),
            entries: vec![entry.clone()],
        };
        put(&store, part);
    }
    for _ in 0..2 {
        assert_eq!(store.node(&soul("list")).unwrap().as_ref(), Some(&whole));
        assert_eq!(paged(&store, "list", 7), whole.entries);
        assert_eq!(
            store
                .value(&soul("list"), &key("key000039"))
                .unwrap()
                .unwrap()
                .1,
            Value::Number(39.0)
        );
        assert_eq!(store.stats().nodes, 1);
        store = reopen(store, folder.path());
    }
}

#[test]
fn node_with_a_large_value_is_split_and_still_merges_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let large = "x".repeat(100_000);
    commit(&store, merge("n", "small", 1_000.0, "a"), NOW).unwrap();
    commit(&store, merge("n", "large", 1_000.0, &large), NOW).unwrap();
    let older = commit(&store, merge("n", "small", 999.0, "b"), NOW).unwrap();
    assert!(older.changed.is_empty());
    let store = reopen(store, folder.path());
    assert_eq!(text(&store, "n", "small").as_deref(), Some("a"));
    assert_eq!(text(&store, "n", "large"), Some(large));
    assert_eq!(store.node(&soul("n")).unwrap().unwrap().entries.len(), 2);
}

#[test]
fn node_of_ten_thousand_keys_is_stored_at_once_and_read_by_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let whole = numbered("index", 0..10_000);
    put(&store, whole.clone());
    // One more key costs one small row, not the node again.
    let before = store.stats().row_bytes;
    put(&store, numbered("index", 10_000..10_001));
    assert!(store.stats().row_bytes - before < 200);

    let store = reopen(store, folder.path());
    assert_eq!(paged(&store, "index", 1_000).len(), 10_001);
    assert_eq!(
        store.node(&soul("index")).unwrap().unwrap().entries.len(),
        10_001
    );
    assert_eq!(store.souls("", None, 10).unwrap(), [soul("index")]);
}

#[test]
fn node_too_large_to_hand_out_says_how_to_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, numbered("index", 0..20_001));
    let error = store.node(&soul("index")).unwrap_err();
    assert!(matches!(error, ReadError::NodeTooLarge(_)));
    assert!(error.to_string().contains("by pages"));
}

#[test]
fn page_ends_at_its_limits_and_says_whether_more_follow() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (name, keys) in [("small", 4), ("split", 40)] {
        put(&store, numbered(name, 0..keys));
        let page = |keys_max, bytes_max, prefix: &str, after: Option<&Key>| -> KeysPage {
            let limit = PageLimit {
                keys_max,
                bytes_max,
            };
            store.keys_page(&soul(name), prefix, after, limit).unwrap()
        };
        let by_keys = page(3, usize::MAX, "", None);
        assert_eq!((by_keys.entries.len(), by_keys.more), (3, true), "{name}");
        // A key and its number take 17 bytes: the second brings the page over 20.
        let by_bytes = page(usize::MAX, 20, "", None);
        assert_eq!((by_bytes.entries.len(), by_bytes.more), (2, true), "{name}");
        let at_least_one = page(usize::MAX, 0, "", None);
        assert_eq!(
            (at_least_one.entries.len(), at_least_one.more),
            (1, true),
            "{name}"
        );
        let prefix = page(usize::MAX, usize::MAX, "key00000", Some(&key("key000001")));
        assert_eq!(
            prefix.entries.len(),
            if keys == 4 { 2 } else { 8 },
            "{name}"
        );
        assert!(!prefix.more);
        let from_start = page(usize::MAX, usize::MAX, "key00000", Some(&key("a")));
        assert_eq!(
            from_start.entries.len(),
            if keys == 4 { 4 } else { 10 },
            "{name}"
        );
        assert_eq!(page(5, 5, "nothing", None), KeysPage::default(), "{name}");
    }
    assert_eq!(store.keys(&soul("absent"), None, 5).unwrap(), []);
}

#[test]
fn names_sort_by_bytes_and_never_run_into_each_other() {
    let names = [
        "a", "a\0", "a\0b", "a\u{1}", "a/b", "aa", "b", "é", "\u{ffff}", "😀",
    ];
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (at, name) in names.iter().enumerate().rev() {
        // Split every other node, so that rows of keys stand between rows of nodes.
        put(
            &store,
            Node {
                soul: soul(name),
                ..numbered("x", 0..if at % 2 == 0 { 2 } else { 40 })
            },
        );
        for inner in names {
            commit(
                &store,
                merge(name, inner, 5.0, &format!("{name}|{inner}")),
                NOW,
            )
            .unwrap();
        }
    }
    let store = reopen(store, folder.path());
    assert_eq!(store.souls("", None, 100).unwrap(), names.map(soul));
    assert_eq!(
        store.souls("a", None, 100).unwrap(),
        ["a", "a\0", "a\0b", "a\u{1}", "a/b", "aa"].map(soul)
    );
    assert_eq!(
        store.souls("a\0", None, 100).unwrap(),
        ["a\0", "a\0b"].map(soul)
    );
    assert_eq!(
        store.souls("a", Some(&soul("a\0b")), 2).unwrap(),
        ["a\u{1}", "a/b"].map(soul)
    );
    assert_eq!(store.souls("a", Some(&soul("A")), 1).unwrap(), [soul("a")]);
    for (at, name) in names.iter().enumerate() {
        let entries = paged(&store, name, 3);
        assert_eq!(
            entries.len(),
            names.len() + if at % 2 == 0 { 2 } else { 40 },
            "{name:?}"
        );
        assert!(entries.is_sorted_by(|left, right| left.key < right.key));
        for inner in names {
            assert_eq!(text(&store, name, inner), Some(format!("{name}|{inner}")));
        }
    }
}

#[test]
fn souls_skip_the_keys_of_large_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for name in ["a", "b", "c"] {
        put(&store, numbered(name, 0..5_000));
    }
    assert_eq!(store.souls("", None, 2).unwrap(), ["a", "b"].map(soul));
    assert_eq!(store.souls("", Some(&soul("b")), 2).unwrap(), [soul("c")]);
}

#[test]
fn values_of_every_kind_come_back_exactly() {
    let values = [
        Value::Null,
        Value::Bool(false),
        Value::Bool(true),
        Value::Number(0.1),
        Value::Number(-1.797_693_134_862_315_7e308),
        Value::Number(5e-324),
        Value::text(""),
        Value::text("a\0\u{1b}\"\\😀\u{ffff}"),
        Value::Link(soul("other/soul")),
    ];
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let entries = |prefix: &str| -> Vec<Entry> {
        let values = values.iter().enumerate();
        values
            .map(|(at, value)| Entry {
                key: key(&format!("{prefix}{at}")),
                state: state(if at % 3 == 0 {
                    1.5
                } else {
                    1_699_999_999_999.001
                }),
                value: value.clone(),
            })
            .collect()
    };
    let small = Node {
        soul: soul("small"),
        entries: entries("k"),
    };
    let mut split = numbered("split", 0..40);
    split.entries.extend(entries("l"));
    put(&store, small.clone());
    put(&store, split.clone());
    let store = reopen(store, folder.path());
    assert_eq!(store.node(&soul("small")).unwrap(), Some(small));
    assert_eq!(store.node(&soul("split")).unwrap(), Some(split));
}
