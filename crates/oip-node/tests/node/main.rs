//! Whole nodes in one process on real sockets, among them foreign and hostile peers: plain GUN
//! clients that put on a node's relay port what they like.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod admission;
mod backup;
mod deletions;
mod deployed;
mod discovery;
mod explain;
mod filters;
mod future;
mod healing;
mod http_puts;
mod index;
mod lifecycle;
mod marks;
mod migrate;
mod privacy;
mod pulling;
mod quotas;
mod readers;
mod refusals;
mod restore;
mod rollback;
mod sealed;
mod signing;
mod support;
mod two_nodes;
mod versions;
mod wanted;
