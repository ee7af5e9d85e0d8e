//! The routes, one file per resource.

pub(super) mod access;
pub(super) mod backup;
pub(super) mod delete_record;
pub(super) mod description;
pub(super) mod explain;
pub(super) mod gun_relay;
pub(super) mod health;
pub(super) mod index;
pub(super) mod keys;
pub(super) mod legacy;
pub(super) mod metrics;
pub(super) mod new_record;
pub(super) mod quarantine;
pub(super) mod record_types;
pub(super) mod records;
mod signed_record;
pub(super) mod sync;
pub(super) mod tokens;
