//! The HTTP API of deployed relays, on the relay port (`docs/relay-http.md`).
//!
//! `router` puts the routes behind the limits on requests, one file each holds `put`, `get`, `list`,
//! `media` and `peers`; `answer` is the form of all answers, `caller` the address that is charged. What the calls mean is decided by
//! `oip_node::relay`. `/gun-relay` on the API port uses `put` and `get` too.

mod answer;
mod caller;
mod get;
mod list;
mod media;
mod peers;
mod put;
mod router;
#[cfg(test)]
mod tests;

pub(crate) use answer::Form;
pub(crate) use caller::Caller;
pub(crate) use get::{node_answer, soul_asked_for};
pub(crate) use put::put_answer;
pub use router::router;
