//! Records that deployed nodes encrypted by the schemes of the past, and records that can't be opened.

use std::path::Path;

use oip_index::{Access, Condition, Query};
use oip_node::config::{LegacyOrganization, LegacyUser};
use oip_node::{ForeignSealed, LegacyKeys, NodeConfig, Reseal, SealedMetadata, Submission};
use oip_record::{CreatorKey, Did, Stamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::pulling::wallet;
use crate::support::{
    Author, TestNode, eventually, join, node, node_on, node_with, now_ms, put, submission, text,
};

/// The recorded records of every scheme.
fn vectors() -> Vec<Value> {
    let file = include_str!("../../../../testdata/vectors/oip/crypto-vectors.json");
    let file: Value = serde_json::from_str(file).unwrap();
    file["records"].as_array().unwrap().clone()
}

/// What has to be given to open them all.
fn keys() -> LegacyKeys {
    let mut keys = LegacyKeys::default();
    for vector in vectors() {
        let password = vector["kdf"]["passwordUtf8"].as_str().unwrap();
        match vector["kdf"]["saltUtf8"].as_str().unwrap() {
            "oip-gun-encryption" => {
                let (public_key, salt) = password.split_once(':').unwrap();
                keys.users.push(LegacyUser {
                    public_key: public_key.to_owned(),
                    salt: Zeroizing::new(salt.to_owned()),
                });
            }
            "oip-organization-owner-encryption" => keys.organizations.push(LegacyOrganization {
                owner_private_key: Zeroizing::new(password[..64].to_owned()),
                public_key: password[64..].to_owned(),
            }),
            _ => {}
        }
    }
    keys
}

/// A recorded ciphertext as a deployed node wrote it: signed before it was encrypted, `meta` beside it.
fn legacy(key: &CreatorKey, n: usize, data: &Value, vector: &Value) -> (Did, Value) {
    let at_ms = now_ms() - 60_000;
    let soul = gun::Soul::new(format!("{}:legacy-{n}", key.soul_prefix())).unwrap();
    let creator = key.creator();
    let plain = vector["plaintextSingle"].as_str().unwrap();
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": Stamp::from_ms(i64::try_from(at_ms).unwrap()).as_str(),
        "signature": key.sign(plain.as_bytes()).unwrap(),
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let beside = format!("{soul}/meta");
    let values = [
        ("data", json!(data.to_string())),
        ("oip", json!(oip.to_string())),
        ("meta", json!({"#": beside})),
    ];
    let meta: Vec<(&str, Value)> = vector["meta"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_array())
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let record = join(
        testkit::raw::node(soul.as_str(), &values, at_ms),
        testkit::raw::node(&beside, &meta, at_ms),
    );
    let entry = crate::support::entry("post", &soul, "n", at_ms);
    (Did::from_soul(&soul), join(record, entry))
}

/// All of them, in every encoding that was recorded.
fn all_of(key: &CreatorKey) -> Vec<(String, Did, Value)> {
    let mut all = Vec::new();
    for vector in vectors() {
        for name in ["dataSingle", "dataDouble", "data"] {
            if vector[name].is_object() {
                let (did, graph) = legacy(key, all.len(), &vector[name], &vector);
                all.push((vector["name"].as_str().unwrap().to_owned(), did, graph));
            }
        }
    }
    all
}

async fn document(node: &TestNode, did: &Did) -> Option<Value> {
    let query = Query {
        access: Access::Everything,
        ..Query::of(Condition::did(did.to_string()))
    };
    let page = node.search(query).await.unwrap();
    page.hits.first().map(|hit| Value::clone(&hit.document))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scheme_is_opened_where_its_key_can_be_had_and_shown_to_its_readers_alone() {
    let given = node_with(&[], |config| config.private.legacy = keys()).await;
    let nothing = node(&[]).await;
    let key = wallet();
    for (scheme, did, graph) in all_of(&key) {
        for node in [&given, &nothing] {
            put(&mut node.client().await, graph.clone()).await;
        }
        let shown = eventually(&format!("{scheme} opens"), || document(&given, &did)).await;
        assert_eq!(shown["data"]["post"]["articleText"], "hidden", "{scheme}");
        assert_eq!(shown["data"]["basic"]["tagItems"], json!(["a", "b"]));
        assert_eq!(shown["oip"]["wasEncrypted"], true);
        // The signature over what is inside holds.
        assert_eq!(shown["oip"].get("verification"), None, "{shown}");
        assert_eq!(given.get(&did).await.unwrap(), None, "{scheme}");
        let needs_a_key = ["per-user with salt", "organization (owner"];
        if needs_a_key.iter().any(|start| scheme.starts_with(start)) {
            let kept = eventually("it is kept", || async {
                let everything = Access::Everything;
                nothing.get_as(&did, &everything).await.unwrap()
            })
            .await;
            assert!(kept["data"]["encrypted"].is_string(), "{kept}");
            nothing.indexed().await;
            assert_eq!(document(&nothing, &did).await, None, "{scheme}");
        } else {
            eventually(&format!("{scheme} opens"), || document(&nothing, &did)).await;
        }
    }
    let public = Query::of(Condition::text("hidden"));
    assert_eq!(given.search(public.clone()).await.unwrap().total, 0);
    // Whom `meta` names as the one who encrypted it may read it.
    let user = "0349b2160ea3117a90a1fcbbf198ef53bf325b604157cbcf81693f0f476006c9e1";
    let access = given.access_of(user).await;
    let his = Query { access, ..public };
    assert_eq!(given.search(his).await.unwrap().total, 4);
    assert!(given.verify_index().await.unwrap().agrees);
    assert!(nothing.verify_index().await.unwrap().agrees);
    // A key that is given later opens what is there.
    let opened = node_on(nothing.stop().await, &[], |config| {
        config.private.legacy = keys();
    })
    .await;
    for (scheme, did, _) in all_of(&key) {
        eventually(&format!("{scheme} opens"), || document(&opened, &did)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_could_have_encrypted_in_a_signers_name_is_not_taken() {
    let (node, key, vector) = (node(&[]).await, wallet(), &vectors()[0]);
    let (did, graph) = legacy(&key, 0, &vector["dataSingle"], vector);
    put(&mut node.client().await, graph).await;
    eventually("the signed one opens", || document(&node, &did)).await;
    let (forged, mut graph) = legacy(&key, 1, &vector["dataDouble"], vector);
    let oip = &mut graph[forged.soul().as_str()]["oip"];
    let mut said: Value = serde_json::from_str(oip.as_str().unwrap()).unwrap();
    said["signature"] = json!("c2ln");
    *oip = json!(said.to_string());
    put(&mut node.client().await, graph).await;
    node.refuses("unsigned").await;
    let everything = Access::Everything;
    assert_eq!(node.get_as(&forged, &everything).await.unwrap(), None);
}

fn with_wallet(config: &mut NodeConfig) {
    let file = "../../testdata/vectors/own/throw-away-wallet.json";
    config.wallet_file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_nodes_key_made_is_sealed_anew_once_and_what_others_made_is_left() {
    let a = node_with(&[], with_wallet).await;
    let b = node(&[&a]).await;
    let (mine, stranger) = (wallet(), Author::new(3));
    let vector = &vectors()[0];
    let (did, graph) = legacy(&mine, 0, &vector["dataDouble"], vector);
    put(&mut a.client().await, graph).await;
    let (foreign, graph) = legacy(&stranger.key, 1, &vector["dataSingle"], vector);
    put(&mut a.client().await, graph).await;
    // A deployed node with the same wallet published this one in clear.
    let clear = crate::pulling::signed(
        &mine,
        "clear",
        &json!({"basic": {"name": "in clear"}, "accessControl": {"access_level": "private"}}),
        now_ms() - 60_000,
    );
    let exposed = crate::pulling::did(&clear);
    let values = [("data", json!(clear.data)), ("oip", json!(clear.oip))];
    let record = testkit::raw::node(&clear.soul, &values, now_ms() - 60_000);
    put(&mut a.client().await, record).await;
    for did in [&did, &foreign, &exposed] {
        eventually("it is held", || document(&a, did)).await;
    }
    let dry = a.reseal(None, Reseal::DryRun).await.unwrap();
    assert_eq!(
        (dry.found, dry.legacy, dry.sealed.len()),
        (3, 2, 2),
        "{dry:?}"
    );
    let held = document(&a, &did).await.unwrap();
    assert!(
        held["oip"].get("scheme").is_none(),
        "a dry run writes nothing"
    );
    let report = a.reseal(None, Reseal::Write).await.unwrap();
    assert_eq!(report.sealed, dry.sealed);
    assert_eq!(report.left.len(), 1);
    assert_eq!(report.left[0].did, foreign.to_string());
    assert!(report.left[0].why.contains("made it"), "{report:?}");
    for (did, member, words) in [
        (&did, "/data/post/articleText", "hidden"),
        (&exposed, "/data/basic/name", "in clear"),
    ] {
        let mut client = a.client().await;
        let there = client
            .get(did.soul().as_str(), crate::support::PATIENCE)
            .await
            .unwrap()
            .unwrap();
        let data = there["data"].as_str().unwrap();
        assert!(
            data.contains("oip-sealed-1") && !data.contains(words),
            "{data}"
        );
        let shown = eventually("it is sealed and shown", || async {
            let shown = document(&a, did).await?;
            (shown["oip"]["scheme"] == "oip-record-1/sealed").then_some(shown)
        })
        .await;
        assert_eq!(shown.pointer(member), Some(&json!(words)));
        // Registered, so that others find it.
        eventually("B has it", || async {
            b.get_as(did, &Access::Everything).await.unwrap()
        })
        .await;
    }
    let again = a.reseal(None, Reseal::Write).await.unwrap();
    assert_eq!((again.found, again.sealed.len()), (1, 0));
}

/// Puts a private record as a deployed node with the wallet wrote it, in clear.
async fn in_clear(node: &TestNode, local_id: &str, data: &Value) -> Did {
    let at_ms = now_ms() - 60_000;
    let record = crate::pulling::signed(&wallet(), local_id, data, at_ms);
    let values = [("data", json!(record.data)), ("oip", json!(record.oip))];
    let graph = testkit::raw::node(&record.soul, &values, at_ms);
    put(&mut node.client().await, graph).await;
    let did = crate::pulling::did(&record);
    eventually("it is held", || document(node, &did)).await;
    did
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_of_each_record_what_sealing_it_does() {
    let node = node_with(&[], with_wallet).await;
    // First, since a creator who was seen signing is not believed unsigned any more.
    let unsigned = {
        let data =
            json!({"basic": {"name": "whose"}, "accessControl": {"access_level": "private"}});
        let record = crate::pulling::signed(&wallet(), "unsigned", &data, now_ms() - 60_000);
        let mut oip: Value = serde_json::from_str(&record.oip).unwrap();
        oip.as_object_mut().unwrap().shift_remove("signature");
        let values = [
            ("data", json!(record.data)),
            ("oip", json!(oip.to_string())),
        ];
        let graph = testkit::raw::node(&record.soul, &values, now_ms() - 60_000);
        put(&mut node.client().await, graph).await;
        let did = crate::pulling::did(&record);
        eventually("it is held", || document(&node, &did)).await;
        did
    };
    let private = json!({"access_level": "private"});
    let stored = in_clear(
        &node,
        "stored",
        &json!({
            "basic": {"name": "with parameters"}, "accessControl": private,
            "storage": "gun", "localId": "stored", "blockchain": "gun",
        }),
    )
    .await;
    let as_text = json!({"basic": {"name": "as text"}, "accessControl": private.to_string()});
    let as_text = in_clear(&node, "text", &as_text).await;
    let odd = json!({"basic": {"name": "odd"}, "accessControl": private, "odd": 5});
    let odd = in_clear(&node, "odd", &odd).await;
    let dry = node.reseal(None, Reseal::DryRun).await.unwrap();
    let entries = node.audit(0, 100).await.unwrap();
    assert!(entries.is_empty(), "{entries:?}");
    let written = node.reseal(None, Reseal::Write).await.unwrap();
    assert_eq!(dry, written, "a dry run tells what happens");
    let sealed = [&stored, &as_text].map(ToString::to_string);
    assert!(dry.sealed.iter().all(|did| sealed.contains(did)) && dry.sealed.len() == 2);
    for (did, why) in [(&odd, "`odd`"), (&unsigned, "unverified")] {
        let left = dry.left.iter().find(|left| left.did == did.to_string());
        assert!(left.is_some_and(|left| left.why.contains(why)), "{dry:?}");
    }
    node.indexed().await;
    let shown = document(&node, &stored).await.unwrap();
    assert_eq!(shown["data"]["storage"], Value::Null);
    let entries = serde_json::to_string(&node.audit(0, 100).await.unwrap()).unwrap();
    assert_eq!(entries.matches("\"migrated\"").count(), 2, "{entries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_nested_record_nothing_stays_in_clear_once_it_is_sealed() {
    let node = node_with(&[], with_wallet).await;
    let data = json!({
        "accessControl": {"access_level": "private"}, "basic": {"name": "nested words"},
    });
    let at_ms = now_ms() - 60_000;
    let record = crate::pulling::signed(&wallet(), "nested", &data, at_ms);
    let soul = &record.soul;
    let link = |part: &str| json!({"#": format!("{soul}/{part}")});
    let node_at = |part: &str, values: &[(&str, Value)]| {
        testkit::raw::node(&format!("{soul}{part}"), values, at_ms)
    };
    let parts = [
        node_at("/data/basic", &[("name", json!("nested words"))]),
        node_at("/data/accessControl", &[("access_level", json!("private"))]),
        node_at(
            "/data",
            &[
                ("basic", link("data/basic")),
                ("accessControl", link("data/accessControl")),
            ],
        ),
        node_at("", &[("data", link("data")), ("oip", json!(record.oip))]),
        // Of another record, whose name begins alike.
        node_at("/database", &[("name", json!("another"))]),
    ];
    for part in parts {
        put(&mut node.client().await, part).await;
    }
    let did = crate::pulling::did(&record);
    eventually("it is held", || document(&node, &did)).await;
    let report = node.reseal(None, Reseal::Write).await.unwrap();
    assert_eq!(report.sealed, [did.to_string()], "{report:?}");
    let mut client = node.client().await;
    for (part, is_there) in [
        ("/data", false),
        ("/data/basic", false),
        ("/database", true),
    ] {
        let soul = format!("{soul}{part}");
        let values = client.get(&soul, crate::support::PATIENCE).await.unwrap();
        let values = Value::from(values.unwrap_or_default());
        let is_text = values.to_string().contains("words") || values["basic"].is_object();
        assert!(!is_text, "{part}: {values}");
        assert_eq!(values["name"] == "another", is_there, "{part}: {values}");
    }
    node.indexed().await;
    let shown = document(&node, &did).await.unwrap();
    assert_eq!(shown["data"]["basic"]["name"], "nested words");
}

fn for_others(to: &TestNode) -> Submission {
    let mut data = text("for readers");
    data["accessControl"] =
        json!({"access_level": "private", "authorized_nodes": [to.identity().0]});
    submission("s", data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_opened_is_indexed_by_what_lies_in_clear_if_the_operator_asks_for_it() {
    let metadata = |config: &mut NodeConfig| {
        config.private.sealed_metadata = SealedMetadata::Indexed;
        config.private.foreign = ForeignSealed::Keep;
    };
    let a = node(&[]).await;
    let b = node_with(&[&a], metadata).await;
    let did = eventually("A can seal to B", || async {
        a.publish(for_others(&b)).await.ok()
    })
    .await
    .did;
    let shown = eventually("its metadata", || document(&b, &did)).await;
    assert_eq!(shown["oip"]["recordType"], "post");
    assert_eq!(
        shown["oip"]["creator"]["didAddress"],
        a.creator().did_address
    );
    assert_eq!(shown["oip"]["encrypted"], true);
    assert_eq!(shown["data"], json!({}));
    let types = b.record_types(&Access::public()).await.unwrap();
    assert_eq!(types.1, 0, "for the operator alone");
    assert!(b.verify_index().await.unwrap().agrees);
    // The key, here the leave to use it, comes later, and nothing is synced for it.
    let b = node_on(b.stop().await, &[], |config| {
        config.private.sealed_metadata = SealedMetadata::Indexed;
    })
    .await;
    eventually("the opened record in its place", || async {
        let shown = document(&b, &did).await?;
        (shown["data"]["post"]["articleText"] == "for readers").then_some(())
    })
    .await;
    let b = node_on(b.stop().await, &[], |config| {
        config.private.foreign = ForeignSealed::Keep;
    })
    .await;
    eventually("nothing of it", || async {
        document(&b, &did).await.is_none().then_some(())
    })
    .await;
}
