//! `oip-gun status`: is the node healthy, and if not, why.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun status
  oip-gun status --url http://10.0.0.7:3005
  oip-gun status --json | jq .sync.peers

Exits with 1 when the node is not healthy, so that scripts can ask.";

/// Record types that are named in the summary; the rest is counted.
const TYPES_SHOWN_MAX: usize = 8;

/// Show the state of the node, its peers and its records
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// Only ask whether the node answers, whatever its health: for supervisors that restart it
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: StatusArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    if args.live {
        let answer: Value = client.get("/api/health", &[]).await?;
        match output {
            Output::Json => output::json(&answer)?,
            Output::Text => output::line(&format!("the node at {} answers", client.url()))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let sync: Value = client.get("/api/health/gun-sync", &[]).await?;
    let records: Value = client.get("/api/records/recordTypes", &[]).await?;
    let healthy = text(&sync, "/status") == "healthy";
    match output {
        Output::Json => {
            output::json(&json!({"url": client.url(), "sync": sync, "records": records}))?;
        }
        Output::Text => output::line(&describe(client.url(), &sync, &records))?,
    }
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn describe(url: &str, sync: &Value, records: &Value) -> String {
    let mut lines = vec![
        format!("node     {} at {url}", text(sync, "/nodeId")),
        format!("health   {}", text(sync, "/status")),
    ];
    for reason in list(sync, "/reasons") {
        lines.push(format!("         because {}", plain(reason)));
    }
    lines.push(format!(
        "records  {}{}",
        text(records, "/totalRecords"),
        types(records)
    ));
    lines.push(format!(
        "sync     {} sweeps, last {}; discovered {}, synced {}, errors {}",
        text(sync, "/metrics/syncCycles"),
        text(sync, "/metrics/lastSyncAgo"),
        text(sync, "/metrics/totalDiscovered"),
        text(sync, "/metrics/totalSynced"),
        text(sync, "/metrics/totalErrors"),
    ));
    lines.push(format!(
        "waiting  {} wanted, {} in quarantine, index behind by {}",
        text(sync, "/wanted"),
        text(sync, "/quarantine"),
        text(sync, "/indexLag"),
    ));
    if !list(sync, "/trust").is_empty() {
        lines.push(format!("trusted  {}", trusted(sync)));
    }
    lines.push(format!("index    {}", index(sync)));
    let mut lines: Vec<String> = lines.iter().map(|line| output::printable(line)).collect();
    lines.push(peers(sync));
    lines.join("\n")
}

/// The nodes whose records are taken, and how much of others was put aside.
fn trusted(sync: &Value) -> String {
    let names: Vec<String> = list(sync, "/trust")
        .iter()
        .map(|standing| match text(standing, "/state").as_str() {
            "known" => text(standing, "/name"),
            state => format!("{} ({state})", text(standing, "/name")),
        })
        .collect();
    format!(
        "{}; {} of others put aside",
        names.join(", "),
        text(sync, "/untrusted")
    )
}

/// What it is, and what is being done about it.
fn index(sync: &Value) -> String {
    let mut shown = text(sync, "/index/backend");
    if let Some(done) = sync.pointer("/index/rebuild/done").and_then(Value::as_u64) {
        let (total, reason) = (
            text(sync, "/index/rebuild/total"),
            text(sync, "/index/rebuild/reason"),
        );
        shown.push_str(&format!(
            ", being made anew because {reason}: {done} of {total} records"
        ));
    } else if let Some(reason) = sync
        .pointer("/index/rebuildWaiting")
        .and_then(Value::as_str)
    {
        shown.push_str(&format!(", made anew when it works, because {reason}"));
    } else if let Some(reason) = sync
        .pointer("/index/rebuildGivenUp")
        .and_then(Value::as_str)
    {
        shown.push_str(&format!("; the last rebuild was given up: {reason}"));
    }
    shown
}

fn types(records: &Value) -> String {
    let types = list(records, "/recordTypes");
    if types.is_empty() {
        return String::new();
    }
    let mut named: Vec<String> = types
        .iter()
        .take(TYPES_SHOWN_MAX)
        .map(|entry| format!("{} {}", text(entry, "/type"), text(entry, "/count")))
        .collect();
    if types.len() > TYPES_SHOWN_MAX {
        named.push(format!("{} more types", types.len() - TYPES_SHOWN_MAX));
    }
    format!(" ({})", named.join(", "))
}

fn peers(sync: &Value) -> String {
    let peers = list(sync, "/peers");
    if peers.is_empty() {
        return "peers    none; name some by GUN_PEERS or --peer".to_owned();
    }
    let mut table = Table::new(["PEER", "DIRECTION", "STATE", "HEARD", "LAG"]);
    for peer in peers {
        let heard = match peer.get("lastHeardAgoMs").and_then(Value::as_u64) {
            Some(ago_ms) => format!("{:.1} s ago", ago_ms as f64 / 1_000.0),
            None => "never".to_owned(),
        };
        table.add([
            text(peer, "/address"),
            text(peer, "/direction"),
            text(peer, "/state"),
            heard,
            lag(peer),
        ]);
    }
    table.text()
}

/// Only known for peers that this node dials.
fn lag(peer: &Value) -> String {
    match peer.get("lagRecords").and_then(Value::as_u64) {
        Some(records) => format!("{records} records, {} s", text(peer, "/lagSeconds")),
        None => "-".to_owned(),
    }
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map_or("-".to_owned(), plain)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
