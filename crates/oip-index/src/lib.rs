//! The search index: the Index trait, its query model, and the embedded tantivy backend.
