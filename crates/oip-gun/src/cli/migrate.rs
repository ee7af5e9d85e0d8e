//! `oip-gun migrate KIND …`: taking over what other programs stored or wrote, one file per kind.

mod backup;
mod elasticsearch;
mod legacy_private;
mod radata;
mod templates;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(super) use backup::describe_records;

use super::output::Output;

/// Take over what another program stored or wrote
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Backup(backup::BackupArgs),
    Elasticsearch(elasticsearch::ElasticsearchArgs),
    LegacyPrivate(legacy_private::LegacyPrivateArgs),
    Radata(radata::RadataArgs),
    Templates(templates::TemplatesArgs),
}

pub(super) async fn run(args: MigrateArgs, output: Output) -> anyhow::Result<ExitCode> {
    match args.kind {
        Kind::Backup(args) => backup::run(args, output).await,
        Kind::Elasticsearch(args) => elasticsearch::run(args, output).await,
        Kind::LegacyPrivate(args) => legacy_private::run(args, output).await,
        Kind::Radata(args) => radata::run(args, output).await,
        Kind::Templates(args) => templates::run(args, output).await,
    }
}
