//! What every HTTP port of the program shares: bodies within their limits, turns and time for
//! requests, and compressed answers. Knows no route; each port says in its own form what was refused.

mod body;
mod compress;
mod limits;

pub(crate) use body::{Bodies, BodyError, KIB, MIB, ReadBody};
pub(crate) use compress::{NothingPrivate, compressed};
pub(crate) use limits::{in_time, in_turn};
