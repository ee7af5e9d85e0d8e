//! Writing to a real Elasticsearch or OpenSearch, beside a bare loop that sends the same documents to the
//! same server; searches; and how soon a fresh document is found.
//!
//! `cargo xtask servers && cargo xtask bench search_server [-- RECORDS…]`. Searches are measured over each of
//! these numbers of documents (100,000 unless told). `OIP_SEARCH_SERVERS` chooses the servers,
//! `OIP_BENCH_RECORDS` the number of documents of a round of writing (40,000 unless told).

#![expect(clippy::unwrap_used, reason = "a bench that can't go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mimalloc::MiMalloc;
use oip_index::{
    ElasticIndex, ElasticSettings, Envelope, Index, IndexOp, Query, Readers, Templates, Version,
};
use serde_json::{Value, json};
use testkit::search_server::call;
use testkit::{SearchOptions, SearchServer, search_servers};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Documents of a batch, as the indexer makes them, and of a bulk of the bare loop.
const BATCH: usize = 2_000;
/// Documents searched, unless told.
const SEARCHED: usize = 100_000;
/// Rounds that count, after one that warms up.
const ROUNDS: usize = 5;
/// Searches measured.
const SEARCHES: usize = 300;
/// Fresh documents measured.
const FRESH: usize = 50;

const WORDS: [&str; 32] = [
    "tide", "harbour", "barley", "lantern", "meadow", "copper", "violin", "granite", "orchard",
    "signal", "winter", "river", "compass", "bakery", "thunder", "museum", "falcon", "island",
    "window", "pepper", "marble", "engine", "garden", "shadow", "ribbon", "castle", "market",
    "forest", "anchor", "candle", "desert", "mirror",
];

/// The same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.roll(WORDS.len())]).collect();
        words.join(" ")
    }
}

fn record(dice: &mut Dice, number: usize) -> IndexOp {
    let did = format!("did:gun:5b1fd0c7a9e2:post-{number:07}");
    let record_type = ["post", "recipe", "exercise"][number % 3];
    let document = json!({
        "data": {
            "basic": {
                "name": format!("{} {number}", dice.words(3)),
                "description": dice.words(25),
                "date": 1_768_550_000 + number,
                "language": "en",
                "tagItems": [dice.words(1), dice.words(1)],
            },
            "post": {"webUrl": format!("https://example.org/{number}"), "bylineWriter": dice.words(2)},
        },
        "oip": {
            "did": did,
            "recordType": record_type,
            "indexedAt": format!("2026-01-20T10:{:02}:{:02}.000Z", number / 60 % 60, number % 60),
            "ver": "0.8.0",
            "creator": {"didAddress": format!("did:arweave:{}", number % 20)},
        },
    });
    let version = Version {
        class: 2,
        indexed_at_ms: 1_768_903_200_000,
        revision: 0,
        digest: [0; 32],
    };
    let envelope = Envelope {
        readers: Readers::Public,
        version,
        node: None,
    };
    IndexOp::Upsert {
        did,
        document,
        envelope,
    }
}

fn index(url: &str, name: &str) -> ElasticIndex {
    let settings = ElasticSettings::new(url, name, "bench").unwrap();
    ElasticIndex::new(settings, Arc::new(Templates::known())).unwrap()
}

fn main() {
    // `cargo test --benches` asks only whether it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let records = std::env::var("OIP_BENCH_RECORDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let records: usize = records.unwrap_or(40_000);
    let mut sizes: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes.push(SEARCHED);
    }
    sizes.sort_unstable();
    for distribution in search_servers() {
        let options = SearchOptions {
            heap_mb: 1_024,
            ..SearchOptions::default()
        };
        let server = SearchServer::start(&distribution, options).unwrap();
        let url = server.url();
        println!(
            "{} {}, {records} records a round",
            distribution.flavour, distribution.version
        );
        let mut dice = Dice(7);
        let ops: Vec<IndexOp> = (0..records)
            .map(|number| record(&mut dice, number))
            .collect();
        writing(&url, &ops);
        let index = index(&url, "searched");
        let mut held = records;
        for &size in &sizes {
            held += fill(&index, &mut dice, held..size);
            searching(&index, held);
            held += FRESH;
        }
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default();
        println!("this process: {peak}");
    }
}

fn writing(url: &str, ops: &[IndexOp]) {
    ours(url, "searched", ops);
    let (mapping, lines) = as_written(url, "searched");
    let (mut own, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let name = format!("round{round}");
        let took = ours(url, &name, ops);
        call(url, "DELETE", &format!("/{name}-v1"), None).unwrap();
        let loop_took = bare_loop(url, &mapping, &lines);
        if round > 0 {
            own.push(ops.len() as f64 / took.as_secs_f64());
            bare.push(ops.len() as f64 / loop_took.as_secs_f64());
        }
    }
    let bytes: usize = lines.iter().map(String::len).sum();
    println!(
        "  bytes a document, envelope included: {}",
        bytes / lines.len()
    );
    let shares: Vec<f64> = own
        .iter()
        .zip(&bare)
        .map(|(own, bare)| own / bare * 100.0)
        .collect();
    println!(
        "  this backend: {} docs/s, position and all",
        shown(&mut own)
    );
    println!("  bare loop:    {} docs/s", shown(&mut bare));
    println!("  share:        {} %", shown(&mut { shares }));
}

