//! `oip-gun migrate templates SOURCE --into DIR`: the templates of a deployed node as a folder of field types.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use oip_index::Templates;
use oip_index::templates::Deployed;
use oip_node::migrate::backup;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::elasticsearch::{Scroll, login};
use crate::cli::output::{self, Output};
use crate::cli::table::Table;

/// Templates that wait to be taken.
const WAITING_MAX: usize = 100;

const EXAMPLES: &str = "\
Examples:
  oip-gun migrate templates http://localhost:9200 --into templates --dry-run
  oip-gun migrate templates http://localhost:9200 --into templates
  oip-gun migrate templates templates.json --into templates --json
  OIP_TEMPLATES_DIR=templates oip-gun serve

Name and password are taken from ELASTICCLIENTUSERNAME and ELASTICCLIENTPASSWORD. The index is only read. What the
program knows of a template and the deployed one doesn't stays. Importing again changes nothing.";

/// Import the types of fields from a deployed node's templates
///
/// Writes a file for each template, in the form that OIP_TEMPLATES_DIR reads. Of several with one name the one of the
/// latest block counts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TemplatesArgs {
    /// Address of the Elasticsearch or OpenSearch server, or a file: a backup of the index, or what /api/templates answers
    source: String,
    /// The folder, made if it isn't there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The index
    #[arg(long, default_value = "templates")]
    index: String,
    /// Replace files that say something else
    #[arg(long)]
    force: bool,
    /// Read and report, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was found, and what became of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Documents.
    found: usize,
    /// Of these, those that describe no template.
    not_templates: usize,
    /// Older ones with the name of another.
    superseded: usize,
    /// Files written, or that would be.
    written: Vec<String>,
    /// Files that say so already.
    same: usize,
    /// Files that say something else, and were left alone.
    kept: Vec<String>,
    /// Types of fields.
    fields: usize,
    /// Fields of types that no index knows: `template.field: type`.
    unknown: Vec<String>,
    dry_run: bool,
}

