//! `oip-gun share DID READER…` and `oip-gun revoke DID READER…`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::connection::ConnectionArgs;
use super::output::{self, Output};

const EXAMPLES: &str = "\
Examples:
  oip-gun share did:gun:5b1fd0c7a9e2:note-1 node-b 02c3…81
  oip-gun revoke did:gun:5b1fd0c7a9e2:note-1 node-b";

/// Which way access is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Share,
    Revoke,
}

/// Change who can read a private record of this node
///
/// Readers are node ids, aliases, public keys of nodes and users, or DIDs of organizations. Sharing adds a
/// key to the record; revoking seals it anew, and what a reader copied before stays his.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AccessArgs {
    /// DID of the record: did:gun:<soul>
    did: String,
    /// Readers
    #[arg(required = true, value_name = "READER")]
    readers: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(
    args: AccessArgs,
    change: Change,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let member = match change {
        Change::Share => "share",
        Change::Revoke => "revoke",
    };
    let request = json!({ member: args.readers });
    let path = format!("/api/records/{}/access", args.did);
    let answer: Value = args
        .connection
        .client()?
        .patch(&path, request.to_string())
        .await?;
    match output {
        Output::Json => output::json(&answer)?,
        Output::Text => output::line(&format!(
            "{} can be opened with {} keys now",
            output::printable(&args.did),
            answer["recipients"]
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
