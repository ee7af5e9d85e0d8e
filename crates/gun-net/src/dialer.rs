//! Keeps one configured address connected, for ever.
//!
//! gun.js gives up after one failed attempt; this dialer never does. The one exception is an
//! address that leads to this node itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gun::mesh::{Direction, PeerId};
use rand::Rng;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::address::{PeerAddress, Security};
use crate::backoff::Backoff;
use crate::connection;
use crate::meter::{Meter, Metered, Meters};
use crate::network::Inner;
use crate::status::{LinkPhase, LinkStatus, Traffic};
use crate::tls;
use crate::unfinished::FrameState;

/// Why an address is refused that leads back here.
pub(crate) const OURSELVES: &str =
    "the address leads to this node itself: remove it from the list of peers";

/// A configured address and how it stands.
#[derive(Debug)]
pub(crate) struct Dial {
    address: PeerAddress,
    meter: Arc<Meter>,
    refused: CancellationToken,
    state: Mutex<DialState>,
}

#[derive(Debug)]
struct DialState {
    phase: LinkPhase,
    since_ms: u64,
    peer: Option<PeerId>,
    attempts: u64,
    last_error: Option<String>,
}

/// Why dialling failed; each message says what to look at.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("{host}:{port} can't be reached ({why}): is the peer running, and the port right?")]
    Unreachable {
        host: String,
        port: u16,
        why: std::io::Error,
    },
    #[error("no WebSocket within {0:?}: is a GUN relay listening there?")]
    TimedOut(std::time::Duration),
    #[error("the peer answered HTTP {0} instead of opening a WebSocket: is the path right?")]
    Http(u16),
    #[error("the peer does not speak WebSocket ({0}): does the port belong to a GUN relay?")]
    NotWebSocket(ProtocolError),
    #[error("TLS failed ({0}): does the peer have a valid certificate for this name?")]
    Tls(String),
    #[error("the connection broke while it was opened: {0}")]
    Broken(tungstenite::Error),
    #[error("{OURSELVES}")]
    Ourselves,
}

impl Dial {
    pub(crate) fn new(address: PeerAddress, now_ms: u64) -> Self {
        let state = DialState {
            phase: LinkPhase::Connecting,
            since_ms: now_ms,
            peer: None,
            attempts: 0,
            last_error: None,
        };
        Self {
            address,
            meter: Arc::default(),
            refused: CancellationToken::new(),
            state: Mutex::new(state),
        }
    }

    /// The connection, while there is one.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.lock().peer
    }

    /// Stops dialling for good.
    pub(crate) fn refuse(&self, reason: &str) {
        self.lock().phase = LinkPhase::Refused(reason.to_owned());
        self.refused.cancel();
    }

    pub(crate) fn status(&self, outbox_len: usize) -> LinkStatus {
        let state = self.lock();
        LinkStatus {
            label: self.address.to_string(),
            direction: Direction::Dialled,
            phase: state.phase.clone(),
            peer: state.peer,
            since_ms: state.since_ms,
            last_heard_ms: Some(self.meter.heard_ms()).filter(|ms| *ms > 0),
            attempts: state.attempts,
            last_error: state.last_error.clone(),
            traffic: Traffic::of(&self.meter),
            outbox_len,
        }
    }

    /// Enters a phase; a refused address stays refused.
    fn enter(&self, phase: LinkPhase, peer: Option<PeerId>, now_ms: u64) {
        let mut state = self.lock();
        state.peer = peer;
        if !matches!(state.phase, LinkPhase::Refused(_)) {
            state.phase = phase;
            state.since_ms = now_ms;
        }
    }

    /// Notes why a link or an attempt ended; returns whether that is news.
    fn note(&self, why: String) -> bool {
        let mut state = self.lock();
        let news = state.last_error.as_ref() != Some(&why);
        state.last_error = Some(why);
        news
    }

    fn lock(&self) -> MutexGuard<'_, DialState> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dials, serves the connection, waits, and begins again until the node stops.
