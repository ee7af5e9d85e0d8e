//! `oip-gun search TEXT`: records that fit, as a table.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::output::{self, Output};
use super::table::Table;

/// Characters of a name in the table: a line stays readable on a usual terminal.
const NAME_CHARS_MAX: usize = 48;

const EXAMPLES: &str = r#"Examples:
  oip-gun search tidal gauge
  oip-gun search '"tidal gauge" type:post NOT tag:=draft'
  oip-gun search 'recipe.servings:>=4 (lem* OR barly~)'
  oip-gun search --type recipe --tag barley --limit 5
  oip-gun search --sort date:asc --page 2
  oip-gun search lemon --json | jq '.records[].oip.did'"#;

/// Find records
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SearchArgs {
    /// What to find: words, "phrases", pre*, fuzzy~, AND OR NOT ( ), field:word, field:=value, field:>=5,
    /// field:[2 TO 4] [default: every record]
    text: Vec<String>,
    /// Only records of this type
    #[arg(long = "type", value_name = "TYPE")]
    record_type: Option<String>,
    /// Only records with this tag; repeat for more, of which any is enough
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Records per page, 1 to 1000 [default: 20]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// Page, from 1 [default: 1]
    #[arg(long, value_name = "N")]
    page: Option<String>,
    /// Where the next page begins, as the page before said
    #[arg(long, value_name = "CURSOR", conflicts_with = "page")]
    cursor: Option<String>,
    /// Order: field:asc or field:desc; any field, such as date, name, recipe.servings, or score
    #[arg(long, value_name = "ORDER")]
    sort: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: SearchArgs, output: Output) -> anyhow::Result<ExitCode> {
    let text = (!args.text.is_empty()).then(|| args.text.join(" "));
    let tags = (!args.tag.is_empty()).then(|| args.tag.join(","));
    let given = [
        ("q", &text),
        ("recordType", &args.record_type),
        ("tags", &tags),
        ("limit", &args.limit),
        ("page", &args.page),
        ("cursor", &args.cursor),
        ("sortBy", &args.sort),
    ];
    let given = given.into_iter();
    let query: Vec<(&str, &str)> = given
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        // Records as they were published, with nothing added.
        .chain([("hideDateReadable", "true")])
        .collect();
    let page: Value = args
        .connection
        .client()?
        .get("/api/records", &query)
        .await?;
    match output {
        Output::Json => output::json(&page)?,
        Output::Text => output::line(&describe(&page))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(page: &Value) -> String {
    let number = |name: &str| page.get(name).and_then(Value::as_u64).unwrap_or_default();
    let records = page
        .get("records")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if records.is_empty() {
        return format!(
            "nothing found among {} records (page {} of {})",
            number("totalRecords"),
            number("currentPage"),
            number("totalPages")
        );
    }
    let mut table = Table::new(["TYPE", "NAME", "DATE", "DID"]);
    for record in records {
        let text = |pointer: &str| {
            record
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = text("/data/basic/name");
        let short: String = name.chars().take(NAME_CHARS_MAX).collect();
        let name = if short.len() < name.len() {
            format!("{short}…")
        } else {
            short
        };
        table.add([
            text("/oip/recordType").to_owned(),
            name,
            text("/oip/indexedAt").chars().take(10).collect(),
            text("/oip/did").to_owned(),
        ]);
    }
    let mut shown = format!(
        "{}\n\n{} found, page {} of {}",
        table.text(),
        number("searchResults"),
        number("currentPage"),
        number("totalPages")
    );
    if let Some(cursor) = page.get("nextCursor").and_then(Value::as_str) {
        shown.push_str(&output::printable(&format!("\nmore: --cursor {cursor}")));
    }
    shown
}
