//! Private means private, with real processes: a publisher, a node that may read, one that may not, and a
//! gun.js relay between them. Every byte on their sockets, every file outside the indexes of those who
//! may read, and every line they log is looked through for what was published.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod actors;
mod gone;
mod journey;
mod needles;
mod scanner;
mod unpacked;
mod verbs;
