//! The embedded store: durable graph, verified records, feed, wanted souls, quarantine; one writer, group commit.
