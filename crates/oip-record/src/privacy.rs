//! Does a record ask for privacy? Every flag is read in the strictest way
//! (`trust-and-privacy` 6): what is not clearly public is private.

use std::fmt;

use serde_json::{Map, Value};

/// Why a record counts as private: the member that asks for it. Never the value, which may
/// name readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    member: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.member)
    }
}

/// Whether the data or the request's own parameters ask for privacy.
#[must_use]
pub fn asks_for_privacy(data: &Value, params: &Map<String, Value>) -> Option<Reason> {
    unimplemented!()
}
