//! What can go wrong with an index, by name.
//!
//! Backend error types never leave the crate as such: they are kept as a boxed
//! source, so that a caller can log them and can't come to depend on them.

use std::error::Error;
use std::path::PathBuf;

/// A failed operation on an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The query breaks a limit; nothing is wrong with the index.
    #[error("run this query: {0}")]
    Query(#[from] QueryError),
    /// Another process holds the index folder.
    #[error("open the index at {}: another process uses it; stop that one, or give this one its own data folder", path.display())]
    Locked {
        /// The folder that is held.
        path: PathBuf,
    },
    /// A folder or file could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried, in the infinitive: "create the folder".
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The backend failed: disk full, a damaged file, a lost thread.
    #[error("{action} in the index")]
    Backend {
        /// What was tried, in the infinitive: "commit a batch".
        action: &'static str,
        /// What the backend said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The index was filled from another store.
    #[error(
        "use the index: it was filled from another store; it is cleared and filled from this one"
    )]
    OtherStore,
    /// A stored document can't be read back: the index is damaged and must be rebuilt.
    #[error("read the stored document {did}: the index is damaged; rebuild it")]
    Damaged {
        /// The document that can't be read; empty where not even its DID can.
        did: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A query that asks for more than an index gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// More hits per page than allowed.
    #[error("a page holds at most {max} hits, {asked} were asked for")]
    PageTooLong {
        /// What was asked for.
        asked: usize,
        /// The limit.
        max: usize,
    },
    /// The page lies too deep.
    #[error("offset plus limit is {asked}, at most {max} is allowed; narrow the query instead")]
    TooDeep {
        /// Offset plus limit, as asked for.
        asked: usize,
        /// The limit.
        max: usize,
    },
    /// Too many values in one filter.
    #[error("{filter} holds {asked} values, at most {max} are allowed")]
    TooManyValues {
        /// The filter's name.
        filter: &'static str,
        /// How many were given.
        asked: usize,
        /// The limit.
        max: usize,
    },
    /// Conditions nested too deep.
    #[error("the conditions are nested more than {max} levels deep; flatten them")]
    TooNested {
        /// The limit.
        max: usize,
    },
    /// Too many conditions.
    #[error("the query has more than {max} conditions; split it")]
    TooManyConditions {
        /// The limit.
        max: usize,
    },
    /// Too much to look up.
    #[error(
        "the query takes more than {max} look-ups (each word in each field, twice where slips are forgiven); leave out words, or name the fields to look in"
    )]
    TooManyLookups {
        /// The limit.
        max: usize,
    },
    /// A value that can't be one of the field's type.
    #[error("{field} holds {wanted}, and {value:?} is none")]
    WrongValue {
        /// The field.
        field: String,
        /// What its values are, with article.
        wanted: &'static str,
        /// What was given.
        value: String,
    },
    /// A range over a field whose type is not known.
    #[error(
        "the type of {field} is not known, so that its values have no order; describe it in a template file (OIP_TEMPLATES_DIR)"
    )]
    Untyped {
        /// The field.
        field: String,
    },
    /// A cursor that is none.
    #[error("the cursor can't be read; begin again without one")]
    BadCursor,
    /// A cursor of another query.
    #[error(
        "the cursor belongs to a query with other conditions or another order; begin again without one"
    )]
    ForeignCursor,
    /// Something this backend can't do.
    #[error("this index can't {what}")]
    Unsupported {
        /// What was asked for, in the infinitive.
        what: &'static str,
    },
    /// Too many sort keys.
    #[error("{asked} sort keys were given, at most {max} are allowed")]
    TooManySortKeys {
        /// How many were given.
        asked: usize,
        /// The limit.
        max: usize,
    },
}