pub(crate) async fn keep_connected(dial: Arc<Dial>, net: Arc<Inner>) {
    let timers = net.config.timers;
    let mut backoff = Backoff::new(timers.backoff_first, timers.backoff_longest);
    loop {
        dial.lock().attempts += 1;
        dial.enter(LinkPhase::Connecting, None, net.clock.now_ms());
        let attempt = tokio::select! {
            attempt = timeout(timers.connect_max, open(&dial, &net)) => attempt,
            () = net.cancel.cancelled() => break,
        };
        match attempt.unwrap_or(Err(DialError::TimedOut(timers.connect_max))) {
            Ok(socket) => {
                let since = Instant::now();
                serve(&dial, &net, socket).await;
                if since.elapsed() >= timers.stable_after {
                    backoff.reset();
                }
            }
            Err(DialError::Ourselves) => {
                warn!(address = %dial.address, "peer refused: {OURSELVES}");
                dial.refuse(OURSELVES);
            }
            Err(error) => {
                let why = error.to_string();
                // Said once; a peer that stays away shows in the health report.
                if dial.note(why.clone()) {
                    warn!(address = %dial.address, why, "peer can't be reached; trying on");
                } else {
                    debug!(address = %dial.address, why, "peer still can't be reached");
                }
            }
        }
        if dial.refused.is_cancelled() {
            return;
        }
        dial.enter(LinkPhase::Waiting, None, net.clock.now_ms());
        let wait = backoff.next(rand::rng().random());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = dial.refused.cancelled() => return,
            () = net.cancel.cancelled() => break,
        }
    }
    dial.enter(LinkPhase::Stopped, None, net.clock.now_ms());
}

/// A connection this side opened.
type Socket = WebSocketStream<MaybeTlsStream<Metered<TcpStream>>>;

async fn serve(dial: &Dial, net: &Arc<Inner>, socket: Socket) {
    let label = dial.address.to_string();
    let link = net.open(
        Direction::Dialled,
        label,
        None,
        net.meters(Arc::clone(&dial.meter)),
        FrameState::default(),
    );
    dial.enter(LinkPhase::Connected, Some(link.peer), net.clock.now_ms());
    info!(address = %dial.address, peer = link.peer.0, "connected to a peer");
    let peer = link.peer.0;
    let why = connection::run(socket, link, Arc::clone(net)).await;
    dial.enter(LinkPhase::Waiting, None, net.clock.now_ms());
    if net.cancel.is_cancelled() {
        return;
    }
    info!(address = %dial.address, peer, why, "lost a peer");
    dial.note(why);
}

async fn open(dial: &Dial, net: &Inner) -> Result<Socket, DialError> {
    let address = &dial.address;
    let unreachable = |why| DialError::Unreachable {
        host: address.host().to_owned(),
        port: address.port(),
        why,
    };
    let stream = TcpStream::connect((address.host(), address.port()))
        .await
        .map_err(unreachable)?;
    if leads_here(&stream, net) {
        return Err(DialError::Ourselves);
    }
    stream.set_nodelay(true).map_err(unreachable)?;
    let meters: Meters = net.meters(Arc::clone(&dial.meter));
    let config = connection::websocket_config(&net.config.dialled);
    let connector = match address.security() {
        Security::Plain => None,
        Security::Tls => Some(tls::connector().map_err(|error| DialError::Tls(error.to_string()))?),
    };
    let stream = Metered::new(stream, meters);
    let handshake = client_async_tls_with_config(address.as_str(), stream, Some(config), connector);
    match handshake.await {
        Ok((socket, _response)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(DialError::Http(response.status().as_u16())),
        Err(tungstenite::Error::Protocol(error)) => Err(DialError::NotWebSocket(error)),
        Err(tungstenite::Error::Tls(error)) => Err(DialError::Tls(error.to_string())),
        // rustls reports a certificate it does not accept as invalid data.
        Err(tungstenite::Error::Io(error))
            if address.security() == Security::Tls
                && error.kind() == std::io::ErrorKind::InvalidData =>
        {
            Err(DialError::Tls(error.to_string()))
        }
        Err(error) => Err(DialError::Broken(error)),
    }
}

/// Whether the connection ends at this node's own listening socket, whatever name was dialled.
fn leads_here(stream: &TcpStream, net: &Inner) -> bool {
    let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return false;
    };
    net.config.listening.iter().any(|own| {
        let same_host = if own.ip().is_unspecified() {
            remote.ip() == local.ip()
        } else {
            remote.ip() == own.ip()
        };
        own.port() == remote.port() && same_host
    })
}
