//! What a node is told at start. Owns the settings' meaning, defaults and limits; reading them
//! from files, environment and flags is the binary's work.

mod legacy;
mod ranges;
mod trusted;

pub use legacy::{LegacyKeys, LegacyOrganization, LegacyUser};
pub use ranges::{AddressRange, RANGES_MAX};
pub use trusted::{TRUSTED_MAX, TrustedNode};

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gun_net::PeerAddress;
use oip_index::ElasticSettings;
use oip_record::SignaturePolicy;

/// Root of the registry on every deployed node (`GUN_REGISTRY_ROOT`).
pub const REGISTRY_ROOT: &str = "oip:registry";
/// Port of the relay on every deployed node (`GUN_RELAY_PORT`).
pub const RELAY_PORT: u16 = 8765;
/// Time between two sweeps in milliseconds (`GUN_SYNC_INTERVAL`), as the origin design says.
pub const SWEEP_INTERVAL_MS: u64 = 30_000;

/// Everything a [`crate::Node`] needs to start.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Folder of store, index and keys (`OIP_GUN_DATA_DIR`).
    pub data_dir: PathBuf,
    /// Where the relay port listens (`OIP_GUN_RELAY_BIND`, `GUN_RELAY_PORT`); port 0 takes a free one.
    pub relay_listen: SocketAddr,
    /// Relays and nodes to dial (`GUN_PEERS` and `GUN_EXTERNAL_PEERS` together).
    pub peers: Vec<PeerAddress>,
    /// Which graph writes the relay port takes.
    pub admission: Admission,
    /// How much peers may store.
    pub quotas: RelayQuotas,
    /// Who may connect to the relay port: holders of one of these tokens, or anybody if there is
    /// none (`OIP_GUN_RELAY_TOKENS`).
    pub relay_tokens: Vec<PeerToken>,
    /// From where deletion marks that are put on the relay's HTTP port count (`OIP_GUN_RELAY_DELETES_FROM`).
    pub deletes_from: Vec<AddressRange>,
    /// Discovery of other nodes' records.
    pub sync: SyncConfig,
    /// Root of the registry (`GUN_REGISTRY_ROOT`).
    pub registry_root: String,
    /// An alias to write into registry entries in place of the derived id (`GUN_NODE_ID_OVERRIDE`).
    pub node_id_override: Option<String>,
    /// A deployed Arweave wallet (JWK) to sign records with (`WALLET_FILE`); else a key of the node's own.
    pub wallet_file: Option<PathBuf>,
    /// What the key files are locked with (`OIP_GUN_KEY_PASSPHRASE`, `OIP_GUN_KEY_PASSPHRASE_FILE`).
    pub key_passphrase: Option<KeyPassphrase>,
    /// Which record types are synced and indexed (`RECORD_TYPE_INDEX_*`).
    pub types: TypeFilter,
    /// A folder of templates beside those that ship with the program (`OIP_TEMPLATES_DIR`).
    pub templates_dir: Option<PathBuf>,
    /// Which index answers queries (`OIP_INDEX`).
    pub index: IndexBackend,
    /// Pause after a commit of the index while more keeps coming (`OIP_INDEX_COMMIT_MS`).
    pub index_commit: Duration,
    /// Records without an access level are private (`GUN_DEFAULT_PRIVACY`).
    pub privacy_default: PrivacyDefault,
    /// Private records.
    pub private: PrivateConfig,
}

impl NodeConfig {
    /// The defaults, on `data_dir`: loopback, no peers.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            relay_listen: SocketAddr::from(([127, 0, 0, 1], RELAY_PORT)),
            peers: Vec::new(),
            admission: Admission::Oip,
            quotas: RelayQuotas::default(),
            relay_tokens: Vec::new(),
            deletes_from: Vec::new(),
            sync: SyncConfig::default(),
            registry_root: REGISTRY_ROOT.to_owned(),
            node_id_override: None,
            wallet_file: None,
            key_passphrase: None,
            types: TypeFilter::default(),
            templates_dir: None,
            index: IndexBackend::Embedded,
            index_commit: INDEX_COMMIT,
            privacy_default: PrivacyDefault::Public,
            private: PrivateConfig::default(),
        }
    }
}

/// Pause after a commit of the index while more keeps coming. Where commits are quick a record is searchable
/// sooner than with 50 ms; where they are slow their own time is the pause.
pub const INDEX_COMMIT: Duration = Duration::from_millis(20);

/// Which index answers queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexBackend {
    /// One in the data folder.
    Embedded,
    /// One on an Elasticsearch or OpenSearch server. Whose documents and position they are is set by
    /// the node, from its id.
    Elastic(Box<ElasticSettings>),
}

/// What becomes of private records.
#[derive(Debug, Clone, Default)]
pub struct PrivateConfig {
    /// `GUN_ENABLE_ENCRYPTION`.
    pub sealing: Sealing,
    /// Records that others sealed to this node (`GUN_SYNC_PRIVATE_RECORDS`, `GUN_DECRYPT_FOREIGN_RECORDS`).
    pub foreign: ForeignSealed,
    /// The encryption key from a secret store (`GUN_NODE_ENCRYPTION_KEY`); else one in the data folder.
    pub encryption_key: Option<Secret>,
    /// Keys of the schemes of the past (`OIP_LEGACY_KEYS_FILE`).
    pub legacy: LegacyKeys,
    /// Whether what can't be opened is indexed by what it says in clear (`OIP_INDEX_SEALED_METADATA`).
    pub sealed_metadata: SealedMetadata,
}

