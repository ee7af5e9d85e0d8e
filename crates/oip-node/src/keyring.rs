//! The node's keys in the data folder: read at start, made at the first one. The files, their permissions and their
//! passphrase are `folder`'s; the keys themselves `oip-record`'s and `oip-vault`'s.

mod folder;

use std::fs;
use std::path::PathBuf;

use oip_record::keys::KeyError;
use oip_record::{CreatorKey, NodeIdentity};
use oip_vault::keys::{EncryptionKey, EncryptionKeyError, KeyRing};

use oip_vault::locked::{LockError, PASSPHRASE_CHARS_MIN};

use crate::config::NodeConfig;

use folder::{CREATOR, ENCRYPTION, IDENTITY};
pub use folder::{KeyFiles, KeyFolder, write_secret};

/// The keys of one node.
pub(crate) struct Keyring {
    /// Signs records.
    pub creator: CreatorKey,
    /// Whence the node's id.
    pub identity: NodeIdentity,
    /// Opens what is sealed to this node.
    pub encryption: KeyRing,
    /// Where they lie.
    pub folder: KeyFolder,
}

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// A key file could not be read or written.
    #[error(
        "failed to access the key file {path}: {source}; make sure that this user may read and write it"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key file holds no key.
    #[error(
        "the key file {path} is not usable: {source}; restore it from a backup, or move it away to start with a new key"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The wallet could not be read.
    #[error(
        "failed to read the wallet {path}: {source}; set WALLET_FILE to an Arweave key file that this user may read, or unset it to sign with a key of this node's own"
    )]
    WalletFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The wallet holds no RSA key.
    #[error(
        "the wallet {path} (WALLET_FILE) is not usable: {source}; it must be an Arweave RSA key as JWK with its private parts"
    )]
    Wallet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// An encryption key can't be used.
    #[error("the encryption key from {from} is not usable: {source}")]
    Encryption {
        /// Whence.
        from: String,
        /// What is wrong with it.
        source: EncryptionKeyError,
    },
    /// A key file is locked, and no passphrase was given.
    #[error(
        "the key file {0} is locked with a passphrase: give it by OIP_GUN_KEY_PASSPHRASE, or in a file that OIP_GUN_KEY_PASSPHRASE_FILE names"
    )]
    Locked(PathBuf),
    /// A key file stays locked.
    #[error(
        "the key file {path} stays locked: {source}; give the passphrase that it was locked with by OIP_GUN_KEY_PASSPHRASE or OIP_GUN_KEY_PASSPHRASE_FILE, or restore the file from a backup"
    )]
    Unlock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LockError,
    },
    /// The file of the passphrase can't be read.
    #[error(
        "failed to read the passphrase in {path} (OIP_GUN_KEY_PASSPHRASE_FILE): {source}; make sure that this user may read it"
    )]
    PassphraseFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing to lock key files with.
    #[error(
        "no passphrase is given: set OIP_GUN_KEY_PASSPHRASE, or OIP_GUN_KEY_PASSPHRASE_FILE to a file that holds it"
    )]
    NoPassphrase,
    /// A passphrase that can be found by trying.
    #[error(
        "the passphrase has less than {PASSPHRASE_CHARS_MIN} characters, which can be found by trying: take a longer one"
    )]
    ShortPassphrase,
    /// A folder without keys.
    #[error(
        "{folder} holds no {name}: name a folder of keys, such as `oip-gun keys export` makes, or a node's data folder"
    )]
    NoKeys {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        name: &'static str,
    },
    /// Others would be lost.
    #[error(
        "there is another key in {0} already, and it would be lost: import into another data folder (--data-dir), or move the folder of that file away if its node is not needed any more"
    )]
    OtherKeys(PathBuf),
    /// The folder to copy to can't be made.
    #[error("failed to make {path}: {source}; name a folder that does not exist yet")]
    ExportFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A node holds the data folder.
    #[error("a node runs on the data folder {data_dir}: stop it first")]
    Running {
        /// The data folder.
        data_dir: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("failed to make a key: the system gives no random numbers")]
    Random,
}

