//! The embedded backend: a tantivy index in a folder of this machine.
//!
//! * `backend`: [`EmbeddedIndex`]: searches, and the generation that counts
//! * `generation`: one index in the folder: making, opening, writing it
//! * `merging`: which segments are merged, and the bound on it
//! * `folder`: the lock, the format version, replacing an index as a whole
//! * `schema`: the fields and how a document fills them
//! * `matching`: which documents fit a query
//! * `ranking`: in which order
//! * `counting`: facets
//! * `holdings`: what is held, for comparing it with the store
//!
//! No tantivy type leaves this module.

mod backend;
mod counting;
mod folder;
mod generation;
mod holdings;
mod matching;
mod merging;
mod ranking;
mod schema;

pub use backend::EmbeddedIndex;