pub(super) async fn run(args: TemplatesArgs, output: Output) -> anyhow::Result<ExitCode> {
    let is_server = ["http://", "https://"]
        .iter()
        .any(|start| args.source.starts_with(start));
    let documents = match is_server {
        true => scrolled(&args.source, &args.index).await?,
        false => backup::documents_of(args.source.as_ref())?,
    };
    let report = write(&args, &documents)?;
    match output {
        Output::Json => output::json(&report)?,
        Output::Text => output::line(&describe(&report, &args))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn scrolled(url: &str, index: &str) -> anyhow::Result<Vec<Value>> {
    let scroll = Scroll::new(url, index, login())?;
    let (documents, mut waiting) = mpsc::channel(WAITING_MAX);
    let bar = ProgressBar::hidden();
    let taking = async {
        let mut all = Vec::new();
        while let Some(document) = waiting.recv().await {
            all.push(document);
        }
        all
    };
    let reading = async {
        let read = scroll.read_all(&documents, &bar).await;
        drop(documents);
        read
    };
    let (read, all) = tokio::join!(reading, taking);
    read.with_context(|| format!("failed to read the index {index} to its end"))?;
    Ok(all)
}

fn write(args: &TemplatesArgs, documents: &[Value]) -> anyhow::Result<Report> {
    let mut report = Report {
        found: documents.len(),
        dry_run: args.dry_run,
        ..Report::default()
    };
    let mut latest: BTreeMap<String, Deployed> = BTreeMap::new();
    for document in documents {
        let Some(template) = Deployed::of_document(document) else {
            report.not_templates += 1;
            continue;
        };
        let held = latest.get(&template.name);
        report.superseded += usize::from(held.is_some());
        if held.is_none_or(|held| held.block <= template.block) {
            latest.insert(template.name.clone(), template);
        }
    }
    let into = &args.into;
    if !args.dry_run {
        fs::create_dir_all(into).with_context(|| format!("failed to make {}", into.display()))?;
    }
    let known = Templates::known();
    for (name, template) in &latest {
        report.fields += template.fields.len();
        let unknown = template.unknown.iter();
        report
            .unknown
            .extend(unknown.map(|(field, kind)| format!("{name}.{field}: {kind}")));
        let path = into.join(format!("{name}.json"));
        let text = template.file(&known);
        match fs::read_to_string(&path) {
            Ok(there) if there == text => {
                report.same += 1;
                continue;
            }
            Ok(_) if !args.force => {
                report.kept.push(path.display().to_string());
                continue;
            }
            _ => {}
        }
        if !args.dry_run {
            fs::write(&path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
        }
        report.written.push(path.display().to_string());
    }
    if !args.dry_run {
        Templates::with_folder(into).context("the folder can't be used")?;
    }
    Ok(report)
}

fn describe(report: &Report, args: &TemplatesArgs) -> String {
    let mut parts = vec![
        format!(
            "found    {} documents; {} describe no template, {} are older ones of a name",
            report.found, report.not_templates, report.superseded
        ),
        format!(
            "files    {} {} in {}; {} say so already, {} say something else and were kept",
            report.written.len(),
            if report.dry_run {
                "would be written"
            } else {
                "written"
            },
            args.into.display(),
            report.same,
            report.kept.len()
        ),
        format!(
            "fields   {} with a type; {} of types that no index knows",
            report.fields,
            report.unknown.len()
        ),
    ];
    if report.dry_run {
        parts.push("stored   nothing: this was a dry run".to_owned());
    }
    for (heading, rows) in [
        ("KEPT (--force REPLACES THEM)", &report.kept),
        ("OF UNKNOWN TYPE", &report.unknown),
    ] {
        if !rows.is_empty() {
            let mut table = Table::new([heading]);
            for row in rows {
                table.add([row.clone()]);
            }
            parts.push(String::new());
            parts.push(table.text());
        }
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn args(into: PathBuf) -> TemplatesArgs {
        TemplatesArgs {
            source: String::new(),
            into,
            index: "templates".to_owned(),
            force: false,
            dry_run: false,
        }
    }

    #[test]
    fn the_latest_of_a_name_is_written_once_and_what_an_operator_wrote_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(folder.path().join("made/templates"));
        let template = |name: &str, block: u64, kind: &str| json!({"_source": {"data": {"template": name, "fields": {"size": kind}}, "oip": {"inArweaveBlock": block}}});
        let documents = [
            template("gauge", 9, "double"),
            template("gauge", 7, "string"),
            template("tide", 1, "colour"),
            template("hut", 1, "uint64"),
        ];
        args.dry_run = true;
        let looked = write(&args, &documents).unwrap();
        assert_eq!((looked.written.len(), args.into.exists()), (2, false));
        args.dry_run = false;
        let report = write(&args, &documents).unwrap();
        assert_eq!(
            (report.found, report.not_templates, report.superseded),
            (4, 1, 1)
        );
        assert_eq!(report.written.len(), 2);
        let kind = |path: &str| {
            let templates = Templates::with_folder(&args.into).unwrap();
            templates.field_type(&path.parse().unwrap())
        };
        assert_eq!(kind("gauge.size"), Some(oip_index::FieldType::Number));
        let again = write(&args, &documents).unwrap();
        assert_eq!((again.written.len(), again.same), (0, 2));
        let own = r#"{"template": "hut", "fields": {"size": "string"}}"#;
        fs::write(args.into.join("hut.json"), own).unwrap();
        let kept = write(&args, &documents).unwrap();
        assert_eq!((kept.written.len(), kept.kept.len()), (0, 1));
        assert_eq!(kind("hut.size"), Some(oip_index::FieldType::Text));
        args.force = true;
        assert_eq!(write(&args, &documents).unwrap().written.len(), 1);
        assert_eq!(kind("hut.size"), Some(oip_index::FieldType::Whole));
    }
}
