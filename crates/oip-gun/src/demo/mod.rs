//! Real nodes on loopback, with and without a gun.js relay between them: every record that
//! ships with the project is published on A and awaited on B, one is edited, one deleted.
//!
//! A third node, which no private record names, shows what it makes of one.
//!
//! `processes` starts and ends the processes, `journey` does the work and keeps the times,
//! `compare` holds what arrived against what was submitted, `outsider` asks the third node, `report` shows it. Nothing
//! outlives the demo: each process ends with the pipe to it, each folder is temporary.

mod compare;
mod journey;
mod outsider;
mod processes;
mod records;
mod report;

use tempfile::TempDir;

pub use report::Report;

use processes::{GunRelay, NodeProcess};
use report::SetUp;

/// Runs every set-up that this machine can run.
///
/// # Errors
/// When not even the records can be read; what fails in a set-up stands in the report.
pub async fn run() -> anyhow::Result<Report> {
    let records = records::shipped()?;
    let mut report = Report::default();
    report
        .set_ups
        .push(set_up("A and B linked directly", direct(&records).await));
    let name = "A -> gun.js relay <- B";
    report.set_ups.push(match GunRelay::interop() {
        Ok(interop) => set_up(name, relayed(&records, &interop).await),
        Err(why) => SetUp::skipped(name, why),
    });
    Ok(report)
}

fn set_up(name: &'static str, result: anyhow::Result<journey::Journey>) -> SetUp {
    match result {
        Ok(journey) => SetUp::done(name, journey),
        Err(error) => SetUp::failed(name, crate::api::causes(error.as_ref())),
    }
}

async fn direct(records: &[records::Shipped]) -> anyhow::Result<journey::Journey> {
    let folder = TempDir::new()?;
    let a = NodeProcess::start("a", folder.path(), None).await?;
    let b = NodeProcess::start("b", folder.path(), Some(a.relay())).await?;
    let c = NodeProcess::start("c", folder.path(), Some(a.relay())).await?;
    journey::travel(records, &a, &b, &c).await
}

async fn relayed(
    records: &[records::Shipped],
    interop: &std::path::Path,
) -> anyhow::Result<journey::Journey> {
    let folder = TempDir::new()?;
    let relay = GunRelay::start(interop, folder.path()).await?;
    let a = NodeProcess::start("a", folder.path(), Some(relay.url())).await?;
    let b = NodeProcess::start("b", folder.path(), Some(relay.url())).await?;
    let c = NodeProcess::start("c", folder.path(), Some(relay.url())).await?;
    journey::travel(records, &a, &b, &c).await
}
