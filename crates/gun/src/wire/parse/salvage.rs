//! What can be used of a `put` that breaks a rule somewhere: every value that is sound by
//! itself. Only for relays that the operator named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Blame;
use super::graph::{NodeSeed, ValueSeed};
use super::scalar::TextSeed;
use crate::graph::{Entry, Graph, Key, Node, Soul, State, Value};
use crate::wire::limits::Limits;
use crate::wire::reject::Reject;

/// The sound values of a graph, and how many were left out. `None` if it holds too much, or
/// is no graph at all.
pub(super) fn graph(put: &RawValue, limits: &Limits) -> Option<(Graph, usize)> {
    let members = members(put)?;
    if members.len() > limits.nodes_max {
        return None;
    }
    let mut blame = Blame::new(limits, Reject::BadNode);
    let mut graph = Graph::new();
    let mut souls = BTreeSet::new();
    let mut dropped = 0;
    for (name, raw) in members {
        let soul = text(name).and_then(|name| Soul::new(name).ok());
        let Some(soul) = soul.filter(|soul| souls.insert(soul.clone())) else {
            dropped += 1;
            continue;
        };
        let keys_before = blame.keys;
        let whole = read(
            NodeSeed {
                soul: soul.clone(),
                blame: &mut blame,
            },
            raw,
        );
        let node = whole.unwrap_or_else(|| {
            blame.keys = keys_before;
            node(soul, raw, &mut blame, &mut dropped)
        });
        if blame.keys > limits.keys_max {
            return None;
        }
        if !node.entries.is_empty() {
            graph.push(node);
        }
    }
    Some((graph, dropped))
}

fn node(soul: Soul, raw: &RawValue, blame: &mut Blame, dropped: &mut usize) -> Node {
    let members: Vec<(String, &RawValue)> = named(raw);
    let mut entries: Vec<Entry> = Vec::new();
    let mut keys = BTreeSet::new();
    let meta = members
        .iter()
        .find(|(name, _)| name == "_")
        .map(|(_, meta)| named(meta));
    let meta = meta.unwrap_or_default();
    let names_soul = meta
        .iter()
        .any(|(name, raw)| name == "#" && text(raw).as_deref() == Some(soul.as_str()));
    let states = meta
        .iter()
        .find(|(name, _)| name == ">")
        .map(|(_, states)| named(states));
    let states: BTreeMap<_, _> = states.into_iter().flatten().collect();
    for (name, raw) in &members {
        if name == "_" {
            continue;
        }
        blame.keys += 1;
        let state = states
            .get(name)
            .and_then(|state| serde_json::from_str(state.get()).ok());
        let entry = entry(name, raw, state.filter(|_| names_soul), blame);
        match entry.filter(|entry| keys.insert(entry.key.clone())) {
            Some(entry) => entries.push(entry),
            None => *dropped += 1,
        }
    }
    Node { soul, entries }
}

fn entry(name: &str, raw: &RawValue, state: Option<f64>, blame: &mut Blame) -> Option<Entry> {
    let key = Key::new(name).ok()?;
    let state = State::new(state?)?;
    let value: Value = read(ValueSeed(blame), raw)?;
    Some(Entry { key, state, value })
}

fn read<'de, S: DeserializeSeed<'de>>(seed: S, raw: &'de RawValue) -> Option<S::Value> {
    seed.deserialize(&mut serde_json::Deserializer::from_str(raw.get()))
        .ok()
}

fn text(raw: &RawValue) -> Option<String> {
    read(TextSeed, raw).map(Into::into)
}

/// The members of an object whose names are Unicode; none if it is no object.
fn named(raw: &RawValue) -> Vec<(String, &RawValue)> {
    let members = members(raw).unwrap_or_default();
    members
        .into_iter()
        .filter_map(|(name, raw)| Some((text(name)?, raw)))
        .collect()
}

type Members<'de> = Vec<(&'de RawValue, &'de RawValue)>;

fn members(raw: &RawValue) -> Option<Members<'_>> {
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_map(MembersVisitor)
        .ok()
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
