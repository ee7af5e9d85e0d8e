//! `oip-gun demo`: records travelling between two nodes on this machine.

use std::process::ExitCode;

use clap::Args;

use super::output::{self, Output};
use super::stop::{StdinEnd, Stop};
use crate::demo;

const EXAMPLES: &str = "\
Examples:
  oip-gun demo
  oip-gun demo --json | jq '.setUps[].journey.records'

Exits with 1 if anything did not arrive as it was submitted. Nothing of it stays on the machine.";

/// Show records travelling between two nodes on this machine
///
/// Starts two nodes on free loopback ports, publishes the records that ship with the project on
/// the one, waits until a search on the other finds them, edits one, deletes one, and shows how
/// long it took and whether each arrived field by field. With Node.js and the gun.js package
/// (`npm ci` in interop/) it does so a second time with a real gun.js relay between the two.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {}

pub(super) async fn run(_args: DemoArgs, output: Output) -> anyhow::Result<ExitCode> {
    // An interrupted demo still removes its folders and ends its nodes.
    let stop = Stop::listen(StdinEnd::Ignored)?;
    let report = tokio::select! {
        report = demo::run() => report?,
        () = stop.asked() => return Ok(ExitCode::FAILURE),
    };
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&report.text())?,
    }
    Ok(if report.all_is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
