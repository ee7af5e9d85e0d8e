//! What fuzzing begins with: the recorded traffic and vectors of `testdata/`, in the form each target
//! reads. Owns that form; refuses recordings that were cut.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// A longer recording teaches nothing that shorter ones do not.
const SEED_BYTES_MAX: usize = 4_096;
/// Names that ranges are tried with.
const NAMES: &str = "a\na1\na2\nb1\nb2\nc1\nk10\nk11\n2026-11-01\n\u{1f600}\n\u{fffd}";

/// Records of a disk: whole, divided, damaged as gun.js damages them, in the older form.
const SMALL_FILES: &[&str] = &[
    r#"{"s\u001bk":{"":{":":"v",">":1700000000000}}}"#,
    r##"{"so":{"ul\u001b":{"a":{"":{":":1.5,">":1}},"b":{"":{":":{"#":"x"},">":2.5}}}}}"##,
    r#"{"s\u001bk":{"":{"undefined":1700000000000,":":"v"}}}"#,
    r#"{"\ud83d":{"\ude00\u001bk":{"":{":":null,">":3}}}}"#,
    "\u{1f}+0\u{1f}#\u{1f}\"s\u{1b}k\u{1f}:\u{1f}\"\u{1b}\"v\u{1b}>\u{1b}+5\u{1b}\u{1f}\n",
];

/// Writes the inputs, each to a file of its own; the folder holds nothing else afterwards.
pub(super) fn write(folder: &Path, seeds: &[String]) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("{number:04}")), seed)?;
    }
    Ok(())
}

/// What failed once: `fuzz/found/<target>/*`, an input each, tried first from then on.
pub(super) fn found(root: &Path, target: &str) -> Result<Vec<String>> {
    let folder = root.join("fuzz/found").join(target);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        inputs.push(fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(inputs)
}

fn vectors(root: &Path) -> std::path::PathBuf {
    root.join("testdata/vectors/gun")
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
}

fn distinct(mut seeds: Vec<String>) -> Vec<String> {
    seeds.retain(|seed| seed.len() <= SEED_BYTES_MAX);
    seeds.sort();
    seeds.dedup();
    seeds
}

/// Every whole frame that was recorded.
pub(super) fn frames(root: &Path) -> Result<Vec<String>> {
    let mut seeds = Vec::new();
    for entry in fs::read_dir(vectors(root))? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            if line.get("truncated").is_none()
                && let Some(frame) = line["frame"].as_str()
            {
                seeds.push(frame.to_owned());
            }
        }
    }
    Ok(distinct(seeds))
}

/// The messages of all frames that can be read.
fn messages(root: &Path) -> Result<Vec<Value>> {
    let mut messages = Vec::new();
    for frame in frames(root)? {
        match serde_json::from_str(&frame) {
            Ok(Value::Array(batch)) => messages.extend(batch),
            Ok(message) => messages.push(message),
            Err(_) => {}
        }
    }
    Ok(messages)
}

fn members(root: &Path, name: &str) -> Result<Vec<Value>> {
    let all = messages(root)?.into_iter();
    Ok(all
        .filter_map(|message| message.get(name).cloned())
        .collect())
}

/// What stood at `put`.
pub(super) fn puts(root: &Path) -> Result<Vec<String>> {
    Ok(distinct(
        members(root, "put")?.iter().map(Value::to_string).collect(),
    ))
}

/// What stood at `get`.
pub(super) fn gets(root: &Path) -> Result<Vec<String>> {
    Ok(distinct(
        members(root, "get")?.iter().map(Value::to_string).collect(),
    ))
}

/// Ranges that were asked for, and those of the vectors with the name each was tried with.
pub(super) fn ranges(root: &Path) -> Result<Vec<String>> {
    let mut seeds = Vec::new();
    for get in members(root, "get")? {
        for range in [&get["."], &get["#"]]
            .into_iter()
            .filter(|range| range.is_object())
        {
            seeds.push(format!("{range}\n{NAMES}"));
        }
    }
    let values = read_json(&vectors(root).join("54-values.json"))?;
    for row in values["lex"].as_array().into_iter().flatten() {
        let name = row["text"].as_str().unwrap_or_default();
        seeds.push(format!("{}\n{name}\n{NAMES}", row["lex"]));
    }
    Ok(distinct(seeds))
}

/// Signed values, those of the vectors and those that were recorded.
pub(super) fn signed(root: &Path) -> Result<Vec<String>> {
    let vectors = read_json(&vectors(root).join("51-sea-vectors.json"))?;
    let mut seeds = Vec::new();
    for wire in vectors["wire"].as_array().into_iter().flatten() {
        let text = |name: &str| wire[name].as_str().unwrap_or_default();
        seeds.push(seed_of(
            text("soul"),
            text("key"),
            &wire["state"],
            text("value"),
        ));
    }
    for put in members(root, "put")? {
        for (soul, node) in put.as_object().into_iter().flatten() {
            if !soul.contains(['~', '#']) {
                continue;
            }
            for (key, value) in node.as_object().into_iter().flatten() {
                let text = match (value, value["#"].as_str()) {
                    (Value::String(text), _) => text.clone(),
                    (_, Some(link)) => format!("link {link}"),
                    (other, _) => other.to_string(),
                };
                seeds.push(seed_of(soul, key, &node["_"][">"][key], &text));
            }
        }
    }
    Ok(distinct(seeds))
}

/// The data of our own sealed records and of those of old schemes, and each again with less in it.
pub(super) fn sealed(root: &Path) -> Result<Vec<String>> {
    let own = read_json(&root.join("testdata/vectors/own/sealed.json"))?;
    let old = read_json(&root.join("testdata/vectors/oip/crypto-vectors.json"))?;
    let mut seeds = Vec::new();
    for record in own["records"].as_array().into_iter().flatten() {
        let text = record["data"].as_str().unwrap_or_default();
        seeds.push(text.to_owned());
        let mut data: Value = serde_json::from_str(text)?;
        data["encrypted"] = "AA==".into();
        if let Some(recipients) = data["seal"]["recipients"].as_array_mut() {
            recipients.truncate(1);
        }
        seeds.push(data.to_string());
        data["seal"]["recipients"] = data["seal"]["recipients"].to_string().into();
        seeds.push(data.to_string());
        data["seal"] = data["seal"].to_string().into();
        seeds.push(data.to_string());
        seeds.push(record["opened"].to_string());
    }
    for record in old["records"].as_array().into_iter().flatten() {
        seeds.push(record["dataSingle"].to_string());
    }
    Ok(distinct(seeds))
}

/// The files of a recorded folder, and small ones in both forms that gun.js has written.
pub(super) fn files(root: &Path) -> Result<Vec<String>> {
    let mut seeds: Vec<String> = SMALL_FILES.iter().map(|&file| file.to_owned()).collect();
    for entry in fs::read_dir(vectors(root).join("radata-sample"))? {
        seeds.push(fs::read_to_string(entry?.path())?);
    }
    Ok(distinct(seeds))
}

fn seed_of(soul: &str, key: &str, state: &Value, value: &str) -> String {
    format!("{soul}\n{key}\n{state}\n{value}")
}
