//! Files in the index form: where documents stand in them, and at which soul each lies.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use gun::Soul;
use oip_record::Did;
use serde_json::Value;
use serde_json::value::RawValue;

use super::ImportError;

/// The documents of a backup, whatever they describe.
///
/// # Errors
/// [`ImportError`] if the file can't be read as a backup.
pub fn documents_of(path: &Path) -> Result<Vec<Value>, ImportError> {
    let parse = |text: Box<RawValue>| {
        serde_json::from_str(text.get()).map_err(|error| ImportError::NotABackup {
            path: path.to_owned(),
            why: error.to_string(),
        })
    };
    documents(path)?.into_iter().map(parse).collect()
}

/// The soul at which a document's record lies: the one that its index noted, for deployed nodes published
/// some under another than the DID says (`oip-formats` 1.5); else that of the DID it bears.
pub(super) fn soul_of(document: &Value) -> Option<Soul> {
    let oip = &document["oip"];
    let noted = oip["soul"].as_str().filter(|soul| soul.contains(':'));
    if let Some(soul) = noted.and_then(|soul| Soul::new(soul).ok()) {
        return Some(soul);
    }
    let named = ["did", "didTx"].into_iter();
    named
        .filter_map(|name| oip[name].as_str())
        .find_map(|did| Did::parse(did).ok())
        .map(|did| did.soul().clone())
}

/// The document as it was before an API made its date readable; `None` if none did.
pub(super) fn without_readable_date(document: &Value) -> Option<Value> {
    document["data"]["basic"].get("dateReadable")?;
    let mut bare = document.clone();
    if let Some(basic) = bare["data"]["basic"].as_object_mut() {
        basic.shift_remove("dateReadable");
    }
    Some(bare)
}

/// The documents of a file, each as its own text.
pub(super) fn documents(path: &Path) -> Result<Vec<Box<RawValue>>, ImportError> {
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |why: String| ImportError::NotABackup {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    if let Ok(array) = serde_json::from_str::<Vec<Box<RawValue>>>(&text) {
        return Ok(array);
    }
    if let Ok(whole) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text) {
        let names = ["records", "templates", "hits"];
        let inner = names.iter().find_map(|name| whole.get(*name));
        return match inner.map(|inner| inner.get()) {
            // An answer of Elasticsearch: `hits` within `hits`.
            Some(inner) if inner.starts_with('{') => {
                let mut hits: BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(inner).map_err(|error| wrong(error.to_string()))?;
                let hits = hits.remove("hits");
                let hits = hits.ok_or_else(|| wrong("`hits` holds no `hits`".to_owned()))?;
                serde_json::from_str(hits.get()).map_err(|error| wrong(error.to_string()))
            }
            Some(inner) => serde_json::from_str(inner).map_err(|error| wrong(error.to_string())),
            None if whole.contains_key("oip") || whole.contains_key("_source") => {
                lines(&text).map_err(wrong)
            }
            None => Err(wrong("it is an object without `records`".to_owned())),
        };
    }
    lines(&text).map_err(wrong)
}

/// One document per line.
fn lines(text: &str) -> Result<Vec<Box<RawValue>>, String> {
    let lines = BufReader::new(text.as_bytes()).lines().enumerate();
    lines
        .filter_map(|(number, line)| match line {
            Ok(line) if line.trim().is_empty() => None,
            Ok(line) => Some(
                RawValue::from_string(line)
                    .map_err(|error| format!("line {}: {error}", number + 1)),
            ),
            Err(error) => Some(Err(error.to_string())),
        })
        .collect()
}
