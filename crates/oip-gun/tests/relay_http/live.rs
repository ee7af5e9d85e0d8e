//! What is put over HTTP, seen by real gun.js clients.

use serde_json::json;
use testkit::{GunClient, interop};

use crate::support::{PATIENCE, Relay};

#[tokio::test]
async fn a_gun_js_client_sees_what_is_put_over_http_at_once() {
    let Some(interop) = interop() else { return };
    let relay = Relay::open("relay").await;
    let peers = [relay.node.relay().to_owned()];
    let mut client = GunClient::start(&interop, &peers).await.unwrap();
    relay.put("x:boat", json!({"name": "Corran"})).await;
    let watch = client.on(&["x:boat", "name"]).await.unwrap();
    assert_eq!(client.event(watch, PATIENCE).await.unwrap(), "Corran");
    relay.put("x:boat", json!({"name": "Kerrera"})).await;
    assert_eq!(client.event(watch, PATIENCE).await.unwrap(), "Kerrera");

    // Nested data is the same to both.
    relay
        .put("x:boat", json!({"engine": {"parts": {"belt": "new"}}}))
        .await;
    assert_eq!(
        client
            .once(&["x:boat", "engine", "parts", "belt"], PATIENCE)
            .await
            .unwrap(),
        Some(json!("new"))
    );
    client
        .put(
            &["x:boat", "engine"],
            json!({"parts": {"belt": "worn"}}),
            PATIENCE,
        )
        .await
        .unwrap();
    assert_eq!(
        relay.node_at("x:boat/engine/parts").await,
        Some(json!({"belt": "worn"}))
    );
}
