//! The layers and every refusal, as tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use oip_node::config::{
    Admission, ForeignSealed, KeyPassphrase, PrivacyDefault, RelayQuotas, SealedMetadata, Sealing,
    SyncMode, TypeFilter,
};
use oip_record::SignaturePolicy;

use super::*;
use crate::api::GunRelay;

/// One try: a folder that may hold a settings file, an environment and flags.
struct Given {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
    flags: Flags,
}

impl Given {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut given = Self {
            folder,
            environment: BTreeMap::new(),
            flags: Flags::default(),
        };
        let data_dir = given.path("data").display().to_string();
        given = given.variable("OIP_GUN_DATA_DIR", &data_dir);
        given
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, setting: Setting, value: &str) -> Self {
        self.flags.values.insert(setting, value.to_owned());
        self
    }

    /// A file named by `--config`.
    fn file(mut self, text: &str) -> Self {
        let path = self.path("given.toml");
        fs::write(&path, text).unwrap();
        self.flags.config = Some(path);
        self
    }

    /// The file of the data folder.
    fn file_of_data_dir(self, text: &str) -> Self {
        fs::create_dir_all(self.path("data")).unwrap();
        fs::write(self.path("data/oip-gun.toml"), text).unwrap();
        self
    }

    /// A file that only this user may read.
    fn secret(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn layers(&self) -> Result<Layers, SettingsError> {
        Layers::collect(self.flags.clone(), &|name| {
            self.environment.get(name).cloned()
        })
    }

    fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::interpret(self.layers()?)
    }

    /// The message, with this try's folder written as `DIR`.
    fn refusal(&self) -> String {
        let message = self.settings().unwrap_err().to_string();
        message.replace(&self.folder.path().display().to_string(), "DIR")
    }
}

#[test]
fn defaults_hold_when_nothing_is_given() {
    let given = Given::new();
    let settings = given.settings().unwrap();
    assert_eq!(settings.api_listen.to_string(), "127.0.0.1:3005");
    assert_eq!(settings.node.relay_listen.to_string(), "127.0.0.1:8765");
    assert_eq!(settings.node.registry_root, "oip:registry");
    assert_eq!(settings.node.sync.interval_ms, 30_000);
    assert_eq!(settings.node.sync.mode, SyncMode::On);
    assert_eq!(settings.node.sync.signatures, SignaturePolicy::Prefer);
    assert_eq!(settings.node.admission, Admission::Oip);
    assert_eq!(settings.node.privacy_default, PrivacyDefault::Public);
    assert_eq!(settings.node.types, TypeFilter::All);
    assert!(settings.node.peers.is_empty());
    assert!(settings.admin_token.is_none());
    assert!(settings.node.wallet_file.is_none());
    assert_eq!(settings.layers.origin(Setting::ApiPort), Origin::Default);
    assert_eq!(settings.layers.file(), None);
}

