//! From graph nodes to the texts of a record, in every layout that was ever written.

use gun::{Node, Soul, Value as GunValue};
use serde_json::{Map, Value};

use crate::canonical::SCHEME_PUBLIC;
use crate::json::javascript_text;
use crate::limits::{DEPTH_MAX, NESTED_NODES_MAX};
use crate::reject::Reject;
use crate::template::ShapeError;

/// 2^53: beyond it a double no longer tells neighbouring integers apart.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Whether the data text is the one that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOrigin {
    /// Byte for byte as stored in the graph.
    Stored,
    /// Written anew from parsed JSON or nested nodes: a deployed signature that fails over it
    /// proves nothing.
    Rebuilt,
}

/// How the states of `data` and `oip` compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unity {
    /// Written in one put.
    SamePut,
    /// Different states: they may come from two versions.
    Mixed,
}

/// The texts of a record, read but not judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The packed data; `None` if it is null.
    pub data_text: Option<String>,
    /// The packed `oip`.
    pub oip_text: String,
    /// Whether `data_text` is what was signed.
    pub origin: TextOrigin,
    /// Whether both were written together.
    pub unity: Unity,
    /// The `meta` node, if it is at hand: unsigned, hints only.
    pub meta: Map<String, Value>,
}

/// What a node amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Candidate {
    /// Everything is there.
    Whole(Raw),
    /// Parts have not arrived: fetch the named nodes (or, if none is named, this node again).
    NotYet {
        /// Souls of linked nodes that are missing.
        missing: Vec<Soul>,
    },
}

/// Reads a node as a record. `resolve` looks up linked nodes of the nested layouts.
///
/// # Errors
/// [`Reject::NotOip`] for other graph data; limits.
pub fn candidate(
    node: &Node,
    resolve: impl Fn(&Soul) -> Option<Node>,
) -> Result<Candidate, Reject> {
    let mut nested = Nested {
        resolve: &resolve,
        missing: Vec::new(),
        nodes: 0,
    };
    let (Some(oip), Some(data)) = (node.entry("oip"), node.entry("data")) else {
        return match node.entry("oip").or(node.entry("data")) {
            Some(_) => Ok(Candidate::NotYet {
                missing: Vec::new(),
            }),
            None => Err(Reject::NotOip),
        };
    };
    let oip_text = match &oip.value {
        GunValue::Text(text) => Some(text.to_string()),
        GunValue::Link(soul) => nested.load(soul, 1)?.map(|object| object.to_string()),
        _ => return Err(Reject::NotOip),
    };
    let (data_text, origin) = match &data.value {
        GunValue::Text(text) => (Some(text.to_string()), TextOrigin::Stored),
        GunValue::Null => (None, TextOrigin::Stored),
        GunValue::Link(soul) => {
            let object = nested.load(soul, 1)?;
            (
                object.map(|object| javascript_text(&object)),
                TextOrigin::Rebuilt,
            )
        }
        GunValue::Bool(_) | GunValue::Number(_) => return Err(ShapeError::NotAnObject.into()),
    };
    let Some(oip_text) = oip_text.filter(|_| nested.missing.is_empty()) else {
        return Ok(Candidate::NotYet {
            missing: nested.missing,
        });
    };
    let unity = if oip.state == data.state {
        Unity::SamePut
    } else {
        Unity::Mixed
    };
    Ok(Candidate::Whole(Raw {
        data_text,
        oip_text,
        origin,
        unity,
        meta: meta_of(node, &resolve),
    }))
}

/// Reads what a deployed relay's `GET /get` answers as `data`: there, texts are JSON that was
/// parsed, and links are not followed. `resolve` gives what it answers for a linked node.
///
/// # Errors
/// [`Reject::NotOip`] for other graph data; limits.
pub fn from_relay_json(
    record: &Value,
    resolve: impl Fn(&Soul) -> Option<Value>,
) -> Result<Candidate, Reject> {
    let mut shown = Shown {
        resolve: &resolve,
        missing: Vec::new(),
        nodes: 0,
    };
    let oip_text = match (&record["oip"], linked(&record["oip"])) {
        (_, Some(soul)) => shown.load(&soul, 1)?.map(|object| object.to_string()),
        (Value::String(text), _) => Some(text.clone()),
        (object @ Value::Object(_), _) => Some(object.to_string()),
        _ => return Err(Reject::NotOip),
    };
    let (data_text, origin) = match (&record["data"], linked(&record["data"])) {
        (_, Some(soul)) => {
            let object = shown.load(&soul, 1)?;
            let text = object.map(|object| javascript_text(&object));
            (text, TextOrigin::Rebuilt)
        }
        (Value::Null, _) => (None, TextOrigin::Rebuilt),
        (Value::String(text), _) => (Some(text.clone()), TextOrigin::Stored),
        (other, _) => (Some(javascript_text(other)), TextOrigin::Rebuilt),
    };
    let Some(oip_text) = oip_text.filter(|_| shown.missing.is_empty()) else {
        return Ok(Candidate::NotYet {
            missing: shown.missing,
        });
    };
    let meta = record["meta"]
        .as_object()
        .filter(|_| linked(&record["meta"]).is_none());
    Ok(Candidate::Whole(Raw {
        data_text,
        oip_text,
        origin,
        unity: Unity::SamePut,
        meta: meta.cloned().unwrap_or_default(),
    }))
}

