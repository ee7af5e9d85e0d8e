//! A gun.js relay's folder taken over by a node: what the relay was told is found on the node.

use std::path::Path;

use serde_json::{Value, json};
use testkit::raw::node as graph_of;
use testkit::{GunRelay, NodeProcess, RawGun, RelayOptions, interop, wait_until};
use tokio::process::Command;

use crate::journey::{ARRIVAL, arrives, binary, health, node, public_records, publish_all};

/// Runs `oip-gun migrate radata` on the data folder of a node that was stopped.
async fn migrate(radata: &Path, node: &NodeProcess, arguments: &[&str]) -> Value {
    let output = Command::new(binary())
        .args(["migrate", "radata", "--json"])
        .arg(radata)
        .args(arguments)
        .env_clear()
        .env("HOME", node.folder())
        .env("OIP_GUN_DATA_DIR", node.folder().join("data"))
        .output();
    let output = tokio::time::timeout(ARRIVAL, output)
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until the relay has acknowledged, and so written, everything published on the node.
async fn told(node: &NodeProcess) {
    wait_until(ARRIVAL, "the relay has acknowledged all", || async {
        let health = health(node).await;
        match health["peers"][0]["lagRecords"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(health.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_takes_over_what_a_gun_js_relay_has_on_disk() {
    let Some(interop) = interop() else { return };
    let mut relay = GunRelay::start(&interop, RelayOptions::default())
        .await
        .unwrap();
    let publisher = node("publisher", &relay.url()).await;
    let published = publish_all(&publisher, &public_records()).await;
    told(&publisher).await;
    // Souls that radix trees cut within a character, and every kind of value.
    let mut writer = RawGun::connect(&relay.url()).await.unwrap();
    let values = [
        ("title", json!("line\nbreak 😀 \"quoted\"")),
        ("kéy", json!(-1.5e-7)),
        ("gone", Value::Null),
        ("flag", json!(true)),
        ("link", json!({"#": "plain 😂/2"})),
    ];
    let souls = ["plain 😁/1", "plain 😂/2", "a*b%c/3"];
    for soul in souls {
        let put = graph_of(soul, &values, 1_700_000_000_000);
        let ack = writer.put(put, ARRIVAL).await.unwrap();
        assert_eq!(ack["ok"], true, "{ack}");
    }
    relay.stop().await.unwrap();

    let mut heir = node("heir", "").await;
    assert_eq!(heir.terminate().await.unwrap(), Some(0));
    let report = migrate(&relay.radata(), &heir, &[]).await;
    assert_eq!(report["values"]["refused"], json!({}), "{report}");
    assert_eq!(report["files"]["damaged"]["count"], 0, "{report}");
    assert_eq!(report["stored"]["taken"], report["values"]["sound"]);
    assert_eq!(report["stored"]["wanted"], published.len(), "{report}");
    let again = migrate(&relay.radata(), &heir, &[]).await;
    assert_eq!(again["stored"]["taken"], 0, "{again}");
    assert_eq!(again["stored"]["same"], report["values"]["sound"]);

    heir.restart().await.unwrap();
    for record in &published {
        arrives(&heir, record).await;
    }
    let mut reader = RawGun::connect(heir.relay()).await.unwrap();
    for soul in souls {
        let found = reader.get(soul, ARRIVAL).await.unwrap().unwrap();
        assert_eq!(found.len(), values.len(), "{soul}");
        for (key, value) in &values {
            assert_eq!(found[*key], *value, "{soul} {key}");
        }
    }
    let output = Command::new(binary())
        .args(["get", &published[0].did, "--json", "--url", heir.api()])
        .env_clear()
        .env("HOME", heir.folder())
        .output()
        .await
        .unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["data"], published[0].data);
}
