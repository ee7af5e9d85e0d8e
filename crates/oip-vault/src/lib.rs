//! Private records, pure: no files, no sockets, no clock, no randomness of its own choosing.
//!
//! * [`keys`]: encryption keys of nodes and users, their ids, the key ring
//! * [`seal`]: sealing, opening and sharing the form `oip-sealed-1`; [`padme`]: how its length is hidden
//! * [`access`]: what a record's access control says: level, recipients, readers
//! * [`statement`]: what a node says of itself in its own space, signed
//! * [`locked`]: key files under a passphrase
//! * [`audit`]: the chain of what was done with private records
//! * [`legacy`]: the schemes of the past, for reading only
//!
//! The form is described in `docs/private-records.md`.

pub mod access;
pub mod audit;
pub mod keys;
pub mod legacy;
pub mod locked;
pub mod padme;
pub mod seal;
pub mod statement;

pub use keys::{EncryptionKey, EncryptionPublic, KeyRing};
pub use seal::{OpenError, Opened, Place, SealError};
