//! The relay's HTTP API on real nodes: recorded exchanges of a deployed relay, its clients, and
//! what it must bear.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod bodies;
mod compression;
mod large;
mod live;
mod publisher;
mod pulling;
mod recorded;
mod refusals;
mod support;
