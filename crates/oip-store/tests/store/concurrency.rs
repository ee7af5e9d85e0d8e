//! Many submitters, one writer: all answered, in order, with few syncs; bounds that hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use gun::Value;
use oip_store::{Op, QUEUE_BYTES_MAX, Store, StoreOptions, Transaction, WriteError};

use crate::support::{NOW, commit, graph, merge, open, reopen, text};

#[test]
fn many_submitters_are_all_acknowledged_with_few_syncs() {
    const SUBMITTERS: usize = 8;
    const EACH: usize = 250;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..SUBMITTERS)
        .map(|who| {
            let (store, acknowledged) = (store.clone(), acknowledged.clone());
            thread::spawn(move || {
                for n in 0..EACH {
                    let acknowledged = acknowledged.clone();
                    let op = merge(&format!("{who}/{n}"), "k", 1.0, "v");
                    store.submit(op.into(), NOW, move |outcome| {
                        outcome.unwrap();
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    store.close().unwrap();
    assert_eq!(acknowledged.load(Ordering::Relaxed), SUBMITTERS * EACH);
    let stats = store.stats();
    assert_eq!(stats.transactions as usize, SUBMITTERS * EACH);
    assert!(
        stats.syncs < stats.transactions / 4,
        "{} syncs",
        stats.syncs
    );
    let store = open(folder.path());
    assert_eq!(
        store.souls("", None, usize::MAX).unwrap().len(),
        SUBMITTERS * EACH
    );
}

#[test]
fn waiting_committers_of_a_runtime_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..500)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .commit(merge(&format!("n{n}"), "k", 1.0, "v").into(), NOW)
                        .await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().changed.len(), 1);
        }
    });
    assert!(store.stats().syncs < 100, "{} syncs", store.stats().syncs);
}

#[test]
fn replies_come_in_the_order_of_submission() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (sender, receiver) = mpsc::channel();
    for n in 0..1_000 {
        let sender = sender.clone();
        store.submit(
            merge("n", "k", f64::from(n), "v").into(),
            NOW,
            move |outcome| {
                assert_eq!(outcome.unwrap().changed.len(), 1);
                sender.send(n).unwrap();
            },
        );
    }
    drop(sender);
    assert!(receiver.iter().eq(0..1_000));
}

/// Holds the writer in a reply until the test is through with the full queue.
fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    store.submit(merge("hold", "k", 1.0, "v").into(), NOW, move |_| {
        entered.send(()).unwrap();
        let _ = held.recv();
    });
    inside.recv().unwrap();
    release
}

#[test]
fn full_queue_refuses_at_once_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let release = hold_writer(&store);
    let (sender, outcomes) = mpsc::channel();
    for n in 0..10_000 {
        let sender = sender.clone();
        let op = merge(&format!("n{n}"), "k", 1.0, "v");
        store.submit(op.into(), NOW, move |outcome| {
            sender.send((n, outcome)).unwrap()
        });
    }
    let refused: Vec<_> = outcomes.try_iter().collect();
    assert_eq!(refused.len(), 10_000 - 8_192);
    assert!(
        refused
            .iter()
            .all(|(n, outcome)| *n >= 8_192 && matches!(outcome, Err(WriteError::Busy)))
    );
    assert_eq!(store.stats().busy as usize, refused.len());
    assert_eq!(store.stats().queue_len, 8_192);
    drop((release, sender));
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    assert!(commit(&store, merge("after", "k", 1.0, "v"), NOW).is_ok());
}

#[test]
fn bytes_in_the_queue_are_bounded_and_a_larger_transaction_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let large = |bytes: usize| Op::SetCursor {
        name: "c".to_owned(),
        value: vec![0; bytes],
    };
    let error = commit(&store, large(QUEUE_BYTES_MAX + 1), NOW).unwrap_err();
    assert!(matches!(error, WriteError::Invalid(_)), "{error}");
    let release = hold_writer(&store);
    let (sender, outcomes) = mpsc::channel();
    for _ in 0..10 {
        let sender = sender.clone();
        store.submit(large(QUEUE_BYTES_MAX / 8).into(), NOW, move |outcome| {
            sender
                .send(outcome.map_err(|error| error.to_string()))
                .unwrap();
        });
    }
    let refused = outcomes.try_iter().count();
    assert_eq!(
        refused, 3,
        "the overhead of eight eighths does not fit either"
    );
    drop((release, sender));
    assert_eq!(outcomes.iter().filter(Result::is_ok).count(), 7);
}

