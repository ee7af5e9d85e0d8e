//! The exact bytes that are signed and digested.
