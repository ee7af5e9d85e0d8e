//! The one list of settings: what each is called in the TOML file, the environment and the flags.
//! The environment names are those of the origin design and of the deployed nodes.

/// A setting of the node. `ALL` is in the order in which they are explained to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Folder of store, index, keys and the admin token.
    DataDir,
    /// Address the HTTP API listens on.
    ApiBind,
    /// Port of the HTTP API; 0 takes a free one.
    ApiPort,
    /// The token that may do everything.
    AdminToken,
    /// Whether the graph is not to be served on the API port.
    GunRelayOff,
    /// Address the relay listens on.
    RelayBind,
    /// Port of the relay; 0 takes a free one.
    RelayPort,
    /// Which graph writes the relay takes.
    RelayAdmission,
    /// Tokens of which peers need one to connect; anybody may if there is none.
    RelayTokens,
    /// Addresses from which deletion marks that are put over HTTP count.
    DeletesFrom,
    /// Bytes that one address may bring in a day; 0 is no bound.
    PeerBytes,
    /// New souls that one address may bring in a day; 0 is no bound.
    PeerSouls,
    /// Bytes that one author may have here; 0 is no bound.
    AuthorBytes,
    /// Souls that one author may have here; 0 is no bound.
    AuthorSouls,
    /// Bytes of each node that all may write; 0 is no bound.
    PublicBytes,
    /// Relays and nodes to dial.
    Peers,
    /// More relays and nodes to dial (the relay container's name for the same thing).
    ExternalPeers,
    /// Whether other nodes' records are discovered.
    SyncEnabled,
    /// Milliseconds between two sweeps.
    SyncInterval,
    /// What unsigned and badly signed records meet.
    SyncSignatures,
    /// Whose records are taken; everybody's if nobody is named.
    TrustedNodes,
    /// Root of the registry on the graph.
    RegistryRoot,
    /// Alias written into registry entries in place of the derived node id.
    NodeIdOverride,
    /// Whether records that say nothing about access are private.
    DefaultPrivacy,
    /// Whether private records are sealed, or refused.
    EnableEncryption,
    /// Whether records that others sealed to this node are opened.
    SyncPrivate,
    /// Whether records that others sealed to this node are opened (the origin's other name for it).
    DecryptForeign,
    /// The encryption key, from a secret store.
    EncryptionKey,
    /// The passphrase that the key files are locked with.
    KeyPassphrase,
    /// A file that holds that passphrase.
    KeyPassphraseFile,
    /// File of keys of the old schemes that can't be had from the records.
    LegacyKeysFile,
    /// The secret that users' tokens are signed with.
    JwtSecret,
    /// Arweave wallet (JWK) to sign records with.
    WalletFile,
    /// Folder of templates beside those that ship with the program.
    TemplatesDir,
    /// Which index answers queries.
    IndexBackend,
    /// Whether the index holds what lies in clear of records that can't be opened.
    SealedMetadata,
    /// Address of the Elasticsearch or OpenSearch server.
    SearchHost,
    /// User at that server.
    SearchUser,
    /// The user's password.
    SearchPassword,
    /// API key at that server, in place of a user.
    SearchApiKey,
    /// Certificates (PEM) that the server's own must lead to.
    SearchCaFile,
    /// Name of the index there.
    SearchIndex,
    /// Whether private records may go to any server.
    SearchPrivate,
    /// Milliseconds between commits of the index while more keeps coming.
    IndexCommit,
    /// Which record types are synced and indexed.
    TypeMode,
    /// The types of mode `whitelist`.
    TypeWhitelist,
    /// The types of mode `blacklist`.
    TypeBlacklist,
}

impl Setting {
    /// Every setting.
    pub const ALL: [Self; 47] = [
        Self::DataDir,
        Self::ApiBind,
        Self::ApiPort,
        Self::AdminToken,
        Self::GunRelayOff,
        Self::RelayBind,
        Self::RelayPort,
        Self::RelayAdmission,
        Self::RelayTokens,
        Self::DeletesFrom,
        Self::PeerBytes,
        Self::PeerSouls,
        Self::AuthorBytes,
        Self::AuthorSouls,
        Self::PublicBytes,
        Self::Peers,
        Self::ExternalPeers,
        Self::SyncEnabled,
        Self::SyncInterval,
        Self::SyncSignatures,
        Self::TrustedNodes,
        Self::RegistryRoot,
        Self::NodeIdOverride,
        Self::DefaultPrivacy,
        Self::EnableEncryption,
        Self::SyncPrivate,
        Self::DecryptForeign,
        Self::EncryptionKey,
        Self::KeyPassphrase,
        Self::KeyPassphraseFile,
        Self::LegacyKeysFile,
        Self::JwtSecret,
        Self::WalletFile,
        Self::TemplatesDir,
        Self::IndexBackend,
        Self::SealedMetadata,
        Self::SearchHost,
        Self::SearchUser,
        Self::SearchPassword,
        Self::SearchApiKey,
        Self::SearchCaFile,
        Self::SearchIndex,
        Self::SearchPrivate,
        Self::IndexCommit,
        Self::TypeMode,
        Self::TypeWhitelist,
        Self::TypeBlacklist,
    ];

