//! The folder of key files: reading, writing, locking them with a passphrase, and carrying them to another
//! data folder.
//!
//! A file is plain or locked, whichever it was written; with a passphrase, what is written anew is locked. Each is written
//! whole or not at all, and durably. Refuses to replace keys by others: an identity that is overwritten is gone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use oip_record::{CreatorKey, NodeIdentity};
use oip_store::FolderLock;
use oip_vault::keys::KeyRing;
use oip_vault::locked::{self, Lock, LockError};
use zeroize::Zeroizing;

use super::KeyringError;
use crate::config::KeyPassphrase;

/// Whence the node's id.
pub(super) const IDENTITY: &str = "identity.json";
/// What opens records that are sealed to the node.
pub(super) const ENCRYPTION: &str = "encryption.json";
/// What signs records, where no wallet does.
pub(super) const CREATOR: &str = "creator.json";

/// All of them. A node with a wallet has no creator key of its own.
const NAMES: [&str; 3] = [IDENTITY, ENCRYPTION, CREATOR];
const NEEDED: [&str; 2] = [IDENTITY, ENCRYPTION];

/// The key files of one data folder.
#[derive(Debug, Clone)]
pub struct KeyFolder {
    data_dir: PathBuf,
    path: PathBuf,
    passphrase: Option<Arc<Zeroizing<String>>>,
    /// Keys made of the passphrase, which are dear to make.
    locks: Arc<Mutex<Vec<Arc<Lock>>>>,
}

/// What was done with key files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFiles {
    /// Those that were written.
    pub written: Vec<&'static str>,
    /// Those that were as they should be already.
    pub unchanged: Vec<&'static str>,
    /// Those that were taken without a look inside: they are locked, and no passphrase was given.
    pub unchecked: Vec<&'static str>,
}

