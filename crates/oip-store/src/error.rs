//! Everything that can go wrong in the store, each error with its cure where there is one.
//!
//! No type of the storage engine shows here: [`Engine`] wraps its errors.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gun::{Key, Soul};

use crate::rows::Fault;
use crate::tables::Table;

/// An error of the storage engine underneath, kept whole for the log.
#[derive(Debug, Clone)]
pub struct Engine(Arc<fjall::Error>);

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Engine {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<fjall::Error> for Engine {
    fn from(error: fjall::Error) -> Self {
        Self(Arc::new(error))
    }
}

/// Why a store could not be opened. Reads after "failed to open the store: …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or another handle in this one) has the folder open.
    #[error(
        "the folder {} is in use by another process: stop that one, or give this node a data folder of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// The folder was written by a newer version of this program.
    #[error(
        "the folder {} has store format {found}, this program reads up to {supported}: \
         start the newer version of the program, or restore a backup made by this one",
        .path.display()
    )]
    NewerFormat {
        /// The store's folder.
        path: PathBuf,
        /// The format version found there.
        found: u64,
        /// The newest format version this program knows.
        supported: u64,
    },
    /// Files or rows that every open needs can't be read.
    #[error(
        "the store in {} is damaged ({what}): restore the folder from a backup, \
         or move it away and let the node fetch its records from its peers again",
        .path.display()
    )]
    Damaged {
        /// The store's folder.
        path: PathBuf,
        /// What was found wrong.
        what: String,
    },
    /// The file system refused.
    #[error("the folder {} can't be used: check its owner, permissions and free space", .path.display())]
    Io {
        /// The store's folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// Why a read failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A row is not what this format version writes.
    #[error(
        "the row {row} of table {table} is damaged ({what}): restore the data folder from a backup, \
         or move it away and let the node fetch its records from its peers again"
    )]
    Damaged {
        /// The table (`docs/store-format.md`).
        table: &'static str,
        /// The row's key, bytes outside printable ASCII escaped.
        row: String,
        /// What was found wrong.
        what: &'static str,
    },
    /// A node too large to be handed out whole.
    #[error("the node {0} is too large to be read whole: read it by pages of keys")]
    NodeTooLarge(Soul),
    /// The storage engine failed, which mostly means the disk did.
    #[error("the storage engine failed: check the disk, then restart")]
    Engine(#[source] Engine),
}

impl ReadError {
    pub(crate) fn damaged(table: Table, row: &[u8], fault: Fault) -> Self {
        Self::Damaged {
            table: table.name(),
            row: row.escape_ascii().to_string(),
            what: fault.0,
        }
    }
}

/// Why a transaction was not committed. Nothing of it is stored.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The queue of transactions is full; try again later.
    #[error("the store's queue is full: try again later")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// An earlier write or sync failed; since then the store only reads.
    #[error("the store takes no writes since one failed ({cause}): check the disk, then restart")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// An own value can't be given a state that peers would accept, because the stored value
    /// is stamped too far ahead of this machine's clock.
    #[error(
        "the stored value of {key} in {soul} is stamped {ahead_ms} ms ahead of this machine's clock: set the clock right"
    )]
    ClockBehind {
        /// The node.
        soul: Soul,
        /// The key.
        key: Key,
        /// How far ahead of the clock the stored state lies.
        ahead_ms: u64,
    },
    /// Another version of the record was stored since the caller looked at it: look again.
    #[error("the record {0} has changed meanwhile")]
    Superseded(Soul),
    /// The account that this node is charged to may not grow any more.
    #[error("the account that {0} is charged to is full")]
    AccountFull(Soul),
    /// A value, name or row that can't be stored.
    #[error("{0}")]
    Invalid(&'static str),
    /// What the transaction had to compare with could not be read.
    #[error("what is stored could not be read")]
    Read(#[from] ReadError),
}
