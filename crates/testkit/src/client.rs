//! A real gun.js client as in a web page (`interop/client.js`), driven by JSON lines.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::interop::Interop;
use crate::process::Process;

/// Node.js loads gun.js in well under a second; a loaded machine gets more.
const START_MAX: Duration = Duration::from_secs(30);

/// A running gun.js client.
#[derive(Debug)]
pub struct GunClient {
    process: Process,
    last_id: u64,
    events: VecDeque<Value>,
}

/// A running `on`: names the events that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch(u64);

impl GunClient {
    /// Starts one that dials `peers`, and waits until one of them is connected.
    ///
    /// # Errors
    /// When it does not start or no peer accepts it.
    pub async fn start(interop: &Interop, peers: &[String]) -> Result<Self> {
        let mut command = Command::new("node");
        command
            .current_dir(interop.folder())
            .args(["client.js", "--peers", &peers.join(",")]);
        let mut process = Process::start("gun.js client", command)?;
        process.line(START_MAX).await?;
        let mut client = Self {
            process,
            last_id: 0,
            events: VecDeque::new(),
        };
        client
            .ask(json!({"op": "connected"}), START_MAX)
            .await
            .context("connect")?;
        Ok(client)
    }

    /// `gun.get(path[0]).get(path[1])….put(value)`, nested objects allowed; waits for the
    /// first acknowledgement.
    ///
    /// # Errors
    /// When none comes within `deadline`, or it is an error.
    pub async fn put(&mut self, path: &[&str], value: Value, deadline: Duration) -> Result<()> {
        let command = json!({"op": "put", "path": path, "value": value});
        let ack = self.ask(command, deadline).await?;
        match ack.get("err") {
            None | Some(Value::Null) => Ok(()),
            Some(error) => bail!("gun.js got the error {error} for its put at {path:?}"),
        }
    }

    /// `gun.get(path[0])….once(…)`: the value without its metadata; `None` for undefined.
    ///
    /// # Errors
    /// When the call back does not come within `deadline`.
    pub async fn once(&mut self, path: &[&str], deadline: Duration) -> Result<Option<Value>> {
        let answer = self
            .ask(json!({"op": "once", "path": path}), deadline)
            .await?;
        Ok(answer.get("value").cloned())
    }

    /// `gun.get(path[0])….on(…)`: read what it gives with [`event`](Self::event).
    ///
    /// # Errors
    /// When the client no longer reads.
    pub async fn on(&mut self, path: &[&str]) -> Result<Watch> {
        let id = self.send(json!({"op": "on", "path": path})).await?;
        Ok(Watch(id))
    }

    /// The next value an `on` gave, without its metadata.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn event(&mut self, watch: Watch, deadline: Duration) -> Result<Value> {
        let ends = Instant::now() + deadline;
        let known = self
            .events
            .iter()
            .position(|event| event["event"] == watch.0);
        if let Some(event) = known.and_then(|at| self.events.remove(at)) {
            return Ok(event["value"].clone());
        }
        loop {
            let line = self.read(ends).await.context("wait for a live change")?;
            if line["event"] == watch.0 {
                return Ok(line["value"].clone());
            }
            if line.get("event").is_some() {
                self.events.push_back(line);
            }
        }
    }

    async fn send(&mut self, mut command: Value) -> Result<u64> {
        self.last_id += 1;
        command["id"] = json!(self.last_id);
        self.process.write_line(&command.to_string()).await?;
        Ok(self.last_id)
    }

    async fn read(&mut self, ends: Instant) -> Result<Value> {
        let left = ends.saturating_duration_since(Instant::now());
        let line = self.process.line(left).await?;
        serde_json::from_str(&line).with_context(|| format!("gun.js client printed {line:?}"))
    }

    async fn ask(&mut self, command: Value, deadline: Duration) -> Result<Value> {
        let ends = Instant::now() + deadline;
        let asked = command.to_string();
        let id = self.send(command).await?;
        loop {
            let line = self
                .read(ends)
                .await
                .with_context(|| format!("no answer to {asked}"))?;
            if line["id"] == id {
                return Ok(line);
            }
            // Late answers to commands that timed out are nobody's; events wait for `event`.
            if line.get("event").is_some() {
                self.events.push_back(line);
            }
        }
    }
}
