//! What the cases run against: our relay as a real process, alone or linked with a real gun.js relay.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use testkit::{GunRelay, Interop, NodeOptions, NodeProcess, RelayOptions};
use tokio::sync::OnceCell;

use crate::catalogue::Relay;

/// A soul that links of gun.js relays ask for, so that they dial.
const TOUCH: &str = "conformance/touch";

/// The relay that most cases share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<OnceCell<NodeProcess>>);

/// The relays of one case.
pub(crate) struct Relays {
    shared: Option<Shared>,
    ours: Option<NodeProcess>,
    gunjs: Option<GunRelay>,
}

fn options(name: &str) -> NodeOptions {
    NodeOptions::named(name).env("OIP_GUN_RELAY_ADMISSION", "open")
}

pub(crate) async fn node(options: NodeOptions) -> Result<NodeProcess> {
    NodeProcess::start(env!("CARGO_BIN_EXE_oip-gun"), options).await
}

/// Our relay as the differential run wants it: any soul.
pub(crate) async fn open_node() -> Result<NodeProcess> {
    node(options("open")).await
}

impl Shared {
    async fn url(&self) -> Result<String> {
        let node = self.0.get_or_try_init(|| node(options("shared"))).await?;
        Ok(node.relay().to_owned())
    }
}

impl Relays {
    pub(crate) async fn start(interop: &Interop, kind: Relay, shared: &Shared) -> Result<Self> {
        let mut relays = Self {
            shared: None,
            ours: None,
            gunjs: None,
        };
        match kind {
            Relay::Shared => relays.shared = Some(shared.clone()),
            Relay::Own => relays.ours = Some(node(options("own")).await?),
            Relay::DialsGunjs => {
                let gunjs = GunRelay::start(interop, RelayOptions::default()).await?;
                let options = options("dialling").env("GUN_PEERS", gunjs.url());
                relays.ours = Some(node(options).await?);
                relays.gunjs = Some(gunjs);
            }
            Relay::DialledByGunjs => {
                let ours = node(options("dialled")).await?;
                let options = RelayOptions {
                    peers: vec![ours.relay().to_owned()],
                    touch: Some(TOUCH.to_owned()),
                    ..RelayOptions::default()
                };
                relays.gunjs = Some(GunRelay::start(interop, options).await?);
                relays.ours = Some(ours);
            }
        }
        Ok(relays)
    }

    /// Ours, then that of gun.js where there is one.
    pub(crate) async fn urls(&self) -> Result<Vec<String>> {
        let ours = match (&self.shared, &self.ours) {
            (Some(shared), _) => shared.url().await?,
            (None, Some(node)) => node.relay().to_owned(),
            (None, None) => bail!("a case without a relay"),
        };
        Ok(std::iter::once(ours)
            .chain(self.gunjs.as_ref().map(GunRelay::url))
            .collect())
    }

    /// Does to our relay what the script asks for.
    pub(crate) async fn obey(&mut self, ask: &str) -> Result<()> {
        let ours = self
            .ours
            .as_mut()
            .context("a case that restarts its relay needs one of its own: relay = \"own\"")?;
        match ask {
            "stop" => ours.terminate().await.map(|_code| ()),
            "start" | "restart" => ours.restart().await,
            other => bail!("the script asks for {other:?}, which nobody knows"),
        }
    }
}