/// Whether private records are published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sealing {
    /// Sealed.
    #[default]
    On,
    /// What asks for privacy is refused.
    Off,
}

/// What is done with records that others sealed to this node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForeignSealed {
    /// They are opened and indexed for those who may read them.
    #[default]
    Open,
    /// They are kept and served as ciphertext.
    Keep,
}

/// What the index holds of records that this node can't open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SealedMetadata {
    /// Nothing.
    #[default]
    LeftOut,
    /// What lies in clear: type, creator, time. For the operator alone.
    Indexed,
}

/// Whence the passphrase of the key files comes.
#[derive(Debug, Clone)]
pub enum KeyPassphrase {
    /// It is this.
    Given(Secret),
    /// It is the text of this file, but for the line end.
    File(PathBuf),
}

/// A text that must not reach a log.
#[derive(Clone)]
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    /// Takes it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(zeroize::Zeroizing::new(text))
    }

    /// Gives it to whom it is for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(not shown)")
    }
}

/// Which graph writes the relay port takes from peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// OIP-shaped souls, registry entries, media, and user spaces with valid signatures.
    Oip,
    /// What proves itself: user spaces, content-addressed souls, packed records whose signature
    /// verifies; and registry entries, which are only hints.
    Signed,
    /// Any soul; user spaces are checked all the same.
    Open,
}

/// How much accepted peers may store. 0 means without bound. Dialled peers, which the operator
/// named, are bound by the accounts only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayQuotas {
    /// Bytes of keys and values that one address may bring in a day (`OIP_GUN_RELAY_PEER_BYTES`).
    pub peer_bytes_per_day: u64,
    /// New souls that one address may bring in a day (`OIP_GUN_RELAY_PEER_SOULS`).
    pub peer_souls_per_day: u64,
    /// Bytes that one author may have here (`OIP_GUN_RELAY_AUTHOR_BYTES`).
    pub author_bytes: u64,
    /// Souls that one author may have here (`OIP_GUN_RELAY_AUTHOR_SOULS`).
    pub author_souls: u64,
    /// Bytes of each shared node, and of all that belongs to nobody (`OIP_GUN_RELAY_PUBLIC_BYTES`).
    pub public_bytes: u64,
}

impl Default for RelayQuotas {
    /// A node that tells a relay a million records in a day, with their registry entries, stays within:
    /// some 2.5 GB and four souls a record. Half of that is one author's.
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            peer_bytes_per_day: 4 * GIB,
            peer_souls_per_day: 4_000_000,
            author_bytes: 2 * GIB,
            author_souls: 2_000_000,
            public_bytes: 4 * GIB,
        }
    }
}

/// A secret that lets a peer connect. Has no `Debug` text, so that it can't reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerToken(String);

impl PeerToken {
    /// Takes a token that fits into a URL and a header as it is.
    ///
    /// # Errors
    /// What is wrong with it, to follow "a token".
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if text.len() < Self::BYTES_MIN {
            return Err("has less than 16 characters, which can be guessed");
        }
        if !text.bytes().all(fits) {
            return Err(
                "holds other characters than letters, digits and -_.~, which stand in a URL as they are",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// Shortest token: with 64 possible characters more than a hundred bits are unguessable; below
    /// that nobody should feel safe.
    const BYTES_MIN: usize = 16;

    /// The token itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PeerToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PeerToken(not shown)")
    }
}

/// What a record that says nothing about access is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyDefault {
    /// Readable by everyone.
    Public,
    /// Private: sealed.
    Private,
}

/// Discovery of other nodes' records.
#[derive(Debug, Clone)]
pub struct SyncConfig {
    /// `GUN_SYNC_ENABLED`.
    pub mode: SyncMode,
    /// Milliseconds between two sweeps (`GUN_SYNC_INTERVAL`).
    pub interval_ms: u64,
    /// What unsigned and badly signed records meet (`GUN_SYNC_SIGNATURES`).
    pub signatures: SignaturePolicy,
    /// Whose records are taken; everybody's if nobody is named (`GUN_SYNC_TRUSTED_NODES`).
    pub trusted: Vec<TrustedNode>,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            mode: SyncMode::On,
            interval_ms: SWEEP_INTERVAL_MS,
            signatures: SignaturePolicy::Prefer,
            trusted: Vec::new(),
        }
    }
}

/// Whether the node looks for other nodes' records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Live discovery and sweeps.
    On,
    /// The node publishes and relays, and discovers nothing.
    Off,
}

/// Which record types are synced and indexed (`RECORD_TYPE_INDEX_MODE`, `…_WHITELIST`, `…_BLACKLIST`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TypeFilter {
    /// Every type.
    #[default]
    All,
    /// Only these.
    Only(BTreeSet<String>),
    /// All but these.
    Except(BTreeSet<String>),
}

impl TypeFilter {
    /// Whether records of `record_type` are wanted.
    #[must_use]
    pub fn wants(&self, record_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.contains(record_type),
            Self::Except(types) => !types.contains(record_type),
        }
    }
}
