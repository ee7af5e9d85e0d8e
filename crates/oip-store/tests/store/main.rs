//! The store seen from outside: one binary, because linking the engine takes longer than the tests.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod accounts;
mod concurrency;
mod folder;
#[cfg(unix)]
mod kill;
mod merge;
mod model;
mod nodes;
mod support;
mod tables;
mod wanted_floor;
