//! What asks for privacy: sealed or refused, never published in clear, and not kept in clear when others
//! did so.

use std::path::Path;

use oip_node::{PrivacyDefault, PublishError, Submission};
use serde_json::{Map, Value, json};

use crate::support::{
    Author, TestNode, eventually, node, node_with, now_ms, put, store_of, submission, text,
};

/// Files below a folder in which `needle` stands, in whatever encoding of UTF-8 or JSON text.
fn files_with(folder: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "index") {
            // The one place where those who may read have plaintext.
            continue;
        }
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if bytes
                .windows(needle.len())
                .any(|at| at == needle.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Every spelling that means "not for all" (`trust-and-privacy` 6), in the data or the request.
fn flags() -> Vec<(Value, Value)> {
    let in_data = [
        json!({"accessControl": {"access_level": "private"}}),
        json!({"accessControl": {"access_level": "shared"}}),
        json!({"accessControl": {"accessLevel": "Public"}}),
        json!({"accessControl": {"private": true}}),
        json!({"accessControl": {"isPrivate": "yes"}}),
        json!({"accessControl": {"encrypted": true}}),
        json!({"accessControl": {"encryption_method": "aes-256-gcm"}}),
        json!({"accessControl": {"readers": ["someone"]}}),
        json!({"accessControl": {"shared_with": ["someone"]}}),
        json!({"accessControl": {"sharedWith": "[\"someone\"]"}}),
        json!({"accessControl": {"authorized_users": {"a": 1}}}),
        json!({"accessControl": {"visibility": "friends"}}),
        json!({"conversationSession": {"is_private": true}}),
        json!({"post": {"articleText": "x", "is_private": true}}),
        json!({"post": {"deep": [{"access_level": "private"}]}}),
    ];
    let in_request = [
        json!({"access_level": "private"}),
        json!({"accessControl": {"access_level": "private"}}),
        json!({"encrypt": true}),
        json!({"visibility": "private"}),
        json!({"isPrivate": 1}),
    ];
    let none = || json!({});
    in_data
        .into_iter()
        .map(|data| (data, none()))
        .chain(in_request.into_iter().map(|params| (none(), params)))
        .collect()
}

fn flagged(canary: &str, n: usize, (flags, params): &(Value, Value)) -> Submission {
    let mut data = json!({"basic": {"name": canary, "description": canary}});
    data.as_object_mut()
        .unwrap()
        .extend(flags.as_object().unwrap().clone());
    Submission {
        record_type: "post".into(),
        local_id: Some(format!("flagged-{n}")),
        data,
        params: params.as_object().unwrap().clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_each_flag_a_record_is_sealed_or_refused_and_no_byte_of_it_is_written_in_clear() {
    let canary = "qW7-canary-never-written";
    let control = "zX9-canary-that-is-public";
    let node = node(&[]).await;
    let (mut sealed, mut refused) = (0, 0);
    for (n, flags) in flags().iter().enumerate() {
        match node.publish(flagged(canary, n, flags)).await {
            Ok(published) => {
                assert!(published.encrypted, "{flags:?}");
                assert_eq!(node.get(&published.did).await.unwrap(), None, "{flags:?}");
                sealed += 1;
            }
            // `someone` is nobody that is known.
            Err(PublishError::Private(error)) => {
                let told = error.to_string();
                let named = ["someone", "`a`"].iter().any(|name| told.contains(name));
                assert!(named, "{flags:?}: {error}");
                refused += 1;
            }
            Err(error) => panic!("{flags:?}: {error}"),
        }
    }
    assert!(
        sealed >= 10 && refused >= 4,
        "{sealed} sealed, {refused} refused"
    );
    node.publish(submission(control, text(control)))
        .await
        .unwrap();
    node.indexed().await;
    assert_eq!(node.health().registry.total_records_registered, 1);
    let query = oip_index::Query::of(oip_index::Condition::text(canary));
    assert_eq!(node.search(query.clone()).await.unwrap().total, 0);
    let access = oip_index::Access::Everything;
    let all = node
        .search(oip_index::Query { access, ..query })
        .await
        .unwrap();
    assert_eq!(all.total, sealed);
    let dir = node.stop().await;
    assert_eq!(files_with(dir.path(), canary), [""; 0]);
    let public = files_with(dir.path(), control);
    assert!(!public.is_empty(), "the search would find what is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_seals_nothing_refuses_what_asks_for_privacy() {
    let node = node_with(&[], |config| {
        config.private.sealing = oip_node::Sealing::Off;
    })
    .await;
    let mut data = text("one");
    data["accessControl"] = json!({"access_level": "private"});
    let error = node.publish(submission("p", data)).await.unwrap_err();
    assert!(
        error.to_string().contains("GUN_ENABLE_ENCRYPTION"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_private_default_what_does_not_say_public_is_sealed() {
    let node = node_with(&[], |config| {
        config.privacy_default = PrivacyDefault::Private;
    })
    .await;
    let id = node.identity().0;
    // Data, request, and whether it is sealed.
    let said = [
        (json!({}), json!({}), true),
        (
            json!({"accessControl": {"shared_with": []}}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"access_level": null}}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"access_level": "shared", "shared_with": [id]}}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"accessLevel": "organization"}}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"access_level": "private"}}),
            json!({}),
            true,
        ),
        (json!({"accessControl": "private"}), json!({}), true),
        (
            json!({"accessControl": "{\"access_level\":\"shared\"}"}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"authorized_nodes": [id]}}),
            json!({}),
            true,
        ),
        (
            json!({"accessControl": {"access_level": "public"}}),
            json!({}),
            false,
        ),
        (json!({"accessControl": "public"}), json!({}), false),
        (
            json!({"Access-Control": {"accessLevel": "public"}}),
            json!({}),
            false,
        ),
        (
            json!({"accessControl": {"private": false}}),
            json!({}),
            false,
        ),
        (
            json!({}),
            json!({"accessControl": {"access_level": "shared"}}),
            true,
        ),
        (json!({}), json!({"accessControl": "organization"}), true),
        (json!({}), json!({"access_level": "private"}), true),
        (json!({}), json!({"accessControl": "public"}), false),
        (
            json!({}),
            json!({"accessControl": {"access_level": "public"}}),
            false,
        ),
        (json!({}), json!({"access_level": "public"}), false),
    ];
    for (n, (flags, params, sealed)) in said.into_iter().enumerate() {
        let flags = (flags, params);
        let published = node.publish(flagged("one", n, &flags)).await;
        let published = published.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        assert_eq!(published.encrypted, sealed, "{flags:?}");
        let level = &published.document["data"]["accessControl"]["access_level"];
        assert!(!sealed || level != "public", "{flags:?}");
    }
}

