//! The audit trail: who was refused what, what can be done by the thousand counted together, and what shows when
//! somebody changes it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_node::{AccessChange, NodeConfig, Owner, PublishError, Sealing, Secret, Submission};
use oip_record::soul;
use oip_store::{Op, Transaction};
use oip_vault::audit::{Action, Entry};
use serde_json::{Value, json};

use crate::attacks::{OPENS, sealed, sealed_over};
use crate::support::{
    Author, TestNode, eventually, graph, node, node_on, node_with, now_ms, put, store_of,
    submission, text,
};

async fn trail(node: &TestNode) -> Vec<Entry> {
    node.audit(0, 1_000).await.unwrap()
}

/// How often something was refused for a reason, and in how many entries that stands.
async fn refusals(node: &TestNode, caller: &str, reason: &str) -> (u64, usize) {
    let trail = trail(node).await;
    let these: Vec<_> = trail
        .iter()
        .filter(|entry| entry.action == Action::Refused)
        .filter(|entry| entry.caller == caller && entry.reason == reason)
        .collect();
    (these.iter().map(|entry| entry.count).sum(), these.len())
}

fn private(local_id: &str, more: &Value) -> Submission {
    let mut data = text("watched words");
    data["accessControl"] = json!({"access_level": "private"});
    let control = data["accessControl"].as_object_mut().unwrap();
    control.extend(more.as_object().unwrap().clone());
    submission(local_id, data)
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, PublishError>, label: &str) {
    match outcome {
        Err(PublishError::Private(error)) => assert_eq!(error.label(), label, "{error}"),
        other => panic!("{label}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_are_refused_stands_in_the_trail_and_a_repetition_is_counted() {
    let node = node(&[]).await;
    let user = |name: &str| Owner::User(name.to_owned());
    let made = node
        .publish_as(private("s", &json!({})), &user("owner"))
        .await;
    let did = made.unwrap().did;
    let edit = private("s", &json!({}));
    refused(
        node.publish_as(edit.clone(), &user("thief")).await,
        "not-owner",
    );
    let change = AccessChange {
        share: vec!["thief".to_owned()],
        revoke: Vec::new(),
    };
    for _ in 0..5 {
        let thief = user("thief");
        let changed = node.change_access(&did, change.clone(), &thief).await;
        refused(changed, "not-owner");
    }
    let unknown = private("t", &json!({"shared_with": ["nobody-knows"]}));
    refused(node.publish(unknown).await, "unknown-recipient-node");
    let mut contradicting = edit;
    contradicting.params = json!({"access_level": "shared"})
        .as_object()
        .unwrap()
        .clone();
    refused(node.publish(contradicting).await, "contradiction");
    let node = node.restart(&[]).await;
    // The first at once, the others within the minute together.
    assert_eq!(refusals(&node, "reader:thief", "not-owner").await, (6, 2));
    for reason in ["unknown-recipient-node", "contradiction"] {
        assert_eq!(
            refusals(&node, "operator", reason).await,
            (1, 1),
            "{reason}"
        );
    }
    let trail = trail(&node).await;
    let first = trail
        .iter()
        .find(|entry| entry.reason == "not-owner")
        .unwrap();
    assert_eq!(first.did, did.to_string());
    assert!(!serde_json::to_string(&trail).unwrap().contains("watched"));
    assert_eq!(node.verify_audit().await.unwrap().broken, None);
    let off = |config: &mut NodeConfig| config.private.sealing = Sealing::Off;
    let node = node_on(node.stop().await, &[], off).await;
    refused(
        node.publish(private("u", &json!({}))).await,
        "encryption-off",
    );
    let node = node.restart(&[]).await;
    assert_eq!(refusals(&node, "operator", "encryption-off").await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_records_of_peers_that_are_refused_are_counted_together() {
    let node = node(&[]).await;
    let author = Author::new(8);
    for n in 0..5 {
        let soul = soul::with_local_id(&author.key.soul_prefix(), &format!("r{n}")).unwrap();
        let mut built = sealed(&author.key, &soul, "words", now_ms() - 10_000);
        for (_, entries) in &mut built.entries {
            for (_, value) in entries {
                if let Some(text) = value.as_text() {
                    *value = gun::Value::text(
                        text.replace("\"level\":\"private\"", "\"level\":\"shared\""),
                    );
                }
            }
        }
        let record = graph(&built.entries, now_ms() - 10_000);
        put(&mut node.client().await, record).await;
    }
    eventually("five refusals", || async {
        (node.rejected("bad-signature") >= 5).then_some(())
    })
    .await;
    let node = node.restart(&[]).await;
    let (count, entries) = refusals(&node, "peer", "bad-signature").await;
    assert!(count >= 5 && entries <= 2, "{count} in {entries} entries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_inside_sealed_records_are_counted_together_each_time_they_are_met() {
    let opens = |config: &mut NodeConfig| {
        config.private.encryption_key = Some(Secret::new(URL_SAFE_NO_PAD.encode(OPENS)));
    };
    let node = node_with(&[], opens).await;
    let author = Author::new(8);
    for n in 0..4 {
        let soul = soul::with_local_id(&author.key.soul_prefix(), &format!("f{n}")).unwrap();
        let built = sealed_over(&author.key, &soul, "inside", "signed", now_ms() - 10_000);
        let record = graph(&built.entries, now_ms() - 10_000);
        put(&mut node.client().await, record).await;
    }
    node.counted("sealed_kept_total", 4).await;
    node.indexed().await;
    let dir = node.stop().await;
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let node = node_on(dir, &[], opens).await;
    node.counted("sealed_kept_total", 4).await;
    let node = node_on(node.stop().await, &[], opens).await;
    let faults: Vec<_> = trail(&node)
        .await
        .into_iter()
        .filter(|entry| entry.action == Action::Refused && entry.caller == "node")
        .collect();
    let count: u64 = faults.iter().map(|entry| entry.count).sum();
    // Two runs of the program, each with one entry at once and one for the rest.
    assert!(count >= 8 && faults.len() <= 4, "{count} in {faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_entry_that_was_changed_before_it_was_signed_shows() {
    let node = node(&[]).await;
    node.publish(private("s", &json!({}))).await.unwrap();
    let mut last = trail(&node).await.pop().unwrap();
    let dir = node.stop().await;
    last.caller = "somebody else".to_owned();
    let set = |name: String, value: Vec<u8>| Op::SetCursor { name, value };
    let store = store_of(&dir);
    let changed = serde_json::to_vec(&last).unwrap();
    let ops = vec![
        set(format!("audit:{:020}", last.seq), changed),
        set("audit-head".to_owned(), Vec::new()),
    ];
    store.commit(Transaction { ops }, now_ms()).await.unwrap();
    store.close().unwrap();
    let node = node_on(dir, &[], |_| {}).await;
    let broken = node.verify_audit().await.unwrap().broken.unwrap();
    assert!(broken.contains("was changed"), "{broken}");
}
