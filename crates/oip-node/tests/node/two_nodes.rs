//! Two nodes that are linked: everything published on one is found on the other.

use serde_json::json;

use crate::support::{eventually, node, submission};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_published_on_either_node_is_found_on_the_other_and_so_are_edit_and_delete() {
    let b = node(&[]).await;
    let a = node(&[&b]).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let data = json!({"basic": {"name": "Gauge", "tagItems": ["tides", "[1,2]"]}, "post": {"articleText": "one"}});
        let published = from.publish(submission("p-1", data.clone())).await.unwrap();
        let held = from.get(&published.did).await.unwrap().unwrap();
        assert_eq!(
            held, published.document,
            "found at once where it was published"
        );
        let there = eventually("the record arrives", || to.found(&published.did)).await;
        assert_eq!(there["data"], data);
        assert_eq!(there, held);

        let edited = json!({"basic": {"name": "Gauge"}, "post": {"articleText": "two"}});
        let again = from
            .publish(submission("p-1", edited.clone()))
            .await
            .unwrap();
        assert!(again.edited && again.did == published.did);
        eventually("the edit arrives", || async {
            to.found(&published.did)
                .await
                .filter(|document| document["data"] == edited)
        })
        .await;

        from.delete(&published.did).await.unwrap();
        assert_eq!(from.get(&published.did).await.unwrap(), None);
        eventually("the deletion arrives", || async {
            to.found(&published.did).await.is_none().then_some(())
        })
        .await;
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_late_finds_everything_and_keeps_it_over_a_restart() {
    let a = node(&[]).await;
    let mut dids = Vec::new();
    for i in 0..50 {
        let data = json!({"basic": {"name": format!("record {i}")}, "post": {}});
        let published = a.publish(submission(&format!("p-{i}"), data)).await;
        dids.push(published.unwrap().did);
    }
    let b = node(&[&a]).await;
    for did in &dids {
        eventually("an older record arrives", || b.found(did)).await;
    }
    let b = b.restart(&[]).await;
    for did in &dids {
        assert!(b.get(did).await.unwrap().is_some());
        assert!(b.found(did).await.is_some());
    }
    assert_eq!(b.health().registry.total_records_registered, 50);
}
