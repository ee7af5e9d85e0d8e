//! The embedded store: the durable truth of a node.
//!
//! It holds the graph, the verified copies of the records with their feed, the wanted souls,
//! the quarantine, the values that wait for their time, and named cursors. It knows nothing
//! of OIP rules: what makes a changed value interesting is decided by the
//! [`StoreOptions::watch`] function that the node supplies.
//!
//! * [`FolderLock`]: keeping a node out while its folder changes
//! * [`Store`]: opening, submitting transactions, reading, closing
//! * [`Transaction`], [`Op`]: what can be written, atomically
//! * [`RecordRow`], [`WantedRow`], [`QuarantineRow`], [`Change`], [`Committed`], [`Stats`]: the rows and answers
//!
//! Invariants: one writer thread; nothing is acknowledged before it is synced to disk; every
//! merge is decided against durable state; a damaged row is an error, never a panic. The
//! format on disk is described in `docs/store-format.md`.

mod apply;
mod error;
mod folder;
mod model;
mod options;
mod read;
mod rows;
mod shared;
mod stage;
mod store;
mod tables;
mod transaction;
mod writer;

pub use error::{Engine, OpenError, ReadError, WriteError};
pub use folder::FolderLock;
pub use model::{
    Account, Change, Committed, KeysPage, PageLimit, QuarantineRow, RecordRow, Stats, Usage,
    Wanted, WantedRow,
};
pub use options::{Accounts, StoreOptions, Watch};
pub use read::Start;
pub use store::{QUEUE_BYTES_MAX, Store};
pub use transaction::{Op, Transaction};
