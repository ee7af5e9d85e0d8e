//! `oip-gun backup FILE|-`: a backup of the running node, checked as it comes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use oip_node::backup::{Checked, Checker};
use serde_json::json;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::progress;

/// Where the backup goes when it is to be written to stdout.
const STDOUT: &str = "-";

const EXAMPLES: &str = "\
Examples:
  oip-gun backup /backups/node-a.backup
  oip-gun backup - | gzip > node-a.backup.gz
  oip-gun backup - | ssh elsewhere 'cat > node-a.backup'

The node goes on serving. Keys are not in a backup; keep them apart. `oip-gun restore FILE` takes it back.";

/// Back up the running node
///
/// Every verified record as it was signed, private ones as ciphertext, deletions, and what the node has learned and
/// must not unlearn. The file is written beside its name and takes it once it is known to be whole.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// The file, or - for stdout
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: BackupArgs, output: Output) -> anyhow::Result<ExitCode> {
    let to_stdout = args.file.as_os_str() == STDOUT;
    if !to_stdout && args.file.exists() && !args.force {
        bail!(
            "{} is there already: give another name, or --force to replace it",
            args.file.display()
        );
    }
    let client = args.connection.client()?;
    let bar = progress::bar(progress::BYTES_SO_FAR, output);
    let done = match to_stdout {
        true => copy(&client, &mut std::io::stdout().lock(), &bar).await,
        false => to_file(&client, &args.file, &bar).await,
    };
    bar.finish_and_clear();
    let (checked, bytes) = done?;
    // On stdout is the backup itself.
    if !to_stdout {
        match output {
            Output::Json => output::json(&json!({
                "file": args.file, "bytes": bytes, "backup": checked,
            }))?,
            Output::Text => output::line(&format!(
                "{}: {} records, {} marks, {bytes} bytes, of node {}",
                args.file.display(),
                checked.end.records,
                checked.end.marks,
                checked.header.node_id
            ))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn to_file(
    client: &crate::client::Client,
    path: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<(Checked, u64)> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let failed = || format!("failed to write {}", part.display());
    let mut file = create(&part).with_context(failed)?;
    let copied = match copy(client, &mut file, bar).await {
        Ok(copied) => copied,
        Err(error) => {
            drop(file);
            // What is there is no backup, and would only be in the way.
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    };
    file.sync_all().with_context(failed)?;
    std::fs::rename(&part, path)
        .with_context(|| format!("failed to rename {} to {}", part.display(), path.display()))?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        && let Ok(folder) = File::open(folder)
    {
        // The new name is to survive a loss of power too; where folders can't be synced, it does as it may.
        let _ = folder.sync_all();
    }
    Ok(copied)
}

/// Made for its owner alone: what private records are called, and who may read them, is in it.
fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

async fn copy(
    client: &crate::client::Client,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> anyhow::Result<(Checked, u64)> {
    let mut checker = Checker::default();
    let mut bytes = 0;
    let mut parts = client.stream("/api/backup").await?;
    while let Some(part) = parts.next().await? {
        checker
            .push(&part)
            .context("the node sent no whole backup")?;
        out.write_all(&part).context("failed to write the backup")?;
        bytes += part.len() as u64;
        bar.set_position(bytes);
    }
    out.flush().context("failed to write the backup")?;
    let checked = checker.finish().context("the node sent no whole backup")?;
    Ok((checked, bytes))
}