impl Keyring {
    /// Reads the keys in the data folder, making those that are missing. With a wallet, that signs records.
    pub(crate) fn open(config: &NodeConfig) -> Result<Self, KeyringError> {
        let folder = KeyFolder::new(&config.data_dir, config.key_passphrase.as_ref())?;
        folder.make()?;
        let identity = read_or_make(
            &folder,
            IDENTITY,
            NodeIdentity::from_file_json,
            || from_random(NodeIdentity::from_scalar),
            NodeIdentity::to_file_json,
        )?;
        let creator = match config.wallet_file.as_deref() {
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|source| KeyringError::WalletFile {
                    path: path.to_owned(),
                    source,
                })?;
                CreatorKey::from_file_json(&text).map_err(|source| KeyringError::Wallet {
                    path: path.to_owned(),
                    source,
                })?
            }
            None => read_or_make(
                &folder,
                CREATOR,
                CreatorKey::from_file_json,
                || from_random(CreatorKey::ed25519),
                CreatorKey::to_file_json,
            )?,
        };
        if folder.is_left_open(IDENTITY) {
            tracing::warn!(
                "a passphrase for the key files is given, and they are not locked: stop the node and run `oip-gun keys protect`"
            );
        }
        let given = config.private.encryption_key.as_ref();
        Ok(Self {
            creator,
            identity,
            encryption: encryption_keys(&folder, given.map(|key| key.reveal()))?,
            folder,
        })
    }
}

/// The keys of the file. One that was given from outside becomes the current one, and is not written:
/// it lives where it came from.
fn encryption_keys(folder: &KeyFolder, given: Option<&str>) -> Result<KeyRing, KeyringError> {
    let stored = match folder.has(ENCRYPTION) {
        false => None,
        true => {
            let ring = KeyRing::from_file_json(&folder.read(ENCRYPTION)?);
            Some(ring.map_err(|source| KeyringError::Encryption {
                from: folder.file(ENCRYPTION).display().to_string(),
                source,
            })?)
        }
    };
    if let Some(text) = given {
        let fault = |source| KeyringError::Encryption {
            from: "GUN_NODE_ENCRYPTION_KEY".to_owned(),
            source,
        };
        let key = EncryptionKey::from_text(text).map_err(fault)?;
        return match stored {
            None => Ok(KeyRing::new(key)),
            Some(mut ring) => {
                ring.rotate(key).map_err(fault)?;
                Ok(ring)
            }
        };
    }
    match stored {
        Some(ring) => Ok(ring),
        None => {
            let ring = KeyRing::new(new_encryption_key()?);
            write_encryption_keys(folder, &ring)?;
            Ok(ring)
        }
    }
}

/// A fresh encryption key.
pub(crate) fn new_encryption_key() -> Result<EncryptionKey, KeyringError> {
    (0..8)
        .find_map(|_| EncryptionKey::from_scalar(crate::random::bytes()?).ok())
        .ok_or(KeyringError::Random)
}

/// Keeps the ring among the key files.
pub(crate) fn write_encryption_keys(
    folder: &KeyFolder,
    ring: &KeyRing,
) -> Result<(), KeyringError> {
    folder.write(ENCRYPTION, &ring.to_file_json())
}

/// A scalar can lie outside a curve's order, about once in 2^32 times: then the next one is tried.
fn from_random<K>(make: impl Fn([u8; 32]) -> Result<K, KeyError>) -> Option<K> {
    (0..8).find_map(|_| make(crate::random::bytes()?).ok())
}

fn read_or_make<K>(
    folder: &KeyFolder,
    name: &'static str,
    parse: impl Fn(&str) -> Result<K, KeyError>,
    make: impl Fn() -> Option<K>,
    print: impl Fn(&K) -> String,
) -> Result<K, KeyringError> {
    if folder.has(name) {
        return parse(&folder.read(name)?).map_err(|source| KeyringError::Key {
            path: folder.file(name),
            source,
        });
    }
    let key = make().ok_or(KeyringError::Random)?;
    folder.write(name, &print(&key))?;
    Ok(key)
}
