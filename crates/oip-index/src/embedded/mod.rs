//! The embedded backend: a tantivy index in a folder of this machine.
//!
//! * `backend`: [`EmbeddedIndex`], the one writer and the readers
//! * `generation`: one index in the folder: making, opening, replacing it
//! * `folder`: the lock, the format version, replacing an index as a whole
//! * `schema`: the fields and how a document fills them
//! * `words`: how text becomes words
//! * `matching`: which documents fit a query
//! * `ranking`: in which order
//!
//! No tantivy type leaves this module.

mod backend;
mod folder;
mod generation;
mod matching;
mod ranking;
mod schema;
pub(crate) mod words;

pub use backend::EmbeddedIndex;
