//! What travels between peers: messages, their JSON text, and how messages share frames.
//!
//! Parsing is total: any text gives messages and named refusals, never a panic. The rules and
//! limits are listed for implementers in `docs/wire.md`.

mod encode;
mod hash;
mod limits;
mod message;
mod pack;
mod parse;
mod query;
mod reject;
mod selection;

pub use encode::{encode, encode_graph};
pub use hash::{graph_hash, text_hash};
pub use limits::{FRAME_CHARS_MAX, Limits, OnFault};
pub use message::{Ack, AckWish, Body, Dam, Message, MessageId, Put};
pub use pack::{FramePacker, split_graph};
pub use parse::parse_frame;
pub use query::{Budget, Get, Interest, KeyQuery, Lex, Order, SoulQuery};
pub use reject::{Refused, Reject, Response};
pub use selection::{Full, Selection};
