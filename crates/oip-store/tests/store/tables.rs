//! Records and their feed, wanted souls, quarantine, cursors.

use gun::{Soul, Value};
use oip_store::{
    Change, Op, QuarantineRow, Store, StoreOptions, Transaction, Wanted, WantedRow, WriteError,
};

use crate::support::{NOW, commit, key, merge, open, record, reopen, soul, text};

/// A change in the node `index` announces the soul that its key names.
fn watching(change: &Change) -> Option<Wanted> {
    (change.soul.as_str() == "index").then(|| Wanted {
        soul: Soul::new(change.key.as_str()).unwrap(),
        record_type: Some("post".to_owned()),
        at_ms: Some(change.state.as_f64() as u64),
    })
}

fn open_watching(path: &std::path::Path) -> Store {
    let options = StoreOptions {
        watch: Box::new(watching),
        ..StoreOptions::default()
    };
    Store::open(path, options).unwrap()
}

fn wanted(name: &str) -> Wanted {
    Wanted {
        soul: soul(name),
        record_type: None,
        at_ms: None,
    }
}

fn due_souls(store: &Store, now_ms: u64, limit: usize) -> Vec<String> {
    let rows = store.wanted_due(now_ms, limit).unwrap();
    rows.iter()
        .map(|row| row.soul.as_str().to_owned())
        .collect()
}

#[test]
fn winning_change_and_its_wanted_row_are_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_watching(folder.path());
    commit(&store, merge("index", "rec1", 1_000.0, "x"), NOW).unwrap();
    let expected = WantedRow {
        soul: soul("rec1"),
        record_type: Some("post".to_owned()),
        at_ms: Some(1_000),
        attempts: 0,
        due_ms: NOW,
        reason: None,
        generation: 1,
    };
    assert_eq!(store.wanted_due(NOW, 10).unwrap(), [expected]);
    // A loser announces nothing.
    commit(&store, Op::WantedRemove(soul("rec1")), NOW).unwrap();
    commit(&store, merge("index", "rec1", 999.0, "y"), NOW).unwrap();
    assert!(!store.is_wanted(&soul("rec1")).unwrap());
    // Nor does a transaction that fails later on.
    let fails = Transaction::new()
        .with(merge("index", "rec2", 1_000.0, "x"))
        .with(Op::SetCursor {
            name: String::new(),
            value: Vec::new(),
        });
    assert!(matches!(
        commit(&store, fails, NOW),
        Err(WriteError::Invalid(_))
    ));
    assert_eq!(
        (store.wanted_len(), text(&store, "index", "rec2")),
        (0, None)
    );
}

#[test]
fn own_and_released_values_are_watched_too_and_can_be_unwanted_in_the_same_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_watching(folder.path());
    let own = Op::Write {
        soul: soul("index"),
        entries: vec![(key("rec1"), Value::Null)],
    };
    commit(&store, own.clone(), NOW).unwrap();
    assert!(store.is_wanted(&soul("rec1")).unwrap());
    let held = Transaction::from(own).with(Op::WantedRemove(soul("rec1")));
    commit(&store, held, NOW).unwrap();
    assert!(!store.is_wanted(&soul("rec1")).unwrap());
    commit(&store, merge("index", "rec3", NOW as f64 + 10.0, "x"), NOW).unwrap();
    assert!(!store.is_wanted(&soul("rec3")).unwrap());
    commit(&store, Op::ReleaseDeferred, NOW + 10).unwrap();
    assert!(store.is_wanted(&soul("rec3")).unwrap());
}

