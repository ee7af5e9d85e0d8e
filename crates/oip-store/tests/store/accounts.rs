//! What accounts take up, and that offers stay within it.

use gun::{Soul, Value};
use oip_store::{Account, Op, Store, StoreOptions, Transaction, Usage, WriteError};

use crate::support::{NOW, commit, graph, key, merge, soul};

/// The account of a soul is what stands before its first `:`; those that start with `-` have none.
fn options() -> StoreOptions {
    StoreOptions {
        accounts: Box::new(|soul: &Soul| {
            let (name, _) = soul.as_str().split_once(':')?;
            Some(Account {
                name: name.to_owned(),
                nodes_max: 2,
                bytes_max: 1_000,
            })
        }),
        ..StoreOptions::default()
    }
}

fn offer(node: &str, name: &str, millis: f64, value: &str) -> Op {
    Op::Offer {
        graph: graph(node, name, millis, Value::text(value)),
    }
}

fn nodes(store: &Store, account: &str) -> u64 {
    store.usage(account).unwrap().nodes
}

#[test]
fn an_account_has_so_many_nodes_and_no_more_and_others_are_not_concerned() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    for (name, refused) in [("a:1", 0), ("a:2", 0), ("a:3", 1), ("b:1", 0), ("free", 0)] {
        let done = commit(&store, offer(name, "k", 1.0, "v"), NOW).unwrap();
        assert_eq!(done.over_quota, refused, "{name}");
        assert_eq!(done.created, 1 - refused, "{name}");
        assert_eq!(done.changed.is_empty(), refused == 1, "{name}");
    }
    assert_eq!((nodes(&store, "a"), nodes(&store, "b")), (2, 1));
    // What is there may change all the same.
    let done = commit(&store, offer("a:1", "k", 2.0, "w"), NOW).unwrap();
    assert_eq!((done.over_quota, done.created), (0, 0));
}

#[test]
fn bytes_count_what_is_kept_and_shrink_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let long = "x".repeat(990);
    commit(&store, offer("a:1", "k", 1.0, &long), NOW).unwrap();
    let full = store.usage("a").unwrap().bytes;
    assert!((1_000..1_100).contains(&full), "{full}");
    let done = commit(&store, offer("a:1", "l", 1.0, "y"), NOW).unwrap();
    assert_eq!(done.over_quota, 1);
    assert_eq!(store.value(&soul("a:1"), &key("l")).unwrap(), None);
    // An own write is not bound, but it counts.
    commit(&store, merge("a:1", "k", 2.0, "short"), NOW).unwrap();
    assert!(store.usage("a").unwrap().bytes < 100);
    let done = commit(&store, offer("a:1", "l", 1.0, "y"), NOW).unwrap();
    assert_eq!(done.over_quota, 0);
}

#[test]
fn what_an_account_takes_up_survives_a_restart_and_split_nodes_count_alike() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    for number in 0..40 {
        let name = format!("k{number}");
        commit(&store, merge("a:1", &name, 1.0, "v"), NOW).unwrap();
    }
    // Written again, older or the same, it counts once.
    commit(&store, merge("a:1", "k0", 1.0, "v"), NOW).unwrap();
    commit(&store, merge("a:1", "k0", 0.5, "w"), NOW).unwrap();
    let usage = store.usage("a").unwrap();
    let expected: u64 = (0..40).map(|n| 12 + format!("k{n}").len() as u64 + 1).sum();
    assert_eq!(
        usage,
        Usage {
            nodes: 1,
            bytes: expected
        }
    );
    store.close().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(store.usage("a").unwrap(), usage);
    assert_eq!(store.usage("nobody").unwrap(), Usage::default());
}

#[test]
fn accounts_count_right_within_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let mut offers = Vec::new();
    for number in 0..5 {
        offers.extend(graph(&format!("a:{number}"), "k", 1.0, Value::text("v")));
    }
    let done = commit(&store, Op::Offer { graph: offers }, NOW).unwrap();
    assert_eq!((done.created, done.over_quota), (2, 3));
    assert_eq!(nodes(&store, "a"), 2);
}

#[test]
fn what_others_have_the_node_write_stays_within_the_account_or_is_not_written_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    let write = |name: &str| Op::OfferWrite {
        soul: soul(name),
        entries: vec![(key("k"), Value::text("v"))],
    };
    commit(&store, write("a:1"), NOW).unwrap();
    let two = [write("a:2"), write("a:3")];
    let two = two.into_iter().fold(Transaction::new(), Transaction::with);
    let refused = commit(&store, two, NOW);
    assert!(matches!(refused, Err(WriteError::AccountFull(full)) if full == soul("a:3")));
    assert_eq!(nodes(&store, "a"), 1);
    commit(&store, write("a:2"), NOW).unwrap();
    commit(&store, write("a:1"), NOW).unwrap();
    // The node itself is not bound.
    let own = Op::Write {
        soul: soul("a:3"),
        entries: vec![(key("k"), Value::text("v"))],
    };
    commit(&store, own, NOW).unwrap();
    assert_eq!(nodes(&store, "a"), 3);
}
