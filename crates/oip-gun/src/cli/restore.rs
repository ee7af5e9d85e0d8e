//! `oip-gun restore FILE`: a backup of this program into the data folder of a node that does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use oip_node::backup::{self, RestoreReport};

use super::migrate::describe_records;
use super::output::{self, Output};
use super::progress;
use super::stopped_node::StoppedNode;

const EXAMPLES: &str = "\
Examples:
  oip-gun restore node-a.backup --dry-run   is it whole, and what is in it
  oip-gun restore node-a.backup             restore it; then start the node

Stop the node on the data folder first, and put its keys back before, so that it is the same node. What is held and
newer stays. Restoring again changes nothing, so that a restore that was interrupted is started again.";

/// Restore a backup that `oip-gun backup` made
///
/// The whole file is checked first, and nothing is taken from one that is torn or changed. Then every record is verified
/// as if a peer had shown it, and takes its place by the order of versions; its registry entries are written anew.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RestoreArgs {
    /// The file
    file: PathBuf,
    /// Check, verify and report, and store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: StoppedNode,
}

pub(super) async fn run(args: RestoreArgs, output: Output) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(progress::RECORDS, output);
    let show = progress::moving(&bar);
    let node = args.node.settings()?.node;
    let report = tokio::task::spawn_blocking(move || match args.dry_run {
        true => backup::inspect(&node, &args.file, show),
        false => backup::restore(&node, &args.file, show),
    })
    .await;
    bar.finish_and_clear();
    let report = report.context("the restore was lost")??;
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&describe(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &RestoreReport) -> String {
    let header = &report.backup.header;
    let at = i64::try_from(header.at_ms).unwrap_or(i64::MAX);
    let would_be = if report.records.dry_run {
        "would be "
    } else {
        ""
    };
    let first = [
        format!(
            "backup   whole: {} records and {} marks",
            report.backup.end.records, report.backup.end.marks
        ),
        format!(
            "of       node {}, {}",
            header.node_id,
            oip_record::Stamp::from_ms(at).as_str()
        ),
        format!(
            "marks    {} {}learned again, {} entries of the audit trail {}taken back",
            report.marks, would_be, report.audit, would_be
        ),
    ];
    format!(
        "{}\n{}",
        first.join("\n"),
        describe_records(&report.records)
    )
}
