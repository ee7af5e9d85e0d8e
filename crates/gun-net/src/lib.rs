//! GUN over WebSockets: server, dialer, bounded outboxes, keepalive and reconnect; and deployed
//! nodes' graphs over plain HTTP.
//!
//! * [`address`]: peers as the operator names them
//! * [`background`]: dear work of strangers, behind all other
//! * [`network`]: the connections, their events, sending
//! * `guard`: tokens at the door of the relay port
//! * [`pull`]: peers that are asked over plain HTTP
//! * `relay`: the WebSocket endpoint `/gun`
//! * [`server`]: the accept loop of every HTTP port, with timers and caps
//! * `trickle`: requests that come a few bytes at a time
//! * [`status`]: what is known about each link
//!
//! Owns sockets, frames and queues; knows nothing of what messages mean. Every queue is
//! bounded and has a policy for being full; a slow peer never slows another.

pub mod address;
pub mod background;
mod backoff;
mod connection;
mod dialer;
mod guard;
mod link;
mod meter;
pub mod network;
mod outbox;
pub mod pull;
mod relay;
pub mod server;
pub mod status;
mod tls;
mod trickle;
mod unfinished;

/// The routes of a port, as [`serve`] takes them.
pub use axum::Router;

pub use address::{AddressError, PeerAddress, Transport, parse_peers};
pub use background::Background;
pub use guard::guard;
pub use network::{IntoMessages, Messages, NetConfig, NetEvent, Network, SendResult, Timers};
pub use outbox::OutboxLimits;
pub use pull::{Known, PullError, PullPeer, Pulled};
pub use server::{Admitted, ServeOptions, ServeStats, serve};
pub use status::{LinkPhase, LinkStatus, Traffic};
