//! The network with real sockets on loopback.

mod dialing;
mod gun_js;
mod relay_endpoint;
mod slow_readers;
mod support;