#[test]
fn wanted_souls_come_in_due_order_and_wait_out_their_backoff() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (name, at) in [("c", 30), ("a", 10), ("b", 20)] {
        commit(&store, Op::WantedAdd(wanted(name)), at).unwrap();
    }
    let read = store.wanted(&soul("a")).unwrap().unwrap();
    assert_eq!(due_souls(&store, 5, 10), [""; 0]);
    assert_eq!(due_souls(&store, 20, 10), ["a", "b"]);
    assert_eq!(due_souls(&store, u64::MAX, 2), ["a", "b"]);
    let retry = Op::WantedRetry {
        soul: soul("a"),
        generation: read.generation,
        attempts: 4,
        due_ms: 1_000,
        reason: "peer gone".to_owned(),
    };
    commit(&store, retry.clone(), 40).unwrap();

    let store = reopen(store, folder.path());
    assert_eq!(due_souls(&store, 999, 10), ["b", "c"]);
    assert_eq!(due_souls(&store, 1_000, 10), ["b", "c", "a"]);
    let row = store.wanted(&soul("a")).unwrap().unwrap();
    assert_eq!(
        (row.attempts, row.reason.as_deref()),
        (4, Some("peer gone"))
    );
    // Wanted anew: due now, attempts kept, so that its backoff goes on where it was.
    let anew = Wanted {
        record_type: Some("post".to_owned()),
        ..wanted("a")
    };
    commit(&store, Op::WantedAdd(anew), 50).unwrap();
    let row = store.wanted(&soul("a")).unwrap().unwrap();
    assert_eq!(
        (row.due_ms, row.attempts, row.record_type.as_deref()),
        (50, 4, Some("post"))
    );
    assert_eq!(due_souls(&store, u64::MAX, 10), ["b", "c", "a"]);
    assert_eq!(store.wanted_len(), 3);

    commit(&store, Op::WantedRemove(soul("a")), 60).unwrap();
    commit(&store, Op::WantedRemove(soul("a")), 60).unwrap();
    commit(&store, retry, 60).unwrap();
    assert_eq!(due_souls(&store, u64::MAX, 10), ["b", "c"]);
    assert_eq!(
        (store.wanted_len(), store.is_wanted(&soul("a")).unwrap()),
        (2, false)
    );
}

#[test]
fn soul_wanted_anew_during_its_fetch_stays_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, Op::WantedAdd(wanted("a")), NOW).unwrap();
    let read = store.wanted_due(NOW, 1).unwrap().remove(0);
    let done = Op::WantedDone {
        soul: soul("a"),
        generation: read.generation,
    };
    commit(&store, Op::WantedAdd(wanted("a")), NOW).unwrap();
    commit(&store, done, NOW).unwrap();
    assert!(store.is_wanted(&soul("a")).unwrap());
    let read = store.wanted_due(NOW, 1).unwrap().remove(0);
    commit(
        &store,
        Op::WantedDone {
            soul: soul("a"),
            generation: read.generation,
        },
        NOW,
    )
    .unwrap();
    assert!(!store.is_wanted(&soul("a")).unwrap());
}

#[test]
fn soul_wanted_anew_during_an_attempt_that_fails_is_not_put_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    commit(&store, Op::WantedAdd(wanted("a")), NOW).unwrap();
    let retry = |generation| Op::WantedRetry {
        soul: soul("a"),
        generation,
        attempts: 1,
        due_ms: NOW + 1_000,
        reason: "no peer has it yet".to_owned(),
    };
    let read = store.wanted_due(NOW, 1).unwrap().remove(0);
    commit(&store, Op::WantedAdd(wanted("a")), NOW).unwrap();
    commit(&store, retry(read.generation), NOW).unwrap();
    let read = store.wanted_due(NOW, 1).unwrap().remove(0);
    assert_eq!((read.due_ms, read.attempts, read.reason), (NOW, 0, None));
    commit(&store, retry(read.generation), NOW).unwrap();
    assert_eq!(due_souls(&store, NOW, 10), [""; 0]);
}

#[test]
fn full_wanted_table_takes_no_new_soul_but_renews_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        wanted_max: 1,
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    commit(&store, Op::WantedAdd(wanted("a")), NOW).unwrap();
    let over = commit(&store, Op::WantedAdd(wanted("b")), NOW).unwrap();
    assert_eq!((over.over_limit, store.wanted_len()), (1, 1));
    let renewed = commit(&store, Op::WantedAdd(wanted("a")), NOW + 1).unwrap();
    assert_eq!(renewed.over_limit, 0);
    assert_eq!(due_souls(&store, NOW, 10), [""; 0]);
}