/// Median and range.
fn shown(figures: &mut [f64]) -> String {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures[0], figures[figures.len() - 1]);
    format!("{:.0} ({low:.0} to {high:.0})", figures[figures.len() / 2])
}

/// Writes everything through the backend, as the indexer does.
fn ours(url: &str, name: &str, ops: &[IndexOp]) -> Duration {
    let index = index(url, name);
    assert_eq!(index.cursor().unwrap(), 0);
    let started = Instant::now();
    for (number, batch) in ops.chunks(BATCH).enumerate() {
        let applied = index.apply(batch, number as u64 + 1).unwrap();
        assert_eq!(applied.refused, []);
    }
    started.elapsed()
}

/// The index's mapping, and its documents as lines for a bulk.
fn as_written(url: &str, name: &str) -> (Value, Vec<String>) {
    call(url, "POST", &format!("/{name}/_refresh"), None).unwrap();
    let (_, answer) = call(url, "GET", &format!("/{name}/_mapping"), None).unwrap();
    let mapping = answer.as_object().unwrap().values().next().unwrap().clone();
    let mut lines = Vec::new();
    let mut body = json!({
        "size": 1_000,
        "query": {"term": {"oipGun.terms.keyword": "kind=record"}},
        "sort": [{"oipGun.by.oip/did.keyword": "asc"}],
    });
    loop {
        let (_, answer) =
            call(url, "POST", &format!("/{name}/_search"), Some(body.clone())).unwrap();
        let hits = answer["hits"]["hits"].as_array().unwrap();
        let Some(last) = hits.last() else {
            return (mapping, lines);
        };
        body["search_after"] = last["sort"].clone();
        lines.extend(hits.iter().map(|hit| {
            let action = json!({"index": {"_id": hit["_id"]}});
            format!("{action}\n{}\n", hit["_source"])
        }));
    }
}

/// Bulks of the same documents, made beforehand, one after the other on one connection.
fn bare_loop(url: &str, mapping: &Value, lines: &[String]) -> Duration {
    let settings = json!({"refresh_interval": "1s", "mapping.total_fields.limit": 25_000});
    let body = json!({"settings": {"index": settings}, "mappings": mapping["mappings"]});
    let (status, answer) = call(url, "PUT", "/bare", Some(body)).unwrap();
    assert_eq!(status, 200, "{answer}");
    let bodies: Vec<String> = lines.chunks(BATCH).map(|chunk| chunk.concat()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let started = Instant::now();
    runtime.block_on(async {
        for body in bodies {
            let request = client
                .post(format!("{url}/bare/_bulk?filter_path=errors"))
                .header("content-type", "application/x-ndjson")
                .body(body);
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["errors"], false);
        }
    });
    let took = started.elapsed();
    call(url, "DELETE", "/bare", None).unwrap();
    took
}

/// Writes further documents, a batch at a time; how many there were.
fn fill(index: &ElasticIndex, dice: &mut Dice, numbers: std::ops::Range<usize>) -> usize {
    let (first, count) = (numbers.start, numbers.len());
    for batch in (0..count.div_ceil(BATCH)).map(|number| first + number * BATCH) {
        let ops: Vec<IndexOp> = (batch..(batch + BATCH).min(first + count))
            .map(|number| record(dice, number))
            .collect();
        index.apply(&ops, (batch + ops.len()) as u64).unwrap();
    }
    count
}

fn searching(index: &ElasticIndex, records: usize) {
    let mut dice = Dice(11);
    let mut search = |measured: usize| {
        let mut times: Vec<Duration> = (0..measured)
            .map(|_| {
                let query = Query::by_text(dice.words(2));
                let started = Instant::now();
                let page = index.search(&query).unwrap();
                assert!(page.total <= records as u64);
                started.elapsed()
            })
            .collect();
        times.sort();
        times
    };
    search(SEARCHES);
    let times = search(SEARCHES);
    println!(
        "  search over {records} records, two words: {}",
        percentiles(&times)
    );
    let mut times: Vec<Duration> = (0..FRESH)
        .map(|number| {
            let op = record(&mut Dice(number as u64), 9_000_000 + records + number);
            let did = op.did().to_owned();
            let started = Instant::now();
            index.apply(&[op], (records + number) as u64).unwrap();
            let page = index.search(&Query::by_did(did)).unwrap();
            assert_eq!(page.total, 1);
            started.elapsed()
        })
        .collect();
    times.sort();
    println!("  written to found, one record: {}", percentiles(&times));
}

fn percentiles(times: &[Duration]) -> String {
    let at =
        |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99))
}
