//! `oip-gun explain DID`: everything that was decided about one record.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

const EXAMPLES: &str = "\
Examples:
  oip-gun explain did:gun:5b1fd0c7a9e2:note-1
  oip-gun explain did:gun:5b1fd0c7a9e2:note-1 --json | jq .decisions";

/// Explain why a record is shown, or is not
///
/// Says what is held of it and who vouches for it, whether a deletion mark hides it, whether it waits
/// or stands in quarantine and why, what lies in the graph, and the last decisions on it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// DID of the record: did:gun:<soul>
    did: String,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: ExplainArgs, output: Output) -> anyhow::Result<ExitCode> {
    let client = args.connection.client()?;
    let query = [("did", args.did.as_str())];
    let explained: Value = client.get("/api/records/explain", &query).await?;
    match output {
        Output::Json => output::json(&explained)?,
        Output::Text => output::line(&describe(&explained))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The members as they come: this verb may be newer or older than the node.
fn describe(explained: &Value) -> String {
    let mut lines = vec![
        text(&explained["did"]),
        text(&explained["summary"]),
        String::new(),
    ];
    for name in ["held", "hidden", "wanted", "quarantine"] {
        let Some(members) = explained[name].as_object() else {
            continue;
        };
        let members: Vec<String> = members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| format!("{name} {}", text(member)))
            .collect();
        lines.push(format!("{name:<11} {}", members.join(", ")));
    }
    for (name, label) in [
        ("graph", "graph"),
        ("registered", "registered"),
        ("markedDeleted", "marked"),
    ] {
        lines.push(format!("{label:<11} {}", text(&explained[name])));
    }
    let mut lines: Vec<String> = lines.iter().map(|line| output::printable(line)).collect();
    let decisions = explained["decisions"].as_array();
    if let Some(decisions) = decisions.filter(|decisions| !decisions.is_empty()) {
        let mut table = Table::new(["WHEN", "DECISION", "WHY", "PEER"]);
        for decision in decisions {
            let at = decision["atMs"].as_i64().unwrap_or(0);
            table.add([
                oip_record::Stamp::from_ms(at).as_str().to_owned(),
                text(&decision["what"]),
                text(&decision["why"]),
                text(&decision["source"]),
            ]);
        }
        lines.push(String::new());
        lines.push(table.text());
    }
    lines.join("\n")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_explanation_names_what_hides_a_record_and_every_decision() {
        let shown = describe(&json!({
            "did": "did:gun:a:b", "summary": "held, and hidden", "shown": false,
            "held": {"recordType": "post", "signature": "verified", "source": null},
            "hidden": {"by": "http://node.example/gun-relay", "until": "2026-01-20T10:00:00.000Z"},
            "graph": "the version that is held", "registered": true, "markedDeleted": true,
            "wanted": null, "quarantine": null,
            "decisions": [{"atMs": 1_768_903_200_000_i64, "what": "hidden", "why": "a mark", "source": "p"}],
        }));
        for part in [
            "did:gun:a:b\nheld, and hidden\n",
            "held        recordType post, signature verified\n",
            "hidden      by http://node.example/gun-relay, until 2026-01-20T10:00:00.000Z",
            "2026-01-20T10:00:00.000Z  hidden",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(!shown.contains("wanted"), "{shown}");
    }
}
