//! Signed texts of applications (`gun-protocol` 12.7): `SEA{"m":data,"s":signature}`. A
//! certificate is one whose data is the policy.

use serde_json::{Value as Json, json};

use super::SeaError;
use super::json::{self, Members};
use super::keys::{KeyPair, verify_text};

/// Signs data. A text that holds JSON is signed as what it holds, and is read back as that:
/// `"true"` comes back as `true`. Members of objects are sorted, as gun.js on node does.
///
/// # Errors
/// [`SeaError::Library`].
pub fn sign(data: &Json, pair: &KeyPair) -> Result<String, SeaError> {
    let data = match data {
        Json::String(text) => json::parse(text),
        other => other.clone(),
    };
    let signature = pair.sign_text(&json::content(&data, Members::Sorted))?;
    let signed = json!({ "m": data, "s": signature });
    Ok(format!("SEA{}", json::text(&signed, Members::Sorted)))
}

/// The data of a signed text, if the key `public` signed it.
///
/// # Errors
/// [`SeaError::Form`] if the text is no signed one, [`SeaError::Signature`] if that key did not
/// sign this data.
pub fn verify_signed(text: &str, public: &str) -> Result<Json, SeaError> {
    #[derive(serde::Deserialize)]
    struct Signed {
        m: Json,
        s: String,
    }
    let signed: Signed = serde_json::from_str(json::unmarked(text)).map_err(|_| SeaError::Form)?;
    if !is_signed(&signed.m, &signed.s, public) {
        return Err(SeaError::Signature);
    }
    Ok(match signed.m {
        Json::String(text) => json::parse(&text),
        other => other,
    })
}

/// Whether a signature is of the key `public` over data, in either order of members.
pub(super) fn is_signed(data: &Json, signature: &str, public: &str) -> bool {
    let as_read = json::content(data, Members::AsRead);
    if verify_text(&as_read, signature, public) {
        return true;
    }
    let sorted = json::content(data, Members::Sorted);
    sorted != as_read && verify_text(&sorted, signature, public)
}
