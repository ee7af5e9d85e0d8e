//! What the embedded index costs: one record at a time, in batches, searching, opening.
//!
//! `cargo bench -p oip-index --bench apply [-- RECORDS]` prints a table; RECORDS (50,000)
//! is how many the batches fill in. The corpus is the same in every run. Times hold for
//! the machine and its disk: the bare fsync is printed beside them for scale, since one
//! commit of tantivy syncs about 18 files.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use oip_index::{
    Condition, Direction, EmbeddedIndex, Envelope, FieldPath, Index, IndexOp, LastWord, MatchMode,
    Query, Readers, SortKey, Text, Version,
};
use serde_json::json;

const RECORDS_DEFAULT: u64 = 50_000;
const BATCH: u64 = 1_000;
const SINGLES: u64 = 500;
const SEARCHES: u64 = 300;
const VOCABULARY: u64 = 20_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let records = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(RECORDS_DEFAULT);
    let home = tempfile::tempdir()?;
    print_times("fsync of 4 KB, bare", &mut fsyncs(home.path())?);

    let path = home.path().join("index");
    let index = EmbeddedIndex::open(&path)?;
    let mut feed = Feed::default();
    print_times(
        "1 new record, empty index",
        &mut singles(&index, &mut feed)?,
    );
    fill(&index, &mut feed, records)?;
    print_times("1 new record, full index", &mut singles(&index, &mut feed)?);
    print_times(
        "1 edit, full index",
        &mut edits(&index, &mut feed, records)?,
    );
    searches(&index)?;
    println!("folder: {:.1} MB", folder_bytes(&path)? as f64 / 1e6);

    drop(index);
    let start = Instant::now();
    let index = EmbeddedIndex::open(&path)?;
    println!(
        "open: {:.1} ms, {} documents",
        ms(start.elapsed()),
        index.count(&Query::default())?
    );
    println!("high-water RSS: {}", high_water()?);
    Ok(())
}

#[derive(Default)]
struct Feed {
    next: u64,
    cursor: u64,
}

impl Feed {
    fn apply(&mut self, index: &EmbeddedIndex, batch: &[IndexOp]) -> Outcome<()> {
        self.cursor += batch.len() as u64;
        index.apply(batch, self.cursor)?;
        Ok(())
    }

    fn record(&mut self) -> IndexOp {
        self.next += 1;
        record(self.next, 0)
    }
}

/// A record of about 700 bytes with words of an uneven vocabulary.
fn record(number: u64, revision: u64) -> IndexOp {
    let mut seed = (number << 8) + revision + 1;
    let did = format!("did:gun:5b1fd0c7a9e2:note-{number}");
    let record_type = ["post", "note", "recipe"][(number % 3) as usize];
    let document = json!({
        "data": {
            "basic": {
                "name": sentence(&mut seed, 4),
                "description": sentence(&mut seed, 15),
                "date": 1_768_550_000 + number,
                "tagItems": [word(&mut seed), word(&mut seed), "bench"],
            },
            "post": { "articleText": sentence(&mut seed, 40), "revision": revision },
        },
        "oip": {
            "did": did,
            "recordType": record_type,
            "indexedAt": 1_768_903_200_000_u64 + number,
            "creator": { "didAddress": format!("did:key:z{}", number % 50) },
            "ver": "0.8.0",
        },
    });
    let envelope = Envelope {
        readers: Readers::Public,
        version: Version {
            indexed_at_ms: 1_768_903_200_000 + number as i64,
            revision,
            digest: [7; 32],
        },
        node: None,
    };
    IndexOp::Upsert {
        did,
        document,
        envelope,
    }
}

fn sentence(seed: &mut u64, words: usize) -> String {
    let words: Vec<_> = (0..words).map(|_| word(seed)).collect();
    words.join(" ")
}

/// The product of two uniform numbers makes low ones frequent, as words are.
fn word(seed: &mut u64) -> String {
    let frequent = random(seed) % VOCABULARY;
    format!("word{}", random(seed) % (frequent + 1))
}

/// splitmix64.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn fsyncs(folder: &Path) -> Outcome<Vec<Duration>> {
    let mut file = File::create(folder.join("fsync"))?;
    timed(100, || {
        file.write_all(&[7; 4096])?;
        Ok(file.sync_data()?)
    })
}

fn singles(index: &EmbeddedIndex, feed: &mut Feed) -> Outcome<Vec<Duration>> {
    timed(SINGLES, || {
        let op = feed.record();
        feed.apply(index, &[op])
    })
}

fn edits(index: &EmbeddedIndex, feed: &mut Feed, records: u64) -> Outcome<Vec<Duration>> {
    let mut seed = 3;
    timed(SINGLES, || {
        let op = record(random(&mut seed) % records + 1, 1);
        feed.apply(index, &[op])
    })
}

fn fill(index: &EmbeddedIndex, feed: &mut Feed, records: u64) -> Outcome<()> {
    let start = Instant::now();
    let mut times = timed(records.div_ceil(BATCH), || {
        let batch: Vec<_> = (0..BATCH).map(|_| feed.record()).collect();
        feed.apply(index, &batch)
    })?;
    let rate = (times.len() as u64 * BATCH) as f64 / start.elapsed().as_secs_f64();
    print_times(&format!("{BATCH} new records"), &mut times);
    println!("fill: {rate:.0} records/s, corpus made in the same loop");
    Ok(())
}

fn searches(index: &EmbeddedIndex) -> Outcome<()> {
    let mut seed = 5;
    let mut one = |name: &str, make: &dyn Fn(&mut u64) -> Query| -> Outcome<()> {
        let mut found = 0;
        let mut times = timed(SEARCHES, || {
            found += index.search(&make(&mut seed))?.total;
            Ok(())
        })?;
        print_times(
            &format!("search {name}, {} hits", found / SEARCHES),
            &mut times,
        );
        Ok(())
    };
    one("one word", &|seed| Query::by_text(word(seed)))?;
    one("two words", &|seed| Query::by_text(sentence(seed, 2)))?;
    one("two words, either", &|seed| {
        Query::of(Condition::Text(Text {
            mode: MatchMode::Any,
            ..Text::new(sentence(seed, 2))
        }))
    })?;
    one("while typing", &|seed| {
        Query::of(Condition::Text(Text {
            last_word: LastWord::Prefix,
            ..Text::new(word(seed))
        }))
    })?;
    one("everything, newest first", &|_| Query::default())?;
    one("a type, by name", &|_| Query {
        sort: vec![SortKey::field(FieldPath::name(), Direction::Ascending)],
        ..Query::of(Condition::record_types(["post"]))
    })?;
    one("a DID", &|seed| {
        Query::by_did(record(random(seed) % 1_000 + 1, 0).did())
    })
}

fn timed(times: u64, mut action: impl FnMut() -> Outcome<()>) -> Outcome<Vec<Duration>> {
    (0..times)
        .map(|_| {
            let start = Instant::now();
            action()?;
            Ok(start.elapsed())
        })
        .collect()
}

fn print_times(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| ms(times[(times.len() * percent / 100).min(times.len() - 1)]);
    println!(
        "{name:40} p50 {:8.2} ms   p99 {:8.2} ms   max {:8.2} ms   n {}",
        at(50),
        at(99),
        at(100),
        times.len()
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn folder_bytes(path: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            folder if folder.is_dir() => folder_bytes(&entry.path())?,
            file => file.len(),
        };
    }
    Ok(bytes)
}

fn high_water() -> Outcome<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line.unwrap_or("not known on this system").trim().to_owned())
}
