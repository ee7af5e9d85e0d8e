//! The files of a folder: which of them hold data, and whether they stay as they are meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gun::radata::{DIRECTORY_FILE, Damage, Directory, FILE_BYTES_MAX, FIRST_FILE, file_name};

use super::{Files, ImportError};

/// How a file ends that gun.js writes before it renames it.
const TEMPORARY: &str = ".tmp";

/// What every record key holds, as it stands in the name of a file.
const SEPARATOR: &str = "%1B";

/// A folder as it was when it was listed.
pub(super) struct Folder {
    path: PathBuf,
    /// What the folder says of itself.
    pub(super) directory: Directory,
    /// The files to be read, by their names on disk.
    pub(super) data: Vec<DataFile>,
    seen: Seen,
}

/// Length and time of the last change of each file, by its name on disk.
type Seen = BTreeMap<String, (u64, Option<SystemTime>)>;

/// A file that may hold values.
pub(super) struct DataFile {
    path: PathBuf,
    pub(super) on_disk: String,
    /// What its name on disk stands for.
    pub(super) name: String,
    /// Its length when it was listed.
    pub(super) bytes: u64,
    pub(super) is_listed: bool,
}

impl DataFile {
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        read(&self.path)
    }
}

impl Folder {
    /// Lists a folder, and begins the report on its files.
    pub(super) fn list(path: &Path) -> Result<(Self, Files), ImportError> {
        let failed = |source| ImportError::Folder {
            path: path.to_owned(),
            source,
        };
        // The whole path, so that the folder has a name and a parent.
        let path = &fs::canonicalize(path).map_err(failed)?;
        let seen = look(path).map_err(failed)?;
        let is_ours =
            |name: &str| name == FIRST_FILE || name == DIRECTORY_FILE || name.contains(SEPARATOR);
        if !seen.keys().any(|name| is_ours(name)) {
            return Err(ImportError::NotRadata(path.clone()));
        }
        let mut report = Files::default();
        let directory = read_directory(path, &mut report);
        let mut data = Vec::new();
        for (on_disk, (bytes, _)) in &seen {
            let name = file_name(on_disk).unwrap_or_else(|| on_disk.clone());
            let is_listed = directory.lists(&name);
            if on_disk == DIRECTORY_FILE {
                continue;
            }
            // A key may end like this too; then its file is listed.
            if on_disk.ends_with(TEMPORARY) && !is_listed {
                report.temporary += 1;
                continue;
            }
            report.unlisted += u64::from(!is_listed);
            data.push(DataFile {
                path: path.join(on_disk),
                on_disk: on_disk.clone(),
                name,
                bytes: *bytes,
                is_listed,
            });
        }
        let there: HashSet<&str> = data.iter().map(|file| file.name.as_str()).collect();
        for listed in directory.listed() {
            if !there.contains(listed.as_str()) {
                report.missing.note(listed.clone());
            }
        }
        report.temporary += count_beside(path);
        let folder = Self {
            path: path.clone(),
            directory,
            data,
            seen,
        };
        Ok((folder, report))
    }

    /// Files that changed, came or went since the folder was listed.
    pub(super) fn count_changed(&self) -> u64 {
        let now = look(&self.path).unwrap_or_default();
        let is_new = |name: &String| !self.seen.contains_key(name);
        let came = now.keys().filter(|name| is_new(name)).count();
        let others = self
            .seen
            .iter()
            .filter(|(name, seen)| now.get(*name) != Some(seen));
        (came + others.count()) as u64
    }
}

/// The plain files of a folder. A name that is not Unicode is none that gun.js gives.
fn look(folder: &Path) -> io::Result<Seen> {
    let mut seen = Seen::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file that is gone by now was a temporary one.
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), fs::metadata(entry.path()))
        else {
            continue;
        };
        if about.is_file() {
            seen.insert(name, (about.len(), about.modified().ok()));
        }
    }
    Ok(seen)
}

fn read_directory(folder: &Path, report: &mut Files) -> Directory {
    let read = read(&folder.join(DIRECTORY_FILE));
    let directory = read.map(|content| Directory::read(&content));
    let damage: Option<&dyn std::fmt::Display> = match &directory {
        Ok(directory) => directory.damage.as_ref().map(|damage| damage as _),
        Err(error) => Some(error),
    };
    if let Some(damage) = damage {
        report.note_damage(DIRECTORY_FILE, damage);
    }
    directory.unwrap_or_default()
}

/// gun.js writes beside the folder, to `<folder>-<file>-<letters>.tmp`, and renames into it.
fn count_beside(folder: &Path) -> u64 {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return 0;
    };
    let prefix = format!("{}-", name.to_string_lossy());
    let is_ours = |name: &String| name.starts_with(&prefix) && name.ends_with(TEMPORARY);
    let beside = look(parent).unwrap_or_default();
    beside.keys().filter(|name| is_ours(name)).count() as u64
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > FILE_BYTES_MAX as u64 {
        return Err(io::Error::other(Damage::TooLarge));
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    // It may grow meanwhile.
    file.take(FILE_BYTES_MAX as u64).read_to_end(&mut content)?;
    Ok(content)
}
