//! The search index: the [`Index`] trait, its query model, and the embedded backend.
//!
//! * [`index`]: what every backend promises
//! * [`query`]: one query model for all backends, with its limits
//! * [`condition`]: what must hold, as a tree
//! * [`field`]: names of fields
//! * [`syntax`]: conditions as people write them
//! * [`templates`]: what is known about the fields of record types
//! * [`cursor`]: places between hits
//! * [`facts`]: what a document says about itself: type, creator, tags, dates, text
//! * [`highlight`]: what was found, in its surroundings
//! * [`embedded`]: the backend that lives in a folder of this machine
//! * [`elastic`]: the backend on an Elasticsearch or OpenSearch server
//! * [`error`]: what can go wrong, by name
//!
//! The index is a cache. It can be thrown away at any time and filled again from
//! the store's change feed, which is why an old or broken one is never migrated.

pub mod condition;
pub mod cursor;
pub mod elastic;
pub mod embedded;
pub mod error;
pub mod facts;
pub mod field;
pub mod highlight;
pub mod index;
pub mod query;
pub mod syntax;
pub mod templates;
mod words;

pub use condition::{Condition, LastWord, MatchMode, Phrase, Spelling, Text};
pub use cursor::{Cursor, CursorKey};
pub use elastic::{ElasticIndex, ElasticSettings};
pub use embedded::EmbeddedIndex;
pub use error::{IndexError, QueryError};
pub use field::FieldPath;
pub use highlight::{Fragment, Fragments};
pub use index::{
    Applied, Envelope, Hit, Holding, Index, IndexOp, IndexStatus, KeepRefused, Page, Readers,
    Rebuild, RefusalReason, Refused, VERSION_CLASS_MAX, Version,
};
pub use query::{
    Access, Direction, Facet, FacetCounts, FacetRequest, FacetValue, Highlight, Position, Query,
    SortBy, SortKey,
};
pub use templates::{FieldType, Templates, Typed};
