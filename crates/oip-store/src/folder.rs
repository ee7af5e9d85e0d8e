//! The store's folder: made, locked, checked, opened.
//!
//! Layout: `lock` (held while open), `db/` (the engine's files), `db.new/` while a store is being
//! made. A new store gets its name `db` only when it is complete, so a crash while making it
//! leaves nothing half-made. `torn-batch` holds what was cut off a journal after a loss of power
//! (see [`journal`]). Refuses a folder in use, of a newer format, or damaged.

mod journal;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::options::StoreOptions;
use crate::rows::counters::Counters;
use crate::rows::field::{Reader, push_int};
use crate::tables::{MissingTable, RowWrite, Table, Tables};

/// Version of the format this program writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u64 = 1;

/// Row keys of the meta table; cursors have a prefix of their own.
const FORMAT_ROW: &[u8] = b"format";
pub(crate) const COUNTERS_ROW: &[u8] = b"counters";

/// Marks the engine's folder as complete; without it the engine would quietly make a new,
/// empty database in place of a damaged one.
const ENGINE_MARK: &str = "version";

/// An open folder: the tables, what the counters say, and the lock, released on drop.
pub(crate) struct Folder {
    // Dropped in this order: the engine closes its files before the lock goes.
    pub(crate) tables: Tables,
    _lock: File,
}

/// Opens the folder, making a store if there is none.
pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<(Folder, Counters), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(path).map_err(io)?;
    let lock = lock(path)?;

    let (complete, unfinished) = (path.join("db"), path.join("db.new"));
    if !complete.try_exists().map_err(io)? {
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        create(path, &unfinished, options)?;
        fs::rename(&unfinished, &complete).map_err(io)?;
        sync_folder(path).map_err(io)?;
    }
    if !complete.join(ENGINE_MARK).try_exists().map_err(io)? {
        return Err(damaged(path, "the file db/version is missing"));
    }
    let tables = open_complete(path, &complete, options)?;
    check_format(path, &tables)?;
    let counters = match newest_meta(path, &tables, COUNTERS_ROW)? {
        Some(row) => Counters::decode(&row)
            .map_err(|fault| damaged(path, &format!("the counters' row: {}", fault.0)))?,
        None => return Err(damaged(path, "the counters' row is missing")),
    };
    Ok((
        Folder {
            tables,
            _lock: lock,
        },
        counters,
    ))
}

/// The lock of a store's folder, without opening the store: while it is held, no node runs there.
#[derive(Debug)]
pub struct FolderLock {
    _file: Option<File>,
}

impl FolderLock {
    /// Takes it. A folder that is not there is nobody's.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if a process has it.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let file = path.is_dir().then(|| lock(path)).transpose()?;
        Ok(Self { _file: file })
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join("lock"))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

fn create(path: &Path, folder: &Path, options: &StoreOptions) -> Result<(), OpenError> {
    let tables = open_engine(path, folder, options, MissingTable::Create)?;
    let mut format = Vec::new();
    push_int(&mut format, FORMAT_VERSION);
    let rows = [
        (FORMAT_ROW, format),
        (COUNTERS_ROW, Counters::default().encode()),
    ];
    tables
        .commit(rows.into_iter().map(|(key, value)| RowWrite {
            table: Table::Meta,
            key: key.to_vec(),
            value: Some(value.into()),
        }))
        .map_err(|engine| damaged(path, &format!("its first rows: {engine}")))
}

/// Opens the engine's folder; a last batch torn by a loss of power is cut off first.
fn open_complete(path: &Path, engine: &Path, options: &StoreOptions) -> Result<Tables, OpenError> {
    let opened = open_engine(path, engine, options, MissingTable::Refuse);
    let Err(OpenError::Damaged { .. }) = &opened else {
        return opened;
    };
    match journal::cut_torn_batch(engine, path) {
        Ok(Some(bytes)) => {
            tracing::warn!(
                bytes,
                "cut an unfinished batch, never acknowledged, off the store's journal; \
                 it is kept in the file torn-batch"
            );
            open_engine(path, engine, options, MissingTable::Refuse)
        }
        // Not that kind of damage: the engine's own words say more.
        Ok(None) | Err(_) => opened,
    }
}

fn open_engine(
    path: &Path,
    folder: &Path,
    options: &StoreOptions,
    missing: MissingTable,
) -> Result<Tables, OpenError> {
    // The engine asserts in places where damaged files break its assumptions; to an
    // operator that is the same damage, with the same cure.
    let opened = catch_unwind(AssertUnwindSafe(|| Tables::open(folder, options, missing)));
    match opened {
        Ok(Ok(Some(tables))) => Ok(tables),
        Ok(Ok(None)) => Err(damaged(path, "a table is missing")),
        Ok(Err(fjall::Error::Locked)) => Err(OpenError::Locked(path.to_owned())),
        Ok(Err(fjall::Error::Io(source))) if !is_damage(&source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
        Ok(Err(error)) => Err(damaged(path, &format!("{error:?}"))),
        Err(_) => Err(damaged(path, "its files contradict each other")),
    }
}

/// Whether an error of reading a file speaks of its content rather than of access to it.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Other
    )
}

fn check_format(path: &Path, tables: &Tables) -> Result<(), OpenError> {
    let Some(row) = newest_meta(path, tables, FORMAT_ROW)? else {
        return Err(damaged(path, "the format's row is missing"));
    };
    match Reader::new(&row).int() {
        Ok(FORMAT_VERSION) => Ok(()),
        Ok(found) if found > FORMAT_VERSION => Err(OpenError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: FORMAT_VERSION,
        }),
        Ok(_) | Err(_) => Err(damaged(path, "the format's row is unreadable")),
    }
}

fn newest_meta(
    path: &Path,
    tables: &Tables,
    key: &[u8],
) -> Result<Option<crate::tables::Bytes>, OpenError> {
    tables
        .newest(Table::Meta, key)
        .map_err(|engine| damaged(path, &format!("table meta: {engine}")))
}

fn damaged(path: &Path, what: &str) -> OpenError {
    OpenError::Damaged {
        path: PathBuf::from(path),
        what: what.to_owned(),
    }
}

/// Makes a rename in a folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
