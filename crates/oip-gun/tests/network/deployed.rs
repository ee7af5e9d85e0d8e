//! Deployed nodes beside ours: their sync reads our records, and we theirs. The deployed node is one of
//! our own making (`testkit::deployed`); the gun.js relay between is the real one.

use serde_json::{Value, json};
use testkit::deployed::{Source, Syncer};
use testkit::{DeployedNode, DeployedRecord, GunRelay, NodeOptions, NodeProcess, RawGun};
use testkit::{RelayOptions, interop, wait_until};

use crate::journey::{
    ARRIVAL, binary, health, node, public_records, publish, publish_all, searched,
};

#[tokio::test]
async fn the_sync_of_a_deployed_node_finds_and_indexes_our_records_over_http() {
    let ours = node("ours", "").await;
    let published = publish_all(&ours, &public_records()).await;
    let base = format!("{}/gun-relay", ours.api());
    let mut theirs = Syncer::new(Source::Http(base.clone()));
    let report = theirs.cycle().await;
    assert_eq!(report.given_up, Vec::<String>::new(), "{report:?}");
    let known: Vec<_> = published
        .iter()
        .filter(|record| testkit::deployed::syncer::TYPES.contains(&&*record.record_type))
        .collect();
    assert!(
        known.len() >= 8,
        "{} records of deployed types",
        known.len()
    );
    assert_eq!(
        (report.indexed, report.record_reads),
        (known.len(), known.len())
    );
    for record in &known {
        let document = theirs.indexed(&record.did).unwrap();
        assert_eq!(document["data"], record.data, "{}", record.did);
        assert_eq!(document["oip"]["recordType"], record.record_type.as_str());
    }
    // Nothing of what they know is read again, and what was deleted does not stop them.
    assert_eq!(theirs.cycle().await.record_reads, 0);
    let gone = known[0];
    let request = json!({"delete": {"did": gone.did}});
    let deleted = ours
        .post("/api/records/deleteRecord", &request)
        .await
        .unwrap();
    assert_eq!(deleted.status, 200);
    let mut newcomer = Syncer::new(Source::Http(base));
    let report = newcomer.cycle().await;
    assert_eq!(
        (report.given_up.len(), report.indexed),
        (0, known.len() - 1)
    );
    assert_eq!(newcomer.indexed(&gone.did), None);
}

#[tokio::test]
async fn the_sync_of_a_deployed_node_finds_our_records_on_its_own_relay() {
    let Some(interop) = interop() else {
        return;
    };
    let relay = GunRelay::start(&interop, RelayOptions::default())
        .await
        .unwrap();
    let ours = node("ours", &relay.url()).await;
    let data = json!({"basic": {"name": "Corran", "tagItems": ["a", "b"]}});
    let record = publish(&ours, "post", "corran", &data).await;
    let what = "the record is indexed by their sync";
    wait_until(ARRIVAL, what, || async {
        let peer = RawGun::connect(&relay.url()).await.unwrap();
        let mut theirs = Syncer::new(Source::Relay(Box::new(peer)));
        let report = theirs.cycle_over(&["post"]).await;
        match theirs.indexed(&record.did) {
            Some(document) if document["data"] == data => Ok(()),
            other => Err(format!("{other:?} after {report:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn records_and_deletions_of_a_deployed_node_reach_ours_over_http() {
    let theirs = DeployedNode::start("deployed-a").await.unwrap();
    theirs.set(|faults| faults.absent_wait = std::time::Duration::from_millis(50));
    let record = unsigned("their-note");
    theirs.publish(&record);
    let options = NodeOptions::named("ours")
        .env("GUN_EXTERNAL_PEERS", theirs.base())
        .env("GUN_SYNC_INTERVAL", "500");
    let ours = NodeProcess::start(binary(), options).await.unwrap();
    let did = format!("did:gun:{}", record.soul);
    let found = wait_until(ARRIVAL, "their record", || async {
        match searched(&ours, &did, "post").await {
            Some(found) => Ok(found),
            None => Err(health(&ours).await.to_string()),
        }
    })
    .await;
    assert_eq!(found["data"]["basic"]["tagItems"], json!(["a", "b"]));
    assert_eq!(found["oip"]["verification"], "unverified");
    let peers = health(&ours).await["peers"].clone();
    assert_eq!(peers[0]["address"], theirs.base());
    assert_eq!(
        (&peers[0]["direction"], &peers[0]["state"]),
        (&json!("pulled"), &json!("connected"))
    );
    theirs.delete(&record.soul, 4_000_000_000_000);
    wait_until(ARRIVAL, "their deletion", || async {
        match searched(&ours, &did, "post").await {
            Some(found) => Err(found.to_string()),
            None => Ok(()),
        }
    })
    .await;
    let explained = ours
        .get(&format!("/api/records/explain?did={did}"))
        .await
        .unwrap();
    assert_eq!(explained.status, 200, "{}", explained.body);
    assert_eq!(
        explained.body["hidden"]["by"],
        theirs.base(),
        "{}",
        explained.body
    );
    assert_eq!(explained.body["shown"], false);
    assert_eq!(explained.body["held"]["signature"], "unverified");
}

/// A record that a deployed node failed to sign.
fn unsigned(local_id: &str) -> DeployedRecord {
    let key = oip_record::CreatorKey::ed25519([5; 32]).unwrap();
    let soul = format!("{}:{local_id}", key.soul_prefix());
    let creator = key.creator();
    let oip = json!({
        "did": format!("did:gun:{soul}"), "recordType": "post", "indexedAt": "2026-01-20T10:00:00.000Z",
        "ver": "0.8.0", "didTx": format!("did:gun:{soul}"),
        "creator": {"didAddress": creator.did_address, "publicKey": creator.public_key},
    });
    let data: Value = json!({"basic": {"name": "Theirs", "tagItems": "[\"a\",\"b\"]"}});
    DeployedRecord {
        soul,
        record_type: "post".into(),
        data: data.to_string(),
        oip: oip.to_string(),
    }
}
