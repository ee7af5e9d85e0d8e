//! Does a record ask for privacy? Every flag is read in the strictest way
//! (`trust-and-privacy` 6): what is not clearly public is private.
//!
//! Names are compared without regard to case, `_` and `-`, so that `isPrivate`, `is_private`
//! and `Is-Private` are one flag.

use std::fmt;

use serde_json::{Map, Value};

/// Why a record counts as private: the path of the member that asks for it. Never its value,
/// which may name readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    member: String,
}

impl Reason {
    /// The reason for a record whose `meta` says it is encrypted.
    pub(crate) fn meta_encrypted() -> Self {
        Self {
            member: "meta.encrypted".into(),
        }
    }

    /// The path of the member, such as `accessControl.access_level`.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.member
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.member)
    }
}

/// Whether the data (templates with arrays restored) or the request's own parameters ask for
/// privacy; the first member found that does.
#[must_use]
pub fn asks_for_privacy(data: &Value, params: &Map<String, Value>) -> Option<Reason> {
    in_access_members(params, "request")
        .or_else(|| in_any_object(data, ""))
        .map(|member| Reason { member })
}

/// Members that mean access wherever they stand: in any object, at any depth.
fn in_any_object(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(members) => {
            let is_top = path.is_empty();
            if is_top && let Some(found) = in_access_members(members, path) {
                return Some(found);
            }
            members.iter().find_map(|(name, member)| {
                let here = join(path, name);
                let found = match plain(name).as_str() {
                    "accesscontrol" => in_access_control(member, &here),
                    "conversationsession" => member
                        .as_object()
                        .and_then(|session| in_access_members(session, &here)),
                    "accesslevel" => is_other_than_public(member).then(|| here.clone()),
                    "isprivate" => is_truthy(member).then(|| here.clone()),
                    _ => None,
                };
                found.or_else(|| in_any_object(member, &here))
            })
        }
        Value::Array(items) => items
            .iter()
            .find_map(|item| in_any_object(item, &join(path, "[]"))),
        _ => None,
    }
}

/// An access control block: an object, or what a client made of one.
fn in_access_control(block: &Value, path: &str) -> Option<String> {
    match block {
        Value::Object(members) => in_access_members(members, path),
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text == "public" => None,
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(members)) => in_access_members(&members, path),
            _ => Some(path.to_owned()),
        },
        _ => Some(path.to_owned()),
    }
}

/// The members of an access control block, of a session, of the request, and of the record's
/// top level. One flag that asks for privacy outweighs any that says public.
fn in_access_members(members: &Map<String, Value>, path: &str) -> Option<String> {
    members.iter().find_map(|(name, member)| {
        let here = join(path, name);
        match plain(name).as_str() {
            "accesslevel" | "visibility" => is_other_than_public(member).then_some(here),
            "private" | "isprivate" | "encrypt" | "encrypted" => is_truthy(member).then_some(here),
            "readers" | "sharedwith" | "authorizednodes" | "authorizedusers" | "recipients"
            | "accessconditions" => names_someone(member).then_some(here),
            "encryptionmethod" => {
                let is_none = member.is_null() || member == "none" || member == "";
                (!is_none).then_some(here)
            }
            "accesscontrol" => in_access_control(member, &here),
            _ => None,
        }
    })
}

/// A level is public only as the exact text; absent and null are no level.
fn is_other_than_public(level: &Value) -> bool {
    !level.is_null() && level != "public"
}

