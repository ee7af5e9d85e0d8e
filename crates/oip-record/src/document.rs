//! The index form of a record: arrays restored, DID taken from the soul.
