//! Runs `interop/run-case.js` and `interop/differential.js` and reads their JSON lines.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::Interop;
use testkit::process::Process;
use tokio::process::Command;

use crate::relays::Relays;

/// The script ends by itself before (`CASE_MAX_MS` in it); this is for one that can't.
const LINE_MAX: Duration = Duration::from_secs(150);

fn start(interop: &Interop, script: &str, arguments: &[String]) -> Result<Process> {
    let mut command = Command::new("node");
    command
        .current_dir(interop.folder())
        .arg(script)
        .args(arguments);
    Process::start(script, command)
}

async fn line(process: &mut Process, deadline: Duration) -> Result<Value> {
    let line = process.line(deadline).await?;
    serde_json::from_str(&line).with_context(|| format!("a script printed {line:?}"))
}

/// The ids of all scripts.
pub(crate) async fn ids(interop: &Interop) -> Result<Vec<String>> {
    let mut process = start(interop, "run-case.js", &["--list".to_owned()])?;
    let listed = line(&mut process, LINE_MAX).await?;
    serde_json::from_value(listed).context("run-case.js --list")
}

/// Runs one case to its end; the result is what the client ran in.
pub(crate) async fn run_case(
    interop: &Interop,
    client: &str,
    id: &str,
    relays: &mut Relays,
) -> Result<String> {
    let mut arguments = vec![client.to_owned(), id.to_owned()];
    arguments.extend(relays.urls().await?);
    let mut process = start(interop, "run-case.js", &arguments)?;
    loop {
        let said = line(&mut process, LINE_MAX).await?;
        if let Some(ask) = said["ask"].as_str() {
            relays.obey(ask).await?;
            process.write_line("done").await?;
            continue;
        }
        ensure!(
            said["case"] == id && said["client"] == client,
            "an answer for another case: {said}"
        );
        let place = said["in"].as_str().unwrap_or("?");
        if said["ok"] == true {
            return Ok(place.to_owned());
        }
        bail!(
            "in {place}: {}\n{}",
            said["error"].as_str().unwrap_or("it does not say why"),
            process.error_tail()
        );
    }
}

/// Runs the differential run; the result is what it says of itself.
pub(crate) async fn run_differential(
    interop: &Interop,
    relay: &str,
    operations: u64,
    seed: &str,
    deadline: Duration,
) -> Result<Value> {
    let arguments = [
        relay.to_owned(),
        "--ops".to_owned(),
        operations.to_string(),
        "--seed".to_owned(),
        seed.to_owned(),
    ];
    let mut process = start(interop, "differential.js", &arguments)?;
    let said = line(&mut process, deadline).await?;
    ensure!(
        said["ok"] == true,
        "{}\n{}",
        serde_json::to_string_pretty(&said)?,
        process.error_tail()
    );
    Ok(said)
}
