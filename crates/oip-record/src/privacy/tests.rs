//! Facts about `privacy`.

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
