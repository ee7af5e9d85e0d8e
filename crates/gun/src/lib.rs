//! The GUN protocol, pure: no sockets, no files, no clock, no global randomness.
//!
//! * [`graph`]: souls, keys, values, states, nodes
//! * [`text`]: the JSON text of a value exactly as JavaScript writes it
//! * [`ham`]: the merge rule
//! * [`wire`]: messages, their JSON text, frames, limits
//! * [`sea`]: users: signed spaces, certificates, sealed texts
//! * [`mesh`]: what a peer does with messages, as a state machine
//! * [`radata`]: the files of a gun.js relay's disk, for import
//!
//! Clock and randomness come in as arguments, so that every run can be replayed.

pub mod graph;
pub mod ham;
pub mod mesh;
pub mod radata;
pub mod sea;
pub mod text;
pub mod wire;

pub use graph::{Graph, Key, Node, Soul, State, Value};