/// Truthy as in JavaScript, where the text `"false"` and an empty array are.
fn is_truthy(flag: &Value) -> bool {
    match flag {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A list of readers, in whatever form, that is not empty.
fn names_someone(list: &Value) -> bool {
    match list {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        other => is_truthy(other),
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(data: Value, params: Value) -> Option<String> {
        let params = params.as_object().cloned().unwrap_or_default();
        asks_for_privacy(&data, &params).map(|reason| reason.member)
    }

    #[test]
    fn every_flag_is_read_in_the_strictest_way() {
        let by_access_control = [
            (json!({"access_level": "private"}), "access_level"),
            (json!({"access_level": "shared"}), "access_level"),
            (json!({"access_level": "organization"}), "access_level"),
            (json!({"access_level": "Private"}), "access_level"),
            (json!({"access_level": "Public"}), "access_level"),
            (json!({"access_level": " public"}), "access_level"),
            (json!({"access_level": "public "}), "access_level"),
            (json!({"access_level": ""}), "access_level"),
            (json!({"access_level": "friends"}), "access_level"),
            (json!({"access_level": 1}), "access_level"),
            (json!({"access_level": 0}), "access_level"),
            (json!({"access_level": true}), "access_level"),
            (json!({"access_level": false}), "access_level"),
            (json!({"access_level": ["public"]}), "access_level"),
            (json!({"access_level": {"is": "public"}}), "access_level"),
            (json!({"accessLevel": "private"}), "accessLevel"),
            (json!({"Access-Level": "private"}), "Access-Level"),
            (json!({"visibility": "hidden"}), "visibility"),
            (json!({"private": true}), "private"),
            (json!({"private": "false"}), "private"),
            (json!({"private": "yes"}), "private"),
            (json!({"private": 1}), "private"),
            (json!({"private": []}), "private"),
            (json!({"private": {}}), "private"),
            (json!({"is_private": true}), "is_private"),
            (json!({"isPrivate": "true"}), "isPrivate"),
            (json!({"readers": ["02ab"]}), "readers"),
            (json!({"readers": "02ab"}), "readers"),
            (json!({"readers": "[]"}), "readers"),
            (json!({"authorized_nodes": ["n1"]}), "authorized_nodes"),
            (json!({"authorizedNodes": {"n1": true}}), "authorizedNodes"),
            (json!({"shared_with": ["02ab"]}), "shared_with"),
            (
                json!({"encryption_method": "aes-256-gcm"}),
                "encryption_method",
            ),
            (
                json!({"access_conditions": "members only"}),
                "access_conditions",
            ),
            // Contradictions: one flag is enough.
            (
                json!({"access_level": "public", "private": true}),
                "private",
            ),
            (
                json!({"private": false, "access_level": "private"}),
                "access_level",
            ),
            (
                json!({"access_level": "public", "shared_with": ["02ab"]}),
                "shared_with",
            ),
            (
                json!({"access_level": "public", "encryption_method": "custom"}),
                "encryption_method",
            ),
            (
                json!({"access_level": "public", "accessLevel": "private"}),
                "accessLevel",
            ),
        ];
        for (block, member) in by_access_control {
            let expected = Some(format!("accessControl.{member}"));
            assert_eq!(
                found(json!({"basic": {}, "accessControl": block}), json!({})),
                expected
            );
            let expected = Some(format!("request.accessControl.{member}"));
            assert_eq!(
                found(json!({"basic": {}}), json!({"accessControl": block})),
                expected
            );
            let text = Value::String(block.to_string());
            assert_eq!(
                found(json!({"basic": {}}), json!({"accessControl": text})),
                expected
            );
        }
    }

    #[test]
    fn an_access_control_that_is_no_block_is_private_unless_it_says_public() {
        for block in [
            json!("private"),
            json!("{"),
            json!("[]"),
            json!(""),
            json!(1),
            json!(true),
            json!([]),
            json!(["public"]),
        ] {
            assert_eq!(
                found(json!({"accessControl": block}), json!({})),
                Some("accessControl".into()),
                "{block}"
            );
        }
        for block in [
            json!("public"),
            json!(null),
            json!(false),
            json!("{\"access_level\":\"public\"}"),
        ] {
            assert_eq!(
                found(json!({"basic": {}, "accessControl": block}), json!({})),
                None,
                "{block}"
            );
        }
    }

    #[test]
    fn sessions_requests_and_hidden_places_are_looked_at() {
        for (data, member) in [
            (
                json!({"conversationSession": {"is_private": true}}),
                "conversationSession.is_private",
            ),
            (
                json!({"conversationSession": {"isPrivate": 1}}),
                "conversationSession.isPrivate",
            ),
            (
                json!({"conversationSession": {"shared_with": ["02ab"]}}),
                "conversationSession.shared_with",
            ),
            (
                json!({"access_control": {"private": true}}),
                "access_control.private",
            ),
            (json!({"private": true, "basic": {}}), "private"),
            (json!({"readers": ["02ab"], "basic": {}}), "readers"),
            (
                json!({"post": {"accessControl": {"private": true}}}),
                "post.accessControl.private",
            ),
            (
                json!({"post": {"deep": [{"isPrivate": true}]}}),
                "post.deep.[].isPrivate",
            ),
            (
                json!({"post": {"access_level": "private"}}),
                "post.access_level",
            ),
        ] {
            assert_eq!(found(data, json!({})), Some(member.into()));
        }
        for (params, member) in [
            (json!({"access_level": "private"}), "request.access_level"),
            (json!({"private": "true"}), "request.private"),
            (json!({"private": "false"}), "request.private"),
            (json!({"encrypt": "1"}), "request.encrypt"),
            (json!({"shared_with": "02ab"}), "request.shared_with"),
            (json!({"accessControl": "private"}), "request.accessControl"),
        ] {
            assert_eq!(found(json!({"basic": {}}), params), Some(member.into()));
        }
    }

    #[test]
    fn what_is_clearly_public_stays_public() {
        for data in [
            json!({"basic": {"name": "x"}}),
            json!({"accessControl": {"access_level": "public"}}),
            json!({"accessControl": {
                "access_level": "public", "owner_public_key": "02ab", "created_by": "02ab",
                "created_timestamp": 1, "last_modified_timestamp": 2, "version": "1.0.0",
                "encryption_method": "none", "shared_with": [], "permissions": ["read"],
                "access_conditions": "", "metadata": "", "owner_signature": "", "expiry_timestamp": 9
            }}),
            json!({"accessControl": {"owner_public_key": "02ab", "created_by": "02ab"}}),
            json!({"accessControl": {"access_level": null, "private": false, "readers": []}}),
            json!({"accessControl": {}}),
            json!({"conversationSession": {"is_private": false, "messages": ["private"]}}),
            // A word is a flag only where flags stand.
            json!({"room": {"private": "bathroom", "readers": 3, "encrypted": true}}),
        ] {
            assert_eq!(
                found(
                    data.clone(),
                    json!({"localId": "private", "storage": "gun"})
                ),
                None,
                "{data}"
            );
        }
        assert_eq!(
            found(
                json!({"basic": {}}),
                json!({"access_level": "public", "accessControl": {}})
            ),
            None
        );
    }

    #[test]
    fn the_reason_names_the_member_and_not_its_value() {
        let data = json!({"accessControl": {"shared_with": ["secret-reader"]}});
        let reason = asks_for_privacy(&data, &Map::new()).unwrap();
        assert_eq!(reason.to_string(), "`accessControl.shared_with`");
    }
}
