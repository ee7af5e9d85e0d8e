//! Names of what the store keeps about one record beside it: a kind, and the soul as a digest, since a soul may be longer than a
//! name.

use aws_lc_rs::digest::{SHA256, digest};
use gun::Soul;
use oip_record::soul::hex;

/// The name under which a value about a soul is kept; `prefix` says of which kind, and ends with a colon.
pub(crate) fn soul_mark(prefix: &str, soul: &Soul) -> String {
    let digest = digest(&SHA256, soul.as_str().as_bytes());
    format!("{prefix}{}", hex(digest.as_ref()))
}
