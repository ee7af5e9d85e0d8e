//! `oip-gun reindex`: a new index from the store, while the old one answers.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};

/// How often the node is asked how far it is.
const ASK: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  oip-gun reindex             rebuild, and wait until the new index answers
  oip-gun reindex --no-wait   begin; `oip-gun status` shows how far it is";

/// Rebuild the search index from the store while the node serves
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReindexArgs {
    /// Return as soon as it has begun
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: ReindexArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let finished = |status: &Value| status.get("rebuildsFinished").and_then(Value::as_u64);
    let before: Value = client.get("/api/index", &[]).await?;
    let _: Value = client
        .post("/api/index/rebuild", &[], String::new())
        .await?;
    if args.no_wait {
        match output {
            Output::Json => output::json(&serde_json::json!({"begun": true}))?,
            Output::Text => output::line("rebuilding; `oip-gun status` shows how far it is")?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:40} {pos} of {len} records, {eta} left",
    )?);
    let mut idle = 0;
    loop {
        tokio::time::sleep(ASK).await;
        let status: Value = client.get("/api/index", &[]).await?;
        if finished(&status) > finished(&before) {
            bar.finish_and_clear();
            match output {
                Output::Json => output::json(&status)?,
                Output::Text => output::line("the new index answers")?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64);
        match (number("/rebuild/done"), number("/rebuild/total")) {
            (Some(done), Some(total)) => {
                idle = 0;
                bar.set_length(total);
                bar.set_position(done);
            }
            // Not begun yet, or given up.
            _ => idle += 1,
        }
        if idle > IDLE_MAX {
            bar.finish_and_clear();
            bail!(
                "the node began no new index, or gave it up: its log tells why, and the old index answers on"
            );
        }
    }
}

/// Times in a row that the node may say that it rebuilds nothing: a batch that it works on comes first.
const IDLE_MAX: u32 = 50;
