//! kill -9 at random moments: what was acknowledged is there, whole, and counted right.
//!
//! The test runs its own binary again as a child that writes at full speed and prints what was
//! acknowledged; then kills it, reopens the folder and checks.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gun::Value;
use oip_store::{Op, Store, StoreOptions, Transaction, Wanted};

use crate::support::{NOW, commit, graph, key, open, record, soul};

/// Tells the child which folder to write in; without it the child's test does nothing.
const FOLDER: &str = "OIP_STORE_TEST_KILL_FOLDER";
const ROUND: &str = "OIP_STORE_TEST_KILL_ROUND";
const CHILD: &str = "kill::child_writes_until_it_is_killed";
const ROUNDS: u32 = 12;
const IN_FLIGHT: usize = 200;

/// One transaction: a value of its own node, a key of a node that all share, a record, a cursor.
fn transaction(id: &str, n: u32) -> Transaction {
    let mut values = graph(
        id,
        "value",
        f64::from(n),
        Value::text(format!("{id}:{}", "x".repeat(300))),
    );
    values.extend(graph("shared", id, f64::from(n), Value::Link(soul(id))));
    Transaction::new()
        .with(Op::Merge { graph: values })
        .with(Op::PutRecord(record(id, &format!("{{\"id\":\"{id}\"}}"))))
        .with(Op::WantedAdd(Wanted {
            soul: soul(id),
            record_type: None,
            at_ms: None,
        }))
        .with(Op::SetCursor {
            name: id.to_owned(),
            value: n.to_be_bytes().to_vec(),
        })
}

#[test]
fn child_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    // Small, so that kills also hit the moving and merging of table files.
    let options = StoreOptions {
        memtable_bytes: 128 * 1_024,
        ..StoreOptions::default()
    };
    let store = Store::open(Path::new(&folder), options).unwrap();
    println!("\nready");
    // A full channel holds the loop back; each reply makes room for one more.
    let (taken, places) = sync_channel(IN_FLIGHT);
    let places = Arc::new(Mutex::new(places));
    for n in 0.. {
        taken.send(()).unwrap();
        let id = format!("r{round}-{n}");
        let transaction = transaction(&id, n);
        let places = places.clone();
        store.submit(transaction, NOW, move |outcome| {
            outcome.unwrap();
            // One write call a line: a line is printed whole or, when killed, cut at its end.
            std::io::stdout()
                .write_all(format!("ack {id}\n").as_bytes())
                .unwrap();
            places.lock().unwrap().recv().unwrap();
        });
    }
}

fn start_child(folder: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        status.signal(),
        Some(9),
        "the child ended by itself: {status}"
    );
}

#[test]
fn store_killed_while_it_is_made_opens_at_the_next_start() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let child = start_child(folder.path(), round);
        std::thread::sleep(Duration::from_millis(4 * u64::from(round)));
        kill(child);
        let store = open(folder.path());
        commit(&store, transaction("after", 1), NOW).unwrap();
    }
}

#[test]
fn everything_acknowledged_is_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    println!("seed {seed}");
    let mut random = seed | 1;
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        // A plain xorshift: the moments must differ, no more.
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let mut child = start_child(folder.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        let reader = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("ack ").map(str::to_owned))
                .collect::<Vec<_>>()
        });
        // Some rounds end within the first batches, some after many.
        std::thread::sleep(Duration::from_millis(u64::from(random % 400)));
        kill(child);
        acknowledged.extend(reader.join().unwrap());

        let store = open(folder.path());
        check(&store, &acknowledged);
        store.close().unwrap();
    }
    assert!(
        acknowledged.len() > 500,
        "only {} acknowledged",
        acknowledged.len()
    );
}

fn check(store: &Store, acknowledged: &[String]) {
    for id in acknowledged {
        let (_, value) = store
            .value(&soul(id), &key("value"))
            .unwrap()
            .expect("its value is lost");
        assert!(value.as_text().unwrap().starts_with(&format!("{id}:")));
        let (_, link) = store
            .value(&soul("shared"), &key(id))
            .unwrap()
            .expect("its link is lost");
        assert_eq!(link, Value::Link(soul(id)));
        let row = store
            .record(&soul(id))
            .unwrap()
            .expect("its record is lost");
        assert!(row.data.unwrap().contains(id));
        assert!(store.is_wanted(&soul(id)).unwrap());
        assert!(store.cursor(id).unwrap().is_some());
    }
    // What was under way may be there too, but only whole transactions.
    let feed = store.feed(0, usize::MAX).unwrap();
    assert!(feed.len() >= acknowledged.len());
    assert_eq!(feed.len() as u64, store.count_records());
    assert_eq!(feed.len() as u64, store.wanted_len());
    assert_eq!(feed.last().map_or(0, |(seq, _)| *seq), store.feed_head());
    for (seq, name) in &feed {
        assert_eq!(store.record(name).unwrap().unwrap().seq, *seq);
        assert!(store.value(name, &key("value")).unwrap().is_some());
        assert!(store.cursor(name.as_str()).unwrap().is_some());
    }
    let nodes = feed.len() as u64 + u64::from(!feed.is_empty());
    assert_eq!(store.stats().nodes, nodes);
    let done = commit(store, Transaction::new(), NOW).unwrap();
    assert_eq!(done.feed_head, store.feed_head());
}
