//! What is revoked or deleted leaves the files of the index that it lay in, though nothing else ever comes.

use serde_json::json;
use testkit::wait_until;

use crate::actors::{Node, PATIENCE};
use crate::needles::{Needles, canary};

fn index_of(node: &Node) -> std::path::PathBuf {
    node.process.folder().join("data/index")
}

/// Waits until no file of a node's index holds the words, in whatever form.
async fn forgets(node: &Node, needles: &Needles) {
    wait_until(PATIENCE, "the index's files hold it no more", || async {
        // Files that are removed while they are looked at are gone as well.
        let index = index_of(node);
        let found = tokio::task::block_in_place(|| needles.found_in(&index, None));
        match found.is_empty() {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_or_deleted_leaves_the_files_of_an_index_that_gets_no_more_records() {
    let a = Node::start("forgetting", &[]).await;
    let mut b = Node::start("reading", &[a.relay_http()]).await;
    let reader = b.id().await;
    let words = ["shared", "own", "kept"].map(canary);
    let [shared, own, kept] = &words;
    let private = |word: &str, nodes: serde_json::Value| {
        json!({
            "basic": {"name": "For few", "description": word},
            "post": {"articleText": word},
            "accessControl": {"access_level": "private", "authorized_nodes": nodes},
        })
    };
    wait_until(PATIENCE, "A can seal to B", || async {
        let data = private("nothing", json!([reader]));
        match a.try_publish("post", "first", &data).await.status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    // B meets all at once, as on a first sync: what is dropped shares its segment with what stays.
    b.process.terminate().await.unwrap();
    let did = a
        .publish("post", "shared", &private(shared, json!([reader])))
        .await;
    let deleted = a
        .publish("post", "own", &private(own, json!([reader])))
        .await;
    let staying = private(kept, json!([reader]));
    let stays = a.publish("post", "kept", &staying).await;
    for number in 0..12 {
        let data = json!({"basic": {"name": "For all"}, "post": {"articleText": "nothing"}});
        let answer = a.try_publish("post", &format!("all-{number}"), &data).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    b.process.restart().await.unwrap();
    for (did, word) in [(&did, shared), (&deleted, own)] {
        b.shows(did, &private(word, json!([reader]))).await;
    }
    b.shows(&stays, &staying).await;
    let gone = Needles::new([shared, own]);
    for node in [&a, &b] {
        assert!(!gone.found_in(&index_of(node), None).is_empty());
    }

    let revoked = a.change(&did, json!({"revoke": [reader]})).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let body = json!({"delete": {"did": deleted}});
    let path = "/api/records/deleteRecord";
    let answer = a.process.call("POST", path, &a.token, Some(&body)).await;
    assert_eq!(answer.unwrap().status, 200);
    b.drops(&did).await;
    b.drops(&deleted).await;
    forgets(&b, &gone).await;
    // The publisher reads on what it revoked for another, and forgets what it deleted.
    forgets(&a, &Needles::new([own])).await;
    b.shows(&stays, &staying).await;
    let stands = Needles::new([kept]);
    assert!(!stands.found_in(&index_of(&b), None).is_empty());
}
