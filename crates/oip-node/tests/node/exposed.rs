//! Private records that other nodes published in clear: for their readers, and for nobody else.

use oip_index::{Access, Condition, Facet, FacetRequest, Query};
use oip_node::{AccessChange, Owner};
use oip_record::Did;
use serde_json::{Value, json};

use crate::pulling::{deployed, did, puller, signed, wallet};
use crate::support::{Author, TestNode, eventually, join, node, now_ms, put, text};

/// A user's key as tokens of deployed nodes bear it.
const OWNER: &str = "0349b2160ea3117a90a1fcbbf198ef53bf325b604157cbcf81693f0f476006c9e1";
const NAMED: &str = "034d41b0c8bdbf3ad65e55624b554aa01533c7d2695fe91cb8a20febc99e63e92d";
const STRANGER: &str = "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn private(words: &str) -> Value {
    let mut data = text(words);
    data["accessControl"] = json!({
        "access_level": "shared", "owner_public_key": OWNER, "shared_with": json!([NAMED]).to_string(),
    });
    data
}

async fn found_by(node: &TestNode, access: &Access, words: &str) -> u64 {
    let query = Query {
        access: access.clone(),
        ..Query::of(Condition::text(words))
    };
    node.search(query).await.unwrap().total
}

/// What a caller can learn of a node without knowing the DID: hits, counts, types.
async fn learns(node: &TestNode, access: &Access, words: &str) -> bool {
    let facets = Query {
        access: access.clone(),
        limit: 0,
        facets: vec![FacetRequest::new(Facet::RecordType)],
        ..Query::default()
    };
    let counted = node.search(facets).await.unwrap();
    let (types, total) = node.record_types(access).await.unwrap();
    let found = found_by(node, access, words).await;
    let all = [
        found > 0,
        counted.total > 0,
        counted.facets.iter().any(|facet| !facet.values.is_empty()),
        !types.is_empty(),
        total > 0,
    ];
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    all[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_owner_the_users_it_names_and_the_operator_see_it_and_nobody_else() {
    let node = node(&[]).await;
    let author = Author::new(5);
    let creator = author.key.creator();
    let soul = gun::Soul::new(format!("{}:exposed", author.key.soul_prefix())).unwrap();
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "ver": "0.8.0",
        "indexedAt": "2026-01-01T00:00:00.000Z",
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let values = [
        ("data", json!(private("unmistakable").to_string())),
        ("oip", json!(oip.to_string())),
    ];
    let record = testkit::raw::node(soul.as_str(), &values, now_ms());
    let entry = crate::support::entry("post", &soul, "n", now_ms());
    put(&mut node.client().await, join(record, entry)).await;
    let did = Did::from_soul(&soul);
    eventually("the operator finds it", || async {
        (found_by(&node, &Access::Everything, "unmistakable").await == 1).then_some(())
    })
    .await;
    for (key, sees) in [(OWNER, true), (NAMED, true), (STRANGER, false)] {
        let access = node.access_of(key).await;
        assert_eq!(learns(&node, &access, "unmistakable").await, sees, "{key}");
        let got = node.get_as(&did, &access).await.unwrap();
        assert_eq!(got.is_some(), sees, "{key}");
        let explained = node.explain(&did, &access).await.unwrap();
        assert_eq!(explained.is_some(), sees, "{key}");
    }
    assert!(!learns(&node, &Access::public(), "unmistakable").await);
    assert_eq!(node.get(&did).await.unwrap(), None);
    let shown = node.get_as(&did, &Access::Everything).await.unwrap();
    assert_eq!(shown.unwrap()["oip"]["privacy"], "exposed");
    let health = node.health();
    assert_eq!(health.exposed, 1);
    assert_eq!(health.registry.total_records_registered, 0);
    assert!(node.verify_index().await.unwrap().agrees);
    let change = AccessChange {
        share: vec![node.identity().0],
        revoke: Vec::new(),
    };
    let refused = node.change_access(&did, change, &Owner::Operator).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("not sealed"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_passed_on() {
    let peer = deployed().await;
    let record = signed(
        &wallet(),
        "exposed",
        &private("unmistakable"),
        now_ms() - 60_000,
    );
    peer.publish(&record);
    let node = puller(&peer).await;
    node.counted("records_exposed_total", 1).await;
    eventually("the operator finds it", || async {
        (found_by(&node, &Access::Everything, "unmistakable").await == 1).then_some(())
    })
    .await;
    let mut client = node.client().await;
    for soul in [&*record.soul, "oip:registry:index:post"] {
        let there = client.get(soul, crate::support::PATIENCE).await.unwrap();
        assert_eq!(there, None, "{soul}");
    }
    assert_eq!(node.get(&did(&record)).await.unwrap(), None);
}