#[test]
fn later_layers_win_and_the_origin_is_kept() {
    let file = "[api]\nport = 1";
    let cases = [
        (Given::new().file(file), 1, "in DIR/given.toml"),
        (
            Given::new().file(file).variable("PORT", "2"),
            2,
            "PORT in the environment",
        ),
        (
            Given::new()
                .file(file)
                .variable("PORT", "2")
                .flag(Setting::ApiPort, "3"),
            3,
            "given by --port",
        ),
        (
            Given::new().file_of_data_dir(file),
            1,
            "in DIR/data/oip-gun.toml",
        ),
        (
            // A file that is named takes the place of the one in the data folder.
            Given::new().file_of_data_dir("[api]\nport = 9").file(file),
            1,
            "in DIR/given.toml",
        ),
    ];
    for (given, port, origin) in cases {
        let settings = given.settings().unwrap();
        assert_eq!(settings.api_listen.port(), port);
        let told = settings.layers.origin(Setting::ApiPort).to_string();
        let told = told.replace(&given.folder.path().display().to_string(), "DIR");
        assert_eq!(told, origin);
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let mut given = Given::new().file("[registry]\nnode_id = \"harbour\"");
    for setting in Setting::ALL {
        if setting != Setting::DataDir {
            given = given.variable(setting.variable(), " ");
        }
    }
    given = given.variable(CONFIG_VARIABLE, "");
    let settings = given.settings().unwrap();
    assert_eq!(settings.node.node_id_override.as_deref(), Some("harbour"));
    assert_eq!(settings.api_listen.port(), 3005);
}

#[test]
fn every_setting_is_taken_from_the_file_and_from_the_environment() {
    let file = r#"
        data_dir = "store"
        [api]
        bind = "::1"
        port = 0
        admin_token = "file-token"
        jwt_secret = "a secret of sixteen"
        disable_gun_relay = true
        [relay]
        bind = "localhost"
        port = "8766"
        admission = "open"
        tokens = ["token-of-one-peer", "token-of-another"]
        deletes_from = ["172.18.0.5", "10.0.0.0/8"]
        peer_bytes_per_day = 1
        peer_souls_per_day = 2
        author_bytes = 3
        author_souls = 4
        public_bytes = 5
        peers = ["wss://relay.example/gun", "http://other.example:8765/gun-relay"]
        external_peers = "ws://third.example/gun"
        [sync]
        enabled = false
        interval_ms = 5000
        signatures = "require"
        trusted_nodes = ["node-b", "old@http://other.example:8765/gun-relay"]
        [registry]
        root = "test:registry"
        node_id = "harbour"
        [records]
        default_privacy = true
        wallet_file = "wallet.json"
        index_mode = "whitelist"
        index_whitelist = ["post", "recipe"]
        index_blacklist = "video"
        [private]
        enabled = false
        sync = true
        decrypt_foreign = false
        encryption_key = "of a secret store"
        key_passphrase = "of many words"
        key_passphrase_file = "passphrase"
        legacy_keys_file = "legacy.json"
        [index]
        templates_dir = "templates"
        backend = "elasticsearch"
        sealed_metadata = true
        elasticsearch_host = "https://search.example:9200"
        elasticsearch_user = "oip"
        elasticsearch_password = "secret"
        elasticsearch_api_key = "a2V5"
        elasticsearch_ca_file = "/etc/ca.pem"
        elasticsearch_index = "mine"
        commit_ms = 50
        elasticsearch_private = "allow"
    "#;
    let mut from_file = Given::new().file(file);
    from_file.environment.clear();
    let from_environment = {
        let mut given = Given::new();
        let folder = given.folder.path().to_owned();
        let wallet = folder.join("wallet.json").display().to_string();
        let legacy = folder.join("legacy.json").display().to_string();
        let templates = folder.join("templates").display().to_string();
        for (name, value) in [
            (
                "OIP_GUN_DATA_DIR",
                folder.join("store").display().to_string().as_str(),
            ),
            ("OIP_GUN_BIND", "::1"),
            ("PORT", "0"),
            ("OIP_GUN_ADMIN_TOKEN", "file-token"),
            ("DISABLE_GUN_RELAY_PROXY", "true"),
            ("OIP_GUN_RELAY_BIND", "localhost"),
            ("GUN_RELAY_PORT", "8766"),
            ("OIP_GUN_RELAY_ADMISSION", "open"),
            ("OIP_GUN_RELAY_TOKENS", "token-of-one-peer,token-of-another"),
            ("OIP_GUN_RELAY_DELETES_FROM", "172.18.0.5, 10.0.0.0/8"),
            ("OIP_GUN_RELAY_PEER_BYTES", "1"),
            ("OIP_GUN_RELAY_PEER_SOULS", "2"),
            ("OIP_GUN_RELAY_AUTHOR_BYTES", "3"),
            ("OIP_GUN_RELAY_AUTHOR_SOULS", "4"),
            ("OIP_GUN_RELAY_PUBLIC_BYTES", "5"),
            (
                "GUN_PEERS",
                "wss://relay.example/gun, http://other.example:8765/gun-relay",
            ),
            ("GUN_EXTERNAL_PEERS", "ws://third.example/gun"),
            ("GUN_SYNC_ENABLED", "0"),
            ("GUN_SYNC_INTERVAL", "5000"),
            ("GUN_SYNC_SIGNATURES", "require"),
            (
                "GUN_SYNC_TRUSTED_NODES",
                "node-b, old@http://other.example:8765/gun-relay",
            ),
            ("GUN_REGISTRY_ROOT", "test:registry"),
            ("GUN_NODE_ID_OVERRIDE", "harbour"),
            ("GUN_DEFAULT_PRIVACY", "TRUE"),
            ("GUN_ENABLE_ENCRYPTION", "false"),
            ("GUN_SYNC_PRIVATE_RECORDS", "true"),
            ("GUN_DECRYPT_FOREIGN_RECORDS", "false"),
            ("GUN_NODE_ENCRYPTION_KEY", "of a secret store"),
            ("OIP_GUN_KEY_PASSPHRASE", "of many words"),
            ("OIP_GUN_KEY_PASSPHRASE_FILE", "passphrase"),
            ("OIP_LEGACY_KEYS_FILE", &legacy),
            ("OIP_INDEX_SEALED_METADATA", "true"),
            ("JWT_SECRET", "a secret of sixteen"),
            ("WALLET_FILE", &wallet),
            ("OIP_TEMPLATES_DIR", &templates),
            ("OIP_INDEX", "elasticsearch"),
            ("ELASTICSEARCHHOST", "https://search.example:9200"),
            ("ELASTICCLIENTUSERNAME", "oip"),
            ("ELASTICCLIENTPASSWORD", "secret"),
            ("OIP_ELASTICSEARCH_API_KEY", "a2V5"),
            ("OIP_ELASTICSEARCH_CA_FILE", "/etc/ca.pem"),
            ("OIP_ELASTICSEARCH_INDEX", "mine"),
            ("OIP_ELASTICSEARCH_PRIVATE", "allow"),
            ("OIP_INDEX_COMMIT_MS", "50"),
            ("RECORD_TYPE_INDEX_MODE", "whitelist"),
            ("RECORD_TYPE_INDEX_WHITELIST", "post, recipe"),
            ("RECORD_TYPE_INDEX_BLACKLIST", "video"),
        ] {
            given = given.variable(name, value);
        }
        given
    };
    for given in [from_file, from_environment] {
        given.secret(
            "legacy.json",
            r#"{"users": [{"publicKey": "02", "salt": "00"}]}"#,
        );
        let settings = given.settings().unwrap();
        for setting in Setting::ALL {
            assert!(settings.layers.is_given(setting), "{setting:?}");
        }
        let node = &settings.node;
        assert_eq!(settings.api_listen.to_string(), "[::1]:0");
        assert_eq!(node.relay_listen.to_string(), "127.0.0.1:8766");
        assert_eq!(settings.admin_token.as_ref().unwrap().text(), "file-token");
        assert_eq!(settings.data_dir(), given.path("store"));
        assert_eq!(settings.gun_relay, GunRelay::Off);
        assert_eq!(node.admission, Admission::Open);
        assert_eq!(node.relay_tokens.len(), 2);
        assert_eq!(node.deletes_from.len(), 2);
        let quotas = RelayQuotas {
            peer_bytes_per_day: 1,
            peer_souls_per_day: 2,
            author_bytes: 3,
            author_souls: 4,
            public_bytes: 5,
        };
        assert_eq!(node.quotas, quotas);
        assert_eq!(node.peers.len(), 3, "{:?}", node.peers);
        assert_eq!(node.private.sealing, Sealing::Off);
        assert_eq!(node.private.foreign, ForeignSealed::Keep);
        assert_eq!(node.private.sealed_metadata, SealedMetadata::Indexed);
        assert_eq!(node.private.legacy.users.len(), 1);
        let key = node.private.encryption_key.as_ref().unwrap();
        assert_eq!(key.reveal(), "of a secret store");
        let Some(KeyPassphrase::Given(passphrase)) = &node.key_passphrase else {
            panic!("the passphrase was given, and goes before its file")
        };
        assert_eq!(passphrase.reveal(), "of many words");
        assert!(settings.users.is_some());
        assert_eq!(node.sync.mode, SyncMode::Off);
        assert_eq!(node.index_commit.as_millis(), 50);
        assert_eq!(node.sync.interval_ms, 5_000);
        assert_eq!(node.sync.signatures, SignaturePolicy::Require);
        let trusted: Vec<String> = node.sync.trusted.iter().map(ToString::to_string).collect();
        assert_eq!(
            trusted,
            ["node-b", "old@http://other.example:8765/gun-relay"]
        );
        assert_eq!(node.registry_root, "test:registry");
        let oip_node::config::IndexBackend::Elastic(index) = &node.index else {
            panic!("elasticsearch was asked for")
        };
        assert_eq!(index.address(), "https://search.example:9200");
        assert_eq!(
            index.ca_file.as_deref(),
            Some(std::path::Path::new("/etc/ca.pem"))
        );
        assert_eq!(node.node_id_override.as_deref(), Some("harbour"));
        assert_eq!(node.privacy_default, PrivacyDefault::Private);
        assert_eq!(
            node.templates_dir.as_deref(),
            Some(given.path("templates").as_path())
        );
        assert_eq!(
            node.wallet_file.as_deref(),
            Some(given.path("wallet.json").as_path())
        );
        let wanted = ["post".to_owned(), "recipe".to_owned()];
        assert_eq!(node.types, TypeFilter::Only(wanted.into()));
    }
}

#[test]
fn both_peer_lists_are_joined_and_a_peer_in_both_counts_once() {
    let settings = Given::new()
        .variable("GUN_PEERS", "ws://one.example/gun,http://two.example")
        .variable(
            "GUN_EXTERNAL_PEERS",
            "ws://two.example/gun,wss://three.example/gun",
        )
        .settings()
        .unwrap();
    assert_eq!(settings.node.peers.len(), 3, "{:?}", settings.node.peers);
}

#[test]
fn a_value_that_is_not_taken_is_refused_with_place_and_cure() {
    let cases = [
        (
            Setting::ApiPort,
            "70000",
            "api.port \"70000\" (PORT in the environment) is not a port; give a number from 1 to 65535, or 0 for a free one",
        ),
        (
            Setting::ApiBind,
            "my-host",
            "api.bind \"my-host\" (OIP_GUN_BIND in the environment) is not an IP address; give 127.0.0.1 (this machine only), 0.0.0.0 (every interface) or the address of one interface, and the port apart",
        ),
        (
            Setting::RelayPort,
            "-1",
            "relay.port \"-1\" (GUN_RELAY_PORT in the environment) is not a port; give a number from 1 to 65535, or 0 for a free one",
        ),
        (
            Setting::RelayTokens,
            "a-token-of-enough-characters,short",
            "relay.tokens (not shown) (OIP_GUN_RELAY_TOKENS in the environment) holds a token that has less than 16 characters, which can be guessed",
        ),
        (
            Setting::PeerBytes,
            "4GiB",
            "relay.peer_bytes_per_day \"4GiB\" (OIP_GUN_RELAY_PEER_BYTES in the environment) is not a whole number; 0 means no bound",
        ),
        (
            Setting::RelayAdmission,
            "all",
            "relay.admission \"all\" (OIP_GUN_RELAY_ADMISSION in the environment) is not an admission rule; give oip (OIP-shaped souls), signed (only what a signature proves, and registry entries) or open (any soul)",
        ),
        (
            Setting::SyncEnabled,
            "yes",
            "sync.enabled \"yes\" (GUN_SYNC_ENABLED in the environment) is neither yes nor no; give true, false, 1 or 0",
        ),
        (
            Setting::SyncInterval,
            "30s",
            "sync.interval_ms \"30s\" (GUN_SYNC_INTERVAL in the environment) is not a whole number of milliseconds, such as 30000",
        ),
        (
            Setting::SyncInterval,
            "99",
            "sync.interval_ms \"99\" (GUN_SYNC_INTERVAL in the environment) is under 100 ms; sweeps would only load the peers, because new records arrive by push anyway (30000 is usual; GUN_SYNC_ENABLED=false switches discovery off)",
        ),
        (
            Setting::SyncInterval,
            "86400001",
            "sync.interval_ms \"86400001\" (GUN_SYNC_INTERVAL in the environment) is over 86400000 ms (a day); what a lost push held back would stay unseen too long (30000 is usual; GUN_SYNC_ENABLED=false switches discovery off)",
        ),
        (
            Setting::SyncSignatures,
            "always",
            "sync.signatures \"always\" (GUN_SYNC_SIGNATURES in the environment) is not a signature policy; give require (unsigned records wait in quarantine), prefer (they are taken and marked) or off (closed networks)",
        ),
        (
            Setting::TrustedNodes,
            "node-b,old@http://other.example:3005/gun-relay",
            "sync.trusted_nodes \"node-b,old@http://other.example:3005/gun-relay\" (GUN_SYNC_TRUSTED_NODES in the environment) trusts what is pulled from http://other.example:3005/gun-relay, which is no peer; name it in GUN_PEERS too",
        ),
        (
            Setting::TrustedNodes,
            "did:gun:0123456789ab:us",
            "sync.trusted_nodes \"did:gun:0123456789ab:us\" (GUN_SYNC_TRUSTED_NODES in the environment) holds did:gun:0123456789ab:us, which names nobody; give a node id (32 hex digits), an alias, alias@<first 16 digits of the id>, a creator's did:arweave:… or did:key:…, a public key, or id@<address of a peer that is pulled from>",
        ),
        (
            Setting::RegistryRoot,
            "~oip",
            "registry.root \"~oip\" (GUN_REGISTRY_ROOT in the environment) holds more than letters, digits, colons, - and _; oip:registry is usual",
        ),
        (
            Setting::RegistryRoot,
            "oip:",
            "registry.root \"oip:\" (GUN_REGISTRY_ROOT in the environment) ends with a colon, which is added between the parts of a soul; oip:registry is usual",
        ),
        (
            Setting::NodeIdOverride,
            "a:b",
            "registry.node_id \"a:b\" (GUN_NODE_ID_OVERRIDE in the environment) holds a colon, which separates the parts of a registry soul; use letters, digits, - and _",
        ),
        (
            Setting::NodeIdOverride,
            "my node",
            "registry.node_id \"my node\" (GUN_NODE_ID_OVERRIDE in the environment) holds a blank or a control character; use letters, digits, - and _",
        ),
        (
            Setting::DefaultPrivacy,
            "private",
            "records.default_privacy \"private\" (GUN_DEFAULT_PRIVACY in the environment) is neither yes nor no; give true, false, 1 or 0",
        ),
        (
            Setting::TypeMode,
            "some",
            "records.index_mode \"some\" (RECORD_TYPE_INDEX_MODE in the environment) is not a mode; give all, whitelist or blacklist",
        ),
        (
            Setting::TypeMode,
            "whitelist",
            "records.index_mode \"whitelist\" (RECORD_TYPE_INDEX_MODE in the environment) would index nothing, because RECORD_TYPE_INDEX_WHITELIST names no type; list the wanted types there, or set the mode to all",
        ),
        (
            Setting::IndexBackend,
            "solr",
            "index.backend \"solr\" (OIP_INDEX in the environment) is not an index; give embedded, or elasticsearch (OpenSearch too)",
        ),
        (
            Setting::SearchHost,
            "ftp://secret@search",
            "index.elasticsearch_host (not shown) (ELASTICSEARCHHOST in the environment) is not the address of a search server; give http://host:9200 or https://host:9200",
        ),
        (
            Setting::AdminToken,
            "two words",
            "api.admin_token (not shown) (OIP_GUN_ADMIN_TOKEN in the environment) holds a blank or a character outside ASCII, which an Authorization header can't carry; use letters, digits and -_.~+/=",
        ),
    ];
    for (setting, value, message) in cases {
        let given = Given::new().variable(setting.variable(), value);
        assert_eq!(given.refusal(), message);
    }
}

#[test]
fn a_search_server_is_named_as_deployed_nodes_name_it() {
    use oip_index::elastic::{Credentials, PrivateDocuments};
    use oip_node::config::IndexBackend;

    let named = |more: &[(&str, &str)]| {
        let given = Given::new()
            .variable("OIP_INDEX", "elasticsearch")
            .variable("ELASTICCLIENTUSERNAME", "oip")
            .variable("ELASTICCLIENTPASSWORD", "secret");
        let given = more
            .iter()
            .fold(given, |given, (name, value)| given.variable(name, value));
        match given.settings().unwrap().node.index {
            IndexBackend::Elastic(settings) => settings,
            IndexBackend::Embedded => panic!("elasticsearch was asked for"),
        }
    };
    let settings = named(&[]);
    assert_eq!(settings.address(), "http://elasticsearch:9200");
    assert_eq!(settings.index(), "records");
    assert_eq!(settings.private, PrivateDocuments::Guarded);
    assert!(settings.private_kept_out().is_some());
    assert!(!format!("{settings:?}").contains("secret"));
    let settings = named(&[
        ("ELASTICSEARCHHOST", "https://search.example:9200"),
        ("OIP_ELASTICSEARCH_API_KEY", "a2V5"),
        ("OIP_ELASTICSEARCH_INDEX", "mine"),
        ("OIP_ELASTICSEARCH_PRIVATE", "allow"),
    ]);
    assert_eq!(settings.address(), "https://search.example:9200");
    assert_eq!(settings.credentials, Credentials::ApiKey("a2V5".into()));
    assert_eq!(settings.index(), "mine");
    assert_eq!(settings.private, PrivateDocuments::Allow);
    assert_eq!(
        Given::new().settings().unwrap().node.index,
        IndexBackend::Embedded
    );
}

#[test]
fn a_wrong_peer_is_refused_with_its_place() {
    for value in ["relay.example", "ftp://relay.example", "ws://"] {
        let message = Given::new().variable("GUN_PEERS", value).refusal();
        let expected = "relay.peers (GUN_PEERS in the environment) has a fault: peer address ";
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn bounds_of_the_sweep_interval_are_inclusive() {
    for value in ["100", "86400000"] {
        let settings = Given::new()
            .variable("GUN_SYNC_INTERVAL", value)
            .settings()
            .unwrap();
        assert_eq!(settings.node.sync.interval_ms.to_string(), value);
    }
}

#[test]
fn faults_of_the_file_name_file_place_and_the_known_keys() {
    let cases = [
        (
            "[api]\nprot = 3005",
            "DIR/given.toml, line 2, column 1: unknown field `prot`, expected one of `bind`, `port`, `admin_token`, `jwt_secret`, `disable_gun_relay`",
        ),
        (
            "port = 3005",
            "DIR/given.toml, line 1, column 1: unknown field `port`, expected one of `data_dir`, `api`, `relay`, `sync`, `registry`, `records`, `private`, `index`",
        ),
        (
            "[api]\nport = ",
            "DIR/given.toml, line 2, column 8: string values must be quoted, expected literal string",
        ),
        (
            "[relay]\npeers = [1]",
            "DIR/given.toml, line 2, column 9: expected a text, a whole number, true, false, or a list of texts",
        ),
        (
            "[api]\nport = 99999",
            "api.port \"99999\" (in DIR/given.toml) is not a port; give a number from 1 to 65535, or 0 for a free one",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Given::new().file(text).refusal(), message, "{text}");
    }
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let by_flag = {
        let mut given = Given::new();
        given.flags.config = Some(PathBuf::from("/nowhere/oip.toml"));
        given
    };
    let by_variable = Given::new().variable(CONFIG_VARIABLE, "/nowhere/oip.toml");
    for (given, named_by) in [(by_flag, "--config"), (by_variable, CONFIG_VARIABLE)] {
        let message = given.refusal();
        assert!(
            message.starts_with("can't read the settings file /nowhere/oip.toml: "),
            "{message}"
        );
        assert!(
            message.contains(&format!("named by {named_by}")),
            "{message}"
        );
    }
}

#[test]
fn the_file_in_the_data_folder_cannot_move_the_data_folder() {
    let message = Given::new()
        .file_of_data_dir("data_dir = \"elsewhere\"")
        .refusal();
    assert!(
        message.starts_with("DIR/data/oip-gun.toml: data_dir can't be set"),
        "{message}"
    );
}

#[test]
fn a_secret_never_shows_in_messages_or_debug_texts() {
    let given = Given::new().variable("OIP_GUN_ADMIN_TOKEN", "hunter2-token");
    let settings = given.settings().unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let message = Given::new()
        .file("[api]\nadmin_tokn = \"hunter2\"")
        .refusal();
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn api_and_relay_cannot_share_a_port() {
    let message = Given::new().variable("PORT", "8765").refusal();
    assert_eq!(
        message,
        "api.port (PORT in the environment) and relay.port (the default) are both 8765 on the same address; give one of them another port (0 takes a free one)"
    );
    for (api, relay) in [("127.0.0.1", "0.0.0.0"), ("::", "127.0.0.1")] {
        Given::new()
            .variable("PORT", "8765")
            .variable("OIP_GUN_BIND", api)
            .variable("OIP_GUN_RELAY_BIND", relay)
            .settings()
            .unwrap_err();
    }
    // Two free ports, or two addresses, are no conflict.
    for (name, value) in [("PORT", "0"), ("OIP_GUN_BIND", "127.0.0.2")] {
        Given::new()
            .variable("PORT", "8765")
            .variable("GUN_RELAY_PORT", if value == "0" { "0" } else { "8765" })
            .variable(name, value)
            .settings()
            .unwrap();
    }
}

#[test]
fn the_data_folder_is_found_as_the_system_says() {
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case; 4] = [
        (
            &[("HOME", "/home/isla")],
            Some("/home/isla/.local/share/oip-gun"),
        ),
        (
            &[("HOME", "/home/isla"), ("XDG_DATA_HOME", "/data")],
            Some("/data/oip-gun"),
        ),
        (
            &[("HOME", "/home/isla"), ("OIP_GUN_DATA_DIR", "/srv/oip")],
            Some("/srv/oip"),
        ),
        (&[], None),
    ];
    for (environment, expected) in cases {
        let layers = Layers::collect(Flags::default(), &|name| {
            let found = environment.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        });
        match expected {
            Some(expected) => assert_eq!(layers.unwrap().data_dir(), Path::new(expected)),
            None => assert!(matches!(layers, Err(SettingsError::NoDataDir))),
        }
    }
}

#[test]
fn clients_reach_a_node_on_every_interface_over_loopback() {
    let layers = Given::new()
        .variable("OIP_GUN_BIND", "0.0.0.0")
        .variable("PORT", "4000")
        .layers()
        .unwrap();
    assert_eq!(layers.api_address().unwrap().to_string(), "127.0.0.1:4000");
}

#[test]
fn the_settings_page_names_every_setting_and_its_example_is_sound() {
    let page = include_str!("../../../../docs/settings.md");
    for setting in Setting::ALL {
        let flag = setting
            .flag()
            .map_or(String::new(), |flag| format!("`{flag}`"));
        let row = format!("| `{}` | `{}` | {flag}", setting.key(), setting.variable());
        assert!(page.contains(&row), "{row}");
    }
    let example = page
        .split("```")
        .nth(1)
        .and_then(|block| block.strip_prefix("toml\n"));
    let settings = Given::new().file(example.unwrap()).settings().unwrap();
    assert_eq!(settings.node.peers.len(), 2);
}
