//! `oip-gun config check`: what is in force, where it was given, and what is likely not meant.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gun_net::Transport;
use oip_node::{SyncMode, TrustedNode};
use serde_json::{Map, Value, json};

use super::output::{self, Output};
use super::table::Table;
use crate::settings::{Flags, Layers, Origin, Setting, Settings};

const EXAMPLES: &str = "\
Examples:
  oip-gun config check
  oip-gun config check --config /etc/oip-gun.toml
  oip-gun config check --json | jq .advice

Exits with 1, and names the place and the cure, when a setting is not taken. Secrets are not shown.";

/// Look at the settings without starting a node
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Check(CheckArgs),
}

/// Show what is in force and why, and what is likely not meant
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Settings file (TOML) [env: OIP_GUN_CONFIG] [default: oip-gun.toml in the data folder, if there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder of the node [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

pub(super) fn run(args: ConfigArgs, output: Output) -> anyhow::Result<ExitCode> {
    let Kind::Check(args) = args.kind;
    let data_dir = args.data_dir.map(|data_dir| (Setting::DataDir, data_dir));
    let flags = Flags {
        config: args.config,
        values: data_dir.into_iter().collect(),
    };
    let layers = Layers::collect(flags, &|name| std::env::var(name).ok())?;
    let settings = Settings::interpret(layers)?;
    gun_net::address::refuse_ourselves(
        &settings.node.peers,
        &[settings.node.relay_listen, settings.api_listen],
    )?;
    let advice = advice(&settings);
    match output {
        Output::Json => {
            let in_force: Map<String, Value> = Setting::ALL
                .iter()
                .map(|setting| {
                    let value = value_of(&settings, *setting);
                    let origin = origin_of(&settings, *setting).to_string();
                    (
                        setting.key().to_owned(),
                        json!({"value": value, "from": origin}),
                    )
                })
                .collect();
            output::json(&json!({"inForce": in_force, "advice": advice}))?;
        }
        Output::Text => {
            let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
            for setting in Setting::ALL {
                table.add([
                    setting.key().to_owned(),
                    value_of(&settings, setting),
                    origin_of(&settings, setting).to_string(),
                ]);
            }
            output::line(&table.text())?;
            for line in &advice {
                output::line(&format!("\nnote: {}", output::printable(line)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn origin_of(settings: &Settings, setting: Setting) -> Origin {
    let given = settings.layers.get(setting);
    given.map_or(Origin::Default, |given| given.origin.clone())
}

/// A value as it is in force; secrets are only told to be there.
fn value_of(settings: &Settings, setting: Setting) -> String {
    let node = &settings.node;
    let given = settings.layers.get(setting);
    match setting {
        Setting::DataDir => node.data_dir.display().to_string(),
        Setting::ApiBind => settings.api_listen.ip().to_string(),
        Setting::ApiPort => settings.api_listen.port().to_string(),
        Setting::RelayBind => node.relay_listen.ip().to_string(),
        Setting::RelayPort => node.relay_listen.port().to_string(),
        secret if secret.is_secret() => match given {
            Some(_) => "(set, not shown)".to_owned(),
            None => "-".to_owned(),
        },
        // Whoever writes user and password into it should not see them here.
        Setting::SearchHost if given.is_some_and(|given| given.text.contains('@')) => {
            "(set, not shown)".to_owned()
        }
        // Their queries may hold tokens.
        Setting::Peers | Setting::ExternalPeers => match given {
            Some(given) => {
                let addresses = given.text.split(',').map(str::trim);
                let shown = addresses.map(|address| address.split('?').next().unwrap_or(address));
                shown.collect::<Vec<_>>().join(",")
            }
            None => "-".to_owned(),
        },
        Setting::PeerBytes => node.quotas.peer_bytes_per_day.to_string(),
        Setting::PeerSouls => node.quotas.peer_souls_per_day.to_string(),
        Setting::AuthorBytes => node.quotas.author_bytes.to_string(),
        Setting::AuthorSouls => node.quotas.author_souls.to_string(),
        Setting::PublicBytes => node.quotas.public_bytes.to_string(),
        Setting::SyncEnabled => (node.sync.mode == SyncMode::On).to_string(),
        Setting::SyncInterval => node.sync.interval_ms.to_string(),
        Setting::IndexCommit => node.index_commit.as_millis().to_string(),
        Setting::RegistryRoot => node.registry_root.clone(),
        _ => given.map_or_else(|| "-".to_owned(), |given| given.text.clone()),
    }
}

/// What works as it is written and is likely not what was meant.
pub(super) fn advice(settings: &Settings) -> Vec<String> {
    let node = &settings.node;
    let mut advice = Vec::new();
    if !settings.api_listen.ip().is_loopback() && settings.admin_token.is_none() {
        advice.push(
            "the API is open to other machines and no OIP_GUN_ADMIN_TOKEN is set: writing needs the token in the file admin-token of the data folder".to_owned(),
        );
    }
    if settings.has_short_jwt_secret() {
        advice.push(
            "JWT_SECRET has less than 16 characters: whoever has one token can find it by trying, and then act as any user; take a long random one here and on the deployed node".to_owned(),
        );
    }
    if node.peers.is_empty() {
        advice.push(
            "no peers: records stay on this node until somebody dials it; name relays or nodes by GUN_PEERS".to_owned(),
        );
    }
    for peer in &node.peers {
        let is_local = peer.host().eq_ignore_ascii_case("localhost") || peer.host() == "127.0.0.1";
        if is_local {
            advice.push(format!(
                "the peer {peer} is on this machine: inside a container that is the container itself; name the other container there"
            ));
        }
        if peer.transport() == Transport::Pull && node.sync.mode == SyncMode::Off {
            advice.push(format!(
                "the peer {peer} is only ever asked, and sync is switched off: it does nothing here"
            ));
        }
        if peer.port() == 3005 && peer.transport() == Transport::WebSocket {
            advice.push(format!(
                "the peer {peer} has the port of an API: give its relay, port 8765, or let the address end in /gun-relay to pull from it"
            ));
        }
    }
    for name in &node.sync.trusted {
        if let TrustedNode::Alias { alias, pin: None } = name {
            advice.push(format!(
                "the trusted node {alias} is whoever is first seen under that alias: write {alias}@<first 16 digits of its id> (`oip-gun keys show` there), and it is nobody else"
            ));
        }
    }
    if node.sync.mode == SyncMode::On && node.sync.interval_ms < 5_000 {
        advice.push(format!(
            "a sweep every {} ms only loads the peers: new records are pushed",
            node.sync.interval_ms
        ));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found
                .map(|(_, value)| (*value).to_owned())
                .or_else(|| (name == "HOME").then(|| "/nowhere".to_owned()))
        };
        Settings::interpret(Layers::collect(Flags::default(), &variable).unwrap()).unwrap()
    }

    #[test]
    fn each_trap_is_named_with_its_way_out() {
        for (environment, part) in [
            (
                &[("OIP_GUN_BIND", "0.0.0.0"), ("GUN_PEERS", "ws://r.example")][..],
                "admin-token",
            ),
            (&[], "GUN_PEERS"),
            (
                &[("GUN_PEERS", "ws://localhost:9999/gun")],
                "the container itself",
            ),
            (&[("GUN_PEERS", "ws://node.example:3005")], "/gun-relay"),
            (
                &[
                    ("GUN_PEERS", "http://node.example:3005/gun-relay"),
                    ("GUN_SYNC_ENABLED", "false"),
                ],
                "only ever asked",
            ),
            (
                &[
                    ("GUN_SYNC_INTERVAL", "100"),
                    ("GUN_PEERS", "ws://r.example"),
                ],
                "only loads",
            ),
            (
                &[
                    ("JWT_SECRET", "fifteen letters"),
                    ("GUN_PEERS", "ws://r.example"),
                ],
                "JWT_SECRET has less than 16",
            ),
            (
                &[
                    ("GUN_SYNC_TRUSTED_NODES", "node-b"),
                    ("GUN_PEERS", "ws://r.example"),
                ],
                "node-b@",
            ),
        ] {
            let advice = advice(&settings(environment));
            assert!(
                advice.len() == 1 && advice[0].contains(part),
                "{environment:?}: {advice:?}"
            );
        }
        let good = [
            ("GUN_PEERS", "ws://relay.example:8765/gun"),
            ("JWT_SECRET", "a secret of sixteen"),
        ];
        assert_eq!(advice(&settings(&good)), Vec::<String>::new());
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = "a-very-long-secret";
        let peers = format!("ws://relay.example/gun?token={secret}");
        let mut environment = vec![("GUN_PEERS", peers.as_str())];
        let secrets = Setting::ALL.into_iter().filter(|one| one.is_secret());
        environment.extend(secrets.map(|one| (one.variable(), secret)));
        assert!(environment.len() >= 7, "{environment:?}");
        let settings = settings(&environment);
        for setting in Setting::ALL {
            let shown = value_of(&settings, setting);
            assert!(!shown.contains(secret), "{setting:?}: {shown}");
        }
        assert_eq!(
            origin_of(&settings, Setting::Peers).to_string(),
            "GUN_PEERS in the environment"
        );
    }
}
