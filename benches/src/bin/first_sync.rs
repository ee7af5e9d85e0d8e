//! `first-sync`: an empty node gets all records of another. Counts until every record is verified
//! and durable on B, and until every record is found by B's search; what it took of memory,
//! wire and disk.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use benches::contenders;
use benches::corpus::Corpus;
use benches::footprint::{cpu_seconds, disk_bytes, memory};
use benches::options::Options;
use benches::publishing::{Pace, publish_all};
use benches::report::{Report, Table};
use benches::sightings::searchable;
use clap::Parser;
use serde_json::Value;
use testkit::NodeProcess;

const RECORDS: usize = 10_000;
const RUNS: usize = 3;

/// Records in flight while A is filled.
const PUBLISHERS: usize = 256;

/// Pause between two looks at health and search: the resolution of the times.
const LOOK: Duration = Duration::from_millis(20);

/// Without progress for so long the bench gives up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (records, runs) = (options.records_or(RECORDS), options.runs_or(RUNS));
    let corpus = Corpus::new(options.seed, records);
    let mut report = Report::new("first-sync", &options, runs);
    report.fact("corpus", corpus.describe());
    let mut speed = Table::new(
        "records per second",
        &["records", "seconds", "records/s", "answer p50 ms", "p99"],
    );
    let mut cost = Table::new(
        "cost, per record where it says so",
        &[
            "CPU us/record",
            "VmHWM MiB",
            "wire bytes in/record",
            "wire bytes out/record",
            "disk bytes/record",
            "of it store",
            "of it index",
        ],
    );
    for _ in 0..runs {
        run(&corpus, &options, &mut speed, &mut cost).await?;
    }
    report.table(speed);
    report.table(cost);
    report.print(&options);
    Ok(())
}

async fn run(
    corpus: &Corpus,
    options: &Options,
    speed: &mut Table,
    cost: &mut Table,
) -> Result<()> {
    let count = corpus.records.len();
    let rate = |seconds: f64| [count as f64, seconds, count as f64 / seconds];
    let mut a = contenders::node("A", "", options).await?;
    let started = Instant::now();
    let pace = Pace::Closed {
        publishers: PUBLISHERS,
    };
    let published = publish_all(&a, &corpus.records, pace).await?;
    let [n, seconds, per_second] = rate(started.elapsed().as_secs_f64());
    let mut answered = benches::statistics::Latencies::default();
    answered.extend(published.iter().map(|record| record.acked - record.due));
    let answered = answered.percentiles();
    speed.add(
        format!("published on A over HTTP, {PUBLISHERS} in flight, durable"),
        &[n, seconds, per_second, answered.p50, answered.p99],
    );
    until(count, || searchable(&a)).await.context("A's index")?;
    let cpu_publishing = cpu_seconds(a.id());
    let searchable_on_a = rate(started.elapsed().as_secs_f64());
    speed.add("published on A, until all are found on A", &searchable_on_a);

    let starts = Instant::now();
    let mut b = contenders::node("B", a.relay(), options).await?;
    let ready = starts.elapsed().as_secs_f64();
    let (verified, found) = tokio::try_join!(
        async {
            until(count, || synced(&b)).await.context("synced on B")?;
            anyhow::Ok(starts.elapsed().as_secs_f64())
        },
        async {
            until(count, || searchable(&b)).await.context("B's index")?;
            anyhow::Ok(starts.elapsed().as_secs_f64())
        }
    )?;
    speed.add(
        "B from its start, until all are verified and durable",
        &rate(verified),
    );
    speed.add("B from its start, until all are found on B", &rate(found));
    speed.add("B until it is ready", &[f64::NAN, ready]);
    let health = health(&b).await?;
    ensure!(
        health["metrics"]["totalSynced"] == count,
        "B kept another number than {count}: {health}"
    );
    let cpu_a = cpu_seconds(a.id());
    let processes = [
        ("A, serving B", cpu_a - cpu_publishing, &mut a),
        ("B", cpu_seconds(b.id()), &mut b),
    ];
    let per_record = |quantity: f64| quantity / count as f64;
    cost.add("A, until B starts", &[per_record(cpu_publishing * 1e6)]);
    for (name, cpu, node) in processes {
        let (wire_in, wire_out) = wire(node).await?;
        let high_water = memory(node.id()).high_water;
        node.terminate().await?;
        let data = node.folder().join("data");
        let disk = |folder: &str| -> Result<f64> { Ok(disk_bytes(&data.join(folder))? as f64) };
        cost.add(
            name,
            &[
                per_record(cpu * 1e6),
                high_water,
                per_record(wire_in),
                per_record(wire_out),
                per_record(disk(".")?),
                per_record(disk("store")?),
                per_record(disk("index")?),
            ],
        );
    }
    cost.add(
        "the records themselves, as JSON",
        &[
            f64::NAN,
            f64::NAN,
            f64::NAN,
            f64::NAN,
            corpus.bytes as f64 / count as f64,
        ],
    );
    Ok(())
}

/// Looks until a count is reached.
async fn until<F>(count: usize, look: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<u64>>,
{
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = look().await?;
        if now >= count as u64 {
            return Ok(());
        }
        if now > last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > SILENCE_MAX {
            bail!("stands at {now} of {count}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn health(node: &NodeProcess) -> Result<Value> {
    Ok(node.get("/api/health/gun-sync").await?.body)
}

/// Record versions that the node has verified and kept: counted after their commit.
async fn synced(node: &NodeProcess) -> Result<u64> {
    let health = health(node).await?;
    let synced = health["metrics"]["totalSynced"].as_u64();
    synced.with_context(|| format!("no count in {health}"))
}

/// Bytes from and to all peers that health lists; NaN if it lists none.
async fn wire(node: &NodeProcess) -> Result<(f64, f64)> {
    let health = health(node).await?;
    let sum = |name: &str| -> f64 {
        let peers = health["peers"].as_array().into_iter().flatten();
        let bytes = peers.filter_map(|peer| peer[name].as_f64());
        bytes.reduce(|sum, more| sum + more).unwrap_or(f64::NAN)
    };
    Ok((sum("bytesIn"), sum("bytesOut")))
}
