//! An operation as the two lines of a bulk: what to do, and the document.
//!
//! Owns that a document goes out as the text which its size was judged by, with the envelope put in before its end: most
//! of what writing to a server costs a node is making these lines.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::index::{IndexOp, RefusalReason, Version};
use crate::templates::Templates;

use super::envelope::{self, Layout, MEMBER, Paths};
use super::generations::id;
use super::shape::{Shaped, Shapes, shaped};
use super::version;

/// Makes lines for one index.
pub(super) struct Maker<'a> {
    owner: &'a str,
    shapes: &'a Shapes,
    paths: Paths<'a>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        layout: Layout,
        owner: &'a str,
        shapes: &'a Shapes,
        templates: &'a Templates,
    ) -> Self {
        Self {
            owner,
            shapes,
            paths: Paths::new(layout, templates),
        }
    }

    /// The lines of an operation, each with its end. A document that is kept out leaves its version alone.
    ///
    /// # Errors
    /// No index takes it.
    pub(super) fn lines(
        &mut self,
        op: &IndexOp,
        is_kept_out: bool,
    ) -> Result<Vec<u8>, RefusalReason> {
        let whole = op.admitted()?;
        let (owner, did) = (self.owner, op.did());
        let mut lines =
            Vec::with_capacity(ENVELOPE_BYTES + 2 * whole.as_ref().map_or(0, String::len));
        match (op, whole) {
            (
                IndexOp::Upsert {
                    document, envelope, ..
                },
                Some(whole),
            ) if !is_kept_out => {
                write_action(&mut lines, did, &envelope.version);
                let (body, kept) = match shaped(self.shapes, document) {
                    Shaped::Whole => (whole, None),
                    Shaped::Part(members) => (Value::Object(members).to_string(), Some(whole)),
                };
                let members = body.strip_suffix('}').unwrap_or("{");
                lines.extend_from_slice(members.as_bytes());
                let comma = if members.len() > 1 { "," } else { "" };
                let _ = write!(lines, "{comma}\"{MEMBER}\":");
                let (paths, kept) = (&mut self.paths, kept.as_deref());
                envelope::write_of_document(
                    &mut lines, paths, owner, did, document, envelope, kept,
                );
                lines.extend_from_slice(b"}\n");
            }
            // A record that has become private must not stay there as it was.
            (IndexOp::Upsert { envelope, .. }, _) => {
                let version = &envelope.version;
                write_action(&mut lines, did, version);
                write_body(&mut lines, &envelope::of_kept_out(owner, did, version));
            }
            (IndexOp::Delete { version, .. }, _) => {
                write_action(&mut lines, did, version);
                write_body(&mut lines, &envelope::of_tombstone(owner, did, version));
            }
        }
        Ok(lines)
    }
}

/// What an envelope has about, beside the words and terms that repeat the document.
const ENVELOPE_BYTES: usize = 1_024;

fn write_action(lines: &mut Vec<u8>, did: &str, version: &Version) {
    let id = Value::from(id(did));
    let number = version::number(version);
    // Writing to memory does not fail.
    let _ = writeln!(
        lines,
        r#"{{"index":{{"_id":{id},"version":{number},"version_type":"external_gte"}}}}"#
    );
}

fn write_body(lines: &mut Vec<u8>, ours: &Value) {
    let _ = writeln!(lines, "{}", json!({MEMBER: ours}));
}

#[cfg(test)]
mod tests {
    use crate::index::{Envelope, Readers};

    use super::*;

    const VERSION: Version = Version {
        class: 2,
        indexed_at_ms: 1_768_903_200_000,
        revision: 0,
        digest: [7; 32],
    };

    /// Action and document of one operation.
    fn lines(op: &IndexOp, is_kept_out: bool) -> (Value, Value) {
        let templates = Templates::known();
        let shapes = Shapes::of(&templates);
        let mut maker = Maker::new(Layout::Ours, "owner", &shapes, &templates);
        let text = String::from_utf8(maker.lines(op, is_kept_out).unwrap()).unwrap();
        let (action, body) = text.strip_suffix('\n').unwrap().split_once('\n').unwrap();
        let read = |line| serde_json::from_str(line).unwrap();
        (read(action), read(body))
    }

    fn upsert(document: Value) -> IndexOp {
        IndexOp::Upsert {
            did: "did:gun:5b1fd0c7a9e2:\"quoted\"".to_owned(),
            document,
            envelope: Envelope {
                readers: Readers::Public,
                version: VERSION,
                node: None,
            },
        }
    }

    #[test]
    fn a_document_goes_out_whole_with_the_envelope_behind_its_members() {
        for document in [
            json!({"data": {"basic": {"name": "Tide"}}, "oip": {}}),
            json!({}),
        ] {
            let op = upsert(document.clone());
            let (action, mut body) = lines(&op, false);
            assert_eq!(action["index"]["_id"], op.did());
            assert_eq!(action["index"]["version"], version::number(&VERSION));
            let ours = body.as_object_mut().unwrap().remove(MEMBER).unwrap();
            assert_eq!(body, document);
            assert_eq!(ours["did"], op.did());
            assert_eq!(ours["version"], version::text(&VERSION));
            assert_eq!(ours.get("document"), None);
            let terms = ours["terms"].as_array().unwrap();
            assert!(terms.is_sorted_by_key(|term| term.as_str()));
            assert!(terms.contains(&json!(envelope::PUBLIC)));
        }
    }

    #[test]
    fn what_servers_would_refuse_is_kept_as_text() {
        for document in [
            json!({"data": {"basic": {"": 1}}}),
            json!("text"),
            json!({"other": 1}),
        ] {
            let (_, body) = lines(&upsert(document.clone()), false);
            let kept = body[MEMBER]["document"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(kept).unwrap(), document);
            assert_eq!(body.get("other"), None);
        }
    }

    #[test]
    fn of_what_is_kept_out_and_of_what_is_deleted_nothing_but_the_version_goes_out() {
        let op = upsert(json!({"data": {"basic": {"name": "Tide"}}}));
        let deletion = IndexOp::Delete {
            did: op.did().to_owned(),
            version: VERSION,
        };
        for (op, is_kept_out) in [(&op, true), (&deletion, false)] {
            let (action, body) = lines(op, is_kept_out);
            assert_eq!(action["index"]["version_type"], "external_gte");
            assert_eq!(body.as_object().unwrap().len(), 1);
            let terms = body[MEMBER]["terms"].as_array().unwrap();
            assert!(terms.contains(&json!(envelope::TOMBSTONE)));
            assert_eq!(body[MEMBER]["version"], version::text(&VERSION));
        }
    }
}
