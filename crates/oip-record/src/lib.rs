//! OIP records, pure: no files, no sockets, no clock, no randomness of its own choosing.
//!
//! * [`did`], [`soul`]: names of records
//! * [`arrays`]: arrays as JSON texts, and back exactly
//! * [`json`]: strict reading of submitted JSON, and the text forms that are signed
//! * [`keys`]: creator keys, signatures, the node's identity
//! * [`creator`], [`oip`], [`stamp`], [`order`]: what a record says of itself
//! * [`publish`]: a submission becomes a signed record and its graph entries
//! * [`read`], [`verify`], [`document`]: a graph node becomes a verified record and its index form
//! * [`privacy`]: does a record ask for privacy; [`sealed`]: the form of one that is
//! * [`reject`], [`limits`]: every refusal, every bound
//!
//! The formats are described in `docs/record-format.md`.

pub mod arrays;
pub mod canonical;
pub mod creator;
pub mod did;
pub mod document;
pub mod json;
pub mod keys;
pub mod limits;
pub mod oip;
pub mod order;
pub mod owner;
pub mod privacy;
pub mod publish;
pub mod read;
pub mod reject;
pub mod sealed;
pub mod soul;
pub mod stamp;
pub mod template;
pub mod verify;

#[cfg(test)]
mod fixtures;

pub use creator::Creator;
pub use did::Did;
pub use keys::{CreatorKey, NodeIdentity};
pub use oip::Oip;
pub use order::{Order, Resolution, SignatureClass};
pub use publish::{Built, Submission};
pub use read::{Candidate, Raw};
pub use reject::Reject;
pub use sealed::SealedForm;
pub use stamp::Stamp;
pub use verify::{Accepted, Guard, SignaturePolicy, Verification};
