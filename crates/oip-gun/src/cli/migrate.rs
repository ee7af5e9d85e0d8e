//! `oip-gun migrate KIND …`: taking over what other programs stored, one file per kind.
//! Owns what they share: whose data folder, and the bar.

mod backup;
mod elasticsearch;
mod radata;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::settings::{Flags, Layers, Setting, Settings};

/// A bar that counts records.
const RECORDS: &str = "{wide_bar} {pos}/{len} records  {eta} left";
/// A bar that counts bytes.
const BYTES: &str = "{wide_bar} {bytes}/{total_bytes}  {eta} left";

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

/// The settings of the node whose data folder takes what is imported.
fn settings(config: Option<PathBuf>, data_dir: Option<String>) -> anyhow::Result<Settings> {
    let data_dir = data_dir.map(|data_dir| (Setting::DataDir, data_dir));
    let flags = Flags {
        config,
        values: data_dir.into_iter().collect(),
    };
    let layers = Layers::collect(flags, &|name| std::env::var(name).ok())?;
    Ok(Settings::interpret(layers)?)
}

/// A bar where a person watches, else none.
fn progress_bar(template: &str, output: Output) -> ProgressBar {
    if !std::io::stderr().is_terminal() || output == Output::Json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    // The templates are constants; were one faulty, the default bar would do.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