/// Reads the index form, as a deployed node's index, its API and its backups hold it: arrays are arrays
/// again there, and members were added that the record never had.
///
/// # Errors
/// [`Reject::NotOip`] if there is no `oip`.
pub fn from_document(document: &Value) -> Result<Raw, Reject> {
    let mut oip = document["oip"].as_object().cloned().ok_or(Reject::NotOip)?;
    for added in ADDED_BY_THE_INDEX {
        oip.shift_remove(added);
    }
    // A block that a record names is asked for by filters; that it names none says nothing.
    if oip
        .get("inArweaveBlock")
        .is_some_and(|block| !block.is_number())
    {
        oip.shift_remove("inArweaveBlock");
    }
    // An index that shows arrays as arrays need not keep the list of them, which is signed.
    // The sealed form has none.
    let is_public = oip
        .get("scheme")
        .is_some_and(|scheme| scheme == SCHEME_PUBLIC);
    let packed = if is_public {
        let (packed, pointers) = crate::arrays::pack(&document["data"]);
        if !oip.contains_key("arrays") {
            oip.insert("arrays".to_owned(), pointers.into());
        }
        packed
    } else {
        let data = &document["data"];
        crate::arrays::repack(data).unwrap_or_else(|| data.clone())
    };
    Ok(Raw {
        data_text: (!packed.is_null()).then(|| javascript_text(&packed)),
        oip_text: Value::Object(oip).to_string(),
        origin: TextOrigin::Rebuilt,
        unity: Unity::SamePut,
        meta: Map::new(),
    })
}

/// Members of `oip` that an index adds to what was published (`oip-formats` 1.1).
const ADDED_BY_THE_INDEX: [&str; 9] = [
    "storage",
    "soul",
    "encrypted",
    "recordStatus",
    "templates",
    "wasEncrypted",
    "syncedFromNode",
    "syncedAt",
    "verification",
];

/// The soul that a member links to, as a relay shows links: `{"#": soul}`.
fn linked(member: &Value) -> Option<Soul> {
    let object = member.as_object().filter(|object| object.len() == 1)?;
    Soul::new(object.get("#")?.as_str()?).ok()
}

/// Follows links of nodes as a relay shows them, within the limits of [`Nested`].
struct Shown<'r, R> {
    resolve: &'r R,
    missing: Vec<Soul>,
    nodes: usize,
}

impl<R: Fn(&Soul) -> Option<Value>> Shown<'_, R> {
    fn load(&mut self, soul: &Soul, depth: usize) -> Result<Option<Value>, Reject> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NESTED_NODES_MAX {
            return Err(Reject::NestedTooLarge);
        }
        let Some(Value::Object(node)) = (self.resolve)(soul) else {
            self.missing.push(soul.clone());
            return Ok(None);
        };
        let mut members = Map::new();
        for (name, member) in node {
            let member = match linked(&member) {
                Some(child) => self.load(&child, depth + 1)?,
                None => Some(member).filter(|member| !member.is_null()),
            };
            if let Some(member) = member {
                members.insert(name, member);
            }
        }
        Ok(Some(Value::Object(members)))
    }
}

/// Follows links of the nested layouts, within limits.
struct Nested<'r, R> {
    resolve: &'r R,
    missing: Vec<Soul>,
    nodes: usize,
}

impl<R: Fn(&Soul) -> Option<Node>> Nested<'_, R> {
    /// The node as an object; `None` (and an entry in `missing`) if it is not at hand. Null
    /// members are left out: in the graph, null is how a value is removed.
    fn load(&mut self, soul: &Soul, depth: usize) -> Result<Option<Value>, Reject> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NESTED_NODES_MAX {
            return Err(Reject::NestedTooLarge);
        }
        let Some(node) = (self.resolve)(soul) else {
            self.missing.push(soul.clone());
            return Ok(None);
        };
        let mut members = Map::new();
        for entry in &node.entries {
            let member = match &entry.value {
                GunValue::Link(child) => self.load(child, depth + 1)?,
                scalar => scalar_json(scalar),
            };
            if let Some(member) = member {
                members.insert(entry.key.as_str().to_owned(), member);
            }
        }
        Ok(Some(Value::Object(members)))
    }
}

/// A value of the graph as JSON; `None` for null and links.
fn scalar_json(value: &GunValue) -> Option<Value> {
    match value {
        GunValue::Null | GunValue::Link(_) => None,
        GunValue::Bool(flag) => Some((*flag).into()),
        // Whole numbers become integers again, as they were before the graph held them as doubles.
        GunValue::Number(number) if number.fract() == 0.0 && number.abs() <= INTEGER_MAX => {
            Some((*number as i64).into())
        }
        GunValue::Number(number) => Some((*number).into()),
        GunValue::Text(text) => Some(text.as_ref().into()),
    }
}

/// The scalars of the `meta` node, if it is at hand.
fn meta_of(node: &Node, resolve: &impl Fn(&Soul) -> Option<Node>) -> Map<String, Value> {
    let Some(GunValue::Link(soul)) = node.value("meta") else {
        return Map::new();
    };
    let entries = resolve(soul).map(|meta| meta.entries).unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|entry| Some((entry.key.as_str().to_owned(), scalar_json(&entry.value)?)))
        .collect()
}

#[cfg(test)]
mod eras;
#[cfg(test)]
mod tests;
