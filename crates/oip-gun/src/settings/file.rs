//! The TOML file. Owns its form; unknown sections and keys are errors that list the known ones.
//! Values are handed on as texts, so that each setting is checked in one place whatever its layer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Setting, SettingsError};

/// Reads `text`, the content of `path`.
pub(super) fn read(path: &Path, text: &str) -> Result<BTreeMap<Setting, String>, SettingsError> {
    let form: Form = toml::from_str(text).map_err(|error| malformed(path, text, &error))?;
    let Form {
        data_dir,
        api,
        relay,
        sync,
        registry,
        records,
        private,
        index,
    } = form;
    let given = [
        (Setting::DataDir, data_dir),
        (Setting::ApiBind, api.bind),
        (Setting::ApiPort, api.port),
        (Setting::AdminToken, api.admin_token),
        (Setting::GunRelayOff, api.disable_gun_relay),
        (Setting::RelayBind, relay.bind),
        (Setting::RelayPort, relay.port),
        (Setting::RelayAdmission, relay.admission),
        (Setting::RelayTokens, relay.tokens),
        (Setting::DeletesFrom, relay.deletes_from),
        (Setting::PeerBytes, relay.peer_bytes_per_day),
        (Setting::PeerSouls, relay.peer_souls_per_day),
        (Setting::AuthorBytes, relay.author_bytes),
        (Setting::AuthorSouls, relay.author_souls),
        (Setting::PublicBytes, relay.public_bytes),
        (Setting::Peers, relay.peers),
        (Setting::ExternalPeers, relay.external_peers),
        (Setting::SyncEnabled, sync.enabled),
        (Setting::SyncInterval, sync.interval_ms),
        (Setting::SyncSignatures, sync.signatures),
        (Setting::TrustedNodes, sync.trusted_nodes),
        (Setting::RegistryRoot, registry.root),
        (Setting::NodeIdOverride, registry.node_id),
        (Setting::DefaultPrivacy, records.default_privacy),
        (Setting::EnableEncryption, private.enabled),
        (Setting::SyncPrivate, private.sync),
        (Setting::DecryptForeign, private.decrypt_foreign),
        (Setting::EncryptionKey, private.encryption_key),
        (Setting::KeyPassphrase, private.key_passphrase),
        (Setting::KeyPassphraseFile, private.key_passphrase_file),
        (Setting::LegacyKeysFile, private.legacy_keys_file),
        (Setting::JwtSecret, api.jwt_secret),
        (Setting::WalletFile, records.wallet_file),
        (Setting::TemplatesDir, index.templates_dir),
        (Setting::IndexBackend, index.backend),
        (Setting::SealedMetadata, index.sealed_metadata),
        (Setting::SearchHost, index.elasticsearch_host),
        (Setting::SearchUser, index.elasticsearch_user),
        (Setting::SearchPassword, index.elasticsearch_password),
        (Setting::SearchApiKey, index.elasticsearch_api_key),
        (Setting::SearchCaFile, index.elasticsearch_ca_file),
        (Setting::SearchIndex, index.elasticsearch_index),
        (Setting::SearchPrivate, index.elasticsearch_private),
        (Setting::IndexCommit, index.commit_ms),
        (Setting::TypeMode, records.index_mode),
        (Setting::TypeWhitelist, records.index_whitelist),
        (Setting::TypeBlacklist, records.index_blacklist),
    ];
    Ok(given
        .into_iter()
        .filter_map(|(setting, value)| Some((setting, value?.into_text())))
        .collect())
}

/// Shows place and fault, and not the line itself: it may hold a token.
fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    SettingsError::FileMalformed {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    data_dir: Option<Scalar>,
    #[serde(default)]
    api: Api,
    #[serde(default)]
    relay: Relay,
    #[serde(default)]
    sync: Sync,
    #[serde(default)]
    registry: Registry,
    #[serde(default)]
    records: Records,
    #[serde(default)]
    private: Private,
    #[serde(default)]
    index: Index,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Api {
    bind: Option<Scalar>,
    port: Option<Scalar>,
    admin_token: Option<Scalar>,
    jwt_secret: Option<Scalar>,
    disable_gun_relay: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Relay {
    bind: Option<Scalar>,
    port: Option<Scalar>,
    admission: Option<Scalar>,
    tokens: Option<Scalar>,
    deletes_from: Option<Scalar>,
    peer_bytes_per_day: Option<Scalar>,
    peer_souls_per_day: Option<Scalar>,
    author_bytes: Option<Scalar>,
    author_souls: Option<Scalar>,
    public_bytes: Option<Scalar>,
    peers: Option<Scalar>,
    external_peers: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Sync {
    enabled: Option<Scalar>,
    interval_ms: Option<Scalar>,
    signatures: Option<Scalar>,
    trusted_nodes: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Registry {
    root: Option<Scalar>,
    node_id: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Private {
    enabled: Option<Scalar>,
    sync: Option<Scalar>,
    decrypt_foreign: Option<Scalar>,
    encryption_key: Option<Scalar>,
    key_passphrase: Option<Scalar>,
    key_passphrase_file: Option<Scalar>,
    legacy_keys_file: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Records {
    default_privacy: Option<Scalar>,
    wallet_file: Option<Scalar>,
    index_mode: Option<Scalar>,
    index_whitelist: Option<Scalar>,
    index_blacklist: Option<Scalar>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Index {
    templates_dir: Option<Scalar>,
    backend: Option<Scalar>,
    sealed_metadata: Option<Scalar>,
    elasticsearch_host: Option<Scalar>,
    elasticsearch_user: Option<Scalar>,
    elasticsearch_password: Option<Scalar>,
    elasticsearch_api_key: Option<Scalar>,
    elasticsearch_ca_file: Option<Scalar>,
    elasticsearch_index: Option<Scalar>,
    elasticsearch_private: Option<Scalar>,
    commit_ms: Option<Scalar>,
}

/// A value as people write it: `3005`, `"3005"`, `true`, or a list of texts.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, a whole number, true, false, or a list of texts"
)]
enum Scalar {
    Switch(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Switch(switch) => switch.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::List(items) => items.join(","),
        }
    }
}
