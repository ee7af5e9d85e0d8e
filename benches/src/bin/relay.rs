//! `relay`: what a relay is worth beside gun.js: the protocol core alone, how long a change takes from the
//! writer to a subscriber, and what very many nodes cost in memory, on disk and at the next start.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use benches::contenders::{Kind, Relay, Storage};
use benches::core_relay;
use benches::footprint;
use benches::load::Load;
use benches::message::PUT_BYTES;
use benches::options::Options;
use benches::report::{Report, Table};
use benches::statistics::Latencies;
use clap::Parser;
use mimalloc::MiMalloc;
use serde_json::json;
use testkit::{Interop, RawGun, raw};

/// That of the node, for the core alone.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const RUNS: usize = 3;

/// Puts of the core alone, in one go.
const CORE_PUTS: u32 = 20_000;

/// Changes whose way to the subscriber is timed, and the time between two of them.
const PUSHES: u64 = 300;
const PUSH_GAP: Duration = Duration::from_millis(20);
const PUSH_MAX: Duration = Duration::from_secs(10);

/// Nodes whose memory and disk are looked at. gun.js gets fewer: it keeps each node in memory for good,
/// some 10 KB, and writes 4,000 a second at best.
const NODES: usize = 1_000_000;
const GUN_JS_NODES: usize = 50_000;

/// Puts under way while they are written.
const WINDOW: usize = 5_000;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some(core_relay::ARGUMENT) {
        return core_relay::run();
    }
    measure()
}

#[tokio::main(flavor = "current_thread")]
async fn measure() -> Result<()> {
    let options = Options::parse();
    let (runs, nodes) = (options.runs_or(RUNS), options.records_or(NODES));
    let mut report = Report::new("relay", &options, runs);
    report.fact("put", format!("one node, 4 keys, {PUT_BYTES} bytes"));
    let interop = testkit::interop();
    let interop = interop.as_ref();
    let mut core = Table::new(
        "protocol core alone: no store, no acks waited for; until the last of them can be read",
        &["puts/s", "CPU us/put"],
    );
    let mut push = Table::new(
        "push, from the writer's put to the subscriber, 50/s",
        &["p50 ms", "p99", "max"],
    );
    for _ in 0..runs {
        let (mut rates, mut delays) = (Vec::new(), Vec::new());
        for kind in Kind::available(interop) {
            rates.push(measure_core(kind, interop, &options, &mut core).await?);
            delays.push(measure_push(kind, interop, &options, &mut push).await?);
        }
        add_ratio(&mut core, &rates);
        add_ratio(&mut push, &delays);
    }
    report.table(core);
    report.table(push);
    let mut many = Table::new(
        "many nodes, written with 5,000 in flight; then an orderly stop",
        &[
            "nodes",
            "puts/s",
            "RSS MiB",
            "VmHWM MiB",
            "RSS bytes/node",
            "disk bytes/node",
            "stopped after ms",
            "listening again after ms",
            "after kill -9, ms",
        ],
    );
    let mut sizes = Vec::new();
    for kind in Kind::available(interop) {
        let count = match kind {
            Kind::Ours => nodes,
            Kind::GunJs => nodes.min(GUN_JS_NODES),
        };
        sizes.push(measure_many(kind, count, interop, &options, &mut many).await?);
    }
    add_ratio(&mut many, &sizes);
    report.table(many);
    report.print(&options);
    Ok(())
}

/// Ours by theirs, column by column, if both were measured.
fn add_ratio<const N: usize>(table: &mut Table, measured: &[[f64; N]]) {
    if let [theirs, ours] = measured {
        let ratios: Vec<f64> = theirs.iter().zip(ours).map(|(a, b)| b / a).collect();
        table.add("ratio", &ratios);
    }
}

fn now_ms() -> Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}

async fn measure_core(
    kind: Kind,
    interop: Option<&Interop>,
    options: &Options,
    table: &mut Table,
) -> Result<[f64; 2]> {
    let relay = Relay::start_with(kind, Storage::Memory, interop, options).await?;
    let mut load = Load::connect(&relay.url(), now_ms()?).await?;
    load.put_blind(CORE_PUTS / 10).await.context("warm up")?;
    let before = relay.cpu_seconds();
    let seconds = load.put_blind(CORE_PUTS).await?;
    let count = f64::from(CORE_PUTS);
    let cpu_us = (relay.cpu_seconds() - before) * 1e6 / count;
    let numbers = [count / seconds, cpu_us];
    table.add(kind.name(), &numbers);
    Ok(numbers)
}

async fn measure_push(
    kind: Kind,
    interop: Option<&Interop>,
    options: &Options,
    table: &mut Table,
) -> Result<[f64; 3]> {
    const SOUL: &str = "bench/pushed";
    let relay = Relay::start(kind, interop, options).await?;
    let mut writer = RawGun::connect(&relay.url()).await?;
    let mut reader = RawGun::connect(&relay.url()).await?;
    let get = json!({"#": raw::message_id(), "get": {"#": SOUL}});
    reader.send(&get).await?;
    let _not_found = reader.find(PUSH_MAX, |m| m["@"] == get["#"]).await?;
    let mut latencies = Latencies::default();
    for number in 0..PUSHES {
        let graph = raw::node(SOUL, &[("n", json!(number))], now_ms()?);
        let sent = Instant::now();
        let put = json!({"#": raw::message_id(), "put": graph});
        writer.send(&put).await?;
        reader
            .find(PUSH_MAX, |message| message["put"][SOUL]["n"] == number)
            .await
            .with_context(|| format!("{}: change {number} never came", kind.name()))?;
        latencies.add(sent.elapsed());
        tokio::time::sleep(PUSH_GAP).await;
    }
    let latency = latencies.percentiles();
    let numbers = [latency.p50, latency.p99, latency.max];
    table.add(kind.name(), &numbers);
    Ok(numbers)
}

async fn measure_many(
    kind: Kind,
    count: usize,
    interop: Option<&Interop>,
    options: &Options,
    table: &mut Table,
) -> Result<[f64; 9]> {
    let mut relay = Relay::start(kind, interop, options).await?;
    let mut load = Load::connect(&relay.url(), now_ms()?).await?;
    let written = load.put_count(count, WINDOW).await?;
    let memory = relay.memory();
    drop(load);
    let stopping = Instant::now();
    relay.stop().await?;
    let stopped = stopping.elapsed();
    let disk = match relay.folder() {
        Some(folder) => footprint::disk_bytes(folder)? as f64,
        None => f64::NAN,
    };
    let started = Instant::now();
    relay.start_again().await?;
    let ready = started.elapsed();
    let crashed = Instant::now();
    relay.crash_and_restart().await?;
    let recovered = crashed.elapsed();
    let nodes = written.acked.len() as f64;
    let numbers = [
        nodes,
        nodes / written.seconds,
        memory.now,
        memory.high_water,
        memory.now * 1_048_576.0 / nodes,
        disk / nodes,
        stopped.as_secs_f64() * 1e3,
        ready.as_secs_f64() * 1e3,
        recovered.as_secs_f64() * 1e3,
    ];
    table.add(kind.name(), &numbers);
    Ok(numbers)
}
