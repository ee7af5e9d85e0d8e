//! The node's keys in the data folder: read at start, made at the first one. Owns the files and
//! their permissions; the keys themselves are `oip-record`'s.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use oip_record::keys::KeyError;
use oip_record::{CreatorKey, NodeIdentity};
use oip_vault::keys::{EncryptionKey, EncryptionKeyError, KeyRing};

use crate::config::NodeConfig;

/// The keys of one node.
pub(crate) struct Keyring {
    /// Signs records.
    pub creator: CreatorKey,
    /// Whence the node's id.
    pub identity: NodeIdentity,
    /// Opens what is sealed to this node.
    pub encryption: KeyRing,
}

/// The file of the encryption keys in the data folder's `keys`.
const ENCRYPTION_FILE: &str = "encryption.json";

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
    /// The system gave no random numbers.
    #[error("failed to make a key: the system gives no random numbers")]
    Random,
}

impl Keyring {
    /// Reads the keys in the data folder, making those that are missing. With a wallet, that signs records.
    pub(crate) fn open(config: &NodeConfig) -> Result<Self, KeyringError> {
        let (data_dir, wallet) = (&config.data_dir, config.wallet_file.as_deref());
        let folder = data_dir.join("keys");
        fs::create_dir_all(&folder).map_err(|source| KeyringError::File {
            path: folder.clone(),
            source,
        })?;
        let identity = read_or_make(
            &folder.join("identity.json"),
            NodeIdentity::from_file_json,
            || from_random(NodeIdentity::from_scalar),
            NodeIdentity::to_file_json,
        )?;
        let creator = match wallet {
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
                &folder.join("creator.json"),
                CreatorKey::from_file_json,
                || from_random(CreatorKey::ed25519),
                CreatorKey::to_file_json,
            )?,
        };
        let given = config.private.encryption_key.as_ref();
        Ok(Self {
            creator,
            identity,
            encryption: encryption_keys(&folder, given.map(|key| key.reveal()))?,
        })
    }
}

/// The keys of the file. One that was given from outside becomes the current one, and is not written:
/// it lives where it came from.
fn encryption_keys(folder: &Path, given: Option<&str>) -> Result<KeyRing, KeyringError> {
    let path = folder.join(ENCRYPTION_FILE);
    let stored = path.exists().then(|| read(&path)).transpose()?;
    let stored = stored
        .map(|text| {
            KeyRing::from_file_json(&text).map_err(|source| KeyringError::Encryption {
                from: path.display().to_string(),
                source,
            })
        })
        .transpose()?;
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

/// Keeps the ring in the data folder's `keys`.
pub(crate) fn write_encryption_keys(folder: &Path, ring: &KeyRing) -> Result<(), KeyringError> {
    let path = folder.join(ENCRYPTION_FILE);
    write_secret(&path, &ring.to_file_json()).map_err(|source| KeyringError::File { path, source })
}

/// A scalar can lie outside a curve's order, about once in 2^32 times: then the next one is tried.
fn from_random<K>(make: impl Fn([u8; 32]) -> Result<K, KeyError>) -> Option<K> {
    (0..8).find_map(|_| make(crate::random::bytes()?).ok())
}

fn read(path: &Path) -> Result<String, KeyringError> {
    fs::read_to_string(path).map_err(|source| KeyringError::File {
        path: path.to_owned(),
        source,
    })
}

fn read_or_make<K>(
    path: &Path,
    parse: impl Fn(&str) -> Result<K, KeyError>,
    make: impl Fn() -> Option<K>,
    print: impl Fn(&K) -> String,
) -> Result<K, KeyringError> {
    if path.exists() {
        return parse(&read(path)?).map_err(|source| KeyringError::Key {
            path: path.to_owned(),
            source,
        });
    }
    let key = make().ok_or(KeyringError::Random)?;
    write_secret(path, &print(&key)).map_err(|source| KeyringError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(key)
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
