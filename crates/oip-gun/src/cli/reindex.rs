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
    let count = |status: &Value, member: &str| status.get(member).and_then(Value::as_u64);
    let told = |status: &Value, member: &str| {
        let text = status.get(member).and_then(Value::as_str)?;
        Some(output::printable(text))
    };
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
    let (mut idle, mut waits) = (0, false);
    loop {
        tokio::time::sleep(ASK).await;
        let status: Value = client.get("/api/index", &[]).await?;
        let is_more = |member: &str| count(&status, member) > count(&before, member);
        if is_more("rebuildsFinished") {
            bar.finish_and_clear();
            match output {
                Output::Json => output::json(&status)?,
                Output::Text => output::line("the new index answers")?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        if is_more("rebuildsGivenUp") {
            bar.finish_and_clear();
            let reason = told(&status, "rebuildGivenUp").unwrap_or_default();
            bail!("the node made no new index, and the old one answers on: {reason}");
        }
        if told(&status, "rebuildWaiting").is_some() {
            idle = 0;
            if !waits {
                waits = true;
                let trouble = told(&status, "trouble").unwrap_or_default();
                bar.println(format!(
                    "the index does not work now, and a new one begins when it does: {trouble}"
                ));
            }
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
