//! `oip-gun peers`: every peer, how it stands, and why the last attempt failed.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun peers
  oip-gun peers --json | jq '.[] | select(.state != \"connected\")'

Exits with 1 when a configured peer is not connected.";

/// Show the peers of the running node
///
/// Dialled are the relays and nodes of GUN_PEERS, pulled those among them that are asked over HTTP, and
/// accepted the nodes of this kind that dialled this one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PeersArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: PeersArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let mut health: Value = client.get("/api/health/gun-sync", &[]).await?;
    let peers = health["peers"].take();
    match output {
        Output::Json => output::json(&peers)?,
        Output::Text => {
            output::line(&describe(&peers))?;
            for line in claims(&health) {
                output::line(&output::printable(&line))?;
            }
        }
    }
    Ok(if is_any_down(&peers) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn is_any_down(peers: &Value) -> bool {
    let peers = peers.as_array().into_iter().flatten();
    peers
        .filter(|peer| peer["direction"] != "accepted")
        .any(|peer| peer["state"] != "connected")
}

fn describe(peers: &Value) -> String {
    let peers = peers.as_array().map_or(&[][..], Vec::as_slice);
    if peers.is_empty() {
        return "no peers: name some by GUN_PEERS or --peer".to_owned();
    }
    let mut table = Table::new([
        "PEER",
        "NODE",
        "DIRECTION",
        "STATE",
        "HEARD",
        "LAG",
        "IN",
        "OUT",
        "LAST ERROR",
    ]);
    for peer in peers {
        let heard = peer["lastHeardAgoMs"].as_u64();
        let lag = peer["lagRecords"].as_u64();
        let bytes = |name: &str| {
            let bytes = peer[name].as_u64().unwrap_or(0);
            indicatif::HumanBytes(bytes).to_string()
        };
        table.add([
            text(&peer["address"]),
            text(&peer["nodeId"]),
            text(&peer["direction"]),
            text(&peer["state"]),
            heard.map_or("never".to_owned(), |ms| {
                format!("{:.1} s ago", ms as f64 / 1_000.0)
            }),
            lag.map_or("-".to_owned(), |records| format!("{records} records")),
            bytes("bytesIn"),
            bytes("bytesOut"),
            text(&peer["lastError"]),
        ]);
    }
    table.text()
}

/// Nodes that claim the alias of a trusted one, or the name of one that is sealed to.
fn claims(health: &Value) -> Vec<String> {
    let rivals = health["rivals"].as_array().into_iter().flatten();
    let standings = health["trust"].as_array().into_iter().flatten();
    standings
        .filter_map(|standing| {
            let (name, by) = (standing["name"].as_str()?, standing["claimedBy"].as_str()?);
            Some(format!(
                "not trusted: the node {by} claims the alias {name} too"
            ))
        })
        .chain(rivals.filter_map(|rival| {
            let (name, by) = (rival["name"].as_str()?, rival["claimedBy"].as_str()?);
            Some(format!(
                "not sealed to: the node {by} claims the name {name} too"
            ))
        }))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or("-".to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configured_peer_that_is_down_is_told_with_its_reason() {
        let peer = |direction: &str, state: &str| {
            json!({
                "address": "ws://relay.example/gun", "direction": direction, "state": state, "nodeId": null,
                "lastHeardAgoMs": 1_500, "lagRecords": 3, "lastError": "refused", "bytesIn": 2_048, "bytesOut": 0,
            })
        };
        let shown = describe(&json!([peer("dialled", "connecting")]));
        for part in [
            "ws://relay.example/gun",
            "1.5 s ago",
            "3 records",
            "2.00 KiB",
            "refused",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        for (direction, state, down) in [
            ("dialled", "connected", false),
            ("dialled", "connecting", true),
            ("pulled", "connecting", true),
            ("accepted", "connecting", false),
        ] {
            assert_eq!(
                is_any_down(&json!([peer(direction, state)])),
                down,
                "{direction} {state}"
            );
        }
        assert!(describe(&json!([])).contains("GUN_PEERS"));
        let trust = json!([{"name": "b", "claimedBy": "77"}, {"name": "c", "claimedBy": null}]);
        let told = claims(&json!({"trust": trust}));
        assert!(told.len() == 1 && told[0].contains("77"), "{told:?}");
    }
}
