//! Puts per second, latency and bytes on disk of the store alone: a closed loop with a fixed
//! number in flight, each put a node as a record has it (`data`, `oip`, `meta`; about 700 bytes).
//!
//! `cargo bench -p oip-store -- [PUTS] [FOLDER]`; the folder must lie on the disk in question,
//! since a file system in memory makes syncs free.

#![expect(clippy::unwrap_used, reason = "a measurement that can't go on stops")]

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gun::graph::Entry;
use gun::{Key, Node, Soul, State, Value};
use oip_store::{Op, Store, StoreOptions, Transaction};

const NOW: u64 = 1_700_000_000_000;
const PUTS: u64 = 50_000;

fn main() {
    // Cargo hands its own `--bench` on.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let puts = arguments.next().map_or(PUTS, |puts| puts.parse().unwrap());
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "in flight    puts/s    ack p50    ack p99   puts/sync   bytes/node on disk   reopened in   gets/s"
    );
    for in_flight in [1, 100, 1_000] {
        let folder = tempfile::tempdir_in(&folder).unwrap();
        run(
            folder.path(),
            in_flight,
            if in_flight == 1 { puts / 50 } else { puts },
        );
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default();
        println!("{peak}");
    }
}

fn run(folder: &Path, in_flight: usize, puts: u64) {
    let store = Store::open(folder, StoreOptions::default()).unwrap();
    let (taken, places) = sync_channel(in_flight);
    let places = Arc::new(Mutex::new(places));
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(puts as usize)));
    let start = Instant::now();
    for n in 0..puts {
        taken.send(()).unwrap();
        let (places, latencies) = (places.clone(), latencies.clone());
        let submitted = Instant::now();
        store.submit(put(n), NOW, move |outcome| {
            outcome.unwrap();
            latencies.lock().unwrap().push(submitted.elapsed());
            places.lock().unwrap().recv().unwrap();
        });
    }
    for _ in 0..in_flight {
        taken.send(()).unwrap();
    }
    let rate = puts as f64 / start.elapsed().as_secs_f64();
    let stats = store.stats();
    let puts_per_sync = stats.transactions as f64 / stats.syncs as f64;
    store.close().unwrap();

    let reopen = Instant::now();
    let store = Store::open(folder, StoreOptions::default()).unwrap();
    let reopen = reopen.elapsed();
    let gets = puts.min(20_000);
    let start = Instant::now();
    for n in 0..gets {
        // A fixed stride visits nodes far apart from each other.
        let soul = Soul::new(name(n * 7_919 % puts)).unwrap();
        assert!(store.node(&soul).unwrap().is_some());
    }
    let gets_rate = gets as f64 / start.elapsed().as_secs_f64();
    store.close().unwrap();

    let mut latencies = std::mem::take(&mut *latencies.lock().unwrap());
    latencies.sort_unstable();
    let percentile =
        |percent: usize| -> Duration { latencies[(latencies.len() - 1) * percent / 100] };
    println!(
        "{in_flight:>9} {rate:>9.0} {:>10.2?} {:>10.2?} {puts_per_sync:>11.1} {:>20} {reopen:>13.2?} {gets_rate:>8.0}",
        percentile(50),
        percentile(99),
        allocated(folder) / puts,
    );
}

fn name(n: u64) -> String {
    format!(
        "{:012x}:record-{n}",
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
    )
}

/// A record's node: its texts differ in every put, as far as texts of one language do.
fn put(n: u64) -> Transaction {
    let mut words = String::new();
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while words.len() < 450 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        words.push_str(&format!("{:x} ", random % 4_096));
    }
    let data = format!("{{\"basic\":{{\"name\":\"record {n}\",\"description\":\"{words}\"}}}}");
    let oip = format!(
        "{{\"ver\":\"0.8.0\",\"recordType\":\"post\",\"indexedAt\":\"2026-11-22T10:00:00.000Z\",\"revision\":{n},\"creator\":{{\"didAddress\":\"did:key:z6Mk{random:x}\"}}}}"
    );
    let soul = Soul::new(name(n)).unwrap();
    let meta = Soul::new(format!("{}/meta", name(n))).unwrap();
    let entry = |key: &str, value: Value| Entry {
        key: Key::new(key).unwrap(),
        state: State::from_millis(NOW - 1),
        value,
    };
    let entries = vec![
        entry("data", Value::text(data)),
        entry("meta", Value::Link(meta)),
        entry("oip", Value::text(oip)),
    ];
    Op::Merge {
        graph: vec![Node { soul, entries }],
    }
    .into()
}

/// Bytes that the files of a folder take on disk, which for the journal is less than their length.
fn allocated(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                allocated(&entry.path())
            } else {
                on_disk(&data)
            }
        })
        .sum()
}

#[cfg(unix)]
fn on_disk(data: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    data.blocks() * 512
}

#[cfg(not(unix))]
fn on_disk(data: &std::fs::Metadata) -> u64 {
    data.len()
}
