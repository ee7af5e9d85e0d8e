//! `oip-gun keys show|rotate|export|import|protect|unprotect` and `oip-gun audit`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use oip_node::keyring::{KeyFiles, KeyFolder};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use crate::settings::{Flags, Layers, Setting};

const EXAMPLES: &str = "\
Examples:
  oip-gun keys show
  oip-gun keys export /media/backup/keys          copy the key files, locked ones as they are
  oip-gun keys import /media/backup/keys          into a data folder that has none
  OIP_GUN_KEY_PASSPHRASE_FILE=/run/secrets/oip oip-gun keys protect

import, protect and unprotect work on a data folder whose node is stopped. The passphrase is given by
OIP_GUN_KEY_PASSPHRASE or OIP_GUN_KEY_PASSPHRASE_FILE, to these verbs and to `serve`.";

/// The keys of a node
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Show the running node's id and the ids of its keys
    Show(ConnectionArgs),
    /// Replace the running node's encryption key; what was sealed to the old one stays readable
    Rotate(ConnectionArgs),
    /// Copy the key files of a data folder, private parts included, to a folder of the owner alone
    Export(ExportArgs),
    /// Take over the key files of an exported folder: identity, encryption keys, creator key
    Import(ImportArgs),
    /// Lock the key files with a passphrase (Argon2id)
    Protect(FolderArgs),
    /// Write locked key files as plain ones again
    Unprotect(FolderArgs),
}

/// Where from and where to
#[derive(Debug, Args)]
struct ExportArgs {
    /// A folder that does not exist yet
    to: PathBuf,
    #[command(flatten)]
    folder: FolderArgs,
}

/// Where from and where to
#[derive(Debug, Args)]
struct ImportArgs {
    /// A folder that `keys export` made, or the folder `keys` of another node
    from: PathBuf,
    #[command(flatten)]
    folder: FolderArgs,
}

/// Whose keys
#[derive(Debug, Args)]
struct FolderArgs {
    /// Settings file of the node [env: OIP_GUN_CONFIG]
    #[arg(long, value_name = "FILE", help_heading = "Which node")]
    config: Option<PathBuf>,
    /// Data folder of the node [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR", help_heading = "Which node")]
    data_dir: Option<String>,
}

impl FolderArgs {
    fn open(self) -> anyhow::Result<KeyFolder> {
        let data_dir = self.data_dir.map(|folder| (Setting::DataDir, folder));
        let flags = Flags {
            config: self.config,
            values: data_dir.into_iter().collect(),
        };
        let layers = Layers::collect(flags, &|name| std::env::var(name).ok())?;
        let passphrase = layers.key_passphrase();
        Ok(KeyFolder::new(layers.data_dir(), passphrase.as_ref())?)
    }
}

pub(super) async fn run(args: KeysArgs, output: Output) -> anyhow::Result<ExitCode> {
    let answer: Value = match args.verb {
        KeysVerb::Show(connection) => connection.client()?.get("/api/keys", &[]).await?,
        KeysVerb::Rotate(connection) => {
            connection
                .client()?
                .post("/api/keys/rotate", &[], String::new())
                .await?
        }
        KeysVerb::Export(args) => {
            let files = args.folder.open()?.export(&args.to)?;
            let place = args.to.display();
            return tell(files, output, |names| {
                format!(
                    "copied {names} to {place}: who has them can sign as this node and open what is sealed to it"
                )
            });
        }
        KeysVerb::Import(args) => {
            let files = args.folder.open()?.import(&args.from)?;
            return tell(files, output, |names| format!("imported {names}"));
        }
        KeysVerb::Protect(folder) => {
            let files = folder.open()?.protect()?;
            return tell(files, output, |names| {
                format!(
                    "locked {names}: the node starts with the passphrase only, and without it they are lost. Copies made before, and what the disk kept of the plain files, are not locked"
                )
            });
        }
        KeysVerb::Unprotect(folder) => {
            let files = folder.open()?.unprotect()?;
            return tell(files, output, |names| format!("unlocked {names}"));
        }
    };
    match output {
        Output::Json => output::json(&answer)?,
        Output::Text => {
            for (name, label) in [
                ("nodeId", "node id"),
                ("publicKey", "public key"),
                ("creator", "creator"),
            ] {
                output::line(&format!(
                    "{label:<15}{}",
                    answer[name].as_str().unwrap_or_default()
                ))?;
            }
            for (at, id) in answer["encryptionKeys"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
            {
                let label = if at == 0 {
                    "encryption key"
                } else {
                    "  retired"
                };
                output::line(&format!("{label:<15}{}", id.as_str().unwrap_or_default()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what was done with key files.
fn tell(
    files: KeyFiles,
    output: Output,
    done: impl Fn(&str) -> String,
) -> anyhow::Result<ExitCode> {
    match output {
        Output::Json => output::json(&files)?,
        Output::Text => {
            if !files.written.is_empty() {
                output::line(&done(&files.written.join(", ")))?;
            }
            if !files.unchanged.is_empty() {
                let names = files.unchanged.join(", ");
                output::line(&format!("left as they were: {names}"))?;
            }
            if !files.unchecked.is_empty() {
                let names = files.unchecked.join(", ");
                output::line(&format!(
                    "not looked into, since they are locked and no passphrase is given: {names}"
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was done with private records on the running node
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Show the entries, oldest first
    List(ListArgs),
    /// Check that no entry was changed, removed or cut off
    Verify(ConnectionArgs),
}

/// Which entries
#[derive(Debug, Args)]
struct ListArgs {
    /// Entries after this number
    #[arg(long, default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn audit(args: AuditArgs, output: Output) -> anyhow::Result<ExitCode> {
    match args.verb {
        AuditVerb::List(list) => {
            let after = list.after.to_string();
            let query = [("after", after.as_str()), ("limit", "1000")];
            let page: Value = list.connection.client()?.get("/api/audit", &query).await?;
            if output == Output::Json {
                output::json(&page["entries"])?;
                return Ok(ExitCode::SUCCESS);
            }
            for entry in page["entries"].as_array().into_iter().flatten() {
                let text = |name: &str| {
                    output::printable(entry[name].as_str().unwrap_or_default()).to_string()
                };
                output::line(&format!(
                    "{:>8} {} {} key {} by {}: {} ({})",
                    entry["seq"],
                    text("action"),
                    text("did"),
                    text("keyId"),
                    text("caller"),
                    text("reason"),
                    entry["count"]
                ))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        AuditVerb::Verify(connection) => {
            let query = [("verify", "true"), ("limit", "1")];
            let page: Value = connection.client()?.get("/api/audit", &query).await?;
            let report = &page["verified"];
            match output {
                Output::Json => output::json(report)?,
                Output::Text => output::line(&match report["broken"].as_str() {
                    None => format!(
                        "{} entries, none missing or changed; signed up to {}",
                        report["entries"], report["signedTo"]
                    ),
                    Some(broken) => output::printable(broken).to_string(),
                })?,
            }
            Ok(if report["broken"].is_null() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}
