//! A node that lost everything but its keys.

use std::sync::Arc;

use oip_record::Did;
use tempfile::TempDir;

use crate::support::{TestNode, node, node_on, submission, text};

/// Everything in the data folder but the keys.
fn lose(dir: &TempDir) {
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "keys") {
            continue;
        }
        if path.is_dir() {
            // Threads of the index that merge in the background may just be ending.
            let gone = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                std::fs::remove_dir_all(&path).is_ok() || !path.exists()
            });
            assert!(gone, "{}", path.display());
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
}

async fn publish_some(node: &TestNode) -> Vec<(Did, serde_json::Value)> {
    let mut documents = Vec::new();
    for n in 0..5 {
        let published = node
            .publish(submission(&format!("p-{n}"), text("mine")))
            .await;
        let published = published.unwrap();
        documents.push((published.did, published.document));
    }
    let edited = node
        .publish(submission("p-1", text("mine, edited")))
        .await
        .unwrap();
    documents[1].1 = edited.document;
    documents
}

/// What it gets back is what it had: all records, the deletion, and the right to change them.
async fn has_everything_back(
    node: &TestNode,
    other: &TestNode,
    documents: &[(Did, serde_json::Value)],
    deleted: &Did,
) {
    for (did, document) in documents {
        node.shows(did, document).await;
    }
    node.hides(deleted).await;
    let did = &documents[0].0;
    let edited = node
        .publish(submission("p-0", text("after")))
        .await
        .unwrap();
    assert_eq!((&edited.did, edited.edited), (did, true));
    other.shows(did, &edited.document).await;
    node.delete(&documents[1].0).await.unwrap();
    other.hides(&documents[1].0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restored_from_its_keys_alone_gets_its_own_records_back_from_whom_it_dials() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    let id = a.node_id().to_owned();
    let (documents, deleted) = published_on(&a, &b).await;
    let dir = a.stop().await;
    lose(&dir);
    let a = node_on(dir, &[&b], |_| {}).await;
    assert_eq!(a.node_id(), id, "the registry entries bear its own id");
    has_everything_back(&a, &b, &documents, &deleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_from_whom_it_is_dialled_by() {
    let a = node(&[]).await;
    let b = node(&[&a]).await;
    let (documents, deleted) = published_on(&a, &b).await;
    let dir = a.stop().await;
    lose(&dir);
    let a = node_on(dir, &[], |_| {}).await;
    let b = b.restart(&[&a]).await;
    has_everything_back(&a, &b, &documents, &deleted).await;
}

async fn published_on(a: &TestNode, b: &TestNode) -> (Vec<(Did, serde_json::Value)>, Did) {
    let documents = publish_some(a).await;
    let gone = a.publish(submission("gone", text("gone"))).await.unwrap();
    b.shows(&gone.did, &gone.document).await;
    a.delete(&gone.did).await.unwrap();
    b.hides(&gone.did).await;
    for (did, document) in &documents {
        b.shows(did, document).await;
    }
    (documents, gone.did)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_lost_or_spoiled_is_filled_again_from_the_store() {
    let node = node(&[]).await;
    let documents = publish_some(&node).await;
    node.indexed().await;
    let dir = node.stop().await;
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let node = node_on(Arc::clone(&dir), &[], |_| {}).await;
    node.indexed().await;
    for (did, document) in &documents {
        assert_eq!(node.found(did).await.as_ref(), Some(document));
    }
}
