//! The command line, one file per verb.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed (the message
//! names the cure), 2 wrong usage, 130 stopped by a second signal.

mod access;
mod backup;
mod config;
mod connection;
mod delete;
mod demo;
mod doctor;
mod explain;
mod failure;
mod get;
mod inputs;
mod keys;
mod migrate;
mod output;
mod peers;
mod progress;
mod publish;
mod quarantine;
mod registry;
mod reindex;
mod restore;
mod search;
mod serve;
mod status;
mod stop;
mod stopped_node;
mod sync;
mod table;
pub(crate) mod token;
mod tokens;
mod verify;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Output;
pub(crate) use table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun demo                                 two nodes on this machine, records travelling
  oip-gun serve                                a node on 127.0.0.1, API 3005, relay 8765
  oip-gun serve --peer wss://relay.example/gun a node that dials a relay
  oip-gun publish post.json --type post        publish a record on the running node
  oip-gun search tidal gauge                   find records of all nodes
  oip-gun status                               is it healthy, and if not, why

`oip-gun VERB --help` shows what a verb takes, with examples.";

/// An OIP node on GUN: publish records, and find those of every other node
#[derive(Debug, Parser)]
#[command(
    name = "oip-gun",
    version,
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Write the result as JSON on stdout, for programs
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Publish(publish::PublishArgs),
    Get(get::GetArgs),
    Search(search::SearchArgs),
    Status(status::StatusArgs),
    Peers(peers::PeersArgs),
    Registry(registry::RegistryArgs),
    Sync(sync::SyncArgs),
    Delete(delete::DeleteArgs),
    Explain(explain::ExplainArgs),
    /// Let more readers open a private record
    Share(access::AccessArgs),
    /// Seal a private record anew for fewer readers
    Revoke(access::AccessArgs),
    Keys(keys::KeysArgs),
    Tokens(tokens::TokensArgs),
    Audit(keys::AuditArgs),
    Verify(verify::VerifyArgs),
    Reindex(reindex::ReindexArgs),
    Quarantine(quarantine::QuarantineArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Migrate(migrate::MigrateArgs),
    Config(config::ConfigArgs),
    Doctor(doctor::DoctorArgs),
}

/// Tasks that a thread runs before it looks at the sockets again: with the runtime's default, 61, a
/// thread full of busy peers lets a quiet one wait for some 30 ms.
const TASKS_BETWEEN_EVENTS: u32 = 8;

/// Reads the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = if cli.json { Output::Json } else { Output::Text };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_EVENTS)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = anyhow::Error::new(error).context("failed to start the runtime");
            return failure::report(&error, output);
        }
    };
    match runtime.block_on(execute(cli.verb, output)) {
        Ok(code) => code,
        Err(error) => failure::report(&error, output),
    }
}

async fn execute(verb: Verb, output: Output) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Serve(args) => serve::run(args, output).await,
        Verb::Demo(args) => demo::run(args, output).await,
        Verb::Publish(args) => publish::run(args, output).await,
        Verb::Get(args) => get::run(args, output).await,
        Verb::Search(args) => search::run(args, output).await,
        Verb::Status(args) => status::run(args, output).await,
        Verb::Peers(args) => peers::run(args, output).await,
        Verb::Registry(args) => registry::run(args, output).await,
        Verb::Sync(args) => sync::run(args, output).await,
        Verb::Delete(args) => delete::run(args, output).await,
        Verb::Explain(args) => explain::run(args, output).await,
        Verb::Share(args) => access::run(args, access::Change::Share, output).await,
        Verb::Revoke(args) => access::run(args, access::Change::Revoke, output).await,
        Verb::Keys(args) => keys::run(args, output).await,
        Verb::Tokens(args) => tokens::run(args, output).await,
        Verb::Audit(args) => keys::audit(args, output).await,
        Verb::Verify(args) => verify::run(args, output).await,
        Verb::Reindex(args) => reindex::run(args, output).await,
        Verb::Quarantine(args) => quarantine::run(args, output).await,
        Verb::Backup(args) => backup::run(args, output).await,
        Verb::Restore(args) => restore::run(args, output).await,
        Verb::Migrate(args) => migrate::run(args, output).await,
        Verb::Config(args) => config::run(args, output),
        Verb::Doctor(args) => doctor::run(args, output).await,
    }
}
