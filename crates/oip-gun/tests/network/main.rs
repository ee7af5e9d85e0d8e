//! The main job with real processes: nodes, gun.js relays between them, restarts and kills.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod backup;
mod browser;
mod crash;
mod deployed;
mod fidelity;
mod journey;
mod migration;
mod topologies;
