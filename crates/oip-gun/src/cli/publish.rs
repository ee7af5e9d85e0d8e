//! `oip-gun publish FILE…`: publishes records through the API, several at a time, and goes on
//! after a refused one.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::failure;
use super::inputs::{self, Input, Naming, Source, Unreadable};
use super::output::{self, Output};
use crate::api::ErrorBody;
use crate::client::{Client, ClientError};

/// Records under way at a time: the node commits what arrives together with one sync of the
/// disk; more than this doesn't shorten the whole.
const UNDER_WAY_MAX: usize = 16;

const EXAMPLES: &str = "\
Examples:
  oip-gun publish post.json                       the type is seen in the record
  oip-gun publish note.json --type post --local-id note-1
  oip-gun publish records/                        a folder, with its index.json if there is one
  cat *.json | oip-gun publish - --type post      from stdin, one record after the other

The same local id again is a new version of the same record. A folder's index.json is a list such
as [{\"file\": \"post.json\", \"recordType\": \"post\", \"localId\": \"note-1\"}].
Refused records are named with the reason, the others are published all the same; the exit code
is 1 if any was refused.";

/// Publish records on the node
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    /// Files and folders with records as JSON; - reads stdin
    #[arg(required = true, value_name = "FILE")]
    from: Vec<String>,
    /// Type of the records [default: the record's only template besides basic and accessControl]
    #[arg(long = "type", value_name = "TYPE")]
    record_type: Option<String>,
    /// Name of the record among this creator's records [default: a random one]
    #[arg(long, value_name = "ID")]
    local_id: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What became of everything.
#[derive(Default, Serialize)]
struct Report {
    published: Vec<Published>,
    refused: Vec<Refused>,
    /// Why the rest was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<ErrorBody>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    input: String,
    record_type: String,
    did: String,
}

#[derive(Serialize)]
struct Refused {
    input: String,
    error: String,
    reason: String,
}

pub(super) async fn run(args: PublishArgs, output: Output) -> anyhow::Result<ExitCode> {
    let naming = Naming {
        record_type: args.record_type,
        local_id: args.local_id,
    };
    let sources = inputs::sources(&args.from, &naming)?;
    let client = args.connection.client()?;
    let progress = Progress::new(sources.len(), output);
    let mut report = Report::default();
    let published = publish_all(&client, &sources, &progress, &mut report).await;
    progress.bar.finish_and_clear();
    report.stopped = published.as_ref().err().map(failure::body);
    if output == Output::Json {
        output::json(&report)?;
    } else if report.published.len() + report.refused.len() > 1 {
        output::line(&format!(
            "{} published, {} refused",
            report.published.len(),
            report.refused.len()
        ))?;
    }
    if let Err(error) = published {
        failure::tell(&error);
    }
    Ok(if report.refused.is_empty() && report.stopped.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Publishes everything; ends early only if no record can be published at all.
async fn publish_all(
    client: &Client,
    sources: &[Source],
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut under_way = FuturesUnordered::new();
    // Two versions of one record must arrive in their order.
    let mut ids_under_way: HashSet<String> = HashSet::new();
    for source in sources {
        let records = source.read();
        progress.more(records.len() - 1);
        for input in records {
            let input = match input {
                Ok(input) => input,
                Err(unreadable) => {
                    progress.refused(report, unreadable.into())?;
                    continue;
                }
            };
            while under_way.len() >= UNDER_WAY_MAX
                || input
                    .local_id
                    .as_ref()
                    .is_some_and(|id| ids_under_way.contains(id))
            {
                let Some((input, result)) = under_way.next().await else {
                    break;
                };
                settle(input, result, progress, report, &mut ids_under_way)?;
            }
            ids_under_way.extend(input.local_id.clone());
            under_way.push(publish(client, input));
        }
    }
    while let Some((input, result)) = under_way.next().await {
        settle(input, result, progress, report, &mut ids_under_way)?;
    }
    Ok(())
}

async fn publish(client: &Client, input: Input) -> (Input, Result<Value, ClientError>) {
    let mut query = vec![
        ("recordType", input.record_type.as_str()),
        ("storage", "gun"),
    ];
    if let Some(local_id) = &input.local_id {
        query.push(("localId", local_id));
    }
    let result = client
        .post("/api/records/newRecord", &query, input.text.clone())
        .await;
    (input, result)
}

fn settle(
    input: Input,
    result: Result<Value, ClientError>,
    progress: &Progress,
    report: &mut Report,
    ids_under_way: &mut HashSet<String>,
) -> anyhow::Result<()> {
    if let Some(local_id) = &input.local_id {
        ids_under_way.remove(local_id);
    }
    match result {
        Ok(answer) => {
            let did = answer
                .get("did")
                .and_then(Value::as_str)
                .unwrap_or_default();
            progress.published(
                report,
                Published {
                    input: input.name,
                    record_type: input.record_type,
                    did: did.to_owned(),
                },
            )
        }
        // About this record; another may be taken.
        Err(ClientError::Refused { status, body }) if !matches!(status, 401 | 403) => progress
            .refused(
                report,
                Refused {
                    input: input.name,
                    error: body.error,
                    reason: body.reason,
                },
            ),
        Err(error) => Err(error.into()),
    }
}

impl From<Unreadable> for Refused {
    fn from(unreadable: Unreadable) -> Self {
        Self {
            input: unreadable.name,
            error: unreadable.why,
            reason: "unreadable".to_owned(),
        }
    }
}

/// What people see while it goes on: lines as records are done, and a bar on a terminal.
struct Progress {
    bar: ProgressBar,
    output: Output,
}

impl Progress {
    fn new(sources: usize, output: Output) -> Self {
        let bar = if std::io::stderr().is_terminal() && output == Output::Text && sources > 1 {
            ProgressBar::new(sources as u64)
        } else {
            ProgressBar::hidden()
        };
        // The template is a constant; were it faulty, the default bar would do.
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len}  {per_sec}  {eta} left")
        {
            bar.set_style(style);
        }
        Self { bar, output }
    }

    fn more(&self, records: usize) {
        self.bar.inc_length(records as u64);
    }

    fn published(&self, report: &mut Report, published: Published) -> anyhow::Result<()> {
        if self.output == Output::Text {
            let line = format!("published {}  {}", published.did, published.input);
            self.bar
                .suspend(|| output::line(&output::printable(&line)))?;
        }
        self.bar.inc(1);
        report.published.push(published);
        Ok(())
    }

    fn refused(&self, report: &mut Report, refused: Refused) -> anyhow::Result<()> {
        let line = format!("refused   {}: {}", refused.input, refused.error);
        self.bar
            .suspend(|| eprintln!("{}", output::printable(&line)));
        self.bar.inc(1);
        report.refused.push(refused);
        Ok(())
    }
}
