//! `oip-gun keys show|rotate|export` and `oip-gun audit`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};

/// The keys of the running node
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Show the node's id and the ids of its keys
    Show(ConnectionArgs),
    /// Replace the encryption key; what was sealed to the old one stays readable
    Rotate(ConnectionArgs),
    /// Copy the key files of a data folder, private parts included, to a folder of the owner alone
    Export(ExportArgs),
}

/// Where from and where to
#[derive(Debug, Args)]
struct ExportArgs {
    /// A folder that does not exist yet
    to: std::path::PathBuf,
    /// Data folder of the node [env: OIP_GUN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
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
        KeysVerb::Export(export) => return export_to(export, output),
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

fn export_to(args: ExportArgs, output: Output) -> anyhow::Result<ExitCode> {
    use std::os::unix::fs::DirBuilderExt as _;
    let flags = crate::settings::Flags {
        config: None,
        values: args
            .data_dir
            .map(|folder| (crate::settings::Setting::DataDir, folder))
            .into_iter()
            .collect(),
    };
    let layers = crate::settings::Layers::collect(flags, &|name| std::env::var(name).ok())?;
    let from = layers.data_dir().join("keys");
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&args.to)
        .with_context(|| {
            format!(
                "failed to make {}: name a folder that does not exist yet",
                args.to.display()
            )
        })?;
    let mut copied = Vec::new();
    let files = std::fs::read_dir(&from).with_context(|| {
        format!(
            "failed to read {}: is it a node's data folder?",
            from.display()
        )
    })?;
    for file in files {
        let path = file?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|end| end == "json"))
        {
            let text = std::fs::read_to_string(&path)?;
            oip_node::keyring::write_secret(&args.to.join(name), &text)
                .with_context(|| format!("failed to write to {}", args.to.display()))?;
            copied.push(name.to_string_lossy().into_owned());
        }
    }
    match output {
        Output::Json => output::json(&serde_json::json!({"copied": copied}))?,
        Output::Text => output::line(&format!(
            "copied {} to {}: who has them can sign as this node and open what is sealed to it",
            copied.join(", "),
            args.to.display()
        ))?,
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
