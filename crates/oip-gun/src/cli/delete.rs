//! `oip-gun delete DID`: replaces a record by its tombstone.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::output::{self, Output};

const EXAMPLES: &str = "\
Examples:
  oip-gun delete did:gun:5b1fd0c7a9e2:note-1";

/// Delete a record of this node, here and on every node that holds it
///
/// A signed tombstone takes the record's place and travels as it did. Who has read the record
/// can keep what was read. Publishing the same local id again revives the record.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DeleteArgs {
    /// DID of the record: did:gun:<soul>
    did: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: DeleteArgs, output: Output) -> anyhow::Result<ExitCode> {
    let request = json!({"delete": {"did": args.did}});
    let answer: Value = args
        .connection
        .client()?
        .post("/api/records/deleteRecord", &[], request.to_string())
        .await?;
    match output {
        Output::Json => output::json(&answer)?,
        Output::Text => output::line(&format!("deleted {}", output::printable(&args.did)))?,
    }
    Ok(ExitCode::SUCCESS)
}
