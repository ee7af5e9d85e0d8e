//! `put`: nodes with metadata, values and states, read into association lists.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Blame, TextSeed};
use crate::graph::{Entry, Graph, Key, Node, Soul, State, Value};
use crate::wire::reject::Reject;

/// Reads the value of `put`; `None` for `null`.
pub(super) struct GraphSeed<'b>(pub(super) &'b mut Blame);

impl<'de> DeserializeSeed<'de> for GraphSeed<'_> {
    type Value = Option<Graph>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GraphSeed<'_> {
    type Value = Option<Graph>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nodes")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let blame = self.0;
        let mut graph = Graph::new();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            if graph.len() == blame.limits.nodes_max {
                let max = blame.limits.nodes_max;
                return Err(blame.fail(Reject::TooManyNodes { max }));
            }
            let soul = Soul::new(name).map_err(|error| blame.fail(Reject::BadSoul(error)))?;
            blame.place = Reject::BadNode;
            graph.push(map.next_value_seed(NodeSeed { soul, blame })?);
        }
        if has_duplicate(&graph, |node| node.soul.as_str()) {
            return Err(blame.fail(Reject::DuplicateMember));
        }
        Ok(Some(graph))
    }
}

pub(super) struct NodeSeed<'b> {
    pub(super) soul: Soul,
    pub(super) blame: &'b mut Blame,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { soul, blame } = self;
        let mut states = None;
        let mut values: Vec<(Key, Value)> = Vec::new();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            if name == "_" {
                if states.is_some() {
                    return Err(blame.fail(Reject::DuplicateMember));
                }
                blame.place = Reject::MissingMeta;
                states = Some(map.next_value_seed(MetaSeed { soul: &soul, blame })?);
                continue;
            }
            let key = Key::new(name).map_err(|error| blame.fail(Reject::BadKey(error)))?;
            blame.keys += 1;
            if blame.keys > blame.limits.keys_max {
                let max = blame.limits.keys_max;
                return Err(blame.fail(Reject::TooManyKeys { max }));
            }
            blame.place = Reject::BadValue;
            values.push((key, map.next_value_seed(ValueSeed(blame))?));
        }
        let states: States<'_> = states.ok_or_else(|| blame.fail(Reject::MissingMeta))?;
        if has_duplicate(&values, |(key, _)| key.as_str()) {
            return Err(blame.fail(Reject::DuplicateMember));
        }
        let entries = join(values, &states).map_err(|reject| blame.fail(reject))?;
        Ok(Node { soul, entries })
    }
}

/// Gives each value its state. States of absent keys mean nothing; gun.js ignores them too.
fn join(values: Vec<(Key, Value)>, states: &States<'_>) -> Result<Vec<Entry>, Reject> {
    let mut sorted = Vec::new();
    let mut entries = Vec::with_capacity(values.len());
    for (at, (key, value)) in values.into_iter().enumerate() {
        // Senders write both in one order, or sort both.
        let state = match states.get(at) {
            Some((name, state)) if *name == key.as_str() => *state,
            _ if states.len() <= FEW => {
                let found = states.iter().find(|(name, _)| *name == key.as_str());
                found.ok_or(Reject::MissingState)?.1
            }
            _ => {
                if sorted.is_empty() {
                    sorted.extend(0..states.len());
                    sorted.sort_unstable_by(|l, r| states[*l].0.cmp(&states[*r].0));
                }
                let found = sorted.binary_search_by(|i| (*states[*i].0).cmp(key.as_str()));
                states[sorted[found.map_err(|_| Reject::MissingState)?]].1
            }
        };
        entries.push(Entry { key, state, value });
    }
    Ok(entries)
}

/// Up to so many names a plain search beats sorting.
const FEW: usize = 32;

fn has_duplicate<T>(items: &[T], name: impl Fn(&T) -> &str) -> bool {
    if items.windows(2).all(|pair| name(&pair[0]) < name(&pair[1])) {
        return false;
    }
    if items.len() <= FEW {
        return items
            .iter()
            .enumerate()
            .any(|(at, item)| items[..at].iter().any(|other| name(other) == name(item)));
    }
    let mut names: Vec<&str> = items.iter().map(name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

type States<'de> = Vec<(Cow<'de, str>, State)>;

struct MetaSeed<'s, 'b> {
    soul: &'s Soul,
    blame: &'b mut Blame,
}

impl<'de> DeserializeSeed<'de> for MetaSeed<'_, '_> {
    type Value = States<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetaSeed<'_, '_> {
    type Value = States<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { soul, blame } = self;
        let mut named = false;
        let mut states = None;
        while let Some(name) = map.next_key_seed(TextSeed)? {
            match &*name {
                "#" if named => return Err(blame.fail(Reject::DuplicateMember)),
                "#" => {
                    blame.place = Reject::MissingMeta;
                    if map.next_value_seed(TextSeed)? != soul.as_str() {
                        return Err(blame.fail(Reject::SoulMismatch));
                    }
                    named = true;
                }
                ">" if states.is_some() => return Err(blame.fail(Reject::DuplicateMember)),
                ">" => {
                    blame.place = Reject::MissingMeta;
                    states = Some(map.next_value_seed(StatesSeed(blame))?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match states {
            Some(states) if named => Ok(states),
            _ => Err(blame.fail(Reject::MissingMeta)),
        }
    }
}

struct StatesSeed<'b>(&'b mut Blame);

impl<'de> DeserializeSeed<'de> for StatesSeed<'_> {
    type Value = States<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StatesSeed<'_> {
    type Value = States<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("states")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let blame = self.0;
        let mut states = States::new();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            if states.len() == blame.limits.keys_max {
                let max = blame.limits.keys_max;
                return Err(blame.fail(Reject::TooManyKeys { max }));
            }
            blame.place = Reject::BadState;
            let number = map.next_value::<f64>()?;
            let state = State::new(number).ok_or_else(|| blame.fail(Reject::BadState))?;
            states.push((name, state));
        }
        if has_duplicate(&states, |(name, _)| name) {
            return Err(blame.fail(Reject::DuplicateMember));
        }
        Ok(states)
    }
}

pub(super) struct ValueSeed<'b>(pub(super) &'b mut Blame);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // `-0` and `0` are one value to JavaScript's JSON.
        Ok(Value::Number(number + 0.0))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let blame = self.0;
        let mut link = None;
        while let Some(name) = map.next_key_seed(TextSeed)? {
            if name != "#" || link.is_some() {
                return Err(blame.fail(Reject::BadValue));
            }
            let text = map.next_value_seed(TextSeed)?;
            link = Some(Soul::new(text).map_err(|error| blame.fail(Reject::BadSoul(error)))?);
        }
        link.map(Value::Link)
            .ok_or_else(|| blame.fail(Reject::BadValue))
    }
}
