//! `latency`: how long after publishing on A a search on B finds the record, directly linked and
//! through a gun.js relay; and how long A takes to answer 200.

use anyhow::{Context, Result};
use benches::contenders;
use benches::corpus::Corpus;
use benches::options::Options;
use benches::publishing::{Pace, publish_all};
use benches::report::{Report, Table};
use benches::sightings::Sightings;
use benches::statistics::Latencies;
use clap::Parser;
use testkit::{GunRelay, NodeProcess, RelayOptions};

const RECORDS: usize = 1_000;
const RUNS: usize = 1;

/// Published before anything is timed: connections, the registry's first entries, warm caches.
const WARM_UP: usize = 50;

/// Publishers of the closed loop: few, so that latency shows and not a queue.
const PUBLISHERS: usize = 4;

const COLUMNS: &[&str] = &[
    "records",
    "200 p50 ms",
    "p99",
    "max",
    "searchable p50 ms",
    "p99",
    "max",
    "records/s",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (records, runs) = (options.records_or(RECORDS), options.runs_or(RUNS));
    let corpus = Corpus::new(options.seed, WARM_UP + 2 * records);
    let mut report = Report::new("latency", &options, runs);
    report.fact("corpus", corpus.describe());
    let interop = testkit::interop();
    let mut table = Table::new(
        "publish on A -> answer 200, and -> found by B's HTTP search",
        COLUMNS,
    );
    for _ in 0..runs {
        let a = contenders::node("A", "", &options).await?;
        let b = contenders::node("B", a.relay(), &options).await?;
        measure("direct", &a, &b, &corpus, &options, &mut table).await?;
        let Some(interop) = &interop else { continue };
        let relay = GunRelay::start(interop, RelayOptions::default()).await?;
        let a = contenders::node("A", &relay.url(), &options).await?;
        let b = contenders::node("B", &relay.url(), &options).await?;
        measure(
            "gun.js relay between",
            &a,
            &b,
            &corpus,
            &options,
            &mut table,
        )
        .await?;
    }
    report.table(table);
    report.print(&options);
    Ok(())
}

async fn measure(
    link: &str,
    a: &NodeProcess,
    b: &NodeProcess,
    corpus: &Corpus,
    options: &Options,
    table: &mut Table,
) -> Result<()> {
    let mut sightings = Sightings::of(b)?;
    let (warm_up, rest) = corpus.records.split_at(WARM_UP);
    let closed = Pace::Closed {
        publishers: PUBLISHERS,
    };
    tokio::try_join!(
        publish_all(a, warm_up, closed),
        sightings.watch(warm_up.len())
    )
    .context("warm up")?;
    let (first, second) = rest.split_at(rest.len() / 2);
    let open = Pace::Open {
        per_second: options.rate,
    };
    let loops = [
        (
            first,
            closed,
            format!("{PUBLISHERS} publishers, closed loop"),
        ),
        (second, open, format!("{}/s, open loop", options.rate)),
    ];
    for (records, pace, name) in loops {
        let goal = sightings.seen.len() + records.len();
        let (published, ()) =
            tokio::try_join!(publish_all(a, records, pace), sightings.watch(goal))
                .with_context(|| format!("{link}, {name}"))?;
        let (mut answered, mut found) = (Latencies::default(), Latencies::default());
        let mut last = published[0].due;
        for record in &published {
            let seen = sightings.seen.get(&record.did);
            let seen = *seen.with_context(|| format!("{} was never found", record.did))?;
            answered.add(record.acked - record.due);
            found.add(seen - record.due);
            last = last.max(seen);
        }
        let first = published.iter().map(|record| record.due).min();
        let seconds = first.map_or(f64::NAN, |first| (last - first).as_secs_f64());
        let (answered, found) = (answered.percentiles(), found.percentiles());
        table.add(
            format!("{link}, {name}"),
            &[
                published.len() as f64,
                answered.p50,
                answered.p99,
                answered.max,
                found.p50,
                found.p99,
                found.max,
                published.len() as f64 / seconds,
            ],
        );
    }
    Ok(())
}
