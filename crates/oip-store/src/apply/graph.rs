//! Values of nodes: merging those of others, writing own ones.

use gun::graph::Entry;
use gun::ham::{self, Verdict};
use gun::{Key, Node, Soul, State, Value};

use super::account::Charge;
use super::{Bound, Run};
use crate::error::{ReadError, WriteError};
use crate::rows::graph::{self as rows, NodeRow};
use crate::rows::name;
use crate::stage::Stage;
use crate::tables::Table;

impl Run<'_, '_> {
    /// Merges foreign values into a node; a node whose account is full is left as it is.
    pub(super) fn merge(&mut self, node: Node, bound: Bound) -> Result<(), WriteError> {
        let Node { soul, entries } = node;
        let mut edit = NodeEdit::open(self.stage, &soul)?;
        let mut charge = self.charge(&soul)?;
        let is_full = |charge: &Charge| charge.is_full(edit.is_new());
        if bound == Bound::Accounts && charge.as_ref().is_some_and(is_full) {
            self.committed.over_quota += 1;
            return Ok(());
        }
        let was_new = edit.is_new();
        let mut taken = false;
        for entry in entries {
            check_value(&entry.value)?;
            let known = edit.known(self.stage, &entry.key)?;
            let known = known.as_ref().map(|(state, value)| (*state, value));
            let mut verdict = ham::decide(known, entry.state, &entry.value, self.now);
            if verdict == Verdict::Defer {
                // Where what is stored wins whenever its time comes (this clock was set back), it
                // is not worth keeping aside, nor a fault of the sender.
                let in_time = ham::decide(known, entry.state, &entry.value, entry.state);
                if in_time != Verdict::Take {
                    verdict = in_time;
                }
            }
            match verdict {
                Verdict::Take => {
                    taken = true;
                    if let Some(charge) = &mut charge {
                        charge.add_entry(known.map(|(_, value)| value), &entry);
                    }
                    edit.take(self.stage, entry.clone());
                    self.changed(&soul, &entry.key, entry.state, &entry.value)?;
                }
                Verdict::Defer => self.defer(&soul, &entry)?,
                Verdict::Same => self.committed.same += 1,
                Verdict::Historical | Verdict::Lesser => self.committed.older += 1,
            }
        }
        edit.close(self.stage);
        if was_new && taken {
            self.created(&mut charge);
        }
        self.settle(charge);
        Ok(())
    }

    fn created(&mut self, charge: &mut Option<Charge>) {
        self.committed.created += 1;
        if let Some(charge) = charge {
            charge.add_node();
        }
    }

    /// Writes own values: each gets a state above the stored one, and not below now (less
    /// [`crate::StoreOptions::own_lag_ms`]).
    pub(super) fn write(
        &mut self,
        soul: Soul,
        entries: Vec<(Key, Value)>,
        bound: Bound,
    ) -> Result<(), WriteError> {
        let own_now = State::new(self.now.as_f64() - self.options.own_lag_ms).unwrap_or(self.now);
        let mut edit = NodeEdit::open(self.stage, &soul)?;
        let mut charge = self.charge(&soul)?;
        let is_full = |charge: &Charge| charge.is_full(edit.is_new());
        if bound == Bound::Accounts && charge.as_ref().is_some_and(is_full) {
            return Err(WriteError::AccountFull(soul));
        }
        let creates = edit.is_new() && !entries.is_empty();
        for (key, value) in entries {
            check_value(&value)?;
            let known = edit.known(self.stage, &key)?;
            let next = known
                .as_ref()
                .map_or(own_now, |(state, _)| state.successor());
            let state = if next > own_now { next } else { own_now };
            let ahead_ms = state.as_f64() - self.now.as_f64();
            if ahead_ms > self.options.future_ms_max as f64 {
                return Err(WriteError::ClockBehind {
                    soul,
                    key,
                    ahead_ms: ahead_ms as u64,
                });
            }
            self.changed(&soul, &key, state, &value)?;
            let entry = Entry { key, state, value };
            if let Some(charge) = &mut charge {
                charge.add_entry(known.as_ref().map(|(_, value)| value), &entry);
            }
            edit.take(self.stage, entry);
        }
        edit.close(self.stage);
        if creates {
            self.created(&mut charge);
        }
        self.settle(charge);
        Ok(())
    }
}

