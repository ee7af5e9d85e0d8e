//! Sealed records between nodes, and what hostile peers try with them.

use std::sync::Arc;
use std::time::Duration;

use gun::graph::Entry;
use gun::{Key, Soul, State};
use oip_index::{Access, Condition, Query};
use oip_node::{AccessChange, Admission, ForeignSealed, Owner, PublishError, Submission};
use oip_record::keys::CreatorKey;
use oip_record::{Did, NodeIdentity};
use serde_json::{Value, json};
use testkit::raw;

use crate::support::{
    TestNode, entry, eventually, join, node, node_on, node_with, now_ms, put, put_refused, relay,
    submission, text,
};

fn private(local_id: &str, words: &str, nodes: &[&TestNode]) -> Submission {
    let ids: Vec<String> = nodes.iter().map(|node| node.identity().0).collect();
    let mut data = text(words);
    data["accessControl"] = json!({"access_level": "private", "authorized_nodes": ids});
    submission(local_id, data)
}

/// What the operator of a node finds under a DID by searching.
async fn found(node: &TestNode, did: &Did) -> Option<Value> {
    let query = Query {
        access: Access::Everything,
        ..Query::of(Condition::did(did.to_string()))
    };
    let page = node.search(query).await.unwrap();
    page.hits.first().map(|hit| hit.document["data"].clone())
}

async fn shows(node: &TestNode, did: &Did, words: &str) {
    eventually(&format!("{did} says {words}"), || async {
        let data = found(node, did).await?;
        (data["post"]["articleText"] == words).then_some(())
    })
    .await;
}

async fn drops(node: &TestNode, did: &Did) {
    eventually(&format!("{did} is gone"), || async {
        found(node, did).await.is_none().then_some(())
    })
    .await;
}