    /// The name in the TOML file: `section.key`, or `key` at the top.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::DataDir => "data_dir",
            Self::ApiBind => "api.bind",
            Self::ApiPort => "api.port",
            Self::AdminToken => "api.admin_token",
            Self::GunRelayOff => "api.disable_gun_relay",
            Self::RelayBind => "relay.bind",
            Self::RelayPort => "relay.port",
            Self::RelayAdmission => "relay.admission",
            Self::RelayTokens => "relay.tokens",
            Self::DeletesFrom => "relay.deletes_from",
            Self::PeerBytes => "relay.peer_bytes_per_day",
            Self::PeerSouls => "relay.peer_souls_per_day",
            Self::AuthorBytes => "relay.author_bytes",
            Self::AuthorSouls => "relay.author_souls",
            Self::PublicBytes => "relay.public_bytes",
            Self::Peers => "relay.peers",
            Self::ExternalPeers => "relay.external_peers",
            Self::SyncEnabled => "sync.enabled",
            Self::SyncInterval => "sync.interval_ms",
            Self::SyncSignatures => "sync.signatures",
            Self::TrustedNodes => "sync.trusted_nodes",
            Self::RegistryRoot => "registry.root",
            Self::NodeIdOverride => "registry.node_id",
            Self::DefaultPrivacy => "records.default_privacy",
            Self::EnableEncryption => "private.enabled",
            Self::SyncPrivate => "private.sync",
            Self::DecryptForeign => "private.decrypt_foreign",
            Self::EncryptionKey => "private.encryption_key",
            Self::KeyPassphrase => "private.key_passphrase",
            Self::KeyPassphraseFile => "private.key_passphrase_file",
            Self::LegacyKeysFile => "private.legacy_keys_file",
            Self::JwtSecret => "api.jwt_secret",
            Self::WalletFile => "records.wallet_file",
            Self::TemplatesDir => "index.templates_dir",
            Self::IndexBackend => "index.backend",
            Self::SealedMetadata => "index.sealed_metadata",
            Self::SearchHost => "index.elasticsearch_host",
            Self::SearchUser => "index.elasticsearch_user",
            Self::SearchPassword => "index.elasticsearch_password",
            Self::SearchApiKey => "index.elasticsearch_api_key",
            Self::SearchCaFile => "index.elasticsearch_ca_file",
            Self::SearchIndex => "index.elasticsearch_index",
            Self::SearchPrivate => "index.elasticsearch_private",
            Self::IndexCommit => "index.commit_ms",
            Self::TypeMode => "records.index_mode",
            Self::TypeWhitelist => "records.index_whitelist",
            Self::TypeBlacklist => "records.index_blacklist",
        }
    }

    /// The name in the environment.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::DataDir => "OIP_GUN_DATA_DIR",
            Self::ApiBind => "OIP_GUN_BIND",
            Self::ApiPort => "PORT",
            Self::AdminToken => "OIP_GUN_ADMIN_TOKEN",
            Self::GunRelayOff => "DISABLE_GUN_RELAY_PROXY",
            Self::RelayBind => "OIP_GUN_RELAY_BIND",
            Self::RelayPort => "GUN_RELAY_PORT",
            Self::RelayAdmission => "OIP_GUN_RELAY_ADMISSION",
            Self::RelayTokens => "OIP_GUN_RELAY_TOKENS",
            Self::DeletesFrom => "OIP_GUN_RELAY_DELETES_FROM",
            Self::PeerBytes => "OIP_GUN_RELAY_PEER_BYTES",
            Self::PeerSouls => "OIP_GUN_RELAY_PEER_SOULS",
            Self::AuthorBytes => "OIP_GUN_RELAY_AUTHOR_BYTES",
            Self::AuthorSouls => "OIP_GUN_RELAY_AUTHOR_SOULS",
            Self::PublicBytes => "OIP_GUN_RELAY_PUBLIC_BYTES",
            Self::Peers => "GUN_PEERS",
            Self::ExternalPeers => "GUN_EXTERNAL_PEERS",
            Self::SyncEnabled => "GUN_SYNC_ENABLED",
            Self::SyncInterval => "GUN_SYNC_INTERVAL",
            Self::SyncSignatures => "GUN_SYNC_SIGNATURES",
            Self::TrustedNodes => "GUN_SYNC_TRUSTED_NODES",
            Self::RegistryRoot => "GUN_REGISTRY_ROOT",
            Self::NodeIdOverride => "GUN_NODE_ID_OVERRIDE",
            Self::DefaultPrivacy => "GUN_DEFAULT_PRIVACY",
            Self::EnableEncryption => "GUN_ENABLE_ENCRYPTION",
            Self::SyncPrivate => "GUN_SYNC_PRIVATE_RECORDS",
            Self::DecryptForeign => "GUN_DECRYPT_FOREIGN_RECORDS",
            Self::EncryptionKey => "GUN_NODE_ENCRYPTION_KEY",
            Self::KeyPassphrase => "OIP_GUN_KEY_PASSPHRASE",
            Self::KeyPassphraseFile => "OIP_GUN_KEY_PASSPHRASE_FILE",
            Self::LegacyKeysFile => "OIP_LEGACY_KEYS_FILE",
            Self::JwtSecret => "JWT_SECRET",
            Self::WalletFile => "WALLET_FILE",
            Self::TemplatesDir => "OIP_TEMPLATES_DIR",
            Self::IndexBackend => "OIP_INDEX",
            Self::SealedMetadata => "OIP_INDEX_SEALED_METADATA",
            Self::SearchHost => "ELASTICSEARCHHOST",
            Self::SearchUser => "ELASTICCLIENTUSERNAME",
            Self::SearchPassword => "ELASTICCLIENTPASSWORD",
            Self::SearchApiKey => "OIP_ELASTICSEARCH_API_KEY",
            Self::SearchCaFile => "OIP_ELASTICSEARCH_CA_FILE",
            Self::SearchIndex => "OIP_ELASTICSEARCH_INDEX",
            Self::SearchPrivate => "OIP_ELASTICSEARCH_PRIVATE",
            Self::IndexCommit => "OIP_INDEX_COMMIT_MS",
            Self::TypeMode => "RECORD_TYPE_INDEX_MODE",
            Self::TypeWhitelist => "RECORD_TYPE_INDEX_WHITELIST",
            Self::TypeBlacklist => "RECORD_TYPE_INDEX_BLACKLIST",
        }
    }

    /// Whether its value must not be shown: not by a verb, not in a message, not in a log.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::AdminToken
                | Self::RelayTokens
                | Self::SearchPassword
                | Self::SearchApiKey
                | Self::EncryptionKey
                | Self::KeyPassphrase
                | Self::JwtSecret
        )
    }

    /// The flag of `serve`, where there is one. Tokens have none: command lines can be
    /// read by every user of the machine.
    #[must_use]
    pub fn flag(self) -> Option<&'static str> {
        match self {
            Self::DataDir => Some("--data-dir"),
            Self::ApiBind => Some("--bind"),
            Self::ApiPort => Some("--port"),
            Self::RelayBind => Some("--relay-bind"),
            Self::RelayPort => Some("--relay-port"),
            Self::RelayAdmission => Some("--relay-admission"),
            Self::Peers => Some("--peer"),
            Self::SyncEnabled => Some("--sync"),
            Self::SyncInterval => Some("--sync-interval"),
            Self::SyncSignatures => Some("--sync-signatures"),
            Self::RegistryRoot => Some("--registry-root"),
            Self::NodeIdOverride => Some("--node-id"),
            Self::WalletFile => Some("--wallet-file"),
            Self::AdminToken
            | Self::GunRelayOff
            | Self::RelayTokens
            | Self::DeletesFrom
            | Self::PeerBytes
            | Self::PeerSouls
            | Self::AuthorBytes
            | Self::AuthorSouls
            | Self::PublicBytes
            | Self::ExternalPeers
            | Self::TrustedNodes
            | Self::DefaultPrivacy
            | Self::EnableEncryption
            | Self::SyncPrivate
            | Self::DecryptForeign
            | Self::EncryptionKey
            | Self::KeyPassphrase
            | Self::KeyPassphraseFile
            | Self::LegacyKeysFile
            | Self::JwtSecret
            | Self::TemplatesDir
            | Self::IndexBackend
            | Self::SealedMetadata
            | Self::SearchHost
            | Self::SearchUser
            | Self::SearchPassword
            | Self::SearchApiKey
            | Self::SearchCaFile
            | Self::SearchIndex
            | Self::SearchPrivate
            | Self::IndexCommit
            | Self::TypeMode
            | Self::TypeWhitelist
            | Self::TypeBlacklist => None,
        }
    }
}
