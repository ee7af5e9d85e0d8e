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
mod lifecycle;
mod marks;
mod migrate;
mod privacy;
mod pulling;
mod quotas;
mod refusals;
mod restore;
mod rollback;
mod signing;
mod support;
mod two_nodes;
mod versions;
mod wanted;
