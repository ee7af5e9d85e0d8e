//! `oip-gun doctor`: looks at everything a node needs, from outside, and names the cure of what is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use gun_net::{PeerAddress, PullPeer, Transport};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::config::advice;
use super::output::{self, Output};
use super::table::Table;
use crate::client::Client;
use crate::settings::{Flags, Layers, Setting, Settings};

/// The longest a peer may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A soul that a peer with a registry has, or says that it has not.
const ASKED: &str = "oip:registry:index:post";

const EXAMPLES: &str = "\
Examples:
  oip-gun doctor
  oip-gun doctor --config /etc/oip-gun.toml
  oip-gun doctor --json | jq '.[] | select(.state != \"ok\")'

Changes nothing. Exits with 1 when something is wrong.";

/// Look for what keeps a node from working
///
/// Checks the settings, the data folder and its keys, whether the node answers and is healthy, and
/// whether every peer can be reached from here.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// Settings file of the node [env: OIP_GUN_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder of the node [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Note,
    Wrong,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
        }
    }
}

/// What was looked at, how it stands, and what to do.
#[derive(Debug)]
struct Finding {
    state: State,
    what: String,
    words: String,
}

fn finding(state: State, what: impl Into<String>, words: impl Into<String>) -> Finding {
    Finding {
        state,
        what: what.into(),
        words: words.into(),
    }
}

