//! `oip-gun verify index`: whether the index holds what the store holds.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

/// Differences that are shown; `--json` lists more.
const SHOWN_MAX: usize = 20;

const EXAMPLES: &str = "\
Examples:
  oip-gun verify index
  oip-gun verify index --json | jq '.differences[].did'";

/// Compare what the node holds in different places
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Index(IndexArgs),
}

/// Compare the search index with the store, by digest for each record type
///
/// Exit code 0: they hold the same; 1: they differ, and `oip-gun reindex` is the cure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct IndexArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: VerifyArgs, output: Output) -> anyhow::Result<ExitCode> {
    let What::Index(args) = args.what;
    let comparison: Value = args
        .connection
        .client()?
        .post("/api/index/verify", &[], String::new())
        .await?;
    match output {
        Output::Json => output::json(&comparison)?,
        Output::Text => output::line(&describe(&comparison))?,
    }
    Ok(match comparison.get("agrees") == Some(&Value::Bool(true)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn describe(comparison: &Value) -> String {
    let mut table = Table::new(["TYPE", "STORE", "INDEX", "DIGEST"]);
    for entry in list(comparison, "types") {
        let digests = (entry.get("storeDigest"), entry.get("indexDigest"));
        table.add([
            text(entry, "type"),
            text(entry, "stored"),
            text(entry, "indexed"),
            if digests.0 == digests.1 {
                "same"
            } else {
                "differs"
            }
            .to_owned(),
        ]);
    }
    let mut lines = vec![table.text()];
    let differences = list(comparison, "differences");
    for entry in differences.iter().take(SHOWN_MAX) {
        lines.push(output::printable(&format!(
            "{} {}",
            text(entry, "difference"),
            text(entry, "did")
        )));
    }
    let total = comparison
        .get("differencesTotal")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    if total > differences.len().min(SHOWN_MAX) as u64 {
        lines.push(format!("… {total} in all; --json lists up to 1000"));
    }
    let quarantined = text(comparison, "quarantined");
    if quarantined != "0" {
        lines.push(format!(
            "{quarantined} refused by the index: see `oip-gun quarantine list --kind index`"
        ));
    }
    let kept_out = text(comparison, "keptOut");
    if !matches!(kept_out.as_str(), "" | "0") {
        lines.push(format!(
            "{kept_out} private records stay out of the index: `oip-gun status` tells why"
        ));
    }
    lines.push(match total {
        0 => "store and index hold the same".to_owned(),
        _ => format!("{total} records differ: `oip-gun reindex` makes the index anew"),
    });
    lines.join("\n")
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value
        .get(member)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
