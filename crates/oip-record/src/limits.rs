//! Every bound on a record, with its reason. Each is tested at the bound and one beyond.

/// Longest packed `data` text, in bytes. A deployed relay holds such a text as one GUN value;
/// the largest real records (transcripts) stay below 1 MiB, and a peer that speaks gun.js
/// drops frames above some tens of MB.
pub const DATA_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest `oip` text, in bytes: an RSA signature and key need 1.4 KB, the list of array
/// pointers the rest.
pub const OIP_BYTES_MAX: usize = 1024 * 1024;

/// Deepest nesting of objects and arrays in `data`, the object itself counted. Half of what
/// the JSON parser takes (128), so that a record inside a document is always readable.
pub const DEPTH_MAX: usize = 64;

/// Most templates in one record. The largest deployed type uses four.
pub const TEMPLATES_MAX: usize = 64;

/// Most members of objects in one record, all levels counted. An index maps each name, so
/// that an unbounded number of fields would exhaust its schema.
pub const FIELDS_MAX: usize = 16_384;

/// Most arrays that are packed as texts: each costs a pointer in the signed list.
pub const ARRAYS_MAX: usize = 8_192;

/// Longest local id, in bytes. A soul appears inside registry souls and link targets, which
/// must stay below [`gun::graph::NAME_BYTES_MAX`].
pub const LOCAL_ID_BYTES_MAX: usize = 512;

/// Longest record type, in characters: it is part of registry souls and an index key.
pub const RECORD_TYPE_CHARS_MAX: usize = 64;

/// How far ahead of the clock a stamp may lie, in milliseconds (10 minutes): clocks of
/// operators differ, but a stamp years ahead would win for ever.
pub const FUTURE_MS_MAX: i64 = 600_000;

/// Most nodes that one record in the nested layout may consist of.
pub const NESTED_NODES_MAX: usize = 1_024;
