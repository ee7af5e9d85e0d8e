//! What every HTTP port of the program shares: bodies within their limits, and turns and time for
//! requests. Knows no route; each port says in its own form what was refused.

mod body;
mod limits;

pub(crate) use body::{Bodies, BodyError, KIB, MIB, ReadBody};
pub(crate) use limits::{in_time, in_turn};
