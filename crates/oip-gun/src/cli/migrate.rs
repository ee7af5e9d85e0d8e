//! `oip-gun migrate KIND …`: taking over what other programs stored, one file per kind.

mod backup;
mod elasticsearch;
mod radata;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::Output;

/// Take over what another program stored
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Backup(backup::BackupArgs),
    Elasticsearch(elasticsearch::ElasticsearchArgs),
    Radata(radata::RadataArgs),
}

pub(super) async fn run(args: MigrateArgs, output: Output) -> anyhow::Result<ExitCode> {
    match args.kind {
        Kind::Backup(args) => backup::run(args, output).await,
        Kind::Elasticsearch(args) => elasticsearch::run(args, output).await,
        Kind::Radata(args) => radata::run(args, output).await,
    }
}