pub(super) async fn run(args: DoctorArgs, output: Output) -> anyhow::Result<ExitCode> {
    let data_dir = args.data_dir.map(|data_dir| (Setting::DataDir, data_dir));
    let flags = Flags {
        config: args.config,
        values: data_dir.into_iter().collect(),
    };
    let variable = |name: &str| std::env::var(name).ok();
    let settings = Layers::collect(flags, &variable).and_then(Settings::interpret);
    let findings = match settings {
        Ok(settings) => look_at(&settings).await,
        Err(error) => vec![finding(State::Wrong, "settings", error.to_string())],
    };
    match output {
        Output::Json => {
            let all: Vec<Value> = findings
                .iter()
                .map(|f| json!({"state": f.state.name(), "what": f.what, "words": f.words}))
                .collect();
            output::json(&all)?;
        }
        Output::Text => {
            let mut table = Table::new(["STATE", "WHAT", "FINDING"]);
            for f in &findings {
                table.add([f.state.name().to_owned(), f.what.clone(), f.words.clone()]);
            }
            output::line(&table.text())?;
        }
    }
    let is_wrong = findings.iter().any(|f| f.state == State::Wrong);
    Ok(if is_wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn look_at(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![finding(State::Ok, "settings", "every one is taken")];
    let notes = advice(settings);
    findings.extend(
        notes
            .into_iter()
            .map(|note| finding(State::Note, "settings", note)),
    );
    findings.extend(folder(settings.data_dir()));
    findings.extend(node(settings).await);
    for peer in &settings.node.peers {
        findings.push(reach(peer).await);
    }
    findings
}

/// The data folder, and whether its keys are this user's alone.
fn folder(data_dir: &Path) -> Vec<Finding> {
    let what = data_dir.display().to_string();
    if !data_dir.exists() {
        let words =
            "not there yet: the first start makes it, or name another with OIP_GUN_DATA_DIR";
        return vec![finding(State::Note, what, words)];
    }
    let mut findings = Vec::new();
    match tempfile_in(data_dir) {
        Ok(()) => findings.push(finding(State::Ok, &*what, "can be written")),
        Err(error) => findings.push(finding(
            State::Wrong,
            &*what,
            format!("can't be written ({error}): give it to the user that runs the node"),
        )),
    }
    let keys = std::fs::read_dir(data_dir.join("keys"));
    for file in keys.into_iter().flatten().flatten() {
        let mode = file
            .metadata()
            .map_or(0, |found| found.permissions().mode());
        if mode & 0o077 != 0 {
            findings.push(finding(
                State::Wrong,
                file.path().display().to_string(),
                format!(
                    "others may read this key (mode {:o}): chmod 600 it",
                    mode & 0o777
                ),
            ));
        }
    }
    findings
}

/// Whether a file can be made in the folder; it is gone again afterwards.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

/// Whether the node answers, and what it says of itself.
async fn node(settings: &Settings) -> Vec<Finding> {
    let address = match settings.layers.api_address() {
        Ok(address) => format!("http://{address}"),
        Err(error) => return vec![finding(State::Wrong, "node", error.to_string())],
    };
    let health = match Client::new(&address, None) {
        Ok(client) => client.get::<Value>("/api/health/gun-sync", &[]).await,
        Err(error) => Err(error),
    };
    let health = match health {
        Ok(health) => health,
        Err(error) => return vec![finding(State::Note, address, error.to_string())],
    };
    let mut findings = match health["status"] == "healthy" {
        true => vec![finding(
            State::Ok,
            address,
            "the node answers and is healthy",
        )],
        false => {
            let reasons = health["reasons"].as_array().into_iter().flatten();
            let reasons: Vec<&str> = reasons.filter_map(Value::as_str).collect();
            vec![finding(State::Wrong, address, reasons.join("; "))]
        }
    };
    findings.extend(trusted(&health));
    findings.extend(rivals(&health));
    findings
}

/// How the nodes that the operator trusts stand; of those that are known there is nothing to say.
fn trusted(health: &Value) -> Vec<Finding> {
    let standings = health["trust"].as_array().into_iter().flatten();
    let mut findings = Vec::new();
    for standing in standings {
        let name = standing["name"].as_str().unwrap_or_default();
        let what = format!("trusted {name}");
        if standing["state"] == "waiting" {
            let words = "no statement of it was found yet: nothing of it is taken until a peer has it; is the name right, and the node started?";
            findings.push(finding(State::Note, &*what, words));
        }
        if let Some(other) = standing["claimedBy"].as_str() {
            let words = format!(
                "the node {other} claims this alias too, and is not trusted: if it is the one that is meant, write {name}@{}",
                other.get(..16).unwrap_or(other)
            );
            findings.push(finding(State::Wrong, &*what, words));
        }
    }
    findings
}

/// Who claims the name of a node that private records are sealed to.
fn rivals(health: &Value) -> Vec<Finding> {
    let rivals = health["rivals"].as_array().into_iter().flatten();
    rivals
        .filter_map(|rival| {
            let (name, holder) = (rival["name"].as_str()?, rival["nodeId"].as_str()?);
            let words = format!(
                "the node {} claims this name too, and is not sealed to: it stays with {holder}, which proved it first",
                rival["claimedBy"].as_str()?
            );
            Some(finding(State::Note, format!("recipient {name}"), words))
        })
        .collect()
}

/// Whether a peer can be reached from this machine.
async fn reach(peer: &PeerAddress) -> Finding {
    let what = peer.to_string();
    if peer.transport() == Transport::Pull {
        let asked = match PullPeer::new(peer.clone()) {
            Ok(peer) => peer.get(ASKED, None).await.map(drop),
            Err(error) => return finding(State::Wrong, what, error.to_string()),
        };
        return match asked {
            Ok(()) => finding(State::Ok, what, "answers as a GUN relay over HTTP"),
            Err(error) => finding(State::Wrong, what, error.to_string()),
        };
    }
    let connecting = TcpStream::connect((peer.host(), peer.port()));
    match tokio::time::timeout(CONNECT_MAX, connecting).await {
        Ok(Ok(_)) => finding(State::Ok, what, "accepts connections"),
        Ok(Err(error)) => finding(
            State::Wrong,
            what,
            format!("can't be reached ({error}): is the relay running, and the port right?"),
        ),
        Err(_) => finding(
            State::Wrong,
            what,
            "does not answer: is a firewall in between?",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        let file = keys.join("creator.json");
        std::fs::write(&file, "{}").unwrap();
        for (mode, wrong) in [(0o600, 0), (0o644, 1)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = folder(dir.path());
            let count = found.iter().filter(|f| f.state == State::Wrong).count();
            assert_eq!(count, wrong, "{mode:o}: {found:?}");
        }
        let gone = folder(&dir.path().join("gone"));
        assert_eq!(gone[0].state, State::Note);
    }

    #[test]
    fn who_claims_the_name_of_a_recipient_is_named_with_who_has_it() {
        let rival = json!({"name": "node-b", "nodeId": "first", "claimedBy": "second"});
        let found = rivals(&json!({"rivals": [rival]}));
        assert_eq!((found.len(), found[0].state), (1, State::Note));
        for part in ["second", "stays with first"] {
            assert!(found[0].words.contains(part), "{found:?}");
        }
        assert!(rivals(&json!({})).is_empty());
    }

    #[test]
    fn a_trusted_node_is_named_while_it_is_unknown_or_its_alias_is_claimed() {
        let standing =
            |state: &str, by: Value| json!({"name": "b", "state": state, "claimedBy": by});
        let other = "0123456789abcdef".repeat(2);
        for (standing, state, part) in [
            (
                standing("waiting", Value::Null),
                State::Note,
                "no statement",
            ),
            (
                standing("known", json!(other)),
                State::Wrong,
                "b@0123456789abcdef",
            ),
        ] {
            let found = trusted(&json!({"trust": [standing]}));
            assert!(
                found.len() == 1 && found[0].state == state && found[0].words.contains(part),
                "{found:?}"
            );
        }
        let known = json!({"trust": [standing("known", Value::Null)]});
        assert!(trusted(&known).is_empty());
    }

    #[tokio::test]
    async fn peers_are_told_apart_by_whether_they_answer_as_they_should() {
        let peer = testkit::DeployedNode::start("d").await.unwrap();
        peer.set(|faults| faults.absent_wait = Duration::from_millis(1));
        let state = async |address: &str| reach(&PeerAddress::parse(address).unwrap()).await.state;
        assert_eq!(state(&peer.base()).await, State::Ok);
        assert_eq!(state(&peer.relay()).await, State::Ok);
        // Another path of the same server, and a port that nobody listens on.
        let elsewhere = format!("{}/other/gun-relay", peer.relay());
        assert_eq!(state(&elsewhere).await, State::Wrong);
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        assert_eq!(state(&closed).await, State::Wrong);
        assert_eq!(state(&format!("{closed}/gun-relay")).await, State::Wrong);
    }
}
