//! Import of a gun.js relay's folder into the graph of a data folder.
//!
//! The folder is the operator's own data, so that souls of every shape are taken, whatever the
//! relay's rule of admission. Left out and counted is what can't be a value, what lies in a user's
//! space without that user's signature, and what is stamped too far in the future. Everything
//! else is merged as if a peer had put it: newer values win, a second import changes nothing, and
//! records that are announced become wanted, so that the next start of the node judges them.
//!
//! Files are read one at a time; nothing of the folder is changed.

mod batches;
mod folder;
mod report;

use std::path::{Path, PathBuf};

use gun::graph::Entry;
use gun::radata::{self, Directory};
use gun::{Soul, Value};
use oip_store::{OpenError, QUEUE_BYTES_MAX, StoreOptions, WriteError};

use super::backup;
use crate::clock;
use crate::config::{NodeConfig, SyncMode};
use crate::node::StartError;
use crate::storage;
use batches::Batches;
use folder::{DataFile, Folder};

pub use report::{DamagedFile, Files, Noted, Refusal, Report, Stored, Values};

/// Bytes of the largest text that is taken: the store's largest transaction, less room for the
/// names beside it. Peers can't be sent larger ones either.
const TEXT_BYTES_MAX: usize = QUEUE_BYTES_MAX - 8_192;

/// How far a reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the data files read.
    pub bytes_done: u64,
    /// Bytes of all data files.
    pub bytes_total: u64,
}

/// Why an import did not take place, or ended early. What was stored by then stays; importing
/// again goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The folder can't be listed.
    #[error(
        "failed to read the folder {}: {source}; name the folder in which the gun.js relay keeps its data (its option `file`, `radata` by default)",
        .path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing in the folder is named as gun.js names its files.
    #[error(
        "{} is no radata folder, since no file in it is named as gun.js does (`!`, `%1C`, or with `%1B`): name the folder in which the gun.js relay keeps its data (its option `file`, `radata` by default)",
        .0.display()
    )]
    NotRadata(PathBuf),
    /// A node has the store open.
    #[error(
        "a node runs on the data folder {}: stop it, import, and start it again",
        .0.display()
    )]
    NodeRuns(PathBuf),
    /// The store did not open.
    #[error(transparent)]
    Open(StartError),
    /// Records could not be judged.
    #[error(transparent)]
    Judge(#[from] backup::ImportError),
    /// The store took no more.
    #[error("failed to store what was read: {0}")]
    Store(#[from] WriteError),
}

/// Reads, checks and reports, and stores nothing.
///
/// # Errors
/// [`ImportError`] if the folder is not there, or is none of gun.js's.
pub fn inspect(folder: &Path, progress: impl FnMut(Progress)) -> Result<Report, ImportError> {
    let (folder, files) = Folder::list(folder)?;
    run(&folder, files, None, progress)
}

/// Imports a folder into the store of `config`'s data folder, on which no node may run. Blocks;
/// call it off the reactor.
///
/// Announced records become wanted also where the node has its sync switched off: a later import
/// would find the values known and announce nothing.
///
/// # Errors
/// [`ImportError`], whose message names the cure.
pub fn import(
    config: &NodeConfig,
    folder: &Path,
    progress: impl FnMut(Progress),
) -> Result<Report, ImportError> {
    let (folder, files) = Folder::list(folder)?;
    let (store, registry) = storage::open(config, SyncMode::On).map_err(|error| match error {
        StartError::Store(OpenError::Locked(_)) => ImportError::NodeRuns(config.data_dir.clone()),
        error => ImportError::Open(error),
    })?;
    // Opened before anything is read: what can't be judged should not be half imported.
    let import = backup::Import::on(store.clone(), registry, config)?;
    run(
        &folder,
        files,
        Some((Batches::new(store), import)),
        progress,
    )
}

fn run(
    folder: &Folder,
    files: Files,
    mut into: Option<(Batches, backup::Import)>,
    mut progress: impl FnMut(Progress),
) -> Result<Report, ImportError> {
    let mut report = Report {
        files,
        ..Report::default()
    };
    let bytes_total = folder.data.iter().map(|file| file.bytes).sum();
    let mut bytes_done = 0;
    for file in &folder.data {
        let batches = into.as_mut().map(|(batches, _)| batches);
        read_file(file, &folder.directory, batches, &mut report)?;
        bytes_done += file.bytes;
        progress(Progress {
            bytes_done,
            bytes_total,
        });
    }
    report.files.changed = folder.count_changed();
    if let Some((batches, import)) = into {
        report.stored = Some(batches.finish(import)?);
    }
    Ok(report)
}

fn read_file(
    file: &DataFile,
    directory: &Directory,
    mut batches: Option<&mut Batches>,
    report: &mut Report,
) -> Result<(), ImportError> {
    let content = match file.read() {
        Ok(content) => content,
        Err(why) => {
            report.files.note_damage(&file.on_disk, &why);
            return Ok(());
        }
    };
    report.files.read += 1;
    report.files.bytes += content.len() as u64;
    let now_ms = clock::wall_ms();
    // What a damaged directory lacks would make its neighbours' values seem misplaced.
    let may_misplace = file.is_listed && directory.damage.is_none();
    let mut stopped = None;
    let Report { values, files, .. } = report;
    let found = radata::read(&content, |soul, entry| {
        if stopped.is_some() {
            return;
        }
        if let Some(reason) = refuse(&soul, &entry, now_ms) {
            values.refuse(reason, 1);
            return;
        }
        values.sound += 1;
        if may_misplace && directory.file_of(&soul, &entry.key) != file.name {
            values.misplaced += 1;
        }
        if let Some(batches) = batches.as_deref_mut() {
            stopped = batches.add(soul, entry).err();
        }
    });
    values.found += found.values;
    values.repaired += found.repaired;
    for (reason, count) in found.refused {
        values.found += count;
        values.refuse(reason.into(), count);
    }
    if let Some(damage) = found.damage {
        files.note_damage(&file.on_disk, &damage);
    }
    match stopped {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Why a sound value is not taken all the same.
fn refuse(soul: &Soul, entry: &Entry, now_ms: u64) -> Option<Refusal> {
    let ahead_ms = entry.state.as_f64() - now_ms as f64;
    if ahead_ms > StoreOptions::default().future_ms_max as f64 {
        return Some(Refusal::FutureState);
    }
    if matches!(&entry.value, Value::Text(text) if text.len() > TEXT_BYTES_MAX) {
        return Some(Refusal::TooLarge);
    }
    (!is_signed_where_needed(soul, entry)).then_some(Refusal::Unverified)
}

/// Whether a value may lie where it does: in a user's space only what that user signed, or let another
/// write. Lists of those who must not write any more aren't asked: they may lie in the same folder, in
/// any order, and what they meant when the value was written is not known.
fn is_signed_where_needed(soul: &Soul, entry: &Entry) -> bool {
    gun::sea::verify_value(soul, entry, &|_, _| Ok(None)).is_ok()
}
