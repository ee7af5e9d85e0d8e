//! The mesh: everything a peer decides about messages, without sockets, files or clock.
//!
//! Feed it [`Input`]s with the time; do what the [`Output`]s say. Invariants: every get and
//! every put with an id is answered as soon as the store has spoken; nothing is acknowledged
//! before; all tables are bounded; a message costs at most one answer, one store or load, one
//! push per subscriber, and for a get that finds nothing one question per dialled peer.

mod config;
mod following;
mod gets;
mod io;
mod missed;
mod puts;
mod requests;
mod state;
mod subscriptions;
mod window;

pub use config::{MeshConfig, SoulFilter};
pub use io::{
    Answer, CloseReason, Direction, Input, Loaded, Output, PeerId, SendKind, StoreOutcome, Ticket,
    Token, Told,
};
pub use state::{Mesh, MeshCounts};
