//! The index form of a record: arrays restored, DID taken from the soul, `storage` added.
//!
//! The origin and every replica build the same document. `oip.arrays` is left out: the arrays
//! are arrays here. A record whose signature was not verified says so in `oip.verification`.

use serde_json::{Map, Value};

use crate::did::Did;
use crate::oip::Oip;
use crate::verify::Verification;

/// Builds the document: `{"data": …, "oip": …}`; `data` has its arrays restored.
#[must_use]
pub fn build(oip: &Oip, did: &Did, data: Value, verification: Verification) -> Value {
    let mut members = oip.to_members(did);
    members.shift_remove("arrays");
    members.insert("storage".to_owned(), "gun".into());
    match verification {
        Verification::Verified => {}
        other => {
            members.insert("verification".to_owned(), other.label().into());
        }
    }
    // Extra members of our scheme are not signed, so that anyone could have added them.
    if oip.scheme.is_none() {
        for (name, member) in &oip.extra {
            members
                .entry(name.clone())
                .or_insert_with(|| member.clone());
        }
    }
    let mut document = Map::new();
    document.insert("data".to_owned(), data);
    document.insert("oip".to_owned(), Value::Object(members));
    Value::Object(document)
}
