//! `oip-gun get DID`: one record.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};

const EXAMPLES: &str = "\
Examples:
  oip-gun get did:gun:5b1fd0c7a9e2:note-1
  oip-gun get did:gun:5b1fd0c7a9e2:note-1 --json | jq .data";

/// Show one record
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GetArgs {
    /// DID of the record: did:gun:<soul>
    did: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: GetArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let page: Value = client
        .get(
            "/api/records",
            // The record as it was published, with nothing added.
            &[("did", &args.did), ("hideDateReadable", "true")],
        )
        .await?;
    let Some(record) = page.pointer("/records/0") else {
        bail!(
            "the node at {} holds no record {}; it may be deleted, or not have arrived yet (`oip-gun sync` asks every peer now)",
            client.url(),
            args.did
        );
    };
    match output {
        Output::Json => output::json(record)?,
        // Pretty JSON escapes control characters, so that it is safe for a terminal.
        Output::Text => output::line(
            &serde_json::to_string_pretty(record).context("failed to write the record")?,
        )?,
    }
    Ok(ExitCode::SUCCESS)
}
