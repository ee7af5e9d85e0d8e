//! `oip-gun quarantine list|show|replay`: records refused for now, why, and trying them again.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

/// Characters of a reason in the table; `show` has it whole.
const DETAIL_CHARS_MAX: usize = 60;

const EXAMPLES: &str = "\
Examples:
  oip-gun quarantine list
  oip-gun quarantine list --kind index
  oip-gun quarantine show did:gun:5b1fd0c7a9e2:note-1
  oip-gun quarantine replay                               try everything again
  oip-gun quarantine replay did:gun:5b1fd0c7a9e2:note-1   try one record again";

/// Records that were refused for now, and why
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct QuarantineArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A page of records in quarantine
    List(ListArgs),
    /// One record, with the reason and what was read of it
    Show(ShowArgs),
    /// Try again: all records, or one
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Who refused them
    #[arg(long, value_enum, default_value = "record")]
    kind: Kind,
    /// Records per page, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100")]
    limit: String,
    /// Go on behind this DID
    #[arg(long, value_name = "DID")]
    after: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Verification: they are not held
    Record,
    /// The index: they are held, and can't be searched
    Index,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// DID of the record
    did: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// DID of the record [default: all]
    did: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: QuarantineArgs, output: Output) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::List(args) => list(args, output).await?,
        Verb::Show(args) => show(args, output).await?,
        Verb::Replay(args) => replay(args, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: ListArgs, output: Output) -> anyhow::Result<()> {
    let kind = match args.kind {
        Kind::Record => "record",
        Kind::Index => "index",
    };
    let mut query = vec![("kind", kind), ("limit", args.limit.as_str())];
    if let Some(after) = &args.after {
        query.push(("after", after));
    }
    let page: Value = args
        .connection
        .client()?
        .get("/api/quarantine", &query)
        .await?;
    match output {
        Output::Json => output::json(&page),
        Output::Text => output::line(&describe(&page)),
    }
}

fn describe(page: &Value) -> String {
    let records = records(page);
    if records.is_empty() {
        return "nothing is in quarantine".to_owned();
    }
    let mut table = Table::new(["REASON", "TYPE", "TRIED", "DETAIL", "DID"]);
    for record in records {
        let detail = text(record, "detail");
        let mut short: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        if short.len() < detail.len() {
            short.push('…');
        }
        table.add([
            text(record, "reason"),
            text(record, "recordType"),
            text(record, "attempts"),
            short,
            text(record, "did"),
        ]);
    }
    let mut lines = table.text();
    if let Some(next) = page.get("next").and_then(Value::as_str) {
        lines.push_str(&output::printable(&format!("\nmore: --after {next}")));
    }
    lines
}

async fn show(args: ShowArgs, output: Output) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let page: Value = client.get("/api/quarantine", &[("did", &args.did)]).await?;
    if records(&page).is_empty() {
        bail!("{} is not in quarantine", args.did);
    }
    match output {
        Output::Json => output::json(&page["records"]),
        Output::Text => output::line(
            &serde_json::to_string_pretty(&page["records"]).context("failed to write the rows")?,
        ),
    }
}

async fn replay(args: ReplayArgs, output: Output) -> anyhow::Result<()> {
    let query: Vec<(&str, &str)> = args.did.iter().map(|did| ("did", did.as_str())).collect();
    let replayed: Value = args
        .connection
        .client()?
        .post("/api/quarantine/replay", &query, String::new())
        .await?;
    let number = |pointer: &str| {
        replayed
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    match output {
        Output::Json => output::json(&replayed),
        Output::Text => output::line(&format!(
            "the index took {} of {}; {} records are fetched and judged again",
            number("/index/taken"),
            number("/index/tried"),
            number("/records"),
        )),
    }
}

fn records(page: &Value) -> &[Value] {
    page.get("records")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}
