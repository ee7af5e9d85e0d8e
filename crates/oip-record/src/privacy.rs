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

/// Whether the data or the request say of themselves that the record is for everyone: by a level, or by a flag that is
/// off. What says nothing of privacy at all does not.
#[must_use]
pub fn says_public(data: &Value, params: &Map<String, Value>) -> bool {
    let says = |members: &Map<String, Value>| {
        members
            .iter()
            .any(|(name, member)| match plain(name).as_str() {
                "accesslevel" | "visibility" => member == "public",
                "private" | "isprivate" | "encrypt" => *member == false,
                _ => false,
            })
    };
    let in_block = |block: &Value| match block {
        Value::Object(members) => says(members),
        Value::String(text) if text == "public" => true,
        Value::String(text) => {
            matches!(serde_json::from_str(text), Ok(Value::Object(members)) if says(&members))
        }
        _ => false,
    };
    let mut all = data.as_object().into_iter().chain([params]);
    asks_for_privacy(data, params).is_none()
        && all.any(|members| {
            says(members)
                || members.iter().any(|(name, block)| {
                    matches!(
                        plain(name).as_str(),
                        "accesscontrol" | "conversationsession"
                    ) && in_block(block)
                })
        })
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

/// A name without regard to case, `_` and `-`.
pub(crate) fn plain(name: &str) -> String {
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
mod tests;
