//! `oip-gun registry`: what this node announces and holds, by type.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun registry
  oip-gun registry --json | jq .recordsByType";

/// Show the registry as this node knows it
///
/// Its root, the id that entries of this node bear, and the records held by type. One record is looked
/// up by `oip-gun explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RegistryArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: RegistryArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let mut health: Value = client.get("/api/health/gun-sync", &[]).await?;
    let registry = health["registry"].take();
    match output {
        Output::Json => output::json(&registry)?,
        Output::Text => output::line(&describe(&registry))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(registry: &Value) -> String {
    let text = |name: &str| registry[name].as_str().unwrap_or("-").to_owned();
    let head = format!(
        "root     {}\nnode     {}\nrecords  {}",
        text("registryRoot"),
        text("nodeId"),
        registry["totalRecordsRegistered"]
    );
    let mut parts: Vec<String> = head.lines().map(output::printable).collect();
    let types = registry["recordsByType"].as_object();
    if let Some(types) = types.filter(|types| !types.is_empty()) {
        let mut table = Table::new(["TYPE", "RECORDS"]);
        for (record_type, count) in types {
            table.add([record_type.clone(), count.to_string()]);
        }
        parts.push(String::new());
        parts.push(table.text());
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_registry_is_told_by_type() {
        let shown = describe(&json!({
            "nodeId": "node-a", "registryRoot": "oip:registry", "totalRecordsRegistered": 3,
            "recordsByType": {"post": 2, "recipe": 1},
        }));
        assert_eq!(
            shown,
            "root     oip:registry\nnode     node-a\nrecords  3\n\nTYPE    RECORDS\npost    2\nrecipe  1"
        );
    }
}
