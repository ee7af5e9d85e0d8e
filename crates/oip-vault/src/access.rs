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
    /// Every key that it names as owner or maker: deployed nodes fill in their own beside a user's.
    pub makers: BTreeSet<String>,
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
                wish.owner = key_in(member);
                wish.makers.extend(key_in(member));
            }
            "createdby" => wish.makers.extend(key_in(member)),
            other if READERS.contains(&other) => wish.readers.extend(names(member)),
            _ => {}
        }
    }
}

fn key_in(member: &Value) -> Option<String> {
    let key = member.as_str().filter(|key| !key.is_empty());
    key.map(str::to_owned)
}

/// Names `key` as the owner: in the `accessControl` block, and wherever else the data names one, in any spelling
/// that [`wish`] reads.
pub fn claim(data: &mut Value, key: &str) {
    let Some(templates) = data.as_object_mut() else {
        return;
    };
    templates
        .entry("accessControl")
        .or_insert_with(|| Value::Object(Map::new()));
    for (name, block) in templates {
        let is_control = plain(name) == "accesscontrol";
        if !is_control && plain(name) != "conversationsession" {
            continue;
        }
        match block {
            Value::Object(members) => claim_block(members, key, is_control),
            Value::String(text) => {
                if let Ok(Value::Object(mut members)) = serde_json::from_str(text) {
                    claim_block(&mut members, key, is_control);
                    *text = Value::Object(members).to_string();
                }
            }
            _ => {}
        }
    }
}

fn claim_block(members: &mut Map<String, Value>, key: &str, is_control: bool) {
    for (name, member) in members.iter_mut() {
        if matches!(plain(name).as_str(), "ownerpublickey" | "createdby") {
            *member = key.into();
        }
    }
    if is_control {
        members.insert("owner_public_key".to_owned(), key.into());
        members.insert("created_by".to_owned(), key.into());
    }
}

/// Makes objects of access control blocks that came as texts or flags, in which the rest of a record could not be
/// sealed: JSON text as what it says, another text as a level, a flag as one.
pub fn as_objects(data: &mut Value) {
    let Some(templates) = data.as_object_mut() else {
        return;
    };
    templates.retain(|name, block| {
        plain(name) != "accesscontrol"
            || !(matches!(block, Value::Null | Value::Bool(false))
                || block.as_str().is_some_and(|text| text.trim().is_empty()))
    });
    for (name, block) in templates {
        if plain(name) == "accesscontrol" && !block.is_object() {
            *block = Value::Object(asked_of(block));
        }
    }
}

/// Takes names out of every list of readers; `is_gone` tells which.
pub fn forget(data: &mut Value, is_gone: impl Fn(&str) -> bool) {
    for (name, block) in data.as_object_mut().into_iter().flatten() {
        if !is_block(name) {
            continue;
        }
        for (name, member) in block.as_object_mut().into_iter().flatten() {
            if !READERS.contains(&plain(name).as_str()) {
                continue;
            }
            let listed = names(member);
            if listed.iter().any(|name| is_gone(name)) {
                *member = listed.into_iter().filter(|name| !is_gone(name)).collect();
            }
        }
    }
}

/// Names readers in `accessControl.shared_with`, beside those who stand there.
pub fn name_readers(data: &mut Value, readers: impl IntoIterator<Item = String>) {
    let readers: Vec<String> = readers.into_iter().collect();
    let Some(templates) = data.as_object_mut().filter(|_| !readers.is_empty()) else {
        return;
    };
    let Some(block) = control_of(templates) else {
        return;
    };
    let at = spelled(block, "sharedwith").unwrap_or_else(|| "shared_with".to_owned());
    let list = block.entry(at).or_insert(Value::Null);
    let listed = names(list).into_iter().chain(readers);
    *list = listed.map(Value::String).collect();
}

/// The access control block, made where there is none; `None` if it is no object.
fn control_of(templates: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    let name = spelled(templates, "accesscontrol").unwrap_or_else(|| "accessControl".to_owned());
    templates
        .entry(name)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// How a member of this plain name is spelled here.
fn spelled(members: &Map<String, Value>, plain_name: &str) -> Option<String> {
    members
        .keys()
        .find(|name| plain(name) == plain_name)
        .cloned()
}

fn is_block(name: &str) -> bool {
    matches!(
        plain(name).as_str(),
        "accesscontrol" | "conversationsession"
    )
}

/// Merges the request's own access control into the data, so that it is sealed with it.
///
/// # Errors
/// The name of a member that data and request give different values, in whatever spelling.
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
    let block = control_of(templates).ok_or_else(|| "accessControl".to_owned())?;
    for (name, member) in asked {
        let at = spelled(block, &plain(&name)).unwrap_or_else(|| name.clone());
        match block.get(&at) {
            Some(Value::Null) | None => {
                block.insert(at, member);
            }
            Some(present) if *present != member => return Err(name),
            Some(_) => {}
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
    fn whoever_claims_a_record_owns_it_whatever_else_it_says() {
        for mut data in [
            json!({"basic": {"name": "n"}}),
            json!({"accessControl": {"owner_public_key": "x", "ownerPublicKey": "x"}}),
            json!({"accessControl": {}, "conversationSession": {"owner_public_key": "x"}}),
            json!({"Access_Control": {"owner-public-key": "x"}}),
            json!({"accessControl": "{\"owner_public_key\":\"x\"}"}),
            json!({"accessControl": {}, "conversationSession": "{\"ownerPublicKey\":\"x\"}"}),
        ] {
            let before = data.to_string();
            claim(&mut data, "k");
            assert_eq!(wish(&data).owner.as_deref(), Some("k"), "{before}");
            assert!(!data.to_string().contains('x'), "{data}");
        }
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
        // One member however it is spelled; what is null says nothing.
        let mut other = json!({"access_control": {"accessLevel": "public"}});
        let merged = merge_request(&mut other, params.as_object().unwrap());
        assert_eq!(merged, Err("access_level".to_owned()));
        let mut silent = json!({"access_control": {"accessLevel": null}});
        merge_request(&mut silent, params.as_object().unwrap()).unwrap();
        assert_eq!(
            silent,
            json!({"access_control": {"accessLevel": "shared", "shared_with": ["k"]}})
        );
    }

    #[test]
    fn a_block_that_is_no_object_becomes_one() {
        for (block, object) in [
            (json!("public"), json!({"access_level": "public"})),
            (
                json!("{\"access_level\":\"shared\"}"),
                json!({"access_level": "shared"}),
            ),
            (json!(true), json!({"private": true})),
        ] {
            let mut data = json!({"basic": {}, "accessControl": block});
            as_objects(&mut data);
            assert_eq!(data["accessControl"], object);
        }
        for nothing in [json!(null), json!(false), json!(" ")] {
            let mut data = json!({"basic": {}, "accessControl": nothing});
            as_objects(&mut data);
            assert_eq!(data, json!({"basic": {}}));
        }
    }

    #[test]
    fn names_are_taken_out_of_lists_of_readers_alone_and_added_once_more() {
        let mut data = json!({
            "basic": {"tagItems": ["u1"]},
            "accessControl": {"owner_public_key": "u1", "sharedWith": ["u1", "u2"], "readers": "u1"},
        });
        forget(&mut data, |name| name == "u1");
        name_readers(&mut data, ["u3".to_owned()]);
        assert_eq!(
            data,
            json!({
                "basic": {"tagItems": ["u1"]},
                "accessControl": {"owner_public_key": "u1", "sharedWith": ["u2", "u3"], "readers": []},
            })
        );
    }
}
