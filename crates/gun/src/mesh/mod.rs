//! The mesh: everything a peer decides about messages, without sockets, files or clock.
//!
//! Feed it [`Input`]s with the time; do what the [`Output`]s say.

mod config;
mod io;

pub use config::MeshConfig;
pub use io::{
    Answer, CloseReason, Direction, Input, Loaded, Output, PeerId, SendKind, StoreOutcome, Ticket,
    Token, Told,
};
