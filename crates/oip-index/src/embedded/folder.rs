//! The folder of the embedded index: who may use it, and which part of it counts.
//!
//! ```text
//! <folder>/lock           held while a process uses the index
//! <folder>/current.json   {"format": 4, "mapping": "…", "generation": 3}
//! <folder>/generation-3/  the files of the index
//! ```
//!
//! An index is replaced by making the next generation beside it and pointing
//! `current.json` there, so that a crash leaves the old one or the new one, and
//! threads that still read or merge old files are not disturbed. Nothing in the
//! folder is touched but what is named above.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::schema::FORMAT_VERSION;
use crate::error::IndexError;

const LOCK: &str = "lock";
const CURRENT: &str = "current.json";
const CURRENT_NEW: &str = "current.json.new";
const GENERATION_PREFIX: &str = "generation-";

/// A folder held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The lock lives as long as the file is open.
    _lock: File,
}

/// What the folder holds when it is opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// No index yet.
    Nothing,
    /// An index of this format, made with this mapping.
    Generation { number: u64, mapping: String },
    /// Something that can't be used; a person may want to know why.
    Unusable(String),
}

#[derive(Serialize, Deserialize)]
struct Current {
    format: u32,
    mapping: String,
    generation: u64,
}

impl Folder {
    /// Takes the folder, making it where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(path).map_err(failed("create the folder", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open the lock file", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(IndexError::Locked {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which index counts.
    pub(super) fn content(&self) -> Result<Content, IndexError> {
        let path = self.path.join(CURRENT);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::Nothing),
            Err(source) => return Err(failed("read", &path)(source)),
        };
        // The format alone is read first: other formats may have other members.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        if let Ok(Format { format }) = serde_json::from_slice(&text)
            && format != FORMAT_VERSION
        {
            return Ok(Content::Unusable(format!(
                "it has format {format}, this program writes format {FORMAT_VERSION}"
            )));
        }
        Ok(match serde_json::from_slice::<Current>(&text) {
            Ok(current) => Content::Generation {
                number: current.generation,
                mapping: current.mapping,
            },
            Err(error) => Content::Unusable(format!("{CURRENT} can't be read: {error}")),
        })
    }

    /// Where the files of a generation lie.
    pub(super) fn generation_path(&self, generation: u64) -> PathBuf {
        self.path.join(format!("{GENERATION_PREFIX}{generation}"))
    }

    /// Makes an empty folder for the generation after every other one.
    pub(super) fn begin_generation(&self) -> Result<u64, IndexError> {
        let newest = self.generations()?.into_iter().max();
        let generation = newest.map_or(1, |newest| newest.saturating_add(1));
        let path = self.generation_path(generation);
        fs::create_dir(&path).map_err(failed("create the folder", &path))?;
        Ok(generation)
    }

    /// Makes a generation the one that counts, durably.
    pub(super) fn set_current(&self, generation: u64, mapping: &str) -> Result<(), IndexError> {
        let current = Current {
            format: FORMAT_VERSION,
            mapping: mapping.to_owned(),
            generation,
        };
        let text = serde_json::to_vec(&current).map_err(|error| IndexError::Backend {
            action: "write the folder's format",
            source: error.into(),
        })?;
        let new = self.path.join(CURRENT_NEW);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, self.path.join(CURRENT))?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(failed("write", &new))
    }

    /// Removes every generation but this one. A failure only costs disk space, and the
    /// next start tries again.
    pub(super) fn sweep(&self, keep: u64) {
        let Ok(generations) = self.generations() else {
            return;
        };
        for generation in generations.into_iter().filter(|one| *one != keep) {
            let path = self.generation_path(generation);
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "an old index could not be removed");
            }
        }
    }

    fn generations(&self) -> Result<Vec<u64>, IndexError> {
        let failed = failed("list", &self.path);
        let entries = fs::read_dir(&self.path).map_err(&failed)?;
        let mut generations = Vec::new();
        for entry in entries {
            let name = entry.map_err(&failed)?.file_name();
            generations.extend(
                name.to_str()
                    .and_then(|name| name.strip_prefix(GENERATION_PREFIX))
                    .and_then(|number| number.parse::<u64>().ok()),
            );
        }
        Ok(generations)
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> IndexError {
    let path = path.to_owned();
    move |source| IndexError::File {
        action,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_a_folder() {
        let home = tempfile::tempdir().unwrap();
        let held = Folder::open(home.path()).unwrap();
        assert!(matches!(
            Folder::open(home.path()),
            Err(IndexError::Locked { .. })
        ));
        drop(held);
        Folder::open(home.path()).unwrap();
    }

    #[test]
    fn generations_replace_each_other_and_nothing_else_is_touched() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("mine.txt"), "kept").unwrap();
        let folder = Folder::open(home.path()).unwrap();
        assert_eq!(folder.content().unwrap(), Content::Nothing);
        let first = folder.begin_generation().unwrap();
        assert_eq!(folder.content().unwrap(), Content::Nothing);
        folder.set_current(first, "m").unwrap();
        let second = folder.begin_generation().unwrap();
        assert_eq!(
            folder.content().unwrap(),
            Content::Generation {
                number: first,
                mapping: "m".into()
            }
        );
        folder.set_current(second, "m").unwrap();
        folder.sweep(second);
        assert_eq!(
            folder.content().unwrap(),
            Content::Generation {
                number: second,
                mapping: "m".into()
            }
        );
        assert_eq!(folder.generations().unwrap(), [second]);
        assert!(home.path().join("mine.txt").exists());
    }

    #[test]
    fn other_formats_and_torn_files_are_unusable() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        for text in [
            "",
            "{",
            "{\"format\":0,\"generation\":1}",
            "{\"format\":99,\"generation\":1}",
        ] {
            fs::write(home.path().join(CURRENT), text).unwrap();
            assert!(
                matches!(folder.content().unwrap(), Content::Unusable(_)),
                "{text}"
            );
        }
    }
}
