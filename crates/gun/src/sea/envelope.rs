//! A signed value as it stands in the graph (`gun-protocol` 12.3): a text that holds the value,
//! its signature, and, when another than the owner signed, who and by which certificate.
//!
//! Owns what exactly is signed: soul, key, value and state, so that no value can be moved.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::SeaError;
use super::keys::{KeyPair, verify_text};
use crate::graph::{Soul, State, Value};
use crate::text;

/// The parts of a signed value. Other members mean nothing; one that occurs twice makes the
/// text unreadable, for readers would disagree which counts.
pub(super) struct Envelope<'a> {
    /// The value itself.
    pub(super) value: Value,
    signature: Cow<'a, str>,
    /// The key that signed, if the text names one.
    writer: Option<Cow<'a, str>>,
    /// What allows him to.
    pub(super) certificate: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(rename = ":", borrow)]
    value: &'a RawValue,
    #[serde(rename = "~", borrow)]
    signature: Cow<'a, str>,
    #[serde(rename = "*", borrow)]
    writer: Option<Cow<'a, str>>,
    #[serde(rename = "+", borrow)]
    certificate: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads a text; `None` if it is no signed value.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let members: Members<'a> = serde_json::from_str(text).ok()?;
        Some(Self {
            value: parse_value(members.value)?,
            signature: members.signature,
            writer: members.writer,
            certificate: members.certificate,
        })
    }

    /// The key whose signature it must bear in this user's space.
    pub(super) fn signer<'s>(&'s self, owner: &'s str) -> &'s str {
        self.writer.as_deref().unwrap_or(owner)
    }

    /// Whether the key `public` signed this value for this place and state.
    pub(super) fn is_signed(&self, soul: &Soul, key: &str, state: State, public: &str) -> bool {
        let message = signed_text(soul, key, &self.value, state);
        verify_text(&message, &self.signature, public)
    }
}

/// The text that a user signs for one value: `{"#":soul,".":key,":":value,">":state}`.
#[must_use]
pub fn signed_text(soul: &Soul, key: &str, value: &Value, state: State) -> String {
    let mut out = String::from("{\"#\":");
    text::push_json_text(&mut out, soul.as_str());
    out.push_str(",\".\":");
    text::push_json_text(&mut out, key);
    out.push_str(",\":\":");
    text::push_value(&mut out, value);
    out.push_str(",\">\":");
    text::push_number(&mut out, state.as_f64());
    out.push('}');
    out
}

/// The text to put for a value in a user's own space.
///
/// # Errors
/// [`SeaError::Library`].
pub fn sign_value(
    soul: &Soul,
    key: &str,
    value: &Value,
    state: State,
    pair: &KeyPair,
) -> Result<String, SeaError> {
    let mut out = signed_value(soul, key, value, state, pair)?;
    out.push('}');
    Ok(out)
}

/// The text to put for a value in another's space. `certificate` is what the owner made with
/// [`super::sign`] from a policy.
///
/// # Errors
/// [`SeaError::Form`] if the certificate is no signed text, [`SeaError::Library`].
pub fn sign_delegated(
    soul: &Soul,
    key: &str,
    value: &Value,
    state: State,
    pair: &KeyPair,
    certificate: &str,
) -> Result<String, SeaError> {
    let certificate = super::json::unmarked(certificate);
    serde_json::from_str::<&RawValue>(certificate).map_err(|_| SeaError::Form)?;
    let mut out = signed_value(soul, key, value, state, pair)?;
    out.push_str(",\"+\":");
    out.push_str(certificate);
    out.push_str(",\"*\":");
    text::push_json_text(&mut out, pair.public());
    out.push('}');
    Ok(out)
}

fn signed_value(
    soul: &Soul,
    key: &str,
    value: &Value,
    state: State,
    pair: &KeyPair,
) -> Result<String, SeaError> {
    let signature = pair.sign_text(&signed_text(soul, key, value, state))?;
    let mut out = String::from("{\":\":");
    text::push_value(&mut out, value);
    out.push_str(",\"~\":");
    text::push_json_text(&mut out, &signature);
    Ok(out)
}

fn parse_value(raw: &RawValue) -> Option<Value> {
    match serde_json::from_str(raw.get()).ok()? {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Bool(flag) => Some(Value::Bool(flag)),
        serde_json::Value::Number(number) => number.as_f64().map(Value::Number),
        serde_json::Value::String(text) => Some(Value::text(text)),
        serde_json::Value::Object(link) if link.len() == 1 => {
            Some(Value::Link(Soul::new(link.get("#")?.as_str()?).ok()?))
        }
        _ => None,
    }
}
