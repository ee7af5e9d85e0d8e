//! The processes of the demo: this very binary as nodes, and the real gun.js as a relay. Each
//! has a pipe as stdin and ends when it closes, so that not even a killed demo leaves one behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cli::token;
use crate::client::Client;
use crate::settings::token_file;

/// The longest a process may take until it is ready, on a loaded machine.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// Lines of a log that are shown when a process fails.
const LOG_LINES_SHOWN: usize = 12;
/// Names the folder with `relay.js` and the gun.js package.
const INTEROP_VARIABLE: &str = "OIP_GUN_INTEROP";

/// A running node.
pub(super) struct NodeProcess {
    /// The operator, with the node's token.
    pub(super) client: Client,
    /// Somebody without one.
    pub(super) anyone: Client,
    /// What anybody gets of its graph over HTTP, at the relay port.
    pub(super) relay_http: Client,
    relay: String,
    _process: Child,
}

impl NodeProcess {
    /// Starts a node in a folder `name` below `folder`, which dials `peer`.
    pub(super) async fn start(
        name: &str,
        folder: &Path,
        peer: Option<&str>,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let binary = std::env::current_exe().context("failed to find this program's own file")?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--json", "--port=0", "--relay-port=0"])
            .args(["--bind=127.0.0.1", "--relay-bind=127.0.0.1"])
            .arg("--stop-on-stdin-end")
            .arg("--data-dir")
            .arg(folder.join("data"));
        if let Some(peer) = peer {
            command.args(["--peer", peer]);
        }
        let (process, ready) = start(command, &format!("node {name}"), &folder.join("log")).await?;
        let text = |name: &str| {
            ready
                .get(name)
                .and_then(Value::as_str)
                .with_context(|| format!("the ready line has no {name}: {ready}"))
        };
        let token = token::read(&token_file(&folder.join("data")));
        let relay_http = text("relay")?.replacen("ws://", "http://", 1);
        Ok(Self {
            relay_http: Client::new(relay_http.trim_end_matches("/gun"), None)?,
            client: Client::new(text("api")?, token)?,
            anyone: Client::new(text("api")?, None)?,
            relay: text("relay")?.to_owned(),
            _process: process,
        })
    }

    /// The address of its relay port.
    pub(super) fn relay(&self) -> &str {
        &self.relay
    }
}

/// A running gun.js relay.
pub(super) struct GunRelay {
    url: String,
    _process: Child,
}

impl GunRelay {
    /// The folder with `relay.js` and the gun package, or why there can't be a relay.
    pub(super) fn interop() -> Result<PathBuf, String> {
        let node = std::process::Command::new("node")
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !node.is_ok_and(|status| status.success()) {
            return Err("Node.js is not installed".to_owned());
        }
        if let Some(folder) = std::env::var_os(INTEROP_VARIABLE).filter(|value| !value.is_empty()) {
            let folder = PathBuf::from(folder);
            return if is_interop(&folder) {
                Ok(folder)
            } else {
                Err(format!(
                    "{INTEROP_VARIABLE} is {}, where relay.js or node_modules/gun is missing",
                    folder.display()
                ))
            };
        }
        let starts = [std::env::current_exe().ok(), std::env::current_dir().ok()];
        starts
            .iter()
            .flatten()
            .flat_map(|start| start.ancestors())
            .map(|folder| folder.join("interop"))
            .find(|folder| is_interop(folder))
            .ok_or_else(|| {
                format!(
                    "the gun.js package is not installed; `npm ci` in the project's folder interop/ does it, and {INTEROP_VARIABLE} names that folder from elsewhere"
                )
            })
    }

    /// Starts a relay with its data below `folder`.
    pub(super) async fn start(interop: &Path, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("relay");
        std::fs::create_dir(&folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let mut command = Command::new("node");
        command
            .arg(interop.join("relay.js"))
            .args(["--port", "0", "--dir"])
            .arg(&folder);
        let (process, ready) = start(command, "the gun.js relay", &folder.join("log")).await?;
        let port = ready
            .get("port")
            .and_then(Value::as_u64)
            .with_context(|| format!("the ready line has no port: {ready}"))?;
        Ok(Self {
            url: format!("ws://127.0.0.1:{port}/gun"),
            _process: process,
        })
    }

    /// Its address for peers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

fn is_interop(folder: &Path) -> bool {
    folder.join("relay.js").is_file() && folder.join("node_modules/gun/gun.js").is_file()
}

/// Starts `command` and waits for its ready line, one JSON object.
async fn start(mut command: Command, name: &str, log: &Path) -> anyhow::Result<(Child, Value)> {
    let stderr =
        File::create(log).with_context(|| format!("failed to write to {}", log.display()))?;
    // Settings in the environment are meant for the operator's own node.
    command.env_clear();
    for kept in ["PATH", "RUST_LOG", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    let stdout = process
        .stdout
        .take()
        .with_context(|| format!("{name} has no stdout"))?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    let read = tokio::time::timeout(START_TIME_MAX, reader.read_line(&mut line)).await;
    match read {
        Ok(Ok(_)) if !line.is_empty() => {}
        Ok(_) => bail!("{name} ended before it was ready\n{}", tail(log)),
        Err(_) => bail!(
            "{name} was not ready after {} s\n{}",
            START_TIME_MAX.as_secs(),
            tail(log)
        ),
    }
    let ready = serde_json::from_str(&line)
        .with_context(|| format!("{name} wrote {line:?} in place of its ready line"))?;
    Ok((process, ready))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
