//! How rows are written: keys that sort as the names they hold, values that are compact and
//! versioned. `docs/store-format.md` is the reference; the code here is its only reader and writer.
//!
//! Pure: bytes in, bytes out. A value that this format does not write is a [`Fault`], never a panic.

pub(crate) mod account;
pub(crate) mod counters;
pub(crate) mod deferred;
pub(crate) mod field;
pub(crate) mod graph;
pub(crate) mod name;
pub(crate) mod quarantine;
pub(crate) mod record;
pub(crate) mod wanted;

#[cfg(test)]
mod tests;

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);
