//! What was found, shown in its surroundings.
//!
//! Made here from the documents of a page and the query's words, the same for all backends, instead of by
//! each backend from its own index: a page is small, and servers cut words a little differently.

use std::ops::Range;

use crate::field::FieldPath;

/// The fragments of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragments {
    /// Where.
    pub field: FieldPath,
    /// The best ones, in the order in which they stand.
    pub fragments: Vec<Fragment>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The piece, as it stands in the document.
    pub text: String,
    /// What was found in it, in bytes, ascending and apart.
    pub marks: Vec<Range<usize>>,
}
