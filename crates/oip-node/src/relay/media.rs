//! Media: manifests and who has the file, on the souls and in the fields of deployed relays.
//!
//! Owns these names. A manifest may hold arrays (trackers, addresses), as its documentation says
//! and deployed relays refuse; each is kept as its JSON text.

use std::net::IpAddr;

use gun::text::{push_json_text, push_number, push_value};
use gun::{Soul, Value};
use oip_record::Stamp;
use oip_store::ReadError;
use serde_json::value::RawValue;

use super::nested::{Arrays, Member, Nested, NestedError};
use super::shown::push_name;
use super::{PutError, Relay};
use crate::clock;

/// Why something about media was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The manifest has no `media.id`.
    #[error("mediaId required in manifest")]
    NoId,
    /// The manifest is no JSON object, or more than the graph can hold.
    #[error(transparent)]
    Form(#[from] NestedError),
    /// It was not written.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// A manifest that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its `media.id`.
    pub id: String,
    /// Where it lies.
    pub soul: String,
}

/// Who has a file, and how to get it there.
#[derive(Debug)]
pub struct Presence<'p> {
    /// The file: `media.id` of its manifest.
    pub media_id: &'p str,
    /// Who has it.
    pub peer_id: &'p str,
    /// JSON: the ways to get it.
    pub protocols: Option<&'p RawValue>,
    /// JSON: the addresses.
    pub endpoints: Option<&'p RawValue>,
}

impl Relay {
    /// Writes a manifest at `media:<its media.id>`.
    ///
    /// # Errors
    /// [`MediaError`]; then nothing of it was written.
    pub async fn put_manifest(
        &self,
        json: &str,
        from: Option<IpAddr>,
    ) -> Result<Manifest, MediaError> {
        let manifest =
            Nested::read(json, "media", Arrays::AsText).map_err(|error| match error {
                NestedError::NotAnObject => MediaError::NoId,
                other => other.into(),
            })?;
        let id = id_of(&manifest).ok_or(MediaError::NoId)?;
        let soul = manifest_soul(&id);
        self.put(&soul, manifest, from).await?;
        Ok(Manifest { id, soul })
    }

    /// The node of a manifest with its metadata, as one JSON object; `None` if there is none.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails, or if what lies there is far too large for a manifest.
    pub async fn manifest(&self, id: &str) -> Result<Option<String>, ReadError> {
        let Ok(soul) = Soul::new(manifest_soul(id)) else {
            return Ok(None);
        };
        let store = self.parts.store.clone();
        let node = tokio::task::spawn_blocking(move || store.node(&soul))
            .await
            .unwrap_or(Err(ReadError::Closed))?;
        Ok(node.map(|node| raw_text(&node)))
    }

    /// Writes who has a file at `media:<id>:peers:<peer>`, with the time.
    ///
    /// # Errors
    /// [`MediaError`]; then nothing of it was written.
    pub async fn put_presence(
        &self,
        presence: Presence<'_>,
        from: Option<IpAddr>,
    ) -> Result<(), MediaError> {
        let soul = format!(
            "{}:peers:{}",
            manifest_soul(presence.media_id),
            presence.peer_id
        );
        let now_ms = clock::wall_ms();
        let mut json = String::from("{\"peerId\":");
        push_json_text(&mut json, presence.peer_id);
        for (name, value) in [
            ("protocols", presence.protocols),
            ("endpoints", presence.endpoints),
        ] {
            if let Some(value) = value {
                json.push(',');
                push_name(&mut json, name);
                json.push_str(value.get());
            }
        }
        let stamp = Stamp::from_ms(i64::try_from(now_ms).unwrap_or(i64::MAX));
        json.push_str(&format!(
            ",\"lastSeen\":{now_ms},\"timestamp\":\"{}\"}}",
            stamp.as_str()
        ));
        let nested = Nested::read(&json, &soul, Arrays::AsText)?;
        Ok(self.put(&soul, nested, from).await?)
    }
}

fn manifest_soul(id: &str) -> String {
    format!("media:{id}")
}

fn id_of(manifest: &Nested) -> Option<String> {
    let member = |object: usize, name: &str| {
        let members = manifest.objects.get(object)?;
        members
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, member)| member)
    };
    let Some(Member::Object(media)) = member(0, "media") else {
        return None;
    };
    match member(*media, "id") {
        Some(Member::Value(Value::Text(id))) if !id.is_empty() => Some(id.to_string()),
        _ => None,
    }
}

/// The node as gun.js holds it: metadata, nulls and all.
fn raw_text(node: &gun::Node) -> String {
    let mut out = String::from("{\"_\":{\"#\":");
    push_json_text(&mut out, node.soul.as_str());
    out.push_str(",\">\":{");
    for (at, entry) in node.entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_name(&mut out, entry.key.as_str());
        push_number(&mut out, entry.state.as_f64());
    }
    out.push_str("}}");
    for entry in &node.entries {
        out.push(',');
        push_name(&mut out, entry.key.as_str());
        push_value(&mut out, &entry.value);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_manifest_stands_under_media() {
        for (json, id) in [
            (
                r#"{"media":{"id":"a1"},"basic":{"id":"other"}}"#,
                Some("a1"),
            ),
            (r#"{"basic":{}}"#, None),
            (r#"{"media":{"id":""}}"#, None),
            (r#"{"media":{"id":7}}"#, None),
            (r#"{"media":"a1","id":"a1"}"#, None),
        ] {
            let manifest = Nested::read(json, "s", Arrays::AsText).unwrap();
            assert_eq!(id_of(&manifest).as_deref(), id, "{json}");
        }
    }
}