#[test]
fn record_comes_back_whole_and_an_update_moves_it_in_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let feed = store.watch_feed();
    for name in ["a", "b", "c"] {
        commit(&store, Op::PutRecord(record(name, "{}")), NOW).unwrap();
    }
    let tombstone = oip_store::RecordRow {
        deleted: true,
        own: false,
        data: None,
        source: None,
        at_ms: -1,
        ..record("b", "")
    };
    let done = commit(&store, Op::PutRecord(tombstone.clone()), NOW).unwrap();
    assert_eq!(done.feed_head, 4);
    store.close().unwrap();
    assert_eq!(*feed.borrow(), 4);

    let store = reopen(store, folder.path());
    assert_eq!((store.feed_head(), store.count_records()), (4, 3));
    assert_eq!(*store.watch_feed().borrow(), 4);
    let souls = |after, limit| store.feed(after, limit).unwrap();
    assert_eq!(
        souls(0, 10),
        [(1, soul("a")), (3, soul("c")), (4, soul("b"))]
    );
    assert_eq!(souls(1, 1), [(3, soul("c"))]);
    assert_eq!(souls(4, 10), []);
    assert_eq!(souls(u64::MAX, 10), []);
    let expected = oip_store::RecordRow {
        seq: 4,
        ..tombstone
    };
    assert_eq!(store.record(&soul("b")).unwrap(), Some(expected));
    assert_eq!(
        store.record(&soul("a")).unwrap().unwrap().data.as_deref(),
        Some("{}")
    );
    assert_eq!(store.record(&soul("d")).unwrap(), None);
}

#[test]
fn what_was_decided_against_an_older_version_is_not_stored_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let decided_on = |seq: Option<u64>, data: &str| Transaction {
        ops: vec![
            merge("graph", "k", 1_000.0, data),
            Op::ExpectRecord {
                soul: soul("a"),
                seq,
            },
            Op::PutRecord(record("a", data)),
        ],
    };
    commit(&store, decided_on(None, "first"), NOW).unwrap();
    let stale = commit(&store, decided_on(None, "stale"), NOW);
    assert!(matches!(stale, Err(WriteError::Superseded(lost)) if lost == soul("a")));
    assert_eq!(text(&store, "graph", "k").as_deref(), Some("first"));
    let held = store.record(&soul("a")).unwrap().unwrap();
    assert_eq!(held.data.as_deref(), Some("first"));
    commit(&store, decided_on(Some(held.seq), "second"), NOW).unwrap();
    let held = store.record(&soul("a")).unwrap().unwrap();
    assert_eq!(held.data.as_deref(), Some("second"));
}

#[test]
fn feed_watchers_wake_only_when_a_record_came() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut feed = store.watch_feed();
    for n in 0..3 {
        // The head is published behind the replies: a second commit lets the first one's pass.
        commit(&store, merge("n", "k", f64::from(n), "x"), NOW).unwrap();
    }
    assert!(!feed.has_changed().unwrap());
    commit(&store, Op::PutRecord(record("a", "{}")), NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(feed.changed()).unwrap();
    assert_eq!(*feed.borrow_and_update(), 1);
}

fn quarantined(name: &str, due_ms: Option<u64>) -> QuarantineRow {
    QuarantineRow {
        soul: soul(name),
        record_type: Some("post".to_owned()),
        creator: None,
        reason: "bad-signature".to_owned(),
        detail: "the signature does not match: ask its creator to publish it again".to_owned(),
        source: Some("ws://peer/gun".to_owned()),
        attempts: 1,
        first_ms: NOW,
        last_ms: NOW,
        due_ms,
        data: Some("{\"a\":1}".into()),
        oip: None,
    }
}