/// The wire parser lets no such number through; stored, it would be a damaged row.
fn check_value(value: &Value) -> Result<(), WriteError> {
    match value {
        Value::Number(number) if !number.is_finite() => {
            Err(WriteError::Invalid("a number is not finite"))
        }
        _ => Ok(()),
    }
}

/// A node being changed. Small nodes are rewritten once, on closing; keys of split ones at once.
struct NodeEdit {
    row: Vec<u8>,
    soul: Soul,
    form: Form,
}

enum Form {
    Small {
        entries: Vec<Entry>,
        changed: bool,
        is_new: bool,
    },
    Split,
}

impl NodeEdit {
    fn open(stage: &Stage<'_>, soul: &Soul) -> Result<Self, ReadError> {
        let row = name::node_row(soul);
        let form = match stage.decoded(Table::Graph, &row, rows::decode_node)? {
            None => Form::Small {
                entries: Vec::new(),
                changed: false,
                is_new: true,
            },
            Some(NodeRow::Small(entries)) => Form::Small {
                entries,
                changed: false,
                is_new: false,
            },
            Some(NodeRow::Split) => Form::Split,
        };
        Ok(Self {
            row,
            soul: soul.clone(),
            form,
        })
    }

    /// Whether the node was not there before.
    fn is_new(&self) -> bool {
        matches!(self.form, Form::Small { is_new: true, .. })
    }

    fn known(&self, stage: &Stage<'_>, key: &Key) -> Result<Option<(State, Value)>, ReadError> {
        match &self.form {
            Form::Small { entries, .. } => Ok(entries
                .binary_search_by(|entry| entry.key.cmp(key))
                .ok()
                .map(|at| (entries[at].state, entries[at].value.clone()))),
            Form::Split => stage.decoded(
                Table::Graph,
                &name::key_row(&self.soul, key),
                rows::decode_value,
            ),
        }
    }

    fn take(&mut self, stage: &mut Stage<'_>, entry: Entry) {
        match &mut self.form {
            Form::Small {
                entries, changed, ..
            } => {
                *changed = true;
                match entries.binary_search_by(|held| held.key.cmp(&entry.key)) {
                    Ok(at) => entries[at] = entry,
                    Err(at) => entries.insert(at, entry),
                }
                if entries.len() > rows::SMALL_KEYS_MAX {
                    self.split(stage);
                }
            }
            Form::Split => self.put_key(stage, &entry),
        }
    }

    fn put_key(&self, stage: &mut Stage<'_>, entry: &Entry) {
        stage.put(
            Table::Graph,
            name::key_row(&self.soul, &entry.key),
            rows::encode_value(entry.state, &entry.value),
        );
    }

    /// Gives each key a row of its own.
    fn split(&mut self, stage: &mut Stage<'_>) {
        let Form::Small {
            entries, is_new, ..
        } = std::mem::replace(&mut self.form, Form::Split)
        else {
            return;
        };
        stage.counters.nodes += u64::from(is_new);
        stage.put(Table::Graph, self.row.clone(), rows::encode_split());
        for entry in &entries {
            self.put_key(stage, entry);
        }
    }

    fn close(mut self, stage: &mut Stage<'_>) {
        let Form::Small {
            entries,
            changed: true,
            is_new,
        } = &self.form
        else {
            return;
        };
        match rows::encode_small(entries) {
            Some(value) => {
                stage.counters.nodes += u64::from(*is_new);
                stage.put(Table::Graph, self.row, value);
            }
            None => self.split(stage),
        }
    }
}
