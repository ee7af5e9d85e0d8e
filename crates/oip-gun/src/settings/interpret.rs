//! From texts to values. Owns the defaults of the binary's own settings and every bound with its
//! reason; a value that isn't taken is refused with its place and the cure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gun_net::PeerAddress;
use oip_index::elastic::{Credentials, ElasticSettings, PrivateDocuments};
use oip_node::config::{
    AddressRange, Admission, ForeignSealed, IndexBackend, KeyPassphrase, LegacyKeys, NodeConfig,
    PeerToken, PrivacyDefault, PrivateConfig, RANGES_MAX, RELAY_PORT, RelayQuotas, SealedMetadata,
    Sealing, Secret, SyncConfig, SyncMode, TRUSTED_MAX, TrustedNode, TypeFilter,
};
use oip_record::SignaturePolicy;

use super::layers::relative_to_file;
use super::{Given, Layers, Origin, Setting, SettingsError};
use crate::api::{GunRelay, SECRET_BYTES_MIN, UserTokens};

/// Port of the HTTP API of every deployed node (`PORT`).
const API_PORT: u16 = 3005;
/// Below this, sweeps follow each other without a pause and only load the peers: new records
/// arrive by push, the sweep is the safety net.
const SWEEP_INTERVAL_MS_MIN: u64 = 100;
/// Above this, what a lost push held back would stay unseen for more than a day.
const SWEEP_INTERVAL_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Whoever publishes looks for it within this time.
const COMMIT_PAUSE_MS_MAX: u64 = 10_000;
/// Registry root and node id stand in every registry soul, and souls are bounded.
const NAME_BYTES_MAX: usize = 128;
/// Where deployed nodes find their search server, in their compose network.
const SEARCH_HOST: &str = "http://elasticsearch:9200";
/// The index of deployed nodes.
const SEARCH_INDEX: &str = "records";

/// The token that may do everything. Has no `Debug` text, so that it can't reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(String);

impl AdminToken {
    /// Takes a token that fits into an `Authorization` header.
    ///
    /// # Errors
    /// What is wrong with it, to follow "the token".
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "holds a blank or a character outside ASCII, which an Authorization header can't carry; use letters, digits and -_.~+/=",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// The token itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("AdminToken(not shown)")
    }
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the HTTP API listens.
    pub api_listen: SocketAddr,
    /// The admin token that was set; `None` leaves it to the file in the data folder.
    pub admin_token: Option<AdminToken>,
    /// Whether the graph is served on the API port too.
    pub gun_relay: GunRelay,
    /// Who reads users' tokens; nobody if no secret was set.
    pub users: Option<UserTokens>,
    /// What the node itself is told.
    pub node: NodeConfig,
    /// The texts and places that the values come from.
    pub layers: Layers,
}

impl Settings {
    /// Checks and combines what `layers` holds.
    ///
    /// # Errors
    /// The first value that isn't taken.
    pub fn interpret(layers: Layers) -> Result<Self, SettingsError> {
        let reader = Reader(&layers);
        let api_listen = SocketAddr::new(
            reader.address(Setting::ApiBind)?,
            reader.port(Setting::ApiPort, API_PORT)?,
        );
        let relay_listen = SocketAddr::new(
            reader.address(Setting::RelayBind)?,
            reader.port(Setting::RelayPort, RELAY_PORT)?,
        );
        reject_same_port(&layers, api_listen, relay_listen)?;
        let admin_token = reader.read(Setting::AdminToken, |text| {
            AdminToken::new(text).map_err(str::to_owned)
        })?;
        let gun_relay = reader
            .read(Setting::GunRelayOff, switch)?
            .map_or(GunRelay::Served, |off| {
                off.choose(GunRelay::Off, GunRelay::Served)
            });
        let mut node = NodeConfig::new(layers.data_dir().to_owned());
        node.relay_listen = relay_listen;
        node.peers = reader.peers()?;
        node.sync = reader.sync(&node.peers)?;
        node.types = reader.types()?;
        if let Some(admission) = reader.read(Setting::RelayAdmission, admission)? {
            node.admission = admission;
        }
        node.relay_tokens = reader
            .read(Setting::RelayTokens, peer_tokens)?
            .unwrap_or_default();
        node.deletes_from = reader
            .read(Setting::DeletesFrom, address_ranges)?
            .unwrap_or_default();
        node.quotas = reader.quotas()?;
        if let Some(root) = reader.read(Setting::RegistryRoot, registry_root)? {
            node.registry_root = root;
        }
        node.node_id_override = reader.read(Setting::NodeIdOverride, node_id)?;
        node.wallet_file = layers.get(Setting::WalletFile).map(relative_to_file);
        node.key_passphrase = layers.key_passphrase();
        node.templates_dir = layers.get(Setting::TemplatesDir).map(relative_to_file);
        node.index = reader.index_backend()?;
        if let Some(pause) = reader.read(Setting::IndexCommit, commit_pause)? {
            node.index_commit = pause;
        }
        if let Some(privacy) = reader.read(Setting::DefaultPrivacy, privacy)? {
            node.privacy_default = privacy;
        }
        node.private = reader.private()?;
        let users = reader.read(Setting::JwtSecret, |secret| {
            UserTokens::new(secret).map_err(str::to_owned)
        })?;
        Ok(Self {
            api_listen,
            admin_token,
            gun_relay,
            users,
            node,
            layers,
        })
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.node.data_dir
    }

