//! A real gun.js relay (`interop/relay.js`), on a free loopback port with a folder of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Command;

use crate::interop::Interop;
use crate::process::Process;

/// Node.js loads gun.js in well under a second; a loaded machine gets more.
const START_MAX: Duration = Duration::from_secs(30);

/// What a relay is started with.
#[derive(Debug, Clone, Default)]
pub struct RelayOptions {
    /// Relays it dials, as `http://host:port/gun` or `ws://…`. It only does so once something
    /// local has asked, so give `touch` as well.
    pub peers: Vec<String>,
    /// A soul it gets at the start, and every 2 s while a peer of `peers` is not connected.
    pub touch: Option<String>,
    /// Whether it keeps data on disk. Without, it acknowledges nothing and never says
    /// "not found".
    pub storage: RelayStorage,
}

/// Where a gun.js relay keeps its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RelayStorage {
    /// On disk (radisk), as operators run it.
    #[default]
    Disk,
    /// In memory only.
    Memory,
}

/// A running gun.js relay.
#[derive(Debug)]
pub struct GunRelay {
    interop: Interop,
    options: RelayOptions,
    folder: TempDir,
    port: u16,
    process: Process,
}

impl GunRelay {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(interop: &Interop, options: RelayOptions) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (process, port) = launch(interop, &options, &folder, 0).await?;
        Ok(Self {
            interop: interop.clone(),
            options,
            folder,
            port,
            process,
        })
    }

    /// Its address for a peer: `ws://127.0.0.1:PORT/gun`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/gun", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The folder in which it keeps its graph.
    #[must_use]
    pub fn radata(&self) -> PathBuf {
        self.folder.path().join("radata")
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn kill9(&mut self) -> Result<()> {
        self.process.kill9().await
    }

    /// Ends it, leaving port and folder for [`restart`](Self::restart). It keeps what it has
    /// acknowledged.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.terminate().await.map(|_code| ())
    }

    /// Ends it if it runs, and starts it again on the same port with the same folder.
    ///
    /// # Errors
    /// When it does not end or does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let (process, _port) =
            launch(&self.interop, &self.options, &self.folder, self.port).await?;
        self.process = process;
        Ok(())
    }
}

async fn launch(
    interop: &Interop,
    options: &RelayOptions,
    folder: &TempDir,
    port: u16,
) -> Result<(Process, u16)> {
    let mut command = Command::new("node");
    command
        .current_dir(interop.folder())
        .args(["relay.js", "--port", &port.to_string(), "--dir"])
        .arg(folder.path());
    if !options.peers.is_empty() {
        command.args(["--peers", &options.peers.join(",")]);
    }
    if let Some(soul) = &options.touch {
        command.args(["--touch", soul]);
    }
    if options.storage == RelayStorage::Memory {
        command.args(["--radisk", "false"]);
    }
    let mut process = Process::start("gun.js relay", command)?;
    let line = process.line(START_MAX).await?;
    let ready: serde_json::Value =
        serde_json::from_str(&line).with_context(|| format!("gun.js relay printed {line:?}"))?;
    let port = ready["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    Ok((
        process,
        port.with_context(|| format!("no port in {line:?}"))?,
    ))
}
