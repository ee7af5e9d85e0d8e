//! The records to publish: from files, folders and stdin.
//!
//! A file or stdin holds one record, or several one after the other (such as one per line). The
//! text of a record is passed on as it is, so that the node sees every digit as it was written.
//! Owns how type and local id are found; what makes a record valid is the node's to say.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// The file in a folder that names types and local ids.
const FOLDER_INDEX: &str = "index.json";
/// Members that say nothing about the type: the template that all records have, the one that
/// says who may read, and request parameters that deployed clients put beside them.
const TYPELESS: [&str; 5] = ["basic", "accessControl", "storage", "blockchain", "localId"];

/// What the command line says about every record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naming {
    /// `--type`
    pub(crate) record_type: Option<String>,
    /// `--local-id`
    pub(crate) local_id: Option<String>,
}

/// One record as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Where it comes from, for messages.
    pub(crate) name: String,
    /// The record as written.
    pub(crate) text: String,
    pub(crate) record_type: String,
    pub(crate) local_id: Option<String>,
}

/// An input that can't be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where it comes from.
    pub(crate) name: String,
    /// What is wrong and what to do.
    pub(crate) why: String,
}

/// A place to read records from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    place: Place,
    record_type: Option<String>,
    local_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Stdin,
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    file: String,
    record_type: Option<String>,
    local_id: Option<String>,
}

/// The sources that `arguments` name: `-`, files, and folders, whose `index.json` is honoured and
/// whose `.json` files are taken in the order of their names otherwise.
pub(crate) fn sources(arguments: &[String], naming: &Naming) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if argument == "-" {
            sources.push(Source {
                place: Place::Stdin,
                record_type: naming.record_type.clone(),
                local_id: naming.local_id.clone(),
            });
        } else if path.is_dir() {
            sources.extend(sources_of_folder(path, naming)?);
        } else {
            sources.push(Source {
                place: Place::File(path.to_owned()),
                record_type: naming.record_type.clone(),
                local_id: naming.local_id.clone(),
            });
        }
    }
    if naming.local_id.is_some() && sources.len() > 1 {
        anyhow::bail!(
            "--local-id names one record, and {} files were given: publish that one by itself, or name them in the {FOLDER_INDEX} of a folder",
            sources.len()
        );
    }
    Ok(sources)
}

fn sources_of_folder(folder: &Path, naming: &Naming) -> anyhow::Result<Vec<Source>> {
    let index = folder.join(FOLDER_INDEX);
    let entries: Vec<IndexEntry> = if index.is_file() {
        let text = fs::read_to_string(&index)
            .map_err(|error| anyhow::anyhow!("failed to read {}: {error}", index.display()))?;
        serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{} is not a list such as [{{\"file\": \"post.json\", \"recordType\": \"post\", \"localId\": \"note-1\"}}]: {error}",
                index.display()
            )
        })?
    } else {
        json_files(folder)?
            .into_iter()
            .map(|file| IndexEntry {
                file,
                record_type: None,
                local_id: None,
            })
            .collect()
    };
    if entries.is_empty() {
        anyhow::bail!("{} holds no .json file", folder.display());
    }
    Ok(entries
        .into_iter()
        .map(|entry| Source {
            place: Place::File(folder.join(entry.file)),
            record_type: naming.record_type.clone().or(entry.record_type),
            local_id: naming.local_id.clone().or(entry.local_id),
        })
        .collect())
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let failed =
        |error: std::io::Error| anyhow::anyhow!("failed to list {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str()
            && name.ends_with(".json")
        {
            files.push(name.to_owned());
        }
    }
    files.sort();
    Ok(files)
}

impl Source {
    fn name(&self) -> String {
        match &self.place {
            Place::Stdin => "stdin".to_owned(),
            Place::File(path) => path.display().to_string(),
        }
    }

    /// Reads the records. A fault in one doesn't hide those before it.
    pub(crate) fn read(&self) -> Vec<Result<Input, Unreadable>> {
        match self.text() {
            Ok(text) => split(&self.name(), &text, self),
            Err(why) => vec![Err(Unreadable {
                name: self.name(),
                why,
            })],
        }
    }

    fn text(&self) -> Result<String, String> {
        match &self.place {
            Place::Stdin => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| format!("can't be read: {error}"))?;
                Ok(text)
            }
            Place::File(path) => {
                fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"))
            }
        }
    }
}

fn split(name: &str, text: &str, source: &Source) -> Vec<Result<Input, Unreadable>> {
    let values: Vec<Result<Box<RawValue>, serde_json::Error>> =
        serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect();
    let several = values.len() > 1;
    if values.is_empty() {
        return vec![Err(Unreadable {
            name: name.to_owned(),
            why: "is empty: a record is an object such as {\"basic\": {\"name\": \"…\"}}"
                .to_owned(),
        })];
    }
    values
        .into_iter()
        .enumerate()
        .map(|(at, value)| {
            let name = if several {
                format!("{name} (record {})", at + 1)
            } else {
                name.to_owned()
            };
            match value {
                Ok(value) => input(&name, &value, source, several),
                Err(error) => Err(format!("is not JSON: {error}")),
            }
            .map_err(|why| Unreadable {
                name: name.clone(),
                why,
            })
        })
        .collect()
}

fn input(name: &str, value: &RawValue, source: &Source, several: bool) -> Result<Input, String> {
    if several && source.local_id.is_some() {
        return Err("is one of several records in one file, and --local-id (or localId in index.json) names one record: put each into a file of its own".to_owned());
    }
    let record_type = match &source.record_type {
        Some(record_type) => record_type.clone(),
        None => guess_type(value.get())?,
    };
    Ok(Input {
        name: name.to_owned(),
        text: value.get().to_owned(),
        record_type,
        local_id: source.local_id.clone(),
    })
}

/// The type is the only template besides the ones that all types share.
fn guess_type(text: &str) -> Result<String, String> {
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).map_err(|_| {
        "is not an object: a record is one such as {\"basic\": {\"name\": \"…\"}}".to_owned()
    })?;
    let mut templates = members
        .into_keys()
        .filter(|name| !TYPELESS.contains(&name.as_str()));
    match (templates.next(), templates.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(
            "doesn't show its type: it has no template of its own; name it by --type".to_owned(),
        ),
        (Some(first), Some(second)) => Err(format!(
            "doesn't show its type: it could be {first} or {second}; name it by --type"
        )),
    }
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