    /// Whether users' tokens are signed with a secret so short that it can be found by trying.
    #[must_use]
    pub fn has_short_jwt_secret(&self) -> bool {
        let given = self.layers.get(Setting::JwtSecret);
        given.is_some_and(|given| given.text.trim().len() < SECRET_BYTES_MIN)
    }

    /// The file that holds the admin token when none is set.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        token_file(self.data_dir())
    }

    /// The file that holds hashes of machines' tokens.
    #[must_use]
    pub fn machine_tokens_file(&self) -> PathBuf {
        self.data_dir().join("tokens.json")
    }
}

/// The file that holds the admin token when none is set.
#[must_use]
pub(crate) fn token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin-token")
}

struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    fn read<T>(
        &self,
        setting: Setting,
        take: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(Given { text, origin }) = self.0.get(setting) else {
            return Ok(None);
        };
        take(text.trim())
            .map(Some)
            .map_err(|why| SettingsError::Invalid {
                setting,
                text: text.clone(),
                origin: origin.clone(),
                why,
            })
    }

    fn address(&self, setting: Setting) -> Result<IpAddr, SettingsError> {
        let address = self.read(setting, |text| {
            if text == "localhost" {
                return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            text.parse().map_err(|_| {
                "is not an IP address; give 127.0.0.1 (this machine only), 0.0.0.0 (every interface) or the address of one interface, and the port apart".to_owned()
            })
        })?;
        Ok(address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }

    fn port(&self, setting: Setting, default: u16) -> Result<u16, SettingsError> {
        let port = self.read(setting, |text| {
            text.parse().map_err(|_| {
                "is not a port; give a number from 1 to 65535, or 0 for a free one".to_owned()
            })
        })?;
        Ok(port.unwrap_or(default))
    }

    /// The two lists joined, each address once: deployed nodes and their relay containers use
    /// two names for the same thing.
    fn peers(&self) -> Result<Vec<PeerAddress>, SettingsError> {
        let mut all: Vec<PeerAddress> = Vec::new();
        for setting in [Setting::Peers, Setting::ExternalPeers] {
            let peers = self.read(setting, |text| {
                gun_net::parse_peers(text).map_err(|error| format!("has a fault: {error}"))
            })?;
            for peer in peers.unwrap_or_default() {
                if !all.contains(&peer) {
                    all.push(peer);
                }
            }
        }
        Ok(all)
    }

    /// The server's settings are checked whichever index is in force: a fault in them should show
    /// before they are needed.
    fn index_backend(&self) -> Result<IndexBackend, SettingsError> {
        let chosen = self.read(Setting::IndexBackend, |text| match text {
            "embedded" | "elasticsearch" => Ok(text == "elasticsearch"),
            _ => {
                Err("is not an index; give embedded, or elasticsearch (OpenSearch too)".to_owned())
            }
        })?;
        let index = self.read(Setting::SearchIndex, |text| {
            ElasticSettings::new(SEARCH_HOST, text, "")
                .map(|_| text.to_owned())
                .map_err(|error| error.to_string())
        })?;
        let index = index.unwrap_or_else(|| SEARCH_INDEX.to_owned());
        let settings_at =
            |text: &str| ElasticSettings::new(text, &index, "").map_err(|error| error.to_string());
        let mut settings = match self.read(Setting::SearchHost, settings_at)? {
            Some(settings) => settings,
            None => ElasticSettings::new(SEARCH_HOST, &index, "")
                .expect("the default address is one, and the name was checked"),
        };
        let name = self.read(Setting::SearchUser, header_text)?;
        let password = self.read(Setting::SearchPassword, |text| Ok(text.to_owned()))?;
        let key = self.read(Setting::SearchApiKey, header_text)?;
        match (key, name) {
            (Some(key), _) => settings.credentials = Credentials::ApiKey(key),
            (None, Some(name)) => {
                let password = password.unwrap_or_default();
                settings.credentials = Credentials::User { name, password };
            }
            (None, None) => {}
        }
        settings.ca_file = self.0.get(Setting::SearchCaFile).map(relative_to_file);
        let private = self.read(Setting::SearchPrivate, |text| match text {
            "guarded" => Ok(PrivateDocuments::Guarded),
            "allow" => Ok(PrivateDocuments::Allow),
            _ => Err(
                "is neither guarded (private records go to this machine, or over https with credentials) nor allow (to any server: the network is closed)"
                    .to_owned(),
            ),
        })?;
        settings.private = private.unwrap_or(PrivateDocuments::Guarded);
        Ok(match chosen {
            Some(true) => IndexBackend::Elastic(Box::new(settings)),
            _ => IndexBackend::Embedded,
        })
    }

    fn quotas(&self) -> Result<RelayQuotas, SettingsError> {
        let mut quotas = RelayQuotas::default();
        for (setting, quota) in [
            (Setting::PeerBytes, &mut quotas.peer_bytes_per_day),
            (Setting::PeerSouls, &mut quotas.peer_souls_per_day),
            (Setting::AuthorBytes, &mut quotas.author_bytes),
            (Setting::AuthorSouls, &mut quotas.author_souls),
            (Setting::PublicBytes, &mut quotas.public_bytes),
        ] {
            if let Some(given) = self.read(setting, whole_number)? {
                *quota = given;
            }
        }
        Ok(quotas)
    }

    fn private(&self) -> Result<PrivateConfig, SettingsError> {
        let mut private = PrivateConfig::default();
        if let Some(enabled) = self.read(Setting::EnableEncryption, switch)? {
            private.sealing = enabled.choose(Sealing::On, Sealing::Off);
        }
        // Two names for one wish: either alone keeps what others sealed as ciphertext.
        for setting in [Setting::SyncPrivate, Setting::DecryptForeign] {
            if let Some(Switch::Off) = self.read(setting, switch)? {
                private.foreign = ForeignSealed::Keep;
            }
        }
        private.encryption_key = self.read(Setting::EncryptionKey, |text| {
            Ok(Secret::new(text.to_owned()))
        })?;
        if let Some(given) = self.0.get(Setting::LegacyKeysFile) {
            let path = relative_to_file(given);
            if let Some(keys) = self.read(Setting::LegacyKeysFile, |_| LegacyKeys::read(&path))? {
                private.legacy = keys;
            }
        }
        if let Some(indexed) = self.read(Setting::SealedMetadata, switch)? {
            private.sealed_metadata =
                indexed.choose(SealedMetadata::Indexed, SealedMetadata::LeftOut);
        }
        Ok(private)
    }

    fn sync(&self, peers: &[PeerAddress]) -> Result<SyncConfig, SettingsError> {
        let mut sync = SyncConfig::default();
        if let Some(enabled) = self.read(Setting::SyncEnabled, switch)? {
            sync.mode = enabled.choose(SyncMode::On, SyncMode::Off);
        }
        if let Some(interval_ms) = self.read(Setting::SyncInterval, sweep_interval)? {
            sync.interval_ms = interval_ms;
        }
        if let Some(signatures) = self.read(Setting::SyncSignatures, signatures)? {
            sync.signatures = signatures;
        }
        let pulled_from = |address: &PeerAddress| peers.contains(address);
        if let Some(trusted) = self.read(Setting::TrustedNodes, |text| {
            trusted_nodes(text, pulled_from)
        })? {
            sync.trusted = trusted;
        }
        Ok(sync)
    }

    fn types(&self) -> Result<TypeFilter, SettingsError> {
        let list = |setting: Setting| -> Result<BTreeSet<String>, SettingsError> {
            Ok(self.read(setting, type_list)?.unwrap_or_default())
        };
        let (whitelist, blacklist) = (list(Setting::TypeWhitelist)?, list(Setting::TypeBlacklist)?);
        let filter = self.read(Setting::TypeMode, |text| match text {
            "all" => Ok(TypeFilter::All),
            "whitelist" if whitelist.is_empty() => Err(format!(
                "would index nothing, because {} names no type; list the wanted types there, or set the mode to all",
                Setting::TypeWhitelist.variable()
            )),
            "whitelist" => Ok(TypeFilter::Only(whitelist)),
            "blacklist" => Ok(TypeFilter::Except(blacklist)),
            _ => Err("is not a mode; give all, whitelist or blacklist".to_owned()),
        })?;
        Ok(filter.unwrap_or_default())
    }
}

fn reject_same_port(
    layers: &Layers,
    api: SocketAddr,
    relay: SocketAddr,
) -> Result<(), SettingsError> {
    let overlap =
        api.ip() == relay.ip() || api.ip().is_unspecified() || relay.ip().is_unspecified();
    if api.port() != 0 && api.port() == relay.port() && overlap {
        return Err(SettingsError::SamePort {
            port: api.port(),
            api: layers.origin(Setting::ApiPort),
            relay: layers.origin(Setting::RelayPort),
        });
    }
    Ok(())
}

/// A yes or no as people write it.
#[derive(Clone, Copy)]
enum Switch {
    On,
    Off,
}

impl Switch {
    fn choose<T>(self, on: T, off: T) -> T {
        match self {
            Self::On => on,
            Self::Off => off,
        }
    }
}

fn switch(text: &str) -> Result<Switch, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Switch::On),
        "false" | "0" => Ok(Switch::Off),
        _ => Err("is neither yes nor no; give true, false, 1 or 0".to_owned()),
    }
}

