//! `oip-gun serve`: the node in the foreground, from settings to a graceful end.
//!
//! Order at start: settings, API port, node (which takes the data folder and the relay port),
//! admin token, ready line. Order at the end: no new request, requests answered, writes done,
//! node drained.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use gun_net::{ServeOptions, ServeStats};
use oip_node::Node;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use super::output::{self, Output};
use super::stop::{StdinEnd, Stop};
use super::token;
use crate::api::{Access, ApiState, LocalWriting, MachineTokens, router};
use crate::relay_api;
use crate::settings::{AdminToken, Flags, Layers, Setting, Settings};

/// The longest a graceful stop may take; supervisors kill after 30 s at the earliest.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);
/// A token shorter than this can be guessed by trying.
const TOKEN_CHARS_SAFE: usize = 16;
/// What is logged when RUST_LOG doesn't say: the node's own words, and what its libraries warn of.
const LOG_DEFAULT: &str = "info,fjall=warn,lsm_tree=warn,tantivy=warn,hyper=warn";

const EXAMPLES: &str = "\
Examples:
  oip-gun serve
  oip-gun serve --data-dir /var/lib/oip-gun --peer wss://relay.example/gun
  oip-gun serve --config /etc/oip-gun.toml --log-format json
  oip-gun serve --port 0 --relay-port 0 --json   free ports; the ready line tells which

Settings come from defaults, then a TOML file (--config, OIP_GUN_CONFIG, or oip-gun.toml in the
data folder), then the environment, then flags; the later one wins. Also known, without a flag:
  OIP_GUN_ADMIN_TOKEN           the token for writing [default: made at first start, in the data folder]
  DISABLE_GUN_RELAY_PROXY       true: the graph is not served at /gun-relay on the API port
  GUN_EXTERNAL_PEERS            more peers, joined with those of GUN_PEERS
  GUN_DEFAULT_PRIVACY           true: records that say nothing about access are private
  GUN_ENABLE_ENCRYPTION         false: records that ask for privacy are refused [default: true]
  GUN_SYNC_PRIVATE_RECORDS      false: what others sealed to this node stays ciphertext [default: true]
  GUN_DECRYPT_FOREIGN_RECORDS   the same by its other name
  GUN_NODE_ENCRYPTION_KEY       the encryption key (P-256 JWK) from a secret store [default: in the data folder]
  OIP_GUN_KEY_PASSPHRASE        what the key files are locked with (`oip-gun keys protect`) [default: not locked]
  OIP_GUN_KEY_PASSPHRASE_FILE   a file that holds it
  JWT_SECRET                    what users' tokens are signed with [default: none, no users]
  RECORD_TYPE_INDEX_MODE        all, whitelist or blacklist
  RECORD_TYPE_INDEX_WHITELIST   types, separated by commas
  RECORD_TYPE_INDEX_BLACKLIST   types, separated by commas
  RUST_LOG                      what is logged, such as info or oip_node=debug";

