//! The main job with real processes: nodes, gun.js relays between them, restarts and kills.

mod browser;
mod crash;
mod fidelity;
mod journey;
mod topologies;