fn address_ranges(text: &str) -> Result<Vec<AddressRange>, String> {
    let ranges: Vec<&str> = text.split(',').map(str::trim).collect();
    if ranges.len() > RANGES_MAX {
        return Err(format!("has more than {RANGES_MAX} ranges; join them"));
    }
    ranges.into_iter().map(AddressRange::parse).collect()
}

fn privacy(text: &str) -> Result<PrivacyDefault, String> {
    switch(text).map(|private| private.choose(PrivacyDefault::Private, PrivacyDefault::Public))
}

fn admission(text: &str) -> Result<Admission, String> {
    match text {
        "oip" => Ok(Admission::Oip),
        "signed" => Ok(Admission::Signed),
        "open" => Ok(Admission::Open),
        _ => Err(
            "is not an admission rule; give oip (OIP-shaped souls), signed (only what a signature proves, and registry entries) or open (any soul)"
                .to_owned(),
        ),
    }
}

fn peer_tokens(text: &str) -> Result<Vec<PeerToken>, String> {
    let names = text.split(',').map(str::trim);
    let given = names.filter(|token| !token.is_empty());
    given
        .map(|token| PeerToken::new(token).map_err(|why| format!("holds a token that {why}")))
        .collect()
}

fn header_text(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => {
            Err("holds a blank or a character outside ASCII, which a header can't carry".to_owned())
        }
    }
}