impl KeyFolder {
    /// The key files of the node with this data folder.
    ///
    /// # Errors
    /// [`KeyringError`] if the file of the passphrase can't be read.
    pub fn new(data_dir: &Path, passphrase: Option<&KeyPassphrase>) -> Result<Self, KeyringError> {
        let passphrase = match passphrase {
            None => None,
            Some(KeyPassphrase::Given(secret)) => Some(secret.reveal().to_owned()),
            Some(KeyPassphrase::File(path)) => {
                let text = Zeroizing::new(fs::read_to_string(path).map_err(|source| {
                    KeyringError::PassphraseFile {
                        path: path.clone(),
                        source,
                    }
                })?);
                // The line end that every editor puts there is not meant.
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        Ok(Self {
            data_dir: data_dir.to_owned(),
            path: data_dir.join("keys"),
            passphrase: passphrase.map(|text| Arc::new(Zeroizing::new(text))),
            locks: Arc::default(),
        })
    }

    /// Whether the folder holds a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Where a file lies.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the folder if it is not there.
    pub(super) fn make(&self) -> Result<(), KeyringError> {
        fs::create_dir_all(&self.path).map_err(|source| access(&self.path, source))
    }

    /// The text of a file, unlocked.
    pub(super) fn read(&self, name: &'static str) -> Result<Zeroizing<String>, KeyringError> {
        self.unlocked(&self.file(name), name)
    }

    /// Whether a passphrase was given, and the file is plain all the same.
    pub(super) fn is_left_open(&self, name: &str) -> bool {
        self.passphrase.is_some()
            && read(&self.file(name)).is_ok_and(|text| !locked::is_locked(&text))
    }

    fn unlocked(&self, path: &Path, name: &str) -> Result<Zeroizing<String>, KeyringError> {
        let text = read(path)?;
        if !locked::is_locked(&text) {
            return Ok(text);
        }
        let passphrase = self.passphrase.as_ref();
        let passphrase = passphrase.ok_or_else(|| KeyringError::Locked(path.to_owned()))?;
        let refused = |source| KeyringError::Unlock {
            path: path.to_owned(),
            source,
        };
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = locks.iter().find(|lock| lock.fits(&text)).cloned();
        let lock = match known {
            Some(lock) => lock,
            None => Arc::new(Lock::of(passphrase, &text).map_err(refused)?),
        };
        let opened = lock.unlock(name, &text).map_err(refused)?;
        if !locks.iter().any(|held| Arc::ptr_eq(held, &lock)) {
            locks.push(lock);
        }
        Ok(opened)
    }

    /// Writes a file, locked if there is a passphrase.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), KeyringError> {
        let path = self.file(name);
        let stored = match self.lock()? {
            None => Zeroizing::new(text.to_owned()),
            Some(lock) => Zeroizing::new(locked_text(&lock, &path, name, text)?),
        };
        write_secret(&path, &stored).map_err(|source| access(&path, source))
    }

    /// What new files are locked with: one key for all of them.
    fn lock(&self) -> Result<Option<Arc<Lock>>, KeyringError> {
        let Some(passphrase) = &self.passphrase else {
            return Ok(None);
        };
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.first() {
            return Ok(Some(Arc::clone(lock)));
        }
        if passphrase.chars().count() < locked::PASSPHRASE_CHARS_MIN {
            return Err(KeyringError::ShortPassphrase);
        }
        let salt = crate::random::bytes().ok_or(KeyringError::Random)?;
        let lock =
            Lock::new(passphrase, salt, locked::COST).map_err(|source| KeyringError::Unlock {
                path: self.path.clone(),
                source,
            })?;
        let lock = Arc::new(lock);
        locks.push(Arc::clone(&lock));
        Ok(Some(lock))
    }

    /// Copies the files as they are, locked or not, to a folder that is made.
    ///
    /// # Errors
    /// [`KeyringError`]; what was copied before stays.
    pub fn export(&self, to: &Path) -> Result<KeyFiles, KeyringError> {
        let mut texts = Vec::new();
        for name in NAMES {
            if self.has(name) {
                texts.push((name, read(&self.file(name))?));
            }
        }
        if texts.is_empty() {
            return Err(KeyringError::NoKeys {
                folder: self.path.clone(),
                name: IDENTITY,
            });
        }
        make_private(to).map_err(|source| KeyringError::ExportFolder {
            path: to.to_owned(),
            source,
        })?;
        for (name, text) in &texts {
            let path = to.join(name);
            write_secret(&path, text).map_err(|source| access(&path, source))?;
        }
        Ok(files(texts.iter().map(|(name, _)| *name)))
    }

    /// Takes the files of a folder that [`Self::export`] made. Each is looked into first, unless it is locked and there is
    /// no passphrase.
    ///
    /// # Errors
    /// [`KeyringError`]; then nothing was written, but for what an IO error interrupts.
    pub fn import(&self, from: &Path) -> Result<KeyFiles, KeyringError> {
        let _stopped = self.while_stopped()?;
        if let Some(missing) = NEEDED.iter().find(|name| !from.join(name).is_file()) {
            return Err(KeyringError::NoKeys {
                folder: from.to_owned(),
                name: missing,
            });
        }
        let (mut texts, mut report) = (Vec::new(), files([]));
        for name in NAMES.iter().filter(|name| from.join(name).is_file()) {
            let path = from.join(name);
            match self.unlocked(&path, name) {
                Ok(text) => check(&path, name, &text)?,
                Err(KeyringError::Locked(_)) => report.unchecked.push(name),
                Err(error) => return Err(error),
            }
            let text = read(&path)?;
            match self.has(name) {
                false => texts.push((*name, text)),
                true if *read(&self.file(name))? == *text => report.unchanged.push(name),
                true => return Err(KeyringError::OtherKeys(self.file(name))),
            }
        }
        // A creator key that comes without its identity would go on signing beside the imported one.
        if let Some(other) = NAMES
            .iter()
            .find(|name| self.has(name) && !from.join(name).is_file())
        {
            return Err(KeyringError::OtherKeys(self.file(other)));
        }
        if report.unchanged.is_empty() {
            self.put_in_place(&texts)?;
        } else {
            // An import that was interrupted goes on.
            for (name, text) in &texts {
                let path = self.file(name);
                write_secret(&path, text).map_err(|source| access(&path, source))?;
            }
        }
        report.written = texts.into_iter().map(|(name, _)| name).collect();
        Ok(report)
    }

    /// Puts all files there at once: a node that starts after half of them would make the others itself.
    fn put_in_place(
        &self,
        texts: &[(&'static str, Zeroizing<String>)],
    ) -> Result<(), KeyringError> {
        let staged = self.path.with_extension("new");
        let failed = |source| access(&staged, source);
        fs::create_dir_all(&self.data_dir).map_err(failed)?;
        if staged.exists() {
            fs::remove_dir_all(&staged).map_err(failed)?;
        }
        make_private(&staged).map_err(failed)?;
        for (name, text) in texts {
            write_secret(&staged.join(name), text).map_err(failed)?;
        }
        // Takes the place of a folder that is empty, and of no other.
        fs::rename(&staged, &self.path).map_err(|source| access(&self.path, source))?;
        let parent = fs::File::open(&self.data_dir).and_then(|folder| folder.sync_all());
        parent.map_err(|source| access(&self.data_dir, source))
    }

    /// Locks every file that is plain.
    ///
    /// # Errors
    /// [`KeyringError`]. What was locked before an IO error stays so, and opens with the same passphrase.
    pub fn protect(&self) -> Result<KeyFiles, KeyringError> {
        let _stopped = self.while_stopped()?;
        if self.passphrase.is_none() {
            return Err(KeyringError::NoPassphrase);
        }
        self.rewrite(
            |text| !locked::is_locked(text),
            |name, text| self.write(name, text),
        )
    }

    /// Writes every locked file as a plain one.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn unprotect(&self) -> Result<KeyFiles, KeyringError> {
        let _stopped = self.while_stopped()?;
        self.rewrite(locked::is_locked, |name, text| {
            let path = self.file(name);
            write_secret(&path, text).map_err(|source| access(&path, source))
        })
    }

    fn rewrite(
        &self,
        is_meant: impl Fn(&str) -> bool,
        write: impl Fn(&str, &str) -> Result<(), KeyringError>,
    ) -> Result<KeyFiles, KeyringError> {
        if !self.has(IDENTITY) {
            return Err(KeyringError::NoKeys {
                folder: self.path.clone(),
                name: IDENTITY,
            });
        }
        // All are opened, and so the passphrase known to be theirs, before one is changed.
        let (mut texts, mut report) = (Vec::new(), files([]));
        for name in NAMES.iter().filter(|name| self.has(name)) {
            let text = self.read(name)?;
            check(&self.file(name), name, &text)?;
            match is_meant(&read(&self.file(name))?) {
                true => texts.push((*name, text)),
                false => report.unchanged.push(name),
            }
        }
        for (name, text) in &texts {
            write(name, text)?;
        }
        report.written = texts.into_iter().map(|(name, _)| name).collect();
        Ok(report)
    }

    /// Keeps a node from running on the data folder: it would write keys as it knows them.
    fn while_stopped(&self) -> Result<FolderLock, KeyringError> {
        FolderLock::take(&self.data_dir.join("store")).map_err(|_| KeyringError::Running {
            data_dir: self.data_dir.clone(),
        })
    }
}

fn files(written: impl IntoIterator<Item = &'static str>) -> KeyFiles {
    KeyFiles {
        written: written.into_iter().collect(),
        unchanged: Vec::new(),
        unchecked: Vec::new(),
    }
}

fn locked_text(lock: &Lock, path: &Path, name: &str, text: &str) -> Result<String, KeyringError> {
    let iv = crate::random::bytes().ok_or(KeyringError::Random)?;
    lock.lock(name, text, iv)
        .map_err(|source: LockError| KeyringError::Unlock {
            path: path.to_owned(),
            source,
        })
}

/// Whether a file holds what its name says.
fn check(path: &Path, name: &str, text: &str) -> Result<(), KeyringError> {
    let key = |source| KeyringError::Key {
        path: path.to_owned(),
        source,
    };
    match name {
        IDENTITY => NodeIdentity::from_file_json(text).map(drop).map_err(key),
        CREATOR => CreatorKey::from_file_json(text).map(drop).map_err(key),
        _ => match KeyRing::from_file_json(text) {
            Ok(_) => Ok(()),
            Err(source) => Err(KeyringError::Encryption {
                from: path.display().to_string(),
                source,
            }),
        },
    }
}

fn access(path: &Path, source: std::io::Error) -> KeyringError {
    KeyringError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| access(path, source))
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)
}

/// Writes a file that only the owner may read, whole or not at all, and durably: a node that
/// answered under a key must have that key after a crash.
pub fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
