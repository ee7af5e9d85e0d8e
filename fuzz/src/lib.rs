//! What must hold for any input, one function per fuzz target. Each panics where it does not; that
//! the parsers themselves never panic is the first rule of all. Refuses to judge what an input means.

mod get;
mod graph;
mod radata;
mod sea;
mod sealed;
mod wire;

pub use get::{get, lex};
pub use graph::put;
pub use radata::radata;
pub use sea::sea;
pub use sealed::sealed;
pub use wire::frame;
