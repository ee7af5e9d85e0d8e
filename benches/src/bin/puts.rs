//! `puts`: plain GUN puts per second, acknowledged, against our relay port and a gun.js relay; and
//! how many acknowledged nodes are gone after a kill -9.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use benches::contenders::{Kind, Relay};
use benches::footprint::own_cpu_seconds;
use benches::load::{Load, PutOutcome};
use benches::message::PUT_BYTES;
use benches::options::Options;
use benches::report::{Report, Table};
use clap::Parser;
use testkit::Interop;

const RUNS: usize = 3;

/// Puts that are not acknowledged yet, per line of the table.
const WINDOWS: [usize; 3] = [100, 1_000, 5_000];

/// Puts per second of the open loop.
const RATE: u32 = 1_000;

/// Puts before anything is timed.
const WARM_UP: usize = 1_000;

/// Gets under way while acknowledged nodes are read back.
const READ_WINDOW: usize = 100;

/// What is missing then is asked for again, slowly, before it counts as missing.
const SECOND_WINDOW: usize = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let runs = options.runs_or(RUNS);
    let mut report = Report::new("puts", &options, runs);
    report.fact(
        "put",
        format!("one node, 4 keys, {PUT_BYTES} bytes, a soul of its own; one connection"),
    );
    let interop = testkit::interop();
    let mut speed = Table::new(
        "puts, acknowledged",
        &[
            "puts/s",
            "ack p50 ms",
            "p99",
            "max",
            "refused",
            "unanswered",
        ],
    );
    let mut after = Table::new(
        "afterwards: memory, then kill -9, restart, and all acknowledged nodes read back",
        &[
            "CPU us/put",
            "generator's",
            "RSS MiB",
            "VmHWM MiB",
            "acknowledged",
            "missing",
        ],
    );
    for _ in 0..runs {
        let mut rates: Vec<(Kind, Vec<(String, f64)>)> = Vec::new();
        for kind in Kind::available(interop.as_ref()) {
            let measured =
                measure(kind, interop.as_ref(), &options, &mut speed, &mut after).await?;
            rates.push((kind, measured));
        }
        if let [(_, theirs), (_, ours)] = &rates[..] {
            for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
                speed.add(format!("ratio, {name}"), &[ours / theirs]);
            }
        }
    }
    report.table(speed);
    report.table(after);
    report.print(&options);
    Ok(())
}

/// Measures one contender; its rates by window.
async fn measure(
    kind: Kind,
    interop: Option<&Interop>,
    options: &Options,
    speed: &mut Table,
    after: &mut Table,
) -> Result<Vec<(String, f64)>> {
    let mut relay = Relay::start(kind, interop, options).await?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let state_ms = u64::try_from(now.as_millis())?;
    let mut load = Load::connect(&relay.url(), state_ms).await?;
    let own_before = own_cpu_seconds();
    let mut acked = load.put_count(WARM_UP, WARM_UP).await?.acked;
    let time = Duration::from_secs_f64(options.seconds);
    let mut rates = Vec::new();
    for window in WINDOWS {
        let name = format!("{window} in flight");
        let outcome = load.put_closed(window, time).await;
        let outcome = outcome.with_context(|| format!("{}, {name}", kind.name()))?;
        rates.push((name.clone(), line(speed, kind, &name, &outcome)));
        acked.extend(outcome.acked);
    }
    let outcome = load.put_open(RATE, time).await?;
    line(speed, kind, &format!("{RATE}/s, open loop"), &outcome);
    acked.extend(outcome.acked);

    let (memory, cpu_seconds) = (relay.memory(), relay.cpu_seconds());
    let own_cpu_seconds = own_cpu_seconds() - own_before;
    relay.crash_and_restart().await?;
    load.reconnect(&relay.url()).await?;
    let first = load.get_all(&acked, READ_WINDOW).await?;
    let second = load.get_all(&first.missing, SECOND_WINDOW).await?;
    after.add(
        kind.name(),
        &[
            cpu_seconds * 1e6 / acked.len() as f64,
            own_cpu_seconds * 1e6 / acked.len() as f64,
            memory.now,
            memory.high_water,
            acked.len() as f64,
            second.missing.len() as f64,
        ],
    );
    Ok(rates)
}

fn line(table: &mut Table, kind: Kind, name: &str, outcome: &PutOutcome) -> f64 {
    let rate = outcome.acked.len() as f64 / outcome.seconds;
    let latency = outcome.latencies.percentiles();
    table.add(
        format!("{}, {name}", kind.name()),
        &[
            rate,
            latency.p50,
            latency.p99,
            latency.max,
            outcome.refused as f64,
            outcome.unanswered as f64,
        ],
    );
    rate
}