/// A record of a deployed node that asks for privacy and lies in clear.
fn exposed(author: &Author, name: &str, signature: Option<&str>) -> (oip_record::Did, Value) {
    let creator = author.key.creator();
    let soul = format!("{}:{name}", author.key.soul_prefix());
    let mut oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": "2026-01-01T00:00:00.000Z",
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    if let Some(signature) = signature {
        oip["signature"] = json!(signature);
    }
    let data = json!({"basic": {"name": "secret of others"}, "accessControl": {"access_level": "private"}});
    let values = [
        ("data", json!(data.to_string())),
        ("oip", json!(oip.to_string())),
    ];
    let soul = gun::Soul::new(soul).unwrap();
    let record = testkit::raw::node(soul.as_str(), &values, now_ms());
    let entry = crate::support::entry("post", &soul, "n", now_ms());
    (
        oip_record::Did::from_soul(&soul),
        crate::support::join(record, entry),
    )
}

async fn is_kept_without_its_texts(node: TestNode, did: &oip_record::Did, reason: &str) {
    eventually("the refusal", || async {
        (node.rejected(reason) > 0).then_some(())
    })
    .await;
    node.indexed().await;
    assert_eq!(node.found(did).await, None);
    assert_eq!(node.get(did).await.unwrap(), None);
    let query = oip_index::Query {
        access: oip_index::Access::Everything,
        ..oip_index::Query::of(oip_index::Condition::text("secret"))
    };
    assert_eq!(node.search(query).await.unwrap().total, 0);
    let dir = node.stop().await;
    let row = store_of(&dir).quarantined(did.soul()).unwrap().unwrap();
    assert_eq!(
        (row.reason.as_str(), row.data, row.oip),
        (reason, None, None)
    );
    assert!(!row.detail.contains("secret of others"), "{}", row.detail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_private_of_others_is_read_one_in_clear_is_neither_held_nor_indexed() {
    let node = node_with(&[], |config| {
        config.private.foreign = oip_node::ForeignSealed::Keep;
    })
    .await;
    let (did, graph) = exposed(&Author::new(5), "exposed", None);
    put(&mut node.client().await, graph).await;
    is_kept_without_its_texts(node, &did, "exposed-private").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_is_wrong_with_a_private_record_its_texts_are_not_kept() {
    let node = node(&[]).await;
    let (did, graph) = exposed(&Author::new(5), "exposed", Some("c2ln"));
    put(&mut node.client().await, graph).await;
    is_kept_without_its_texts(node, &did, "bad-signature").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_record_that_is_refused_is_kept_to_be_looked_at() {
    let node = node(&[]).await;
    let version = Author::new(1).version("p", text("to be looked at"), now_ms());
    let mut oip = version.oip();
    oip["revision"] = json!(5);
    let spoiled = version.altered(&[("oip", json!(oip.to_string()))], now_ms());
    put(&mut node.client().await, spoiled).await;
    node.refuses("bad-signature").await;
    let dir = node.stop().await;
    let row = store_of(&dir).quarantined(&version.soul).unwrap().unwrap();
    assert_eq!(row.data.as_deref(), version.data_text.as_deref());
    assert_eq!(row.oip.as_deref(), Some(&*oip.to_string()));
    let _: Map<String, Value> = serde_json::from_str(row.oip.as_deref().unwrap()).unwrap();
}
