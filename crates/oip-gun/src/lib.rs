//! The `oip-gun` binary: the daemon, its HTTP API, the demo and the client verbs.
//!
//! * [`settings`]: defaults < TOML file < environment < flags
//! * [`api`]: the HTTP API of the node
//! * [`relay_api`]: the HTTP API of the relay port
//! * `http`: what both share
//! * [`client`]: what the verbs use to talk to a running node
//! * [`cli`]: the command line, one file per verb
//! * [`demo`]: nodes on loopback that show records arrive
//!
//! The node itself is `oip-node`; nothing here knows the rules of records or of the graph.

pub mod api;
pub mod cli;
pub mod client;
pub mod demo;
mod http;
pub mod relay_api;
pub mod settings;
