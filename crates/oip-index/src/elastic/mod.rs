//! The backend on an Elasticsearch or OpenSearch server: for when one machine isn't enough.
//!
//! * `settings`: where the server is, who we are there, and which private documents may go there
//! * `server`: HTTP with a pool, credentials, retries, and bounds
//! * `version`: one number per version of a document, by which the server refuses older ones
//! * `envelope`: what of a document queries look at, worked out here and not by the server
//! * `shape`: the rest of the document, so that any server takes it
//! * `mapping`: the index that we make
//! * `generations`: which index is in force, and how another takes its place
//! * `rebuild`: another beside it, until it does
//! * `bulk`: writing, at the server's pace
//! * `translate`, `hits`: queries there, answers back
//! * `freshness`: what of that can be found
//! * `standing`: how the server has behaved
//! * `backend`: the [`crate::Index`]
//!
//! A document lies there as deployed nodes lay it, `{data, oip, meta}`, with one more member at the
//! top, `oipGun`. Queries look at nothing else, so that they give the same answers on an index that
//! another program made as on one of ours; documents without it are not ours and never shown
//! ([ADR](../../../docs/adr/007-what-the-server-is-asked.md)).
//!
//! A batch is not one transaction there. Each document bears a version, so that what is sent twice or
//! comes late changes nothing, and the position in the feed is written after the batch.

mod backend;
mod behind;
mod bulk;
mod envelope;
mod error;
mod freshness;
mod generations;
mod hits;
mod lines;
mod mapping;
mod rebuild;
mod server;
mod settings;
mod shape;
mod standing;
mod translate;
mod version;

pub use backend::ElasticIndex;
pub use error::ElasticError;
pub use settings::{Credentials, ElasticSettings, PrivateDocuments, SettingsError};
