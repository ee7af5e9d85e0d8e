//! `gets`: pipelined gets of whole nodes from our relay port and from a gun.js relay, warm and after
//! a restart.

use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use benches::contenders::{Kind, Relay};
use benches::corpus::Random;
use benches::footprint::own_cpu_seconds;
use benches::load::{GetOutcome, Load};
use benches::message::PUT_BYTES;
use benches::options::Options;
use benches::report::{Report, Table};
use clap::Parser;
use testkit::Interop;

const RECORDS: usize = 10_000;
const RUNS: usize = 3;

/// Gets that are not answered yet, per line of the table.
const WINDOWS: [usize; 2] = [100, 1_000];

/// Puts under way while the nodes are written.
const WRITE_WINDOW: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (records, runs) = (options.records_or(RECORDS), options.runs_or(RUNS));
    let mut report = Report::new("gets", &options, runs);
    report.fact(
        "nodes",
        format!("{records}, 4 keys each, written with puts of {PUT_BYTES} bytes; one connection"),
    );
    let interop = testkit::interop();
    let mut table = Table::new(
        "gets of whole nodes in random order, answered whole",
        &[
            "gets/s",
            "CPU us/get",
            "generator's",
            "p50 ms",
            "p99",
            "max",
            "not whole in 5 s",
        ],
    );
    for _ in 0..runs {
        let mut rates: Vec<Vec<(String, f64)>> = Vec::new();
        for kind in Kind::available(interop.as_ref()) {
            rates.push(measure(kind, interop.as_ref(), records, &options, &mut table).await?);
        }
        if let [theirs, ours] = &rates[..] {
            for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
                table.add(format!("ratio, {name}"), &[ours / theirs]);
            }
        }
    }
    report.table(table);
    report.print(&options);
    Ok(())
}

async fn measure(
    kind: Kind,
    interop: Option<&Interop>,
    records: usize,
    options: &Options,
    table: &mut Table,
) -> Result<Vec<(String, f64)>> {
    let mut relay = Relay::start(kind, interop, options).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut load = Load::connect(&relay.url(), u64::try_from(now.as_millis())?).await?;
    let mut numbers = load.put_count(records, WRITE_WINDOW).await?.acked;
    ensure!(numbers.len() == records, "not all puts were acknowledged");
    let mut random = Random(options.seed);
    for at in (1..numbers.len()).rev() {
        numbers.swap(at, random.index(at + 1));
    }
    let time = Duration::from_secs_f64(options.seconds);
    let mut rates = Vec::new();
    for window in WINDOWS {
        let name = format!("{window} in flight");
        let before = (relay.cpu_seconds(), own_cpu_seconds());
        let outcome = load.get_for(&numbers, window, time).await?;
        let cpu_seconds = (relay.cpu_seconds() - before.0, own_cpu_seconds() - before.1);
        rates.push((
            name.clone(),
            line(table, kind, &name, &outcome, cpu_seconds),
        ));
    }
    // Each node once: what was read a first time lies in memory.
    relay.crash_and_restart().await?;
    load.reconnect(&relay.url()).await?;
    let name = format!("{} in flight, each once after a restart", WINDOWS[0]);
    let before = (relay.cpu_seconds(), own_cpu_seconds());
    let outcome = load.get_all(&numbers, WINDOWS[0]).await?;
    let cpu_seconds = (relay.cpu_seconds() - before.0, own_cpu_seconds() - before.1);
    rates.push((
        name.clone(),
        line(table, kind, &name, &outcome, cpu_seconds),
    ));
    Ok(rates)
}

/// Adds a line; `cpu_seconds` are those of the relay and of the generator.
fn line(
    table: &mut Table,
    kind: Kind,
    name: &str,
    outcome: &GetOutcome,
    cpu_seconds: (f64, f64),
) -> f64 {
    let answered = outcome.latencies.count() as f64;
    let rate = answered / outcome.seconds;
    let latency = outcome.latencies.percentiles();
    table.add(
        format!("{}, {name}", kind.name()),
        &[
            rate,
            cpu_seconds.0 * 1e6 / answered,
            cpu_seconds.1 * 1e6 / answered,
            latency.p50,
            latency.p99,
            latency.max,
            outcome.missing.len() as f64,
        ],
    );
    rate
}