#[test]
fn quarantine_is_listed_by_pages_retried_when_due_and_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (name, due) in [("b", Some(200)), ("a", None), ("c", Some(100))] {
        commit(&store, Op::QuarantineAdd(quarantined(name, due)), NOW).unwrap();
    }
    let again = QuarantineRow {
        attempts: 2,
        first_ms: NOW + 9,
        ..quarantined("c", Some(300))
    };
    commit(&store, Op::QuarantineAdd(again.clone()), NOW + 9).unwrap();

    let store = reopen(store, folder.path());
    assert_eq!(store.quarantine_len(), 3);
    let first = store.quarantine(None, 2).unwrap();
    assert_eq!(first, [quarantined("a", None), quarantined("b", Some(200))]);
    let rest = store.quarantine(Some(&soul("b")), 2).unwrap();
    assert_eq!(
        rest,
        [QuarantineRow {
            first_ms: NOW,
            ..again
        }],
        "the first time is kept"
    );
    let due = |now_ms| -> Vec<Soul> {
        store
            .quarantine_due(now_ms, 10)
            .unwrap()
            .into_iter()
            .map(|row| row.soul)
            .collect()
    };
    assert_eq!(
        (due(199), due(u64::MAX)),
        (vec![], vec![soul("b"), soul("c")])
    );

    for name in ["a", "b", "b", "c"] {
        commit(&store, Op::QuarantineRemove(soul(name)), NOW).unwrap();
    }
    assert_eq!(store.quarantine(None, 10).unwrap(), []);
    assert_eq!((store.quarantine_len(), due(u64::MAX)), (0, vec![]));
    assert_eq!(store.quarantined(&soul("a")).unwrap(), None);
}

#[test]
fn full_quarantine_takes_no_new_record_but_renews_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        quarantine_max: 1,
        ..StoreOptions::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let over = |name: &str| {
        commit(&store, Op::QuarantineAdd(quarantined(name, None)), NOW)
            .unwrap()
            .over_limit
    };
    assert_eq!((over("a"), over("b"), over("a")), (0, 1, 0));
}

#[test]
fn cursors_are_kept_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let set = |name: &str, value: &[u8]| {
        let op = Op::SetCursor {
            name: name.to_owned(),
            value: value.to_vec(),
        };
        commit(&store, op, NOW)
    };
    set("index", b"1").unwrap();
    set("index", b"2").unwrap();
    set("empty", b"").unwrap();
    assert!(matches!(
        set(&"x".repeat(256), b""),
        Err(WriteError::Invalid(_))
    ));
    let store = reopen(store, folder.path());
    assert_eq!(store.cursor("index").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.cursor("empty").unwrap().as_deref(), Some(&b""[..]));
    // Names of the store's own rows are not cursors.
    assert_eq!(store.cursor("format").unwrap(), None);
}

#[test]
fn cursors_are_listed_by_the_beginning_of_their_names_a_page_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.cursors("a", None, 10).unwrap(), []);
    for name in ["a:2", "b", "a:1", "a:10", "a;", "a"] {
        let op = Op::SetCursor {
            name: name.to_owned(),
            value: name.as_bytes().to_vec(),
        };
        commit(&store, op, NOW).unwrap();
    }
    let listed = |prefix, after, limit| {
        let page = store.cursors(prefix, after, limit).unwrap();
        assert!(page.iter().all(|(name, value)| name.as_bytes() == value));
        page.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(listed("a:", None, 10), ["a:1", "a:10", "a:2"]);
    assert_eq!(listed("a:", None, 2), ["a:1", "a:10"]);
    assert_eq!(listed("a:", Some("a:10"), 2), ["a:2"]);
    assert_eq!(listed("a:", Some("a:2"), 2), [""; 0]);
    assert_eq!(
        listed("", None, 10).len(),
        6,
        "and none of the store's own rows"
    );
    assert_eq!(listed("c", None, 10), [""; 0]);
}