fn whole_number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "is not a whole number; 0 means no bound".to_owned())
}

fn commit_pause(text: &str) -> Result<Duration, String> {
    let pause_ms = text
        .parse()
        .map_err(|_| "is not a whole number of milliseconds, such as 20".to_owned())?;
    if pause_ms > COMMIT_PAUSE_MS_MAX {
        return Err(format!(
            "is over {COMMIT_PAUSE_MS_MAX} ms; new records would be found too late (20 is usual)"
        ));
    }
    Ok(Duration::from_millis(pause_ms))
}

fn sweep_interval(text: &str) -> Result<u64, String> {
    let interval_ms: u64 = text
        .parse()
        .map_err(|_| "is not a whole number of milliseconds, such as 30000".to_owned())?;
    if interval_ms < SWEEP_INTERVAL_MS_MIN {
        return Err(format!(
            "is under {SWEEP_INTERVAL_MS_MIN} ms; sweeps would only load the peers, because new records arrive by push anyway (30000 is usual; GUN_SYNC_ENABLED=false switches discovery off)"
        ));
    }
    if interval_ms > SWEEP_INTERVAL_MS_MAX {
        return Err(format!(
            "is over {SWEEP_INTERVAL_MS_MAX} ms (a day); what a lost push held back would stay unseen too long (30000 is usual; GUN_SYNC_ENABLED=false switches discovery off)"
        ));
    }
    Ok(interval_ms)
}

