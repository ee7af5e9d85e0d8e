//! Records as they lie on the graph, `{data, oip}`, that clients make and sign themselves and send with a request.
//!
//! Owns how they are read; whether their signatures hold is the node's to say.

use axum::http::StatusCode;
use oip_node::Node;
use oip_record::Did;
use serde_json::Value;

use super::super::error::ApiError;
use super::new_record::not_written;

/// Most encryption keys of users that come with one request.
const USER_KEYS_MAX: usize = 100;

/// A record as it lies on the graph.
pub(super) struct SignedRecord {
    pub did: Did,
    pub record_type: String,
    pub data: String,
    pub oip: String,
    /// `data`, parsed.
    pub form: Value,
}

impl SignedRecord {
    /// Reads `{data, oip}`, each a text or an object; `None` if it is something else.
    pub(super) fn read(body: &Value) -> Option<Result<Self, ApiError>> {
        let (data, oip) = (body.get("data")?, body.get("oip")?);
        let parsed = |part: &Value| match part {
            Value::String(text) => serde_json::from_str(text).ok(),
            Value::Object(_) => Some(part.clone()),
            _ => None,
        };
        let (form, said): (Value, Value) = (parsed(data)?, parsed(oip)?);
        let text = |part: &Value| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        };
        let did = Did::parse(said["did"].as_str().unwrap_or_default())
            .map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, error.label(), &error));
        let record_type = said["recordType"].as_str().unwrap_or_default().to_owned();
        Some(did.map(|did| Self {
            did,
            record_type,
            data: text(data),
            oip: text(oip),
            form,
        }))
    }
}

/// The encryption keys of users that came with a request.
pub(super) fn user_keys(given: &[Value]) -> Result<Vec<SignedRecord>, ApiError> {
    if given.len() > USER_KEYS_MAX {
        return Err(ApiError::bad_request(
            "too-many-readers",
            format!("at most {USER_KEYS_MAX} encryption keys come with one request"),
        ));
    }
    given
        .iter()
        .map(|one| {
            SignedRecord::read(one).unwrap_or_else(|| {
                Err(ApiError::bad_request(
                    "bad-encryption-key",
                    "an encryption key is given as the record that its user signed: {\"data\": …, \"oip\": …}".to_owned(),
                ))
            })
        })
        .collect()
}

/// Has the node keep them, before what they are for is sealed.
pub(super) async fn keep_user_keys(node: &Node, keys: Vec<SignedRecord>) -> Result<(), ApiError> {
    for key in keys {
        node.keep_user_key(&key.did, key.data, key.oip)
            .await
            .map_err(|error| not_written("keep the encryption key", &error))?;
    }
    Ok(())
}