#[test]
fn failing_transaction_takes_nothing_and_leaves_its_neighbours_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let release = hold_writer(&store);
    let (sender, outcomes) = mpsc::channel();
    let nan = Op::Merge {
        graph: graph("n", "b", 1.0, Value::Number(f64::NAN)),
    };
    let fails = Transaction::new()
        .with(merge("n", "a", 3.0, "failed"))
        .with(nan);
    let batch = [
        merge("n", "a", 2.0, "before").into(),
        fails,
        merge("n", "c", 1.0, "after").into(),
    ];
    for transaction in batch {
        let sender = sender.clone();
        store.submit(transaction, NOW, move |outcome| {
            sender.send(outcome.is_ok()).unwrap()
        });
    }
    drop((release, sender));
    assert_eq!(outcomes.iter().collect::<Vec<_>>(), [true, false, true]);
    let store = reopen(store, folder.path());
    assert_eq!(text(&store, "n", "a").as_deref(), Some("before"));
    assert_eq!(text(&store, "n", "c").as_deref(), Some("after"));
    assert_eq!(
        store.stats().nodes,
        2,
        "the node that holds the writer, and this one"
    );
}

#[test]
fn closing_answers_everything_queued_and_then_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (sender, outcomes) = mpsc::channel();
    for n in 0..2_000 {
        let sender = sender.clone();
        let op = merge(&format!("n{n}"), "k", 1.0, "v");
        store.submit(op.into(), NOW, move |outcome| {
            sender.send(outcome.is_ok()).unwrap()
        });
    }
    drop(sender);
    store.close().unwrap();
    assert_eq!(outcomes.iter().filter(|ok| *ok).count(), 2_000);
    assert!(matches!(
        commit(&store, merge("n", "k", 1.0, "v"), NOW),
        Err(WriteError::Closed)
    ));
    assert!(matches!(
        store.feed(0, 1),
        Err(oip_store::ReadError::Closed)
    ));
    store.close().unwrap();
    // The handle that was closed is still here: the folder is free all the same.
    assert_eq!(
        open(folder.path())
            .souls("", None, usize::MAX)
            .unwrap()
            .len(),
        2_000
    );
}

#[test]
fn reply_may_drop_the_last_handle() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (sender, receiver) = mpsc::channel();
    let last = store.clone();
    store.submit(merge("n", "k", 1.0, "v").into(), NOW, move |_| {
        // Wait until the test has let go of its handle.
        let handle = last;
        sender.send(()).unwrap();
        drop(handle);
    });
    drop(store);
    receiver.recv().unwrap();
}

#[test]
fn writer_that_panicked_is_told_apart_from_a_closed_store() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        watch: Box::new(|change| panic!("a bug in the watch function met {change:?}")),
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    store.submit(merge("n", "k", 1.0, "v").into(), NOW, |_| ());
    let closed = store.close().unwrap_err();
    assert!(matches!(closed, WriteError::Poisoned { .. }), "{closed}");
    let after = commit(&store, merge("n", "k", 2.0, "v"), NOW).unwrap_err();
    assert!(matches!(after, WriteError::Poisoned { .. }), "{after}");
}

#[test]
fn idle_store_commits_a_lone_transaction_without_waiting_for_company() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for n in 1..=5 {
        commit(&store, merge("n", "k", f64::from(n), "v"), NOW).unwrap();
        assert_eq!(store.stats().batches, u64::from(n as u32));
    }
    // Nothing changes: nothing to sync.
    commit(&store, merge("n", "k", 1.0, "v"), NOW).unwrap();
    assert_eq!(store.stats().syncs, 5);
    assert_eq!(store.stats().transactions, 6);
}