fn signatures(text: &str) -> Result<SignaturePolicy, String> {
    match text {
        "require" => Ok(SignaturePolicy::Require),
        "prefer" => Ok(SignaturePolicy::Prefer),
        "off" => Ok(SignaturePolicy::Off),
        _ => Err(
            "is not a signature policy; give require (unsigned records wait in quarantine), prefer (they are taken and marked) or off (closed networks)"
                .to_owned(),
        ),
    }
}

fn trusted_nodes(
    text: &str,
    pulled_from: impl Fn(&PeerAddress) -> bool,
) -> Result<Vec<TrustedNode>, String> {
    let names = text.split(',').map(str::trim);
    let mut trusted = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        let node = TrustedNode::parse(name).map_err(|why| format!("holds {name}, which {why}"))?;
        if let TrustedNode::Peer { peer, .. } = &node
            && !pulled_from(peer)
        {
            return Err(format!(
                "trusts what is pulled from {peer}, which is no peer; name it in {} too",
                Setting::Peers.variable()
            ));
        }
        trusted.push(node);
    }
    if trusted.len() > TRUSTED_MAX {
        return Err(format!("names more than {TRUSTED_MAX} nodes"));
    }
    Ok(trusted)
}

fn type_list(text: &str) -> Result<BTreeSet<String>, String> {
    Ok(text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

fn registry_root(text: &str) -> Result<String, String> {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_'))
    {
        return Err(
            "holds more than letters, digits, colons, - and _; oip:registry is usual".to_owned(),
        );
    }
    if text.ends_with(':') {
        return Err(
            "ends with a colon, which is added between the parts of a soul; oip:registry is usual"
                .to_owned(),
        );
    }
    name_of_soul_part(text)
}

fn node_id(text: &str) -> Result<String, String> {
    if text.contains(':') {
        return Err("holds a colon, which separates the parts of a registry soul; use letters, digits, - and _".to_owned());
    }
    name_of_soul_part(text)
}

fn name_of_soul_part(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty; leave it out to have the default".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!(
            "is longer than {NAME_BYTES_MAX} bytes; it stands in every registry entry, keep it short"
        ));
    }
    if text
        .chars()
        .any(|character| character.is_control() || character.is_whitespace())
    {
        return Err(
            "holds a blank or a control character; use letters, digits, - and _".to_owned(),
        );
    }
    Ok(text.to_owned())
}

impl Layers {
    /// The address under which the API of a node with these settings is reached from this
    /// machine, checking nothing else: the client verbs must not fail on a setting of the node.
    ///
    /// # Errors
    /// An address or a port that isn't one.
    pub fn api_address(&self) -> Result<SocketAddr, SettingsError> {
        let reader = Reader(self);
        let ip = match reader.address(Setting::ApiBind)? {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        Ok(SocketAddr::new(
            ip,
            reader.port(Setting::ApiPort, API_PORT)?,
        ))
    }

    /// The admin token that was set.
    ///
    /// # Errors
    /// A token that isn't one.
    pub fn admin_token(&self) -> Result<Option<AdminToken>, SettingsError> {
        Reader(self).read(Setting::AdminToken, |text| {
            AdminToken::new(text).map_err(str::to_owned)
        })
    }

    /// Whence the passphrase of the key files comes; one that is given itself goes before a file of it.
    #[must_use]
    pub fn key_passphrase(&self) -> Option<KeyPassphrase> {
        // As it is: blanks at its ends belong to it.
        let given = self.get(Setting::KeyPassphrase);
        let given = given.map(|given| KeyPassphrase::Given(Secret::new(given.text.clone())));
        given.or_else(|| {
            let file = self.get(Setting::KeyPassphraseFile).map(relative_to_file);
            file.map(KeyPassphrase::File)
        })
    }

    /// Whether `setting` was given in any layer.
    #[must_use]
    pub fn is_given(&self, setting: Setting) -> bool {
        self.origin(setting) != Origin::Default
    }
}
