//! The index against the store: what it refuses, what differs, and being made anew while it serves.

use std::fs;
use std::ops::Bound;

use oip_index::{
    Condition, EmbeddedIndex, Envelope, Facet, FacetRequest, Index, IndexOp, Query, Readers,
    Version,
};
use oip_node::{DifferenceKind, QuarantineKind};
use oip_record::limits::DATA_BYTES_MAX;
use serde_json::{Value, json};

use crate::support::{
    Author, eventually, join, node, node_on, now_ms, put, relay, submission, text,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_index_refuses_is_kept_with_the_reason_until_it_is_taken() {
    let node = node(&[]).await;
    // As large as a record may be: with its `oip` the document is larger than the index takes.
    let frame = json!({"post": {"articleText": ""}}).to_string().len();
    let huge = json!({"post": {"articleText": "x".repeat(DATA_BYTES_MAX - frame)}});
    let published = node.publish(submission("huge", huge)).await.unwrap();
    node.publish(submission("other", text("other")))
        .await
        .unwrap();
    node.indexed().await;
    assert_eq!(node.found(&published.did).await, None);
    let rows = node
        .quarantine(QuarantineKind::Index, None, 10)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].reason, "index-document-too-large");
    assert!(
        rows[0].detail.contains("at most 8388608 bytes"),
        "{}",
        rows[0].detail
    );
    assert_eq!(
        (rows[0].record_type.as_deref(), rows[0].attempts),
        (Some("post"), 1)
    );
    assert_eq!(
        node.quarantine(QuarantineKind::Record, None, 10)
            .await
            .unwrap(),
        []
    );
    assert!(
        node.get(&published.did).await.unwrap().is_some(),
        "the record is held"
    );
    let compared = node.verify_index().await.unwrap();
    assert!(compared.agrees, "{compared:?}");
    assert_eq!(compared.quarantined, 1);

    let replayed = node.replay_quarantine(Some(&published.did)).await.unwrap();
    assert_eq!((replayed.index.tried, replayed.index.taken), (1, 0));
    let node = node.restart(&[]).await;
    let replayed = node.replay_quarantine(None).await.unwrap();
    assert_eq!((replayed.index.tried, replayed.index.taken), (1, 0));
    let rows = node.quarantined(&published.did).await.unwrap();
    assert_eq!((rows[0].0, rows[0].1.attempts), (QuarantineKind::Index, 3));

    node.publish(submission("huge", text("small now")))
        .await
        .unwrap();
    node.indexed().await;
    assert!(node.found(&published.did).await.is_some());
    assert!(node.quarantined(&published.did).await.unwrap().is_empty());
    assert_eq!(node.health().quarantine, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_templates_make_the_index_anew_while_the_old_one_answers() {
    let node = node(&[]).await;
    for height in [1, 2, 3] {
        let data = json!({"basic": {"name": "gauge"}, "gauge": {"height": height}});
        node.publish(submission(&format!("g{height}"), data))
            .await
            .unwrap();
    }
    node.indexed().await;
    let high = || {
        Query::of(Condition::Range {
            field: "gauge.height".parse().unwrap(),
            from: Bound::Included("2".into()),
            to: Bound::Unbounded,
        })
    };
    let untyped = node.search(high()).await.unwrap_err();
    assert!(untyped.to_string().contains("not known"), "{untyped}");
    assert_eq!(node.index().rebuild_due, None);

    let dir = node.stop().await;
    let templates = dir.path().join("templates");
    fs::create_dir(&templates).unwrap();
    let template = r#"{"template": "gauge", "fields": {"height": "double"}}"#;
    fs::write(templates.join("gauge.json"), template).unwrap();
    let node = node_on(dir, &[], |config| config.templates_dir = Some(templates)).await;
    // The old one answers from the first moment.
    assert_eq!(node.search(Query::by_text("gauge")).await.unwrap().total, 3);
    eventually("the new index", || async {
        (node.index().rebuilds_finished == 1).then_some(())
    })
    .await;
    assert_eq!(node.index().rebuild_due, None);
    assert_eq!(node.search(high()).await.unwrap().total, 2);
    assert!(node.verify_index().await.unwrap().agrees);
}

/// What a version says that the store never held.
fn elsewhere() -> Version {
    Version {
        class: 2,
        indexed_at_ms: 1,
        revision: 0,
        digest: [9; 32],
    }
}

fn upsert(did: &str, document: Value) -> IndexOp {
    IndexOp::Upsert {
        did: did.to_owned(),
        document,
        envelope: Envelope {
            readers: Readers::Public,
            version: elsewhere(),
            node: None,
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_difference_is_found_and_a_rebuild_is_the_cure() {
    let node = node(&[]).await;
    let mut dids = Vec::new();
    for local_id in ["a", "b", "c"] {
        let published = node
            .publish(submission(local_id, text(local_id)))
            .await
            .unwrap();
        dids.push(published.did.to_string());
    }
    node.indexed().await;
    assert!(node.verify_index().await.unwrap().agrees);
    let dir = node.stop().await;
    {
        let index = EmbeddedIndex::open(&dir.path().join("index")).unwrap();
        let cursor = index.cursor().unwrap();
        let batch = [
            IndexOp::Delete {
                did: dids[0].clone(),
                version: elsewhere(),
            },
            upsert(&dids[1], json!({"oip": {"recordType": "post"}})),
            upsert("did:gun:zz:extra", json!({"oip": {"recordType": "recipe"}})),
        ];
        index.apply(&batch, cursor).unwrap();
    }
    let node = node_on(dir, &[], |_| {}).await;
    let compared = node.verify_index().await.unwrap();
    assert!(!compared.agrees);
    let found: Vec<_> = compared
        .differences
        .iter()
        .map(|one| (one.did.as_str(), one.difference))
        .collect();
    assert_eq!(
        found,
        [
            (dids[0].as_str(), DifferenceKind::Missing),
            (dids[1].as_str(), DifferenceKind::OtherVersion),
            ("did:gun:zz:extra", DifferenceKind::Extra),
        ]
    );
    assert_eq!(compared.differences_total, 3);
    let of_type = |name: &str| {
        compared
            .types
            .iter()
            .find(|one| one.record_type == name)
            .unwrap()
    };
    let post = of_type("post");
    assert_eq!((post.stored, post.indexed), (3, 2));
    assert_ne!(post.store_digest, post.index_digest);
    assert_eq!(
        (of_type("recipe").stored, of_type("recipe").indexed),
        (0, 1)
    );

    node.rebuild_index().await.unwrap();
    eventually("the new index", || async {
        (node.index().rebuilds_finished == 1).then_some(())
    })
    .await;
    let compared = node.verify_index().await.unwrap();
    assert!(compared.agrees, "{compared:?}");
    assert_eq!(node.search(Query::default()).await.unwrap().total, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_records_are_judged_again_when_asked_for() {
    let relay = relay().await;
    let node = node(&[&relay]).await;
    let author = Author::new(3);
    let now = now_ms();
    let version = author.version("r", text("signed"), now);
    let other_data = json!(text("not signed").to_string());
    let spoiled = join(
        version.altered(&[("data", other_data)], now),
        version.entry(now),
    );
    put(&mut relay.client().await, spoiled).await;
    let row = eventually("the refusal", || async {
        node.quarantined(&version.did)
            .await
            .unwrap()
            .into_iter()
            .next()
    })
    .await;
    assert_eq!(row.0, QuarantineKind::Record);
    let judged = node.rejected("bad-signature");
    let replayed = node.replay_quarantine(None).await.unwrap();
    assert_eq!((replayed.index.tried, replayed.records), (0, 1));
    // Nothing else wakes discovery: it is judged because it was asked for, and refused as before.
    eventually("another judgement", || async {
        (node.rejected("bad-signature") > judged).then_some(())
    })
    .await;
    eventually("the refusal again", || async {
        let rows = node.quarantined(&version.did).await.unwrap();
        rows.into_iter().next()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_counted_by_the_node_they_came_from() {
    let theirs = node(&[]).await;
    let published = theirs
        .publish(submission("t", text("theirs")))
        .await
        .unwrap();
    let ours = node(&[&theirs]).await;
    ours.publish(submission("o", text("ours"))).await.unwrap();
    eventually("the record", || ours.found(&published.did)).await;
    ours.indexed().await;
    let query = Query {
        facets: vec![FacetRequest::new(Facet::Node)],
        ..Query::default()
    };
    let page = ours.search(query).await.unwrap();
    let mut counts: Vec<_> = page.facets[0]
        .values
        .iter()
        .map(|value| (value.value.as_deref(), value.documents))
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [(None, 1), (Some(theirs.node_id()), 1)]);
}

fn generation(dir: &std::path::Path) -> std::path::PathBuf {
    let entries = fs::read_dir(dir.join("index")).unwrap();
    let mut folders = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    folders.next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_whose_files_are_lost_is_made_anew_by_itself() {
    let node = node(&[]).await;
    let before = node
        .publish(submission("before", text("before")))
        .await
        .unwrap();
    node.indexed().await;
    fs::remove_dir_all(generation(node.dir.path())).unwrap();
    let after = node
        .publish(submission("after", text("after")))
        .await
        .unwrap();
    eventually("the new record", || node.found(&after.did)).await;
    eventually("the end of the rebuild", || async {
        let index = node.index();
        (index.rebuilds_finished == 1 && index.lag == 0).then_some(())
    })
    .await;
    assert!(node.found(&before.did).await.is_some());
    let index = node.index();
    assert_eq!((index.rebuild_waiting, index.rebuild), (None, None));
    assert!(node.verify_index().await.unwrap().agrees);
    // The new one is whole: it takes more, and is there after a restart.
    let more = node
        .publish(submission("more", text("more")))
        .await
        .unwrap();
    node.indexed().await;
    let node = node.restart(&[]).await;
    assert!(node.found(&more.did).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_asked_for_while_the_index_fails_is_not_forgotten() {
    let node = node(&[]).await;
    node.publish(submission("before", text("before")))
        .await
        .unwrap();
    node.indexed().await;
    fs::remove_dir_all(generation(node.dir.path())).unwrap();
    let after = node
        .publish(submission("after", text("after")))
        .await
        .unwrap();
    eventually("a failure", || async {
        (node.metric("index_failures_total") > 0).then_some(())
    })
    .await;
    node.rebuild_index().await.unwrap();
    eventually("the new index", || async {
        (node.index().rebuilds_finished == 1).then_some(())
    })
    .await;
    node.indexed().await;
    assert!(node.found(&after.did).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_whose_files_are_overwritten_is_filled_again_at_the_next_start() {
    let node = node(&[]).await;
    let mut dids = Vec::new();
    for local_id in ["a", "b", "c"] {
        let published = node.publish(submission(local_id, text(local_id))).await;
        dids.push(published.unwrap().did);
    }
    node.indexed().await;
    let dir = node.stop().await;
    let mut spoiled = 0;
    for entry in fs::read_dir(generation(dir.path())).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|end| end == "idx" || end == "term")
        {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, vec![0xA5; bytes.len()]).unwrap();
            spoiled += 1;
        }
    }
    assert!(spoiled > 0);
    let node = node_on(dir, &[], |_| {}).await;
    for did in &dids {
        eventually("the record", || node.found(did)).await;
    }
    assert!(node.verify_index().await.unwrap().agrees);
}
