//! The search index: the [`Index`] trait, its query model, and the embedded backend.
//!
//! * [`index`]: what every backend promises
//! * [`query`]: one query model for all backends, with its limits
//! * [`facts`]: what a document says about itself: type, creator, tags, dates, text
//! * [`embedded`]: the backend that lives in a folder of this machine
//! * [`error`]: what can go wrong, by name
//!
//! The index is a cache. It can be thrown away at any time and filled again from
//! the store's change feed, which is why an old or broken one is never migrated.

pub mod embedded;
pub mod error;
pub mod facts;
pub mod index;
pub mod query;

pub use embedded::EmbeddedIndex;
pub use error::{IndexError, QueryError};
pub use index::{Applied, Hit, Index, IndexOp, Page, RefusalReason, Refused};
pub use query::{Direction, LastWord, MatchMode, Query, SortField, SortKey};
