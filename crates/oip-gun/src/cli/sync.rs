//! `oip-gun sync`: one sweep now.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};

const EXAMPLES: &str = "\
Examples:
  oip-gun sync
  oip-gun sync --json | jq .sweep";

/// Ask every peer for new records now
///
/// New records arrive by push; a sweep finds what a lost push left out, and runs every
/// GUN_SYNC_INTERVAL by itself.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: SyncArgs, output: Output) -> anyhow::Result<ExitCode> {
    let answer: Value = args
        .connection
        .client()?
        .post("/api/health/gun-sync/force", &[], String::new())
        .await?;
    match output {
        Output::Json => output::json(&answer)?,
        Output::Text => output::line(&describe(&answer))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The counters of the sweep, whatever they are: this verb may be newer or older than the node.
fn describe(answer: &Value) -> String {
    let counters: Vec<String> = answer
        .get("sweep")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    output::printable(&format!("sweep done: {}", counters.join(", ")))
}
