//! `oip-gun migrate radata DIR`: the folder of a gun.js relay into the data folder of a node that
//! does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::HumanBytes;
use oip_node::migrate::radata::{self, Files, Noted, Progress, Report, Stored, Values};

use crate::cli::output::{self, Output};
use crate::cli::progress;
use crate::cli::stopped_node::StoppedNode;
use crate::cli::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun migrate radata /srv/relay/radata --dry-run   what is in it, and what is damaged
  oip-gun migrate radata /srv/relay/radata             import it; then start the node
  oip-gun migrate radata radata --json | jq .values.refused

Stop the gun.js relay first, and the node on the data folder too. Importing again changes nothing.
Exits with 0 when everything was read as far as it can be, however much of it was damaged.";

/// Import the graph of a gun.js relay from its data folder
///
/// Reads every file of the folder and merges the values into the store as if a peer had sent
/// them: newer ones win, values in user spaces need their signature, and records are verified
/// when the node starts. Values that are damaged beyond repair are counted and left out. The
/// folder itself is not changed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RadataArgs {
    /// The relay's folder, `radata` by default in gun.js
    dir: PathBuf,
    /// Read, check and report, and store nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: StoppedNode,
}

pub(super) async fn run(args: RadataArgs, output: Output) -> anyhow::Result<ExitCode> {
    let bar = progress::bar(progress::BYTES, output);
    let shown = bar.clone();
    let show = move |progress: Progress| {
        shown.set_length(progress.bytes_total);
        shown.set_position(progress.bytes_done);
    };
    let RadataArgs { dir, .. } = &args;
    let dir = dir.clone();
    let work: Box<dyn FnOnce() -> _ + Send> = if args.dry_run {
        Box::new(move || radata::inspect(&dir, show))
    } else {
        let node = args.node.settings()?.node;
        Box::new(move || radata::import(&node, &dir, show))
    };
    let report = tokio::task::spawn_blocking(work).await;
    bar.finish_and_clear();
    let report = report.context("the import was lost")??;
    if report.files.changed > 0 {
        eprintln!(
            "warning: {} files changed while they were read: a gun.js process seems to run on the folder; stop it and import again",
            report.files.changed
        );
    }
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&describe(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &Report) -> String {
    let mut parts = vec![
        files(&report.files),
        values(&report.values),
        report
            .stored
            .as_ref()
            .map_or_else(|| "stored   nothing: this was a dry run".to_owned(), stored),
    ];
    if !report.values.refused.is_empty() {
        let mut table = Table::new(["REFUSED", "VALUES", "WHY"]);
        for (reason, count) in &report.values.refused {
            table.add([
                reason.name().to_owned(),
                count.to_string(),
                reason.to_string(),
            ]);
        }
        parts.push(String::new());
        parts.push(table.text());
    }
    let Files {
        damaged, missing, ..
    } = &report.files;
    if damaged.count + missing.count > 0 {
        let mut table = Table::new(["FILE", "DAMAGE"]);
        for file in &damaged.first {
            table.add([file.file.clone(), file.damage.clone()]);
        }
        for name in &missing.first {
            table.add([name.clone(), "listed, but not there".to_owned()]);
        }
        if unnamed(damaged) + unnamed(missing) > 0 {
            let more = unnamed(damaged) + unnamed(missing);
            table.add(["…".to_owned(), format!("{more} more")]);
        }
        parts.push(String::new());
        parts.push(table.text());
    }
    parts.join("\n")
}

fn files(files: &Files) -> String {
    format!(
        "files    {} read ({}), {} of them not listed; {} damaged, {} missing, {} unfinished writes ignored",
        files.read,
        HumanBytes(files.bytes),
        files.unlisted,
        files.damaged.count,
        files.missing.count,
        files.temporary,
    )
}

fn values(values: &Values) -> String {
    format!(
        "values   {} found: {} sound ({} repaired, {} misplaced), {} refused",
        values.found,
        values.sound,
        values.repaired,
        values.misplaced,
        values.refused_total(),
    )
}

fn stored(stored: &Stored) -> String {
    let mut text = format!(
        "stored   {} taken; {} there already, {} older than what is there, {} wait for their time",
        stored.taken, stored.same, stored.older, stored.deferred,
    );
    if stored.over_limit > 0 {
        text.push_str(&format!(
            ", {} beyond the store's limits",
            stored.over_limit
        ));
    }
    text.push_str(&format!(
        "\nrecords  {} to be verified when the node starts",
        stored.wanted
    ));
    if stored.registered > 0 {
        text.push_str(&format!(
            ", {} verified and announced now ({} of them this node's own)",
            stored.registered, stored.own
        ));
    }
    if stored.marked > 0 {
        text.push_str(&format!(
            ", {} hidden by deletion marks of the folder",
            stored.marked
        ));
    }
    text
}

fn unnamed<T>(files: &Noted<T>) -> u64 {
    files.count.saturating_sub(files.first.len() as u64)
}
