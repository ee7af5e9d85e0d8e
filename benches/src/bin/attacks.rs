//! `attacks`: what each attack of `docs/security.md` costs honest traffic: latency beside it over latency
//! without it, the most memory that was ever resident, and what the node refused.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::contenders;
use benches::footprint;
use benches::options::Options;
use benches::report::{Report, Table};
use benches::statistics::Latencies;
use clap::Parser;
use testkit::attack::{Attack, Target};
use testkit::{NodeOptions, NodeProcess, honest};

const RUNS: usize = 1;

/// Honest puts, and gets, per second.
const HONEST_PER_SECOND: u32 = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let runs = options.runs_or(RUNS);
    let time = Duration::from_secs_f64(options.seconds);
    let mut report = Report::new("attacks", &options, runs);
    report.fact(
        "honest traffic",
        format!("{HONEST_PER_SECOND} puts and as many gets per second, one connection"),
    );
    let mut table = Table::new(
        "honest latency before and during each attack",
        &[
            "p50 ms before",
            "during",
            "ratio",
            "p99 ms before",
            "during",
            "ratio",
            "VmHWM MiB",
            "refused",
        ],
    );
    for _ in 0..runs {
        for attack in Attack::ALL {
            measure(attack, time, &options, &mut table)
                .await
                .with_context(|| attack.name())?;
        }
    }
    report.table(table);
    report.print(&options);
    Ok(())
}

async fn measure(
    attack: Attack,
    time: Duration,
    options: &Options,
    table: &mut Table,
) -> Result<()> {
    let mut with = NodeOptions::named(attack.name()).env("RUST_LOG", &options.log);
    for (name, value) in attack.environment() {
        with = with.env(*name, *value);
    }
    let node = contenders::start(with).await?;
    // The first messages warm up connection, store and caches.
    honest(&node, Duration::from_secs(1)).await?;
    let before = honest(&node, time).await?.percentiles();
    let target = Target {
        relay: node.relay().to_owned(),
    };
    let attacker = tokio::spawn(async move {
        let ends = Instant::now() + time;
        attack.run(&target, ends).await
    });
    let during = honest(&node, time).await?.percentiles();
    attacker.await??;
    let memory = footprint::memory(node.id());
    table.add(
        attack.name(),
        &[
            before.p50,
            during.p50,
            during.p50 / before.p50,
            before.p99,
            during.p99,
            during.p99 / before.p99,
            memory.high_water,
            refused(&node).await?,
        ],
    );
    Ok(())
}

async fn honest(node: &NodeProcess, time: Duration) -> Result<Latencies> {
    let ends = Instant::now() + time;
    let mut latencies = Latencies::default();
    for latency in honest::traffic(node.relay(), HONEST_PER_SECOND, ends).await? {
        latencies.add(latency);
    }
    Ok(latencies)
}

/// Everything that the node counts as refused.
async fn refused(node: &NodeProcess) -> Result<f64> {
    let metrics = node.get("/metrics").await?;
    let lines = metrics.body.as_str().unwrap_or_default().lines();
    let refusals = lines.filter(|line| {
        line.starts_with("oip_gun_messages_rejected") || line.starts_with("oip_gun_relay_refused")
    });
    Ok(refusals
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}
