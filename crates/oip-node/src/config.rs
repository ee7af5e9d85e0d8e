//! What a node is told at start. Owns the settings' meaning, defaults and limits; reading them
//! from files, environment and flags is the binary's work.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use gun_net::PeerAddress;
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
    /// Discovery of other nodes' records.
    pub sync: SyncConfig,
    /// Root of the registry (`GUN_REGISTRY_ROOT`).
    pub registry_root: String,
    /// An alias to write into registry entries in place of the derived id (`GUN_NODE_ID_OVERRIDE`).
    pub node_id_override: Option<String>,
    /// A deployed Arweave wallet (JWK) to sign records with (`WALLET_FILE`); else a key of the node's own.
    pub wallet_file: Option<PathBuf>,
    /// Which record types are synced and indexed (`RECORD_TYPE_INDEX_*`).
    pub types: TypeFilter,
    /// Records without an access level are private (`GUN_DEFAULT_PRIVACY`).
    pub privacy_default: PrivacyDefault,
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
            sync: SyncConfig::default(),
            registry_root: REGISTRY_ROOT.to_owned(),
            node_id_override: None,
            wallet_file: None,
            types: TypeFilter::default(),
            privacy_default: PrivacyDefault::Public,
        }
    }
}

/// Which graph writes the relay port takes from peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// OIP-shaped souls, registry entries, media, and user spaces with valid signatures.
    Oip,
    /// Any soul; user spaces are checked all the same.
    Open,
}

/// What a record that says nothing about access is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyDefault {
    /// Readable by everyone.
    Public,
    /// Private: refused until private records are sealed.
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
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            mode: SyncMode::On,
            interval_ms: SWEEP_INTERVAL_MS,
            signatures: SignaturePolicy::Prefer,
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
