//! Whole nodes in one process on real sockets, among them foreign and hostile peers: plain GUN
//! clients that put on a node's relay port what they like.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod admission;
mod attacks;
mod audit;
mod backup;
mod contested;
mod deletions;
mod deployed;
mod discovery;
mod eras;
mod explain;
mod exposed;
mod filters;
mod future;
mod healing;
mod http_puts;
mod index;
mod legacy;
mod lifecycle;
mod marks;
mod migrate;
mod own_backup;
mod owner_deletions;
mod privacy;
mod private_settings;
mod pulling;
mod quotas;
mod readers;
mod refusals;
mod restore;
mod rollback;
mod sealed;
mod signing;
mod support;
mod trust;
mod two_nodes;
mod users;
mod versions;
mod wanted;
