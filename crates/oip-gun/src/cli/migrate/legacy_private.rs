//! `oip-gun migrate legacy-private`: seals anew what deployed nodes wrote in clear or under an old scheme, on a
//! running node.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::connection::ConnectionArgs;
use crate::cli::output::{self, Output};
use crate::cli::table::Table;

/// What has to be said whenever there is such a record.
const WARNING: &str = "Whoever had these records could read them: they lay in clear, or under keys that stand in the records themselves. Sealing them anew keeps out later readers only; copies elsewhere stay readable.";

const EXAMPLES: &str = "\
Examples:
  oip-gun migrate legacy-private --dry-run
  oip-gun migrate legacy-private
  oip-gun migrate legacy-private --json | jq .left

Runs on the node as it runs. Again, it seals what is new and changes nothing else. Keys that can't be made from the
records stand in OIP_LEGACY_KEYS_FILE (docs/private-records.md).";

/// Seal private records that deployed nodes did not
///
/// Takes those that this node's creator key made, and that lie in clear though they ask for privacy, or
/// are encrypted by one of the old schemes. They are sealed to this node and to everyone whom their access control
/// names, and announced. Those that others made, or that name somebody who can't be found, are named and left.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LegacyPrivateArgs {
    /// Tell what would be sealed, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What all goes came to.
#[derive(Debug, Default)]
struct Total {
    found: u64,
    legacy: u64,
    sealed: Vec<Value>,
    left: Vec<Value>,
}

pub(super) async fn run(args: LegacyPrivateArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let dry_run = args.dry_run.to_string();
    let mut total = Total::default();
    let mut after = String::new();
    loop {
        let query = [("dryRun", &*dry_run), ("after", &after)];
        let mut report: Value = client
            .post("/api/records/sealLegacy", &query, String::new())
            .await?;
        total.add(&mut report);
        match report["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    match output {
        Output::Json => output::json(&total.to_value(args.dry_run))?,
        Output::Text => output::line(&total.describe(args.dry_run))?,
    }
    Ok(match total.left.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Total {
    fn add(&mut self, report: &mut Value) {
        let mut list = |name: &str| match report[name].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        self.sealed.extend(list("sealed"));
        self.left.extend(list("left"));
        self.found += report["found"].as_u64().unwrap_or(0);
        self.legacy += report["legacy"].as_u64().unwrap_or(0);
    }

    fn warning(&self) -> Option<&'static str> {
        (self.found > 0).then_some(WARNING)
    }

    fn to_value(&self, dry_run: bool) -> Value {
        json!({
            "found": self.found, "legacy": self.legacy, "sealed": self.sealed, "left": self.left,
            "dryRun": dry_run, "warning": self.warning(),
        })
    }

    fn describe(&self, dry_run: bool) -> String {
        let mut parts = vec![
            format!(
                "found    {} private records that are not sealed: {} under an old scheme, {} in clear",
                self.found,
                self.legacy,
                self.found - self.legacy
            ),
            format!(
                "sealed   {}{}",
                self.sealed.len(),
                if dry_run {
                    " would be: this was a dry run"
                } else {
                    ""
                }
            ),
            format!("left     {}", self.left.len()),
        ];
        if !self.left.is_empty() {
            let mut table = Table::new(["RECORD", "WHY"]);
            for one in &self.left {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                table.add([text("did"), text("why")]);
            }
            parts.push(String::new());
            parts.push(table.text());
        }
        if let Some(warning) = self.warning() {
            parts.push(String::new());
            parts.push(warning.to_owned());
        }
        parts.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_goes_are_told_as_one_with_the_warning() {
        let mut total = Total::default();
        assert_eq!(total.warning(), None);
        let left = json!({"did": "did:gun:a:b", "why": "another made it"});
        total.add(&mut json!({"found": 2, "legacy": 1, "sealed": ["did:gun:a:c"], "left": [left], "next": "a:c"}));
        total.add(&mut json!({"found": 1, "legacy": 1, "sealed": ["did:gun:a:d"], "left": [], "next": null}));
        let told = total.describe(false);
        for part in [
            "3 private records",
            "2 under an old scheme, 1 in clear",
            "another made it",
            WARNING,
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(total.to_value(true)["dryRun"], true);
    }
}
