//! What each account of the graph takes up on disk, and whether it may take up more.
//!
//! Which account a soul is charged to, and how large that may grow, is the node's rule
//! ([`crate::options::Accounts`]); here it is counted, durably, in the commit that stores the
//! values, so that neither a restart nor a crash resets it.

use gun::graph::Entry;
use gun::{Soul, Value};

use super::Run;
use crate::error::ReadError;
use crate::model::{Account, Usage};
use crate::rows::account;
use crate::tables::Table;

/// The account of one node while it is being changed.
pub(super) struct Charge {
    account: Account,
    row: Vec<u8>,
    usage: Usage,
    grown: bool,
}

impl Run<'_, '_> {
    /// The account that a soul is charged to, if any.
    pub(super) fn charge(&self, soul: &Soul) -> Result<Option<Charge>, ReadError> {
        let Some(account) = (self.options.accounts)(soul) else {
            return Ok(None);
        };
        let row = account::row(&account.name);
        let usage = self
            .stage
            .decoded(Table::Meta, &row, account::decode)?
            .unwrap_or_default();
        Ok(Some(Charge {
            account,
            row,
            usage,
            grown: false,
        }))
    }

    pub(super) fn settle(&mut self, charge: Option<Charge>) {
        if let Some(charge) = charge.filter(|charge| charge.grown) {
            self.stage
                .put(Table::Meta, charge.row, account::encode(charge.usage));
        }
    }
}

impl Charge {
    /// Whether the account may not grow any more. An account is full once it has reached a
    /// bound, so that it exceeds it by one node at most.
    pub(super) fn is_full(&self, node_is_new: bool) -> bool {
        self.usage.bytes >= self.account.bytes_max
            || (node_is_new && self.usage.nodes >= self.account.nodes_max)
    }

    pub(super) fn add_node(&mut self) {
        self.usage.nodes += 1;
        self.grown = true;
    }

    /// An entry takes the place of `known`, or is new.
    pub(super) fn add_entry(&mut self, known: Option<&Value>, entry: &Entry) {
        let before = known.map_or(0, |value| entry_bytes(entry.key.as_str(), value));
        let after = entry_bytes(entry.key.as_str(), &entry.value);
        self.usage.bytes = (self.usage.bytes + after).saturating_sub(before);
        self.grown = true;
    }
}

/// What a value with its key and state counts: about what its row takes up before compression.
pub(super) fn entry_bytes(key: &str, value: &Value) -> u64 {
    /// State, kind and lengths.
    const OVERHEAD_BYTES: usize = 12;
    let value = match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(_) => 8,
        Value::Text(text) => text.len(),
        Value::Link(soul) => soul.as_str().len(),
    };
    (OVERHEAD_BYTES + key.len() + value) as u64
}