/// Run a node: the relay, the sync and the HTTP API
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// Settings file (TOML) [env: OIP_GUN_CONFIG] [default: oip-gun.toml in the data folder, if there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of store, index and keys [env: OIP_GUN_DATA_DIR] [default: ~/.local/share/oip-gun]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address the API listens on [env: OIP_GUN_BIND] [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    bind: Option<String>,
    /// Port of the API, 0 takes a free one [env: PORT] [default: 3005]
    #[arg(long, value_name = "PORT")]
    port: Option<String>,
    /// Address the relay listens on [env: OIP_GUN_RELAY_BIND] [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    relay_bind: Option<String>,
    /// Port of the relay, 0 takes a free one [env: GUN_RELAY_PORT] [default: 8765]
    #[arg(long, value_name = "PORT")]
    relay_port: Option<String>,
    /// Which graph writes the relay takes: oip, signed or open [env: OIP_GUN_RELAY_ADMISSION] [default: oip]
    #[arg(long, value_name = "RULE")]
    relay_admission: Option<String>,
    /// A relay or node to dial; repeat for more [env: GUN_PEERS] [default: none]
    #[arg(long, value_name = "URL")]
    peer: Vec<String>,
    /// Discover other nodes' records: true or false [env: GUN_SYNC_ENABLED] [default: true]
    #[arg(long, value_name = "SWITCH")]
    sync: Option<String>,
    /// Milliseconds between two sweeps [env: GUN_SYNC_INTERVAL] [default: 30000]
    #[arg(long, value_name = "MS")]
    sync_interval: Option<String>,
    /// Unsigned records: require, prefer or off [env: GUN_SYNC_SIGNATURES] [default: prefer]
    #[arg(long, value_name = "POLICY")]
    sync_signatures: Option<String>,
    /// Root of the registry on the graph [env: GUN_REGISTRY_ROOT] [default: oip:registry]
    #[arg(long, value_name = "SOUL")]
    registry_root: Option<String>,
    /// Alias for the node id in registry entries [env: GUN_NODE_ID_OVERRIDE] [default: the derived id]
    #[arg(long, value_name = "ALIAS")]
    node_id: Option<String>,
    /// Arweave wallet (JWK) to sign records with [env: WALLET_FILE] [default: a key made at first start]
    #[arg(long, value_name = "FILE")]
    wallet_file: Option<String>,
    /// Form of the log on stderr
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Stop when stdin ends, so that the node never outlives what started it
    #[arg(long)]
    stop_on_stdin_end: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

impl ServeArgs {
    pub(super) fn into_flags(self) -> Flags {
        let peers = (!self.peer.is_empty()).then(|| self.peer.join(","));
        let values: BTreeMap<Setting, String> = [
            (Setting::DataDir, self.data_dir),
            (Setting::ApiBind, self.bind),
            (Setting::ApiPort, self.port),
            (Setting::RelayBind, self.relay_bind),
            (Setting::RelayPort, self.relay_port),
            (Setting::RelayAdmission, self.relay_admission),
            (Setting::Peers, peers),
            (Setting::SyncEnabled, self.sync),
            (Setting::SyncInterval, self.sync_interval),
            (Setting::SyncSignatures, self.sync_signatures),
            (Setting::RegistryRoot, self.registry_root),
            (Setting::NodeIdOverride, self.node_id),
            (Setting::WalletFile, self.wallet_file),
        ]
        .into_iter()
        .filter_map(|(setting, value)| Some((setting, value?)))
        .collect();
        Flags {
            config: self.config,
            values,
        }
    }
}

