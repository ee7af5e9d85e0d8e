//! The storage engine behind a few calls: tables, snapshots, one atomic batch with one sync.
//!
//! The only module beside [`crate::folder`] and [`crate::error`] that names the engine. It
//! knows bytes, not rows. Invariant: [`Tables::commit`] returns only when the batch is synced.

use std::ops::Bound;
use std::path::Path;

use fjall::config::{CompressionPolicy, PartitioningPolicy, PinningPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
};

use crate::error::Engine;
use crate::options::StoreOptions;

/// Bytes of a row, cheap to clone.
pub(crate) type Bytes = fjall::Slice;

/// Journals on disk before the engine is made to move their rows to table files. It is the
/// bound on what a start has to replay; the engine takes no less than 64 MiB.
const JOURNAL_BYTES_MAX: u64 = 128 * 1_024 * 1_024;
/// One thread moves rows from memory to table files while another merges table files: with
/// only one, a long merge would hold up the writer.
const WORKER_THREADS: usize = 2;
/// Memory for rows of the small tables; they hold few bytes and are written often.
const SMALL_MEMTABLE_BYTES: u64 = 4 * 1_024 * 1_024;

/// The tables of the store (`docs/store-format.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Graph,
    Records,
    Feed,
    Wanted,
    Quarantine,
    Deferred,
    Meta,
}

impl Table {
    pub(crate) const ALL: [Self; 7] = [
        Self::Graph,
        Self::Records,
        Self::Feed,
        Self::Wanted,
        Self::Quarantine,
        Self::Deferred,
        Self::Meta,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Records => "records",
            Self::Feed => "feed",
            Self::Wanted => "wanted",
            Self::Quarantine => "quarantine",
            Self::Deferred => "deferred",
            Self::Meta => "meta",
        }
    }

    fn is_large(self) -> bool {
        matches!(self, Self::Graph | Self::Records)
    }
}

/// A row to write, or to remove.
pub(crate) struct RowWrite {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Bytes>,
}

/// The open tables.
pub(crate) struct Tables {
    database: Database,
    /// In the order of [`Table::ALL`].
    keyspaces: [Keyspace; Table::ALL.len()],
}

impl Tables {
    /// Opens the engine's folder, with all tables; `None` if one is missing and must not be made.
    pub(crate) fn open(
        path: &Path,
        options: &StoreOptions,
        missing: MissingTable,
    ) -> Result<Option<Self>, fjall::Error> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKER_THREADS)
            .open()?;
        if missing == MissingTable::Refuse
            && !Table::ALL
                .iter()
                .all(|table| database.keyspace_exists(table.name()))
        {
            return Ok(None);
        }
        let keyspace = |table: Table| {
            database.keyspace(table.name(), || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(if table.is_large() {
                        options.memtable_bytes
                    } else {
                        SMALL_MEMTABLE_BYTES
                    })
                    .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
                    // In one piece the index of a file of 27 MB has 3.5 MB, which is more than the
                    // cache takes: every get read it anew.
                    .index_block_partitioning_policy(PartitioningPolicy::all(true))
                    .filter_block_partitioning_policy(PartitioningPolicy::all(true))
                    // Of an index in parts, the list of the parts.
                    .index_block_pinning_policy(PinningPolicy::all(true))
            })
        };
        let keyspaces = [
            keyspace(Table::Graph)?,
            keyspace(Table::Records)?,
            keyspace(Table::Feed)?,
            keyspace(Table::Wanted)?,
            keyspace(Table::Quarantine)?,
            keyspace(Table::Deferred)?,
            keyspace(Table::Meta)?,
        ];
        Ok(Some(Self {
            database,
            keyspaces,
        }))
    }

    fn keyspace(&self, table: Table) -> &Keyspace {
        &self.keyspaces[table as usize]
    }

    /// The newest value of a row. For the writer, which alone changes rows.
    pub(crate) fn newest(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Engine> {
        Ok(self.keyspace(table).get(key)?)
    }

    /// All tables as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }

    /// A row in a snapshot.
    pub(crate) fn get(
        &self,
        snapshot: &Snapshot,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Bytes>, Engine> {
        Ok(snapshot.get(self.keyspace(table), key)?)
    }

    /// Rows of a snapshot between two bounds, in order.
    pub(crate) fn range(
        &self,
        snapshot: &Snapshot,
        table: Table,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> impl Iterator<Item = Result<(Bytes, Bytes), Engine>> + use<> {
        snapshot
            .range::<Vec<u8>, _>(self.keyspace(table), bounds)
            .map(|row| row.into_inner().map_err(Engine::from))
    }

    /// Writes rows atomically and syncs them to disk. A row occurs at most once.
    pub(crate) fn commit(&self, rows: impl Iterator<Item = RowWrite>) -> Result<(), Engine> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for RowWrite { table, key, value } in rows {
            match value {
                Some(value) => batch.insert(self.keyspace(table), key, value),
                None => batch.remove(self.keyspace(table), key),
            }
        }
        Ok(batch.commit()?)
    }

    /// Bytes on disk, journals included. The engine sizes a fresh journal at 64 MiB before
    /// it fills, so a small store shows at least that.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

/// What to do when a table is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingTable {
    /// Make it: the store is being created.
    Create,
    /// Every store has all tables: one that lacks some is damaged.
    Refuse,
}
