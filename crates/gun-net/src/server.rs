//! The accept loop of an HTTP port: timers on headers, caps on connections, an orderly end.
//!
//! Used for every port of a node. (`axum::serve` leaves the header timer of hyper inert, so
//! that a client could hold a connection for ever by never finishing its request.)

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::trickle::{Unhurried, Upgraded};

/// Pause after the system refused to accept: it has run out of files or memory, and asking
/// again at once would only keep a core busy.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// At most one warning about turned away connections in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Longest request head. Browsers send cookies of all services on the host.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Timers and caps of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// From accepting a connection, or the end of the last request on it, to the last byte of
    /// a request head.
    pub header_max: Duration,
    /// How long requests under way may take once the node stops.
    pub drain_max: Duration,
    /// Connections of this port. Each costs about 50 KB when idle.
    pub connections_max: usize,
    /// Connections from one address (IPv6: one /64, which is what one customer gets). Browsers
    /// behind one office gateway or a reverse proxy share theirs.
    pub per_address_max: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_max: Duration::from_secs(30),
            drain_max: Duration::from_secs(10),
            connections_max: 4_096,
            per_address_max: 1_024,
        }
    }
}

/// What an accept loop has done, for metrics. Cheap to clone; one per port.
#[derive(Debug, Clone, Default)]
pub struct ServeStats {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    unauthorized: AtomicU64,
    open: AtomicUsize,
}

impl ServeStats {
    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Connections closed at once because a cap was reached.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.counts.turned_away.load(Ordering::Relaxed)
    }

    /// Requests refused because they bore no token of this relay.
    #[must_use]
    pub fn unauthorized(&self) -> u64 {
        self.counts.unauthorized.load(Ordering::Relaxed)
    }

    pub(crate) fn count_unauthorized(&self) {
        self.counts.unauthorized.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections open now, upgraded ones included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }
}

/// A connection's place under the caps, freed when the last clone is dropped. It stands in
/// the extensions of each request, so that an upgraded connection can keep it.
#[derive(Debug, Clone)]
pub struct Admitted {
    place: Arc<Place>,
}

impl Admitted {
    /// What counts as the address of the other side: an IPv4 address, or the /64 of an IPv6 one.
    #[must_use]
    pub fn origin(&self) -> IpAddr {
        self.place.origin
    }

    /// The connection is no longer one of requests.
    pub(crate) fn upgraded(&self) {
        self.place.upgraded.set();
    }
}

#[derive(Debug)]
struct Place {
    caps: Arc<Caps>,
    origin: IpAddr,
    upgraded: Upgraded,
}

#[derive(Debug)]
struct Caps {
    options: ServeOptions,
    stats: ServeStats,
    by_origin: Mutex<HashMap<IpAddr, usize>>,
}

impl Caps {
    fn admit(self: &Arc<Self>, remote: IpAddr) -> Option<Admitted> {
        let origin = origin(remote);
        let mut by_origin = self.lock();
        let held = by_origin.entry(origin).or_default();
        let counts = &self.stats.counts;
        let full = counts.open.load(Ordering::Relaxed) >= self.options.connections_max;
        if full || *held >= self.options.per_address_max {
            if *held == 0 {
                by_origin.remove(&origin);
            }
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *held += 1;
        counts.open.fetch_add(1, Ordering::Relaxed);
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        let caps = Arc::clone(self);
        Some(Admitted {
            place: Arc::new(Place {
                caps,
                origin,
                upgraded: Upgraded::default(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // No code that can panic runs under the lock.
        self.by_origin
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_origin = self.caps.lock();
        if let Some(held) = by_origin.get_mut(&self.origin) {
            *held -= 1;
            if *held == 0 {
                by_origin.remove(&self.origin);
            }
        }
        self.caps.stats.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one address.
fn origin(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Serves `router` on `listener` until `cancel`, then lets requests under way finish.
/// Returns when no connection is left that is not upgraded, or after the drain time.
///
/// Requests carry `ConnectInfo<SocketAddr>` and [`Admitted`] in their extensions.
/// Connections run on `tracker`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    stats: ServeStats,
    cancel: CancellationToken,
    tracker: TaskTracker,
) {
    let caps = Arc::new(Caps {
        options,
        stats,
        by_origin: Mutex::default(),
    });
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => break,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                warn!(%error, "can't accept connections; trying on");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(admitted) = caps.admit(remote.ip()) else {
            if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                warned = Some(Instant::now());
                let turned_away = caps.stats.turned_away();
                warn!(%remote, turned_away, "too many connections; new ones are turned away");
            }
            continue;
        };
        let connection = Connection {
            remote,
            admitted,
            router: router.clone(),
            header_max: options.header_max,
            finish: cancel.clone(),
            cut: cut.clone(),
        };
        tracker.spawn(connections.track_future(connection.run(stream)));
    }
    // Closing the port at once lets a successor bind it while requests finish.
    drop(listener);
    connections.close();
    if timeout(options.drain_max, connections.wait())
        .await
        .is_err()
    {
        debug!(left = connections.len(), "connections were cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// One HTTP connection.
struct Connection {
    remote: SocketAddr,
    admitted: Admitted,
    router: Router,
    header_max: Duration,
    /// No further request after this.
    finish: CancellationToken,
    /// End at once.
    cut: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Acks and pushes are small and must not wait for each other.
        if let Err(error) = stream.set_nodelay(true) {
            return debug!(remote = %self.remote, %error, "a connection ended at once");
        }
        let Self {
            remote,
            admitted,
            router,
            ..
        } = self;
        let stream = Unhurried::new(stream, admitted.place.upgraded.clone());
        let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(remote));
            request.extensions_mut().insert(admitted.clone());
            request.map(axum::body::Body::new)
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_max)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = self.cut.cancelled() => return,
            () = self.finish.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut serving => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            debug!(%remote, %error, "an HTTP connection ended early");
        }
    }
}

/// Whether accepting failed because that one connection was already gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
