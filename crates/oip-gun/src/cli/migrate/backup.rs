//! `oip-gun migrate backup FILE…`: a deployed node's backup into the data folder of a node that does not
//! run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use oip_node::migrate::backup::{self, Report};

use crate::cli::output::{self, Output};
use crate::cli::progress;
use crate::cli::stopped_node::StoppedNode;
use crate::cli::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun migrate backup records.json --dry-run   what is in it, and what would be refused
  oip-gun migrate backup records.json             import it; then start the node
  oip-gun migrate backup part-*.json --json | jq .refused

Stop the node on the data folder first. Importing again changes nothing, so that an import that was
interrupted is started again. Set WALLET_FILE to the wallet of the deployed node: its records then count as
this node's own and are told to peers.";

/// Import records from a deployed node's backup
///
/// Takes a JSON array of records in the form of the index, an object with `records` or `hits`, or one
/// record per line. Every record is verified, keeps its id, time and signature, and is announced
/// in the registry. Records on a chain are passed over. What is refused goes to the quarantine.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Read, verify and report, and store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: StoppedNode,
}

pub(super) async fn run(args: BackupArgs, output: Output) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(progress::RECORDS, output);
    let show = progress::moving(&bar);
    let (files, dry_run) = (args.files.clone(), args.dry_run);
    let node = args.node.settings()?.node;
    let report = tokio::task::spawn_blocking(move || {
        if dry_run {
            backup::inspect(&node, &files, show)
        } else {
            backup::import(&node, &files, show)
        }
    })
    .await;
    bar.finish_and_clear();
    let report = report.context("the import was lost")??;
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&describe(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn describe(report: &Report) -> String {
    format!(
        "found    {} documents in {} files; {} not on the graph\n{}",
        report.found,
        report.files,
        report.not_on_graph,
        describe_records(report)
    )
}

/// What became of records.
pub(in super::super) fn describe_records(report: &Report) -> String {
    let refused: u64 = report.refused.values().sum();
    let mut parts = vec![format!(
        "records  {} {}; {} held already, {} of types not synced, {refused} refused",
        report.taken,
        if report.dry_run {
            "would be taken by an empty store"
        } else {
            "taken"
        },
        report.known,
        report.unwanted,
    )];
    parts.push(format!(
        "own      {} of them are this node's own",
        report.own
    ));
    let signatures: Vec<String> = report
        .signatures
        .iter()
        .map(|(standing, count)| format!("{count} {standing}"))
        .collect();
    if !signatures.is_empty() {
        parts.push(format!("signed   {}", signatures.join(", ")));
    }
    if report.dry_run {
        parts.push("stored   nothing: this was a dry run".to_owned());
    }
    if refused > 0 {
        let mut table = Table::new(["REFUSED", "RECORDS"]);
        for (reason, count) in &report.refused {
            table.add([reason.clone(), count.to_string()]);
        }
        parts.push(String::new());
        parts.push(table.text());
        let mut table = Table::new(["RECORD", "WHY"]);
        for refused in &report.first_refused {
            table.add([refused.did.clone(), refused.why.clone()]);
        }
        parts.push(String::new());
        parts.push(table.text());
    }
    parts.join("\n")
}
