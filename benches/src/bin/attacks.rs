//! `attacks`: what each attack of `docs/security.md` costs honest traffic: latency during it over latency
//! before it, the most memory that was ever resident, and what the node refused. Attacker, node and honest
//! peer share one machine: the attacker gets what time the others leave, and the same attack on another node
//! beside shows what of it is the machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::contenders;
use benches::footprint;
use benches::options::Options;
use benches::report::{Report, Table};
use benches::statistics::{Latencies, Percentiles};
use clap::Parser;
use testkit::attack::{Attack, Target};
use testkit::{NodeOptions, NodeProcess, honest};
use tokio::process::Command;

const RUNS: usize = 1;

/// Honest puts, and gets, per second.
const HONEST_PER_SECOND: u32 = 100;

/// The argument that makes this program the attacker: then name, address and seconds.
const ATTACK: &str = "attack";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[..] {
        [_, first, name, relay, seconds] if first == ATTACK => attack(name, relay, seconds),
        _ => measure_all(),
    }
}

/// Attacks until the time is over.
#[tokio::main]
async fn attack(name: &str, relay: &str, seconds: &str) -> Result<()> {
    let attack = Attack::ALL.into_iter().find(|attack| attack.name() == name);
    let attack = attack.with_context(|| format!("no attack is named {name}"))?;
    let target = Target {
        relay: relay.to_owned(),
    };
    let ends = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
    attack.run(&target, ends).await
}

/// The command line.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The attacks to measure, by name; all unless given
    attacks: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn measure_all() -> Result<()> {
    let Arguments { options, attacks } = Arguments::parse();
    let is_chosen =
        |attack: &Attack| attacks.is_empty() || attacks.iter().any(|name| name == attack.name());
    for name in &attacks {
        let known = Attack::ALL.iter().any(|attack| attack.name() == name);
        ensure!(known, "no attack is named {name}");
    }
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
            "beside",
            "during",
            "ratio",
            "p99 ms before",
            "beside",
            "during",
            "ratio",
            "VmHWM MiB",
            "refused",
        ],
    );
    for _ in 0..runs {
        for attack in Attack::ALL.into_iter().filter(is_chosen) {
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
    let other = contenders::start(with.clone()).await?;
    let node = contenders::start(with).await?;
    // The first messages warm up connection, store and caches.
    honest(&node, Duration::from_secs(1)).await?;
    let before = honest(&node, time).await?.percentiles();
    let beside = during(attack, &other, &node, time).await?;
    drop(other);
    let during = during(attack, &node, &node, time).await?;
    let memory = footprint::memory(node.id());
    table.add(
        attack.name(),
        &[
            before.p50,
            beside.p50,
            during.p50,
            during.p50 / before.p50,
            before.p99,
            beside.p99,
            during.p99,
            during.p99 / before.p99,
            memory.high_water,
            refused(&node).await?,
        ],
    );
    Ok(())
}

/// Honest latency on `node` while `target` is attacked.
async fn during(
    attack: Attack,
    target: &NodeProcess,
    node: &NodeProcess,
    time: Duration,
) -> Result<Percentiles> {
    // A process of its own, which no other ever waits for: a stranger brings his own processors.
    let mut attacker = Command::new("chrt")
        .args(["--idle", "0"])
        .arg(std::env::current_exe()?)
        .args([ATTACK, attack.name(), target.relay()])
        .arg(time.as_secs_f64().to_string())
        .kill_on_drop(true)
        .spawn()
        .context("start the attacker with `chrt` of util-linux")?;
    let latencies = honest(node, time).await?;
    let status = attacker.wait().await?;
    ensure!(status.success(), "the attacker failed: {status}");
    Ok(latencies.percentiles())
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
