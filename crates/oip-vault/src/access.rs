//! What a private record's access control says: its level, whom it is sealed to, and who may read it
//! where it was opened (`trust-and-privacy` 6 and 7).
//!
//! Names are compared without regard to case, `_` and `-`, as the flags are. A list may be a list, its
//! JSON text, or one name. Recipients are texts here: what they lead to is looked up elsewhere.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The levels that are told in clear. Any other is shown as `private`: its name may say too much.
const LEVELS: [&str; 3] = ["private", "shared", "organization"];

/// Members that name readers, in an access control block or the request.
const READERS: [&str; 5] = [
    "sharedwith",
    "readers",
    "authorizedusers",
    "recipients",
    "authorizednodes",
];

/// Most names in one record's lists, as many as recipients.
pub const NAMES_MAX: usize = oip_record::sealed::RECIPIENTS_MAX;

/// What access control asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// `private`, `shared` or `organization`.
    pub level: String,
    /// Nodes: ids, aliases or public keys.
    pub nodes: BTreeSet<String>,
    /// Users or nodes by key, and organizations by DID.
    pub readers: BTreeSet<String>,
    /// The owner's key, as the record says.
    pub owner: Option<String>,
}

/// Reads what a record's data asks for.
#[must_use]
pub fn wish(data: &Value) -> Wish {
    let mut wish = Wish {
        level: "private".to_owned(),
        ..Wish::default()
    };
    for (name, block) in data.as_object().into_iter().flatten() {
        match plain(name).as_str() {
            "accesscontrol" => read_block(block, &mut wish),
            "conversationsession" => read_block(block, &mut wish),
            _ => {}
        }
    }
    wish
}

fn read_block(block: &Value, wish: &mut Wish) {
    let parsed;
    let members = match block {
        Value::Object(members) => members,
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(members)) => {
                parsed = members;
                &parsed
            }
            _ => return,
        },
        _ => return,
    };
    for (name, member) in members {
        match plain(name).as_str() {
            "accesslevel" => {
                if let Some(level) = LEVELS.iter().find(|level| member == **level) {
                    wish.level = (*level).to_owned();
                }
            }
            "authorizednodes" => wish.nodes.extend(names(member)),
            "ownerpublickey" => {
                wish.owner = member
                    .as_str()
                    .filter(|key| !key.is_empty())
                    .map(str::to_owned);
            }
            other if READERS.contains(&other) => wish.readers.extend(names(member)),
            _ => {}
        }
    }
}

/// Merges the request's own access control into the data, so that it is sealed with it.
///
/// # Errors
/// The name of a member that data and request give different values.
pub fn merge_request(data: &mut Value, params: &Map<String, Value>) -> Result<(), String> {
    let mut asked = Map::new();
    for (name, member) in params {
        match plain(name).as_str() {
            "accesscontrol" => asked.extend(asked_of(member)),
            other if other == "accesslevel" || READERS.contains(&other) => {
                asked.insert(name.clone(), member.clone());
            }
            _ => {}
        }
    }
    let Some(templates) = data.as_object_mut().filter(|_| !asked.is_empty()) else {
        return Ok(());
    };
    let block = templates
        .entry("accessControl")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(block) = block.as_object_mut() else {
        return Err("accessControl".to_owned());
    };
    for (name, member) in asked {
        match block.get(&name) {
            Some(present) if *present != member => return Err(name),
            Some(_) => {}
            None => {
                block.insert(name, member);
            }
        }
    }
    Ok(())
}

/// The members of the request's access control, in whatever form.
fn asked_of(request: &Value) -> Map<String, Value> {
    match request {
        Value::Object(members) => members.clone(),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(members)) => members,
            _ => Map::from_iter([("access_level".to_owned(), Value::String(text.clone()))]),
        },
        Value::Null => Map::new(),
        other => Map::from_iter([("private".to_owned(), other.clone())]),
    }
}

/// A list in any of its forms.
#[must_use]
pub fn names(list: &Value) -> Vec<String> {
    let of = |items: &[Value]| {
        items
            .iter()
            .filter_map(|item| item.as_str().map(|text| text.trim().to_owned()))
            .filter(|text| !text.is_empty())
            .take(NAMES_MAX + 1)
            .collect()
    };
    match list {
        Value::Array(items) => of(items),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Array(items)) => of(&items),
            _ if text.trim().is_empty() => Vec::new(),
            _ => vec![text.trim().to_owned()],
        },
        Value::Object(members) => members.keys().take(NAMES_MAX + 1).cloned().collect(),
        _ => Vec::new(),
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_read_in_every_form() {
        for list in [
            json!(["a", "b"]),
            json!("[\"a\",\"b\"]"),
            json!(["a", "", " b ", 1]),
        ] {
            assert_eq!(names(&list), ["a", "b"], "{list}");
        }
        assert_eq!(names(&json!("did:gun:x")), ["did:gun:x"]);
        assert_eq!(names(&json!({"a": true, "b": 1})), ["a", "b"]);
        for nothing in [json!(""), json!("[]"), json!([]), json!(null), json!(1)] {
            assert!(names(&nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn every_list_of_readers_counts_and_an_unknown_level_is_not_told() {
        let wish = wish(&json!({
            "basic": {"name": "n"},
            "accessControl": {
                "access_level": "only-my-doctor", "authorized_nodes": ["node-b"],
                "sharedWith": "[\"k1\"]", "readers": ["k2"], "owner_public_key": "o",
            },
            "conversationSession": {"shared_with": ["k3"]},
        }));
        assert_eq!(wish.level, "private");
        assert_eq!(wish.nodes, BTreeSet::from(["node-b".to_owned()]));
        assert_eq!(wish.readers, ["k1", "k2", "k3"].map(str::to_owned).into());
        assert_eq!(wish.owner.as_deref(), Some("o"));
    }

    #[test]
    fn the_requests_access_control_is_sealed_with_the_data() {
        let params =
            json!({"accessControl": "{\"access_level\":\"shared\",\"shared_with\":[\"k\"]}"});
        let mut data = json!({"basic": {}, "accessControl": {"access_level": "shared"}});
        merge_request(&mut data, params.as_object().unwrap()).unwrap();
        assert_eq!(data["accessControl"]["shared_with"], json!(["k"]));
        let mut other = json!({"accessControl": {"access_level": "public"}});
        let merged = merge_request(&mut other, params.as_object().unwrap());
        assert_eq!(merged, Err("access_level".to_owned()));
    }
}
