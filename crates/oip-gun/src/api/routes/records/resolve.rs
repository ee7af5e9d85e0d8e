//! References to other records, shown in place: a text under `data` that is the DID of a record which the caller may
//! see becomes that record, or its name. Bounded in depth, records and bytes; what is beyond stays the DID it is, and
//! the answer says that a bound was met. A record is never shown within itself.

use std::collections::HashMap;
use std::sync::Arc;

use oip_index::Access;
use oip_record::Did;
use serde_json::Value;

use super::super::super::callers::Reader;
use super::super::super::error::ApiError;
use super::super::super::state::ApiState;
use super::shaping::{Following, Shape};

/// What the DIDs of records on the graph begin with: no other record can be read here.
const GUN: &str = "did:gun:";

/// Records that one answer reads for its references: twenty recipes of twenty-five ingredients.
const RECORDS_MAX: usize = 500;

/// Bytes of JSON text that references add to one answer, and that are held to make it: twice the largest record.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A record that others refer to.
struct Referred {
    document: Value,
    bytes: usize,
}

/// The records that those of an answer refer to.
pub(super) struct Gathered {
    held: HashMap<String, Option<Referred>>,
    /// Whether a bound was met.
    pub(super) bounded: bool,
}

impl Gathered {
    /// Reads them, as far as this caller may see them.
    pub(super) async fn of(
        state: &ApiState,
        access: &Access,
        reader: &Reader,
        following: &Following,
        records: &[Arc<Value>],
    ) -> Result<Self, ApiError> {
        let mut held: HashMap<String, Option<Referred>> = HashMap::new();
        let (mut bytes_held, mut bounded) = (0, false);
        let mut frontier = Vec::new();
        for record in records {
            references(record, following, &mut frontier);
        }
        for _ in 0..following.depth {
            let mut next = Vec::new();
            for did in frontier {
                if held.contains_key(&did) {
                    continue;
                }
                if held.len() >= RECORDS_MAX || bytes_held >= BYTES_MAX {
                    bounded = true;
                    break;
                }
                let found = match Did::parse(&did) {
                    Ok(parsed) => read(state, access, reader, &parsed).await?,
                    Err(_) => None,
                };
                let referred = found.map(|document| {
                    let bytes = document.to_string().len();
                    references(&document, following, &mut next);
                    bytes_held += bytes;
                    Referred { document, bytes }
                });
                held.insert(did, referred);
            }
            frontier = next;
        }
        Ok(Self { held, bounded })
    }

    /// The record with this DID.
    pub(super) fn document(&self, did: &str) -> Option<&Value> {
        Some(&self.held.get(did)?.as_ref()?.document)
    }

    /// Shows references in place. Gives whether a bound was met.
    pub(super) fn show_in(
        &self,
        following: &Following,
        shape: Shape,
        records: &mut [Arc<Value>],
    ) -> bool {
        let mut writer = Writer {
            held: &self.held,
            following,
            shape,
            bytes_left: BYTES_MAX,
            bounded: self.bounded,
        };
        for record in records {
            let did = record.pointer("/oip/did").and_then(Value::as_str);
            let mut within: Vec<String> = did.into_iter().map(str::to_owned).collect();
            if let Some(data) = Arc::make_mut(record).get_mut("data") {
                writer.write(data, &mut Vec::new(), following.depth, &mut within);
            }
        }
        writer.bounded
    }
}

async fn read(
    state: &ApiState,
    access: &Access,
    reader: &Reader,
    did: &Did,
) -> Result<Option<Value>, ApiError> {
    let read = state.node.get_for(did, access, &reader.caller()).await;
    read.map_err(|error| ApiError::internal("read a record that is referred to", &error))
}

fn is_reference(text: &str) -> bool {
    text.starts_with(GUN)
}

/// The DIDs in a document that are to be followed.
fn references(document: &Value, following: &Following, found: &mut Vec<String>) {
    let Some(data) = document.get("data") else {
        return;
    };
    let mut open: Vec<(Vec<&str>, &Value)> = vec![(Vec::new(), data)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::String(text) if is_reference(text) && following.follows(&path) => {
                found.push(text.clone());
            }
            Value::Array(items) => open.extend(items.iter().map(|item| (path.clone(), item))),
            Value::Object(members) => open.extend(members.iter().map(|(name, member)| {
                let below = path.iter().copied().chain([name.as_str()]);
                (below.collect(), member)
            })),
            _ => {}
        }
    }
}

struct Writer<'a> {
    held: &'a HashMap<String, Option<Referred>>,
    following: &'a Following,
    shape: Shape,
    bytes_left: usize,
    bounded: bool,
}

impl Writer<'_> {
    /// Uses the call stack: documents of the store are nested 127 levels at most, and this goes 5 deep.
    fn write(
        &mut self,
        value: &mut Value,
        path: &mut Vec<String>,
        depth: usize,
        within: &mut Vec<String>,
    ) {
        match value {
            Value::String(text) => {
                if let Some(shown) = self.shown(text, path, depth, within) {
                    *value = shown;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.write(item, path, depth, within);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    path.push(name.clone());
                    self.write(member, path, depth, within);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// What stands in place of a text, if anything does.
    fn shown(
        &mut self,
        text: &str,
        path: &[String],
        depth: usize,
        within: &mut Vec<String>,
    ) -> Option<Value> {
        if depth == 0 || !is_reference(text) || within.iter().any(|did| did == text) {
            return None;
        }
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        if !self.following.follows(&names) {
            return None;
        }
        let referred = self.held.get(text)?.as_ref()?;
        if self.following.names_only {
            let name = referred.document.pointer("/data/basic/name")?;
            return name.is_string().then(|| name.clone());
        }
        if referred.bytes > self.bytes_left {
            self.bounded = true;
            return None;
        }
        self.bytes_left -= referred.bytes;
        let mut document = referred.document.clone();
        within.push(text.to_owned());
        if let Some(data) = document.get_mut("data") {
            self.write(data, &mut Vec::new(), depth - 1, within);
        }
        within.pop();
        self.shape.apply(&mut document);
        Some(document)
    }
}
