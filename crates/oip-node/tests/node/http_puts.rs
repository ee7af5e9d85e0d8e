//! What is put over HTTP reaches the relays that this node dials, though nobody there has asked for it.

use oip_node::relay::{Arrays, Nested};
use serde_json::json;

use crate::support::{PATIENCE, eventually, node_with, relay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_over_http_is_told_to_dialled_relays() {
    let far = relay().await;
    let near = node_with(&[&far], |config| {
        config.admission = oip_node::Admission::Open
    })
    .await;
    eventually("the link", || async {
        (near.metric("peers") == 1).then_some(())
    })
    .await;
    let soul = "0123456789ab:boat";
    let data = json!({"name": "Corran", "engine": {"maker": "Volvo"}});
    let data = Nested::read(&data.to_string(), soul, Arrays::Refused).unwrap();
    near.relay().put(soul, data, None).await.unwrap();
    // It dials nobody, so that what it shows came to it unasked.
    for (soul, key, value) in [
        (soul, "name", "Corran"),
        ("0123456789ab:boat/engine", "maker", "Volvo"),
    ] {
        eventually("the put on the far relay", || async {
            let node = far.client().await.get(soul, PATIENCE).await.unwrap()?;
            (node[key] == value).then_some(())
        })
        .await;
    }
}
