//! What an index costs: filling it, one record at a time, how soon a record is found, searching, opening.
//!
//! `cargo xtask bench index [-- RECORDS…]` prints a table for each number of records (100,000). The corpus
//! is the same in every run. Times hold for the machine and its disk: the bare fsync is printed beside them
//! for scale, since one commit of tantivy syncs about 20 files. Everything but opening goes through the
//! trait `Index`, so that another backend is one more row of `contenders`.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use oip_index::{
    Access, Condition, Direction, EmbeddedIndex, Envelope, Facet, FacetRequest, FieldPath,
    Highlight, Index, IndexOp, LastWord, MatchMode, Phrase, Position, Query, Readers, SortKey,
    Spelling, Text, Version,
};
use serde_json::json;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const RECORDS_DEFAULT: u64 = 100_000;
/// As the node's indexer has it.
const BATCH: u64 = 2_000;
const SINGLES: u64 = 200;
const SEARCHES: u64 = 200;
const VOCABULARY: u64 = 20_000;
/// Records per second whose freshness is measured, and for how many.
const PACE: u64 = 50;
const PACED: u64 = 400;
/// The indexer's pause after a commit: what arrives meanwhile is one batch.
const GATHER: Duration = Duration::from_millis(20);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut sizes: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes.push(RECORDS_DEFAULT);
    }
    let home = tempfile::tempdir()?;
    print_times("fsync of 4 KB, bare", &mut fsyncs(home.path())?);
    for records in sizes {
        println!("\nembedded, {records} records");
        let path = home.path().join(format!("index-{records}"));
        let index = EmbeddedIndex::open(&path)?;
        measure(&index, records)?;
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
    }
    Ok(())
}

/// Everything that any backend can be asked.
fn measure(index: &dyn Index, records: u64) -> Outcome<()> {
    let mut feed = Feed::default();
    fill(index, &mut feed, records)?;
    println!("high-water RSS after the fill: {}", high_water()?);
    print_times("1 new record at a time", &mut singles(index, &mut feed)?);
    print_times("1 edit at a time", &mut edits(index, &mut feed, records)?);
    print_times(
        &format!("arrival -> found, at {PACE}/s"),
        &mut fresh(index, &mut feed)?,
    );
    searches(index)?;
    let start = Instant::now();
    let mut held = 0;
    let mut after: Option<String> = None;
    loop {
        let page = index.holdings(after.as_deref(), 500)?;
        let Some(last) = page.last() else { break };
        held += page.len();
        after = Some(last.did.clone());
    }
    println!("holdings: {held} in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Records arrive at a steady pace, and are applied as the node's indexer does: what has arrived, then a pause.
fn fresh(index: &dyn Index, feed: &mut Feed) -> Outcome<Vec<Duration>> {
    let start = Instant::now();
    let due = |number: u64| Duration::from_secs_f64(number as f64 / PACE as f64);
    let mut times = Vec::new();
    let mut next = 0;
    while next < PACED {
        if let Some(wait) = due(next).checked_sub(start.elapsed()) {
            std::thread::sleep(wait);
        }
        let first = next;
        while next < PACED && due(next) <= start.elapsed() {
            next += 1;
        }
        let batch: Vec<_> = (first..next).map(|_| feed.record()).collect();
        feed.apply(index, &batch)?;
        let found = start.elapsed();
        times.extend((first..next).map(|number| found - due(number)));
        std::thread::sleep(GATHER);
    }
    Ok(times)
}

#[derive(Default)]
struct Feed {
    next: u64,
    cursor: u64,
}

impl Feed {
    fn apply(&mut self, index: &dyn Index, batch: &[IndexOp]) -> Outcome<()> {
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
            class: 2,
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

fn singles(index: &dyn Index, feed: &mut Feed) -> Outcome<Vec<Duration>> {
    timed(SINGLES, || {
        let op = feed.record();
        feed.apply(index, &[op])
    })
}

fn edits(index: &dyn Index, feed: &mut Feed, records: u64) -> Outcome<Vec<Duration>> {
    let mut seed = 3;
    timed(SINGLES, || {
        let op = record(random(&mut seed) % records + 1, 1);
        feed.apply(index, &[op])
    })
}

fn fill(index: &dyn Index, feed: &mut Feed, records: u64) -> Outcome<()> {
    let start = Instant::now();
    let mut anonymous = 0;
    let mut times = timed(records.div_ceil(BATCH), || {
        anonymous = anonymous.max(anonymous_kib()?);
        let batch: Vec<_> = (0..BATCH).map(|_| feed.record()).collect();
        feed.apply(index, &batch)
    })?;
    let rate = (times.len() as u64 * BATCH) as f64 / start.elapsed().as_secs_f64();
    print_times(&format!("{BATCH} new records"), &mut times);
    println!("of its own, without pages of files, at most during the fill: {anonymous} kB");
    println!("fill: {rate:.0} records/s, corpus made in the same loop");
    Ok(())
}

fn searches(index: &dyn Index) -> Outcome<()> {
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
    one("a phrase of two words", &|seed| {
        Query::of(Condition::Phrase(Phrase {
            text: sentence(seed, 2),
            fields: Vec::new(),
        }))
    })?;
    one("one word, with slips", &|seed| {
        Query::of(Condition::Text(Text {
            spelling: Spelling::Fuzzy,
            ..Text::new(word(seed))
        }))
    })?;
    one("one word, highlighted", &|seed| Query {
        highlight: Some(Highlight::default()),
        ..Query::by_text(word(seed))
    })?;
    one("one word, with all facets", &|seed| Query {
        facets: Facet::ALL.map(FacetRequest::new).into(),
        ..Query::by_text(word(seed))
    })?;
    one("everything, with all facets", &|_| Query {
        facets: Facet::ALL.map(FacetRequest::new).into(),
        ..Query::default()
    })?;
    one("a range of dates", &|seed| {
        let from = 1_768_550_000 + random(seed) % 90_000;
        Query::of(Condition::Range {
            field: FieldPath::date(),
            from: Bound::Included(from.to_string()),
            to: Bound::Excluded((from + 1_000).to_string()),
        })
    })?;
    one("a word in one field", &|seed| {
        Query::of(Condition::Text(Text {
            fields: vec![FieldPath::name()],
            ..Text::new(word(seed))
        }))
    })?;
    one("everything, newest first", &|_| Query::default())?;
    one("everything, as the operator", &|_| Query {
        access: Access::Everything,
        ..Query::default()
    })?;
    let deep = Query {
        position: Position::Offset(50_000),
        ..Query::default()
    };
    one("page 2,501", &|_| deep.clone())?;
    if let Some(next) = index.search(&deep)?.next {
        one("the page after it, by cursor", &|_| Query {
            position: Position::After(next.clone()),
            ..Query::default()
        })?;
    }
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

/// The most that was ever resident: pages of index files too, which the system takes back when it needs them.
fn high_water() -> Outcome<String> {
    Ok(status("VmHWM:")?.unwrap_or("not known on this system".to_owned()))
}

/// Memory of the process itself now, in KiB; 0 where it is not told.
fn anonymous_kib() -> Outcome<u64> {
    let told = status("RssAnon:")?;
    let number = told
        .as_deref()
        .and_then(|text| text.split_whitespace().next());
    Ok(number.and_then(|number| number.parse().ok()).unwrap_or(0))
}

fn status(name: &str) -> Outcome<Option<String>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.map(|text| text.trim().to_owned()))
}
