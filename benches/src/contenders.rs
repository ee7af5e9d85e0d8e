//! The processes that are measured: this project's release binary and a real gun.js relay, each
//! with a folder of its own. Refuses to build anything: `cargo xtask bench` has done that.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use testkit::relay::RelayStorage;
use testkit::{GunRelay, Interop, NodeOptions, NodeProcess, RelayOptions};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::footprint::{self, Memory};
use crate::options::Options;

/// Names the binary; `cargo xtask bench` sets it.
const BINARY_VARIABLE: &str = "OIP_GUN_BIN";

fn binary() -> Result<PathBuf> {
    let path = std::env::var_os(BINARY_VARIABLE)
        .map(PathBuf::from)
        .with_context(|| format!("{BINARY_VARIABLE} is not set: run `cargo xtask bench`"))?;
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(path)
}

/// Starts a node that dials `peers` (with commas between them).
///
/// # Errors
/// When it does not become ready.
pub async fn node(name: &str, peers: &str, options: &Options) -> Result<NodeProcess> {
    let with = NodeOptions::named(name)
        .env("GUN_PEERS", peers)
        .env("RUST_LOG", &options.log);
    start(with).await
}

/// Starts a node with these options.
///
/// # Errors
/// When it does not become ready.
pub async fn start(with: NodeOptions) -> Result<NodeProcess> {
    NodeProcess::start(binary()?, with).await
}

/// Where a relay keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// On disk, as operators run it.
    Disk,
    /// In memory only: the protocol alone. Ours has no such mode; a program of the benches takes its place
    /// ([`crate::core_relay`]), with the sockets and the mesh of a node, a map for a store, and no promise.
    Memory,
}

/// A relay for anybody's data.
#[derive(Debug)]
pub enum Relay {
    /// Ours, with admission open.
    Ours(Box<NodeProcess>),
    /// The npm package `gun` with radisk, as operators run it.
    GunJs(Box<GunRelay>),
    /// Our protocol core without a store.
    Core(Box<Core>),
}

/// A running [`crate::core_relay`].
#[derive(Debug)]
pub struct Core {
    url: String,
    process: Child,
}

/// Which relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Ours,
    /// gun.js.
    GunJs,
}

impl Kind {
    /// Name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "oip-gun",
            Self::GunJs => "gun.js",
        }
    }

    /// Those that can be measured here, gun.js first so that ours never has the warmer machine.
    #[must_use]
    pub fn available(interop: Option<&Interop>) -> Vec<Self> {
        let gun_js = interop.map(|_| Self::GunJs);
        gun_js.into_iter().chain([Self::Ours]).collect()
    }
}

impl Relay {
    /// Starts one with an empty folder.
    ///
    /// # Errors
    /// When it does not become ready, or gun.js is not here.
    pub async fn start(kind: Kind, interop: Option<&Interop>, options: &Options) -> Result<Self> {
        Self::start_with(kind, Storage::Disk, interop, options).await
    }

    /// Starts one that keeps its data there.
    ///
    /// # Errors
    /// When it does not become ready, or gun.js is not here.
    pub async fn start_with(
        kind: Kind,
        storage: Storage,
        interop: Option<&Interop>,
        options: &Options,
    ) -> Result<Self> {
        Ok(match (kind, storage) {
            (Kind::Ours, Storage::Memory) => Self::Core(Box::new(Core::start().await?)),
            (Kind::Ours, Storage::Disk) => {
                let with = NodeOptions::named("oip-gun")
                    .env("OIP_GUN_RELAY_ADMISSION", "open")
                    .env("RUST_LOG", &options.log);
                Self::Ours(Box::new(NodeProcess::start(binary()?, with).await?))
            }
            (Kind::GunJs, storage) => {
                let interop = interop.context("the gun package is not installed")?;
                let with = RelayOptions {
                    storage: match storage {
                        Storage::Disk => RelayStorage::Disk,
                        Storage::Memory => RelayStorage::Memory,
                    },
                    ..RelayOptions::default()
                };
                Self::GunJs(Box::new(GunRelay::start(interop, with).await?))
            }
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Ours(node) => node.relay().to_owned(),
            Self::GunJs(relay) => relay.url(),
            Self::Core(core) => core.url.clone(),
        }
    }

    /// The folder that it writes to.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Ours(node) => Some(node.folder()),
            Self::GunJs(relay) => Some(relay.folder()),
            Self::Core(_) => None,
        }
    }

    fn process_id(&self) -> Option<u32> {
        match self {
            Self::Ours(node) => node.id(),
            Self::GunJs(relay) => relay.id(),
            Self::Core(core) => core.process.id(),
        }
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        footprint::memory(self.process_id())
    }

    /// Processor time it has used since it was started.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        footprint::cpu_seconds(self.process_id())
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Ours(node) => node.terminate().await.map(drop),
            Self::GunJs(relay) => relay.stop().await,
            Self::Core(core) => Ok(core.process.kill().await?),
        }
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_again(&mut self) -> Result<()> {
        match self {
            Self::Ours(node) => node.restart().await,
            Self::GunJs(relay) => relay.restart().await,
            Self::Core(_) => bail!("it keeps nothing"),
        }
    }

    /// Ends it as a crash would and starts it again on the same port and folder.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn crash_and_restart(&mut self) -> Result<()> {
        match self {
            Self::Ours(node) => node.kill9().await?,
            Self::GunJs(relay) => relay.kill9().await?,
            Self::Core(_) => {}
        }
        self.start_again().await
    }
}

impl Core {
    /// This very program, told to serve.
    async fn start() -> Result<Self> {
        let program = std::env::current_exe()?;
        let mut process = Command::new(&program)
            .arg(crate::core_relay::ARGUMENT)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let out = process.stdout.take().context("its output is piped")?;
        let url = BufReader::new(out).lines().next_line().await?;
        Ok(Self {
            url: url.context("the core relay ended at once")?,
            process,
        })
    }
}
