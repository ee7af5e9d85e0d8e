//! A browser-style gun.js client on our relay port.

use std::time::Duration;

use serde_json::json;
use testkit::{GunClient, NodeOptions, NodeProcess, interop};

const ANSWER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_gun_js_client_puts_reads_back_and_another_sees_the_change_live() {
    let Some(interop) = interop() else { return };
    let options = NodeOptions::named("open").env("OIP_GUN_RELAY_ADMISSION", "open");
    let node = NodeProcess::start(crate::journey::binary(), options)
        .await
        .unwrap();
    let peers = [node.relay().to_owned()];
    let mut writer = GunClient::start(&interop, &peers).await.unwrap();
    let mut reader = GunClient::start(&interop, &peers).await.unwrap();

    writer
        .put(&["boat"], json!({"name": "Corran", "length": 9.5}), ANSWER)
        .await
        .unwrap();
    let whole = reader.once(&["boat"], ANSWER).await.unwrap().unwrap();
    assert_eq!(
        (&whole["name"], &whole["length"]),
        (&json!("Corran"), &json!(9.5))
    );
    assert_eq!(
        reader.once(&["boat", "name"], ANSWER).await.unwrap(),
        Some(json!("Corran"))
    );
    assert_eq!(reader.once(&["nothing"], ANSWER).await.unwrap(), None);

    let watch = reader.on(&["boat", "name"]).await.unwrap();
    assert_eq!(reader.event(watch, ANSWER).await.unwrap(), json!("Corran"));
    writer
        .put(&["boat", "name"], json!("Kerrera"), ANSWER)
        .await
        .unwrap();
    assert_eq!(reader.event(watch, ANSWER).await.unwrap(), json!("Kerrera"));

    // A nested put waits for our not-found before it is sent.
    writer
        .put(
            &["boat", "engine"],
            json!({"maker": "Volvo", "parts": {"belt": "new"}}),
            ANSWER,
        )
        .await
        .unwrap();
    assert_eq!(
        reader
            .once(&["boat", "engine", "maker"], ANSWER)
            .await
            .unwrap(),
        Some(json!("Volvo"))
    );
    assert_eq!(
        reader
            .once(&["boat", "engine", "parts", "belt"], ANSWER)
            .await
            .unwrap(),
        Some(json!("new"))
    );
}