pub(super) async fn run(args: ServeArgs, output: Output) -> anyhow::Result<ExitCode> {
    start_log(args.log_format)?;
    let stdin_end = if args.stop_on_stdin_end {
        StdinEnd::Stops
    } else {
        StdinEnd::Ignored
    };
    let stop = Stop::listen(stdin_end)?;
    let layers = Layers::collect(args.into_flags(), &|name| std::env::var(name).ok())?;
    let settings = Settings::interpret(layers)?;
    if settings.has_short_jwt_secret() {
        tracing::warn!(
            "JWT_SECRET has less than 16 characters: it can be found by trying, from one token"
        );
    }
    let listener = bind(settings.api_listen).await?;
    // A node that pulls from its own API would only ever find what it has.
    gun_net::address::refuse_ourselves(&settings.node.peers, &[listener.local_addr()?])?;
    let node = tokio::select! {
        node = Node::start_with(settings.node.clone(), relay_api::router) => node.map_err(|error| anyhow::anyhow!("{}", crate::api::causes(&error)))?,
        () = stop.asked() => return Ok(ExitCode::SUCCESS),
    };
    let served = serve(&settings, listener, &node, &stop, output).await;
    // The node is drained also when the API failed: what is in the store stays whole.
    let drained = tokio::time::timeout(DRAIN_TIME_MAX, node.stop()).await;
    served?;
    if drained.is_err() {
        bail!(
            "the node did not stop within {} s; what was acknowledged is durable all the same",
            DRAIN_TIME_MAX.as_secs()
        );
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Serves the API until a stop is asked for, and answers what was begun.
async fn serve(
    settings: &Settings,
    listener: TcpListener,
    node: &Node,
    stop: &Stop,
    output: Output,
) -> anyhow::Result<()> {
    let address = listener
        .local_addr()
        .context("failed to read the address of the API")?;
    let state =
        ApiState::new(node.clone(), access(settings, address)?).with_gun_relay(settings.gun_relay);
    let cancel = CancellationToken::new();
    let connections = TaskTracker::new();
    let mut api = std::pin::pin!(gun_net::serve(
        listener,
        router(state.clone()),
        ServeOptions::default(),
        ServeStats::default(),
        cancel.clone(),
        connections.clone(),
    ));
    ready(address, node, output)?;
    tokio::select! {
        () = &mut api => bail!("the API stopped accepting connections"),
        () = stop.asked() => {}
    }
    cancel.cancel();
    let drained = tokio::time::timeout(DRAIN_TIME_MAX, async {
        api.await;
        connections.close();
        connections.wait().await;
        state.drain().await;
    });
    if drained.await.is_err() {
        tracing::warn!("requests were still under way at the end of the time for a graceful stop");
    }
    Ok(())
}

fn access(settings: &Settings, address: SocketAddr) -> anyhow::Result<Access> {
    let made = match &settings.admin_token {
        Some(_) => None,
        None => Some(token::read_or_make(&settings.token_file())?),
    };
    let is_loopback = address.ip().is_loopback();
    let (token, local_writing): (AdminToken, LocalWriting) = match (&settings.admin_token, made) {
        (Some(token), _) => {
            if token.text().len() < TOKEN_CHARS_SAFE {
                tracing::warn!(
                    "OIP_GUN_ADMIN_TOKEN is shorter than {TOKEN_CHARS_SAFE} characters and can be guessed; `openssl rand -hex 32` gives a good one"
                );
            }
            (token.clone(), LocalWriting::NeedsToken)
        }
        (None, Some(token)) if is_loopback => (token, LocalWriting::Open),
        (None, Some(token)) => {
            tracing::info!(
                file = %settings.token_file().display(),
                "the API is not bound to loopback: writing needs the admin token in this file"
            );
            (token, LocalWriting::NeedsToken)
        }
        (None, None) => bail!("no admin token"),
    };
    let machines = MachineTokens::open(settings.machine_tokens_file())?;
    Ok(Access::new(token, local_writing)
        .with_users(settings.users.clone())
        .with_machines(machines))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let cure = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another process has this port: stop it, or give another by --port or PORT (0 takes a free one)".to_owned()
            }
            std::io::ErrorKind::AddrNotAvailable => {
                "this machine does not have that address: give another by --bind or OIP_GUN_BIND".to_owned()
            }
            std::io::ErrorKind::PermissionDenied => {
                "this user may not listen there: give a port above 1023 by --port or PORT".to_owned()
            }
            _ => error.to_string(),
        };
        anyhow::anyhow!("the API can't listen on {address}: {cure}")
    })
}

fn ready(address: SocketAddr, node: &Node, output: Output) -> anyhow::Result<()> {
    let api = format!("http://{address}");
    let relay = format!("ws://{}/gun", node.relay_address());
    let node_id = node.node_id();
    match output {
        Output::Text => output::line(&format!(
            "oip-gun ready: api {api} relay {relay} node {node_id}"
        )),
        Output::Json => output::json(&json!({
            "ready": true,
            "api": api,
            "relay": relay,
            "nodeId": node_id,
        })),
    }
}

fn start_log(format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(directives) if !directives.trim().is_empty() => EnvFilter::try_new(&directives)
            .with_context(|| {
                format!(
                    "RUST_LOG is {directives:?}, which is no log filter; give one such as info or oip_node=debug"
                )
            })?,
        _ => EnvFilter::new(LOG_DEFAULT),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            log.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("failed to start the log: {error}"))
}
