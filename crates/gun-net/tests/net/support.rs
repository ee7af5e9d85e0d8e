//! A network on a free loopback port, with its events at hand.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gun::graph::Entry;
use gun::mesh::{Direction, PeerId};
use gun::wire::{Body, Message, MessageId, Put};
use gun::{Key, Node, Soul, State, Value};
use gun_net::{
    Background, Messages, NetConfig, NetEvent, Network, ServeOptions, ServeStats, serve,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Long enough for a loaded machine; a test that passes never waits this long.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A network that listens, its accept loop included.
pub(crate) struct Harness {
    pub(crate) network: Network,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    pub(crate) address: SocketAddr,
    pub(crate) stats: ServeStats,
    cancel: CancellationToken,
    tracker: TaskTracker,
}

impl Harness {
    /// Listens on a free port.
    pub(crate) async fn start(config: NetConfig) -> Result<Self> {
        Self::listen("127.0.0.1:0", config, ServeOptions::default()).await
    }

    /// Listens on `address`.
    pub(crate) async fn listen(
        address: &str,
        config: NetConfig,
        options: ServeOptions,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Self::with_listener(listener, config, options)
    }

    pub(crate) fn with_listener(
        listener: TcpListener,
        config: NetConfig,
        options: ServeOptions,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        let (sender, events) = mpsc::channel(64);
        let cancel = CancellationToken::new();
        let tracker = TaskTracker::new();
        let network = Network::start(
            config,
            sender,
            cancel.clone(),
            tracker.clone(),
            Background::new()?,
        );
        let stats = ServeStats::default();
        tracker.spawn(serve(
            listener,
            network.router(),
            options,
            stats.clone(),
            cancel.clone(),
            tracker.clone(),
        ));
        Ok(Self {
            network,
            events,
            address,
            stats,
            cancel,
            tracker,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/gun", self.address)
    }

    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Result<NetEvent> {
        let event = timeout(SOON, self.events.recv())
            .await
            .context("no event came")?;
        event.context("the network is gone")
    }

    /// The next event, which has to be a new connection.
    pub(crate) async fn opened(&mut self) -> Result<(PeerId, Direction, String)> {
        match self.event().await? {
            NetEvent::Opened {
                peer,
                direction,
                label,
                ..
            } => Ok((peer, direction, label)),
            other => bail!("expected a new connection, got {other:?}"),
        }
    }

    /// The next event, which has to be a frame.
    pub(crate) async fn frame(&mut self) -> Result<(PeerId, Messages)> {
        match self.event().await? {
            NetEvent::Frame { peer, messages } => Ok((peer, messages)),
            other => bail!("expected a frame, got {other:?}"),
        }
    }

    /// Reads events until a connection is gone.
    pub(crate) async fn closed(&mut self) -> Result<(PeerId, String)> {
        loop {
            if let NetEvent::Closed { peer, why } = self.event().await? {
                return Ok((peer, why));
            }
        }
    }

    /// Stops the network and waits until all its tasks have ended.
    pub(crate) async fn stop(self) -> Result<()> {
        self.cancel.cancel();
        drop(self.events);
        self.tracker.close();
        timeout(SOON, self.tracker.wait())
            .await
            .context("tasks are left after stopping")
    }
}

/// A put of one text value with a fresh id.
pub(crate) fn news(soul: &str, key: &str, text: &str) -> Message {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let bits = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let entry = Entry {
        key: Key::new(key).expect("a key"),
        state: State::from_millis(1_700_000_000_000),
        value: Value::text(text),
    };
    let node = Node {
        soul: Soul::new(soul).expect("a soul"),
        entries: vec![entry],
    };
    Message::new(
        MessageId::from_random(bits),
        Body::Put(Put::new(vec![node])),
    )
}
