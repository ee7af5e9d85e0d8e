//! The GUN protocol, pure: no sockets, no files, no clock, no global randomness.
//!
//! * [`graph`]: souls, keys, values, states, nodes
//! * [`text`]: the JSON text of a value exactly as JavaScript writes it
//! * [`ham`]: the merge rule
//!
//! Clock and randomness come in as arguments, so that every run can be replayed.

pub mod graph;
pub mod ham;
pub mod text;

pub use graph::{Graph, Key, Node, Soul, State, Value};
