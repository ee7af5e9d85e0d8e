//! The index form of a record: arrays restored, DID taken from the soul, `storage` added.
//!
//! The origin and every replica build the same document. `oip.arrays` is left out: the arrays
//! are arrays here. A record whose signature was not verified says so in `oip.verification`.

use gun::Soul;
use serde_json::{Map, Value};

use crate::did::Did;
use crate::oip::Oip;
use crate::reject::Reject;
use crate::verify::Verification;
use crate::{arrays, json::JsonError};

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
        if let Some(creator) = members.get_mut("creator").and_then(Value::as_object_mut) {
            creator.extend(oip.creator_extra.clone());
        }
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

/// The document of a record that was verified when it was kept: only decodes, checks nothing again.
/// `data` is `None` for a tombstone.
///
/// # Errors
/// [`Reject`] if the texts are not those of a record, which a verified one never is.
pub fn of_verified(
    soul: &Soul,
    data: Option<&str>,
    oip: &str,
    verification: Verification,
) -> Result<Value, Reject> {
    let oip = Oip::parse(&serde_json::from_str(oip).map_err(|_| Reject::NotOip)?)?;
    let packed = data
        .map(serde_json::from_str::<Value>)
        .transpose()
        .map_err(|error| Reject::Json(JsonError::Syntax(error.to_string())))?
        .unwrap_or(Value::Null);
    let data = match &oip.arrays {
        Some(pointers) => arrays::unpack(packed, pointers).map_err(Reject::Arrays)?,
        None => arrays::unpack_heuristic(packed),
    };
    Ok(build(&oip, &Did::from_soul(soul), data, verification))
}