/// The record's values as they lie on a node's graph.
async fn on_graph(node: &TestNode, did: &Did) -> Value {
    let mut client = node.client().await;
    let values = client
        .get(did.soul().as_str(), crate::support::PATIENCE)
        .await
        .unwrap();
    values.unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_reads_and_another_node_keeps_ciphertext_and_serves_it() {
    let a = node(&[]).await;
    let c = node(&[&a]).await;
    // B hears of A only through C, which may not read.
    let b = node(&[&c]).await;
    eventually("A can seal to B", || async {
        a.publish(private("s", "first", &[&b])).await.ok()
    })
    .await;
    let published = a.publish(private("s", "second", &[&b])).await.unwrap();
    shows(&b, &published.did, "second").await;
    c.indexed().await;
    assert_eq!(found(&c, &published.did).await, None);
    let closed = c.get_as(&published.did, &Access::Everything).await.unwrap();
    assert!(closed.is_some_and(|document| document["data"]["encrypted"].is_string()));
    assert_eq!(b.get(&published.did).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_names_the_node_that_published_it() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let did = eventually("A can seal to B", || async {
        a.publish(private("s", "from A", &[&b])).await.ok()
    })
    .await
    .did;
    shows(&b, &did, "from A").await;
    eventually("B knows who published it", || async {
        let shown = b.get_as(&did, &Access::Everything).await.unwrap()?;
        assert_eq!(shown["oip"]["wasEncrypted"], true);
        (shown["oip"]["syncedFromNode"] == a.identity().0).then_some(())
    })
    .await;
    let own = a.get_as(&did, &Access::Everything).await.unwrap().unwrap();
    assert_eq!(own["oip"]["syncedFromNode"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_comes_after_its_record_names_the_node_that_published_it_once() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let first = eventually("A can seal to B", || async {
        a.publish(private("first", "first", &[&b])).await.ok()
    })
    .await;
    shows(&b, &first.did, "first").await;
    b.settles().await;
    let id = b.identity().0;
    let b = b.stop().await;
    let mut data = text("from A");
    data["accessControl"] = json!({"access_level": "private", "authorized_nodes": [id]});
    let did = a.publish(submission("s", data)).await.unwrap().did;
    let (values, publisher) = (on_graph(&a, &did).await, a.identity().0);
    a.stop().await;

    // On a relay the record is announced first, and the entry that names its node comes later.
    let relay = relay().await;
    let b = node_on(b, &[&relay], |_| {}).await;
    let (soul, index) = (did.soul().as_str(), "oip:registry:index:post");
    let values = ["data", "oip"].map(|key| (key, values[key].clone()));
    let link = [(soul, json!({"#": format!("{index}/{soul}")}))];
    let mut client = relay.client().await;
    let directory = [("post", json!({"#": index}))];
    let at = now_ms();
    let announced = join(
        raw::node(index, &link, at),
        raw::node("oip:registry:index", &directory, at),
    );
    put(&mut client, join(raw::node(soul, &values, at), announced)).await;
    shows(&b, &did, "from A").await;
    let named = async || {
        let shown = b.get_as(&did, &Access::Everything).await.unwrap().unwrap();
        shown["oip"]["syncedFromNode"].as_str().map(str::to_owned)
    };
    let first = named().await;
    assert!(first.is_some_and(|name| name != publisher));
    put(&mut client, entry("post", did.soul(), &publisher, at - 10)).await;
    eventually("B knows who published it", || async {
        (named().await? == publisher).then_some(())
    })
    .await;
    let in_index = || async {
        let query = Query {
            access: Access::Everything,
            ..Query::of(Condition::did(did.to_string()))
        };
        let page = b.search(query).await.unwrap();
        let shown = page.hits.first()?.document["oip"]["syncedFromNode"].clone();
        (shown == publisher).then_some(())
    };
    eventually("the index knows", in_index).await;

    // Whoever writes entries has no record indexed again and again.
    // Put in once with each name. What is counted is counted after it can be found.
    b.counted("index_operations_total", 2).await;
    put(&mut client, entry("post", did.soul(), "somebody", at - 5)).await;
    let target = format!("{index}/{soul}");
    eventually("the false entry on B", || async {
        let mut client = b.client().await;
        let shown = client.get(&target, crate::support::PATIENCE).await;
        (shown.unwrap()?["nodeId"] == "somebody").then_some(())
    })
    .await;
    b.settles().await;
    b.indexed().await;
    assert_eq!(named().await.as_deref(), Some(publisher.as_str()));
    assert_eq!(b.metric("index_operations_total"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_opens_what_is_there_and_a_revocation_closes_it() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let published = a.publish(private("s", "kept", &[])).await.unwrap();
    let id = b.identity().0;
    let share = AccessChange {
        share: vec![id.clone()],
        revoke: Vec::new(),
    };
    let changed = eventually("the share", || async {
        a.change_access(&published.did, share.clone(), &Owner::Operator)
            .await
            .ok()
    })
    .await;
    assert_eq!((changed.recipients, changed.resealed), (2, false));
    shows(&b, &published.did, "kept").await;
    let revoke = AccessChange {
        share: Vec::new(),
        revoke: vec![id],
    };
    let changed = a
        .change_access(&published.did, revoke, &Owner::Operator)
        .await
        .unwrap();
    assert_eq!((changed.recipients, changed.resealed), (1, true));
    drops(&b, &published.did).await;
    shows(&a, &published.did, "kept").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_foreign_records_closed_opens_them_once_the_setting_says_so() {
    let a = node(&[]).await;
    let keep = |config: &mut oip_node::NodeConfig| config.private.foreign = ForeignSealed::Keep;
    let b = node_with(&[&a], keep).await;
    let did = eventually("A can seal to B", || async {
        a.publish(private("s", "for later", &[&b])).await.ok()
    })
    .await
    .did;
    b.counted("sealed_kept_total", 1).await;
    assert_eq!(found(&b, &did).await, None);
    // No peer: what is here already is opened.
    let b = node_on(b.stop().await, &[], |_| {}).await;
    shows(&b, &did, "for later").await;
    let b = node_on(b.stop().await, &[], keep).await;
    drops(&b, &did).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_old_and_new_records_are_open_and_an_index_that_was_lost_is_filled_again()
{
    let a = node(&[]).await;
    let old = a.publish(private("old", "before", &[])).await.unwrap().did;
    let before = a.encryption_keys();
    let id = a.rotate_encryption_key(&Owner::Operator).await.unwrap();
    assert_eq!(a.encryption_keys(), [id, before[0].clone()]);
    let new = a.publish(private("new", "after", &[])).await.unwrap().did;
    let dir = a.stop().await;
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let a = node_on(dir, &[], |_| {}).await;
    shows(&a, &old, "before").await;
    shows(&a, &new, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_private_record_is_gone_everywhere() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let did = eventually("A can seal to B", || async {
        a.publish(private("s", "short-lived", &[&b])).await.ok()
    })
    .await
    .did;
    shows(&b, &did, "short-lived").await;
    a.delete(&did).await.unwrap();
    drops(&b, &did).await;
    assert_eq!(b.get_as(&did, &Access::Everything).await.unwrap(), None);
}

/// A record on a node, its values, and a client that puts what it likes.
struct Attacked {
    node: TestNode,
    did: Did,
    first: Value,
    second: Value,
}

async fn attacked() -> Attacked {
    let node = node(&[]).await;
    let did = node.publish(private("s", "first", &[])).await.unwrap().did;
    let first = on_graph(&node, &did).await;
    node.publish(private("s", "second", &[])).await.unwrap();
    let second = on_graph(&node, &did).await;
    shows(&node, &did, "second").await;
    Attacked {
        node,
        did,
        first,
        second,
    }
}

impl Attacked {
    /// Puts values at a soul, later than what stands there.
    async fn put(&self, soul: &str, data: Value, oip: Value) {
        let text = |value: Value| match value {
            Value::String(_) => value,
            other => json!(other.to_string()),
        };
        let values = [("data", text(data)), ("oip", text(oip))];
        put(
            &mut self.node.client().await,
            raw::node(soul, &values, now_ms() + 5),
        )
        .await;
    }

    async fn is_refused(&self, soul: &str, data: Value, oip: Value, reason: &str) {
        let before = self.node.rejected(reason);
        // What heals an attack before this one may come in between, under a later state: then once more.
        eventually(&format!("a refusal as {reason}"), || async {
            self.put(soul, data.clone(), oip.clone()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            (self.node.rejected(reason) > before).then_some(())
        })
        .await;
        shows(&self.node, &self.did, "second").await;
    }

    fn parsed(values: &Value, name: &str) -> Value {
        serde_json::from_str(values[name].as_str().unwrap()).unwrap()
    }

    fn second(&self) -> (Value, Value) {
        (
            Self::parsed(&self.second, "data"),
            Self::parsed(&self.second, "oip"),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tampered_with_moved_cut_or_stripped_is_refused_by_name() {
    let attacked = attacked().await;
    let soul = attacked.did.soul().as_str().to_owned();
    let prefix = soul.split(':').next().unwrap().to_owned();
    let (data, oip) = attacked.second();

    let mut tampered = data.clone();
    tampered["encrypted"] = json!("AAAA");
    attacked
        .is_refused(&soul, tampered, oip.clone(), "bad-signature")
        .await;
    let mut cut = data.clone();
    cut["seal"]["recipients"] = json!([]);
    attacked
        .is_refused(&soul, cut, oip.clone(), "sealed-no-recipient")
        .await;
    let truncated = json!(data.to_string()[..80]);
    attacked
        .is_refused(&soul, truncated, oip.clone(), "not-json")
        .await;
    for (member, value) in [
        ("recordType", json!("notes")),
        ("indexedAt", json!("2026-01-01T00:00:00.000Z")),
    ] {
        let mut moved = oip.clone();
        moved[member] = value;
        attacked
            .is_refused(&soul, data.clone(), moved, "bad-signature")
            .await;
    }
    let elsewhere = format!("{prefix}:elsewhere");
    attacked
        .is_refused(&elsewhere, data.clone(), oip.clone(), "did-mismatch")
        .await;
    let mut renamed = oip.clone();
    renamed["did"] = json!(format!("did:gun:{elsewhere}"));
    attacked
        .is_refused(&elsewhere, data.clone(), renamed, "bad-signature")
        .await;
    let mut stripped = oip.clone();
    stripped.as_object_mut().unwrap().shift_remove("signature");
    attacked
        .is_refused(&soul, data.clone(), stripped, "bad-member")
        .await;
    let mut unnamed = oip.clone();
    unnamed.as_object_mut().unwrap().shift_remove("scheme");
    attacked.is_refused(&soul, data, unnamed, "sealed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_version_or_an_unsigned_one_does_not_take_the_place_of_a_sealed_one() {
    let attacked = attacked().await;
    let soul = attacked.did.soul().as_str().to_owned();
    let healed = attacked.node.metric("records_healed_total");
    attacked
        .put(
            &soul,
            attacked.first["data"].clone(),
            attacked.first["oip"].clone(),
        )
        .await;
    attacked
        .node
        .counted("records_healed_total", healed + 1)
        .await;
    shows(&attacked.node, &attacked.did, "second").await;
    assert_eq!(
        on_graph(&attacked.node, &attacked.did).await["oip"],
        attacked.second["oip"]
    );

    let creator = attacked.node.creator();
    let oip = json!({
        "did": attacked.did.to_string(), "recordType": "post", "ver": "0.8.0", "indexedAt": "2026-01-01T00:00:00.000Z",
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    // The node beside it still says that the record is encrypted, and nobody vouches for the contrary.
    attacked
        .is_refused(&soul, text("unsigned"), oip, "exposed-private")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_cannot_publish_what_he_read_as_the_creators() {
    let attacked = attacked().await;
    let soul = attacked.did.soul().as_str().to_owned();
    let (_, mut oip) = attacked.second();
    // He has the plaintext and every signature there is, and dresses them up as a public record.
    for (member, value) in [
        ("scheme", json!("oip-record-1/public")),
        ("revision", json!(0)),
        ("level", json!("public")),
        ("arrays", json!([])),
    ] {
        oip[member] = value;
    }
    attacked
        .is_refused(
            &soul,
            json!({"post": {"articleText": "second"}}),
            oip,
            "bad-signature",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_of_another_node_cannot_be_forged() {
    // One that takes everything holds false pointers too.
    let open = |config: &mut oip_node::NodeConfig| config.admission = Admission::Open;
    let a = node_with(&[], open).await;
    let b = node(&[&a]).await;
    let (id, public) = b.identity();
    let soul = Soul::new(format!("~{public}/oip/node")).unwrap();
    let forger = NodeIdentity::from_scalar([5; 32]).unwrap();
    // In B's space, signed by another: no relay of ours takes it.
    let state = State::from_millis(now_ms());
    let value = gun::Value::text("{}");
    let forged = gun::sea::sign_value(
        &soul,
        "statement",
        &value,
        state,
        &forger.sea_pair().unwrap(),
    )
    .unwrap();
    let graph = raw::node(soul.as_str(), &[("statement", json!(forged))], now_ms());
    let refused = put_refused(&mut a.client().await, graph).await;
    assert!(!refused.is_empty());
    // A pointer under B's id that leads to the forger proves nothing.
    eventually("A knows B", || async {
        a.publish(private("s", "x", &[&b])).await.ok()
    })
    .await;
    let pointer = raw::node(
        &format!("oip:registry:nodes:{id}"),
        &[("pub", json!(forger.public()))],
        now_ms(),
    );
    put(&mut a.client().await, pointer.clone()).await;
    // Nor does it stop A, who has seen B's statement: it is told, and passed over.
    let sealed = a.publish(private("s", "y", &[&b])).await.unwrap();
    shows(&b, &sealed.did, "y").await;
    let rivals = a.health().rivals;
    assert_eq!(rivals.len(), 1, "{rivals:?}");
    assert_eq!(
        (&rivals[0].name, &rivals[0].claimed_by),
        (&id, &forger.node_id())
    );
    // Who has not seen it is told that what he found is not B's. Named by its key, it needs no pointer.
    let stranger = node_with(&[], open).await;
    put(&mut stranger.client().await, pointer.clone()).await;
    let error = stranger.publish(private("s", "y", &[&b])).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains(&id), "{error}");
    let mut data = text("z");
    data["accessControl"] = json!({"access_level": "shared", "authorized_nodes": [public]});
    let did = a.publish(submission("z", data)).await.unwrap().did;
    shows(&b, &did, "z").await;
    // As nodes are by default, none takes a pointer that leads astray.
    let refused = put_refused(&mut b.client().await, pointer).await;
    assert!(refused.contains("Unverified"), "{refused}");
    assert_eq!(b.refused("unverified"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pointer_that_leads_astray_on_a_relay_is_written_again_and_holds_nobody_up() {
    let a = node(&[]).await;
    let (id, public) = a.identity();
    let a = a.stop().await;
    let relay = relay().await;
    let mut client = relay.client().await;
    let place = format!("oip:registry:nodes:{id}");
    let forger = NodeIdentity::from_scalar([5; 32]).unwrap();
    let forged = raw::node(&place, &[("pub", json!(forger.public()))], now_ms());
    put(&mut client, forged).await;
    // B has never met A, and meets the false pointer first.
    let b = node(&[&relay]).await;
    let mut data = text("for A");
    data["accessControl"] = json!({"access_level": "private", "authorized_nodes": [id]});
    let peers = [&relay];
    let (sealed, a) = tokio::join!(
        b.publish(submission("first", data)),
        node_on(a, &peers, |_| {})
    );
    let did = sealed.unwrap().did;
    shows(&a, &did, "for A").await;
    let pointer = client.get(&place, crate::support::PATIENCE).await;
    assert_eq!(pointer.unwrap().unwrap()["pub"], public);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_key_seen_with_an_alias_keeps_it() {
    let a = node(&[]).await;
    let alias =
        |config: &mut oip_node::NodeConfig| config.node_id_override = Some("node-b".to_owned());
    let b = node_with(&[&a], alias).await;
    let sealed_to = |name: &str| {
        let mut data = text("to an alias");
        data["accessControl"] = json!({"access_level": "shared", "authorized_nodes": [name]});
        submission("alias", data)
    };
    eventually("A can seal to the alias", || async {
        a.publish(sealed_to("node-b")).await.ok()
    })
    .await;
    let other = node_with(&[&a], alias).await;
    let id = other.identity().0;
    let rival = eventually("the other one is told", || async {
        a.publish(sealed_to("node-b")).await.unwrap();
        a.health().rivals.pop()
    })
    .await;
    assert_eq!((rival.name.as_str(), &rival.claimed_by), ("node-b", &id));
    let did = a.publish(sealed_to("node-b")).await.unwrap().did;
    shows(&b, &did, "to an alias").await;
    assert_eq!(found(&other, &did).await, None);
    // Pinned by its id, it is the one that was meant.
    let pinned = format!("node-b@{}", &id[..16]);
    let did = a.publish(sealed_to(&pinned)).await.unwrap().did;
    shows(&other, &did, "to an alias").await;
    // Which stays so, whoever writes the pointer next.
    let pointer = raw::node(
        "oip:registry:nodes:node-b",
        &[("pub", json!(b.identity().1))],
        now_ms(),
    );
    put(&mut a.client().await, pointer).await;
    a.publish(sealed_to(&pinned)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_is_waited_for_while_no_peer_is_connected_yet() {
    let a = node(&[]).await;
    let b = node(&[]).await;
    // Right after the start, before any link stands.
    let a = a.restart(&[&b]).await;
    let published = a.publish(private("s", "at once", &[&b])).await.unwrap();
    shows(&b, &published.did, "at once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_replaced_while_a_node_was_away_is_not_sealed_to() {
    let a = node(&[]).await;
    let b = node(&[]).await;
    let a = a.restart(&[&b]).await;
    a.publish(private("s", "before", &[&b])).await.unwrap();
    let away = a.stop().await;
    let id = b.rotate_encryption_key(&Owner::Operator).await.unwrap();
    let a = node_on(away, &[&b], |_| {}).await;
    eventually("the link", || async {
        let peers = a.health().peers;
        peers
            .iter()
            .any(|peer| peer.node_id.is_some())
            .then_some(())
    })
    .await;
    let did = a.publish(private("s", "after", &[&b])).await.unwrap().did;
    let data = on_graph(&a, &did).await["data"].to_string();
    assert!(data.contains(&id), "sealed to the key that B has now");
    shows(&b, &did, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_whom_nobody_knows_is_an_error_that_names_him() {
    let a = node(&[]).await;
    let user = CreatorKey::secp256k1([9; 32])
        .unwrap()
        .creator()
        .public_key
        .clone();
    for (name, label) in [
        ("0123456789abcdef0123456789abcdef", "unknown-recipient-node"),
        ("nobody", "unknown-recipient-node"),
        (user.as_str(), "no-user-key"),
        ("did:gun:0123456789ab:org", "no-organization-members"),
        ("no name at all", "not-a-recipient"),
    ] {
        let mut data = text("x");
        data["accessControl"] = json!({"access_level": "shared", "shared_with": [name]});
        match a.publish(submission("s", data)).await {
            Err(PublishError::Private(error)) => {
                assert_eq!(error.label(), label, "{error}");
                assert!(error.to_string().contains(name), "{error}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    a.indexed().await;
    let all = Query {
        access: Access::Everything,
        ..Query::default()
    };
    assert_eq!(a.search(all).await.unwrap().total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_its_maker_sealed_is_taken_as_it_is() {
    let a = node(&[]).await;
    let vectors = include_str!("../../../../testdata/vectors/own/sealed.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let record = &vectors["records"][1];
    let soul = record["soul"].as_str().unwrap();
    let did = Did::from_soul(&Soul::new(soul).unwrap());
    let text = |name: &str| record[name].as_str().unwrap().to_owned();
    let published = a
        .publish_sealed(&did, text("data"), text("oip"))
        .await
        .unwrap();
    assert!(published.encrypted && published.did == did);
    assert_eq!(on_graph(&a, &did).await["data"], record["data"]);
    let again = a
        .publish_sealed(&did, text("data"), text("oip"))
        .await
        .unwrap_err();
    assert!(again.to_string().contains("not newer"), "{again}");
    let spoiled = text("data").replacen("\"revision\":0", "\"revision\":1", 1);
    let refused = a
        .publish_sealed(&did, spoiled, text("oip"))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("signature does not verify"),
        "{refused}"
    );
    let _: Arc<tempfile::TempDir> = a.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_trail_is_whole_survives_a_restart_and_shows_a_cut() {
    let a = node(&[]).await;
    let did = a.publish(private("s", "watched", &[])).await.unwrap().did;
    a.get_as(&did, &Access::Everything).await.unwrap();
    let a = a.restart(&[]).await;
    let report = a.verify_audit().await.unwrap();
    assert_eq!(report.broken, None);
    assert_eq!(report.signed_to, report.entries);
    let entries = a.audit(0, 100).await.unwrap();
    let said = serde_json::to_string(&entries).unwrap();
    assert!(
        said.contains("\"sealed\"") && said.contains("\"admin-read\""),
        "{said}"
    );
    assert!(
        said.contains(&did.to_string()) && !said.contains("watched"),
        "{said}"
    );
    let dir = a.stop().await;
    let last = format!("audit:{:020}", entries.len());
    let store = crate::support::store_of(&dir);
    let cut = oip_store::Op::SetCursor {
        name: last,
        value: Vec::new(),
    };
    store
        .commit(oip_store::Transaction::from(cut), now_ms())
        .await
        .unwrap();
    store.close().unwrap();
    let a = node_on(dir, &[], |_| {}).await;
    let broken = a.verify_audit().await.unwrap().broken.unwrap();
    assert!(broken.contains("cut off"), "{broken}");
}

/// A put in a user's space, as the graph holds it.
#[test]
fn a_statement_is_one_value_in_the_nodes_own_space() {
    let identity = NodeIdentity::from_scalar([6; 32]).unwrap();
    let soul = oip_vault::statement::soul(identity.public()).unwrap();
    let entry = Entry {
        key: Key::new("statement").unwrap(),
        state: State::from_millis(1),
        value: gun::Value::text("{}"),
    };
    assert!(oip_vault::statement::Statement::read(&soul, &entry).is_err());
}
