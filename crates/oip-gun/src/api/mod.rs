//! The HTTP API of the node, in the shapes of the deployed nodes (`docs/api.md`).
//!
//! `router` puts the routes behind the limits on requests, `callers` decides who may do what, `user_token` who
//! a user is, `machine_tokens` what a machine may do,
//! `error` is the one form of every refusal, `parameters` reads what callers ask for.
//! The node decides on records; nothing here knows their rules.

mod callers;
mod error;
mod machine_tokens;
mod parameters;
mod router;
mod routes;
mod state;
#[cfg(test)]
mod tests;
mod user_token;

pub use callers::{Access, LocalWriting};
pub use error::ErrorBody;
pub(crate) use error::causes;
pub use machine_tokens::{MachineTokenError, MachineTokens, Scope};
pub use router::{openapi, router};
pub use state::{ApiState, GunRelay};
pub(crate) use user_token::SECRET_BYTES_MIN;
pub use user_token::UserTokens;
