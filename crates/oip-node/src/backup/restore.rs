//! Restoring a backup into a data folder on which no node runs. Nothing in it is believed: each record goes through the
//! judging and the order of every other path, so that what is held and newer stays. The whole file is checked
//! first, and nothing is taken from one that is not whole. Restoring again changes nothing, so that a restore
//! that was interrupted is started again.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gun::Soul;
use oip_record::read::{Raw, TextOrigin, Unity};
use serde::Serialize;

use super::KEPT;
use super::format::{Checked, Checker, FormatError, Line, Record};
use crate::audit;
use crate::config::NodeConfig;
use crate::migrate::backup::{Import, ImportError, Progress, Report, Shown};

/// Bytes read at a time.
const PART_BYTES: usize = 256 * 1024;

/// What was in a backup, and what became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// What the backup holds.
    pub backup: Checked,
    /// The records.
    #[serde(flatten)]
    pub records: Report,
    /// What the node had learned, and is known again.
    pub marks: u64,
    /// Entries of the audit trail that were taken back. None where this data folder has a trail of its own.
    pub audit: u64,
}

/// Why a backup was not restored, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The file can't be read.
    #[error("failed to read {}: {source}; name the file that `oip-gun backup` wrote", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no whole backup.
    #[error("{} is no whole backup, and nothing was taken from it: {source}", .path.display())]
    NotWhole {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: FormatError,
    },
    /// The file was changed while it was read.
    #[error("{} was changed while it was restored: {source}. What was taken before is whole; restore again from a copy that nothing writes to", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: FormatError,
    },
    /// The data folder took no more.
    #[error(transparent)]
    Import(#[from] ImportError),
}

/// Checks a backup, judges what is in it, and stores nothing.
///
/// # Errors
/// [`RestoreError`], whose message names the cure.
pub fn inspect(
    config: &NodeConfig,
    path: &Path,
    progress: impl FnMut(Progress),
) -> Result<RestoreReport, RestoreError> {
    let checked = check(path)?;
    run(Import::dry_run(config)?, None, path, checked, progress)
}

/// Restores a backup into the store of `config`'s data folder, on which no node may run. Blocks; call it off the
/// reactor.
///
/// # Errors
/// [`RestoreError`], whose message names the cure.
pub fn restore(
    config: &NodeConfig,
    path: &Path,
    progress: impl FnMut(Progress),
) -> Result<RestoreReport, RestoreError> {
    let checked = check(path)?;
    let import = Import::start(config)?;
    let into = import.has_any(audit::ENTRIES)?;
    run(import, Some(into), path, checked, progress)
}

/// Reads the file once, and takes nothing.
fn check(path: &Path) -> Result<Checked, RestoreError> {
    let not_whole = |source| RestoreError::NotWhole {
        path: path.to_owned(),
        source,
    };
    let mut checker = Checker::default();
    each_part(path, |part| checker.push(part).map_err(not_whole))?;
    checker.finish().map_err(not_whole)
}

/// `has_audit` is `None` in a dry run.
fn run(
    mut import: Import,
    has_audit: Option<bool>,
    path: &Path,
    checked: Checked,
    mut progress: impl FnMut(Progress),
) -> Result<RestoreReport, RestoreError> {
    let changed = |source| RestoreError::Changed {
        path: path.to_owned(),
        source,
    };
    let (mut marks, mut audit, mut done) = (0, 0, 0);
    let of_this_node = import.is_node(&checked.header.node_id);
    let mut checker = Checker::default();
    each_part(path, |part| {
        let taken = checker.read(part, |line| {
            match line {
                Line::Record(record) => {
                    done += 1;
                    take(&mut import, record, of_this_node)?;
                    let total = checked.end.records;
                    progress(Progress { done, total });
                }
                Line::Mark(mark) => {
                    let is_audit = mark.name.starts_with(audit::ENTRIES)
                        || audit::BOUNDS.contains(&mark.name.as_str());
                    let is_kept = KEPT.iter().any(|name| mark.name.starts_with(name));
                    let count = match is_audit {
                        true if has_audit == Some(true) => return Ok(()),
                        true => &mut audit,
                        false if is_kept => &mut marks,
                        false => return Ok(()),
                    };
                    if let Ok(value) = STANDARD.decode(&mark.value) {
                        *count += u64::from(import.learn(mark.name, value)?);
                    }
                }
                Line::Header(_) | Line::End(_) => {}
            }
            Ok::<_, Stop>(())
        });
        taken.map_err(|stop| match stop {
            Stop::Format(source) => changed(source),
            Stop::Import(error) => error.into(),
        })
    })?;
    checker.finish().map_err(changed)?;
    Ok(RestoreReport {
        backup: checked,
        records: import.finish()?,
        marks,
        audit,
    })
}

/// Why reading stops.
enum Stop {
    Format(FormatError),
    Import(ImportError),
}

impl From<FormatError> for Stop {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

fn take(import: &mut Import, record: Record, of_this_node: bool) -> Result<(), ImportError> {
    let Ok(soul) = Soul::new(&*record.soul) else {
        import.not_on_graph();
        return Ok(());
    };
    let raw = Raw {
        data_text: record.data.as_deref().map(str::to_owned),
        oip_text: record.oip.as_ref().to_owned(),
        // As they lay in the store, which keeps what was signed.
        origin: TextOrigin::Stored,
        unity: Unity::SamePut,
        meta: serde_json::Map::new(),
    };
    let shown = Shown {
        soul,
        raw: Ok(raw),
        source: record.source,
        first_seen_ms: Some(record.first_seen_ms),
        own: record.own && of_this_node,
    };
    import.take_shown(shown)
}

fn each_part(
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut part = vec![0; PART_BYTES];
    loop {
        match file.read(&mut part).map_err(failed)? {
            0 => return Ok(()),
            read => take(&part[..read])?,
        }
    }
}
