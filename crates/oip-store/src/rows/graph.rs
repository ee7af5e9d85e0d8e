//! Nodes and values.
//!
//! A small node is one row with all its entries in byte order of the keys. A node that
//! outgrows [`SMALL_BYTES_MAX`] or [`SMALL_KEYS_MAX`] becomes a mark in its own row and a row
//! for each key, for good: a write to a node of a million keys then costs one small row.

use gun::graph::Entry;
use gun::{Key, Soul, State, Value};

use super::Fault;
use super::field::{Reader, push_int, push_text};

/// Largest row of a small node: one block of the engine. Rewriting more than that for a
/// change of one key costs more than a second row.
pub(crate) const SMALL_BYTES_MAX: usize = 4_096;
/// Most keys of a small node: records have five, their parts few more; lists grow past it.
pub(crate) const SMALL_KEYS_MAX: usize = 32;

const TAG_SMALL: u8 = 1;
const TAG_SPLIT: u8 = 2;

/// Kinds of values, the low bits of an entry's first byte.
const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LINK: u8 = 5;
const KIND: u8 = 0x0f;
/// The state is that of the entry before: mostly all keys were written at once.
const SAME_STATE: u8 = 0x10;

/// What a node's own row says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NodeRow {
    /// All entries, in byte order of the keys.
    Small(Vec<Entry>),
    /// Each key has a row of its own.
    Split,
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(false) => FALSE,
        Value::Bool(true) => TRUE,
        Value::Number(_) => NUMBER,
        Value::Text(_) => TEXT,
        Value::Link(_) => LINK,
    }
}

fn push_state(out: &mut Vec<u8>, state: State) {
    out.extend_from_slice(&state.as_f64().to_bits().to_be_bytes());
}

fn read_state(reader: &mut Reader<'_>) -> Result<State, Fault> {
    State::new(f64::from_bits(u64::from_be_bytes(reader.array()?)))
        .ok_or(Fault("its state is not finite"))
}

fn read_number(reader: &mut Reader<'_>) -> Result<Value, Fault> {
    let number = f64::from_bits(u64::from_be_bytes(reader.array()?));
    if number.is_finite() {
        Ok(Value::Number(number))
    } else {
        Err(Fault("its number is not finite"))
    }
}

fn link(soul: &str) -> Result<Value, Fault> {
    Soul::new(soul)
        .map(Value::Link)
        .map_err(|_| Fault("its link is not allowed"))
}

/// The row of one key: kind, state, and the value to the end of the row.
pub(crate) fn encode_value(state: State, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(kind(value));
    push_state(&mut out, state);
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Link(soul) => out.extend_from_slice(soul.as_str().as_bytes()),
    }
    out
}

/// Undoes [`encode_value`].
pub(crate) fn decode_value(row: &[u8]) -> Result<(State, Value), Fault> {
    let mut reader = Reader::new(row);
    let kind = reader.byte()?;
    let state = read_state(&mut reader)?;
    let value = match kind {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => read_number(&mut reader)?,
        TEXT => Value::text(reader.rest_text()?),
        LINK => link(reader.rest_text()?)?,
        _ => return Err(Fault("unknown kind of value")),
    };
    reader.end()?;
    Ok((state, value))
}

/// The mark in the row of a node whose keys have rows of their own.
pub(crate) fn encode_split() -> Vec<u8> {
    vec![TAG_SPLIT]
}

/// The row of a small node, or `None` if it is none. `entries` are in byte order of the keys.
pub(crate) fn encode_small(entries: &[Entry]) -> Option<Vec<u8>> {
    if entries.len() > SMALL_KEYS_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(256);
    out.push(TAG_SMALL);
    push_int(&mut out, entries.len() as u64);
    let mut state_before = None;
    for entry in entries {
        let same = state_before == Some(entry.state);
        out.push(kind(&entry.value) | if same { SAME_STATE } else { 0 });
        push_text(&mut out, entry.key.as_str());
        if !same {
            push_state(&mut out, entry.state);
            state_before = Some(entry.state);
        }
        match &entry.value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
            Value::Text(text) => push_text(&mut out, text),
            Value::Link(soul) => push_text(&mut out, soul.as_str()),
        }
        if out.len() > SMALL_BYTES_MAX {
            return None;
        }
    }
    Some(out)
}

/// Reads a node's own row.
pub(crate) fn decode_node(row: &[u8]) -> Result<NodeRow, Fault> {
    let mut reader = Reader::new(row);
    match reader.byte()? {
        TAG_SPLIT => {
            reader.end()?;
            Ok(NodeRow::Split)
        }
        TAG_SMALL => decode_small(reader).map(NodeRow::Small),
        _ => Err(Fault("unknown row version")),
    }
}

fn decode_small(mut reader: Reader<'_>) -> Result<Vec<Entry>, Fault> {
    let count = usize::try_from(reader.int()?).unwrap_or(usize::MAX);
    if count > SMALL_KEYS_MAX {
        return Err(Fault("too many keys in one row"));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    for _ in 0..count {
        let head = reader.byte()?;
        let key = Key::new(reader.text()?).map_err(|_| Fault("its key is not allowed"))?;
        let before = entries.last();
        if before.is_some_and(|before| before.key >= key) {
            return Err(Fault("its keys are out of order"));
        }
        let state = if head & SAME_STATE == 0 {
            read_state(&mut reader)?
        } else {
            before.ok_or(Fault("its first entry has no state"))?.state
        };
        let value = match head & KIND {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => read_number(&mut reader)?,
            TEXT => Value::text(reader.text()?),
            LINK => link(reader.text()?)?,
            _ => return Err(Fault("unknown kind of value")),
        };
        entries.push(Entry { key, state, value });
    }
    reader.end()?;
    Ok(entries)
}
