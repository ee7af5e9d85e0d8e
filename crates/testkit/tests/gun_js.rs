//! The launchers themselves, against the real gun.js.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testkit::raw::node;
use testkit::{GunClient, GunRelay, RawGun, RelayOptions, interop, wait_until};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_relay_keeps_its_port_and_acknowledged_data_over_a_restart() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let mut relay = GunRelay::start(&interop, RelayOptions::default()).await?;
    let url = relay.url();
    let mut raw = RawGun::connect(&url).await?;
    let ack = raw
        .put(node("kept", &[("a", json!(1))], 1_700_000_000_000), SOON)
        .await?;
    assert_eq!(ack["ok"], true);

    relay.restart().await?;
    assert_eq!(relay.url(), url);
    let mut raw = RawGun::connect(&url).await?;
    let found = raw.get("kept", SOON).await?.expect("kept over the restart");
    assert_eq!(found["a"], 1);
    assert_eq!(raw.get("absent", SOON).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_browser_client_sees_what_another_puts_live() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let relay = GunRelay::start(&interop, RelayOptions::default()).await?;
    let peers = [relay.url()];
    let mut writer = GunClient::start(&interop, &peers).await?;
    let mut reader = GunClient::start(&interop, &peers).await?;
    writer
        .put(
            &["room"],
            json!({"topic": "tea", "seat": {"by": "window"}}),
            SOON,
        )
        .await?;

    let watch = reader.on(&["room", "topic"]).await?;
    assert_eq!(reader.event(watch, SOON).await?, json!("tea"));
    assert_eq!(
        reader.once(&["room", "seat"], SOON).await?,
        Some(json!({"by": "window"}))
    );
    assert_eq!(reader.once(&["room", "nothing"], SOON).await?, None);
    writer
        .put(&["room", "topic"], json!("coffee"), SOON)
        .await?;
    while reader.event(watch, SOON).await? != json!("coffee") {}
    Ok(())
}

#[tokio::test]
async fn two_relays_pass_data_on_once_the_dialling_one_is_touched() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let far = GunRelay::start(&interop, RelayOptions::default()).await?;
    let options = RelayOptions {
        peers: vec![far.url()],
        touch: Some("wake".to_owned()),
        ..RelayOptions::default()
    };
    let near = GunRelay::start(&interop, options).await?;
    let mut writer = RawGun::connect(&far.url()).await?;
    writer
        .put(node("far", &[("a", json!("x"))], 1_700_000_000_000), SOON)
        .await?;

    wait_until(
        SOON,
        "the near relay to answer from the far one",
        || async {
            let mut reader = RawGun::connect(&near.url()).await?;
            let found = reader.get("far", Duration::from_secs(2)).await?;
            anyhow::ensure!(
                found.as_ref().is_some_and(|node| node["a"] == "x"),
                "{found:?}"
            );
            Ok(())
        },
    )
    .await;
    Ok(())
}
