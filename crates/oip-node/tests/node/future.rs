//! Clocks that run ahead: stamps and states of the future wait within their bounds and are refused
//! beyond them.

use std::time::Duration;

use oip_record::limits::FUTURE_MS_MAX;
use serde_json::json;
use testkit::raw;

use crate::support::{
    Author, PATIENCE, node, now_ms, put, put_refused, store_of, submission, text,
};

const MINUTE: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_eleven_minutes_ahead_waits_in_quarantine() {
    let now = now_ms();
    let early = Author::new(1).version("early", text("one"), now + 11 * MINUTE);
    let node = node(&[]).await;
    put(&mut node.client().await, early.announced(now)).await;
    node.refuses("future-stamp").await;
    node.quarantines(1).await;
    assert_eq!(node.get(&early.did).await.unwrap(), None);
    let dir = node.stop().await;
    let store = store_of(&dir);
    let row = store.quarantined(&early.soul).unwrap().unwrap();
    assert_eq!(row.reason, "future-stamp");
    // It is looked at again as soon as it lies within ten minutes.
    let due_ms = now + MINUTE;
    assert_eq!(row.due_ms, Some(due_ms));
    assert_eq!(store.wanted(&early.soul).unwrap().unwrap().due_ms, due_ms);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_comes_within_ten_minutes_is_taken_then() {
    let now = now_ms();
    let bound = u64::try_from(FUTURE_MS_MAX).unwrap();
    let early = Author::new(1).version("early", text("one"), now + bound + 1_500);
    let node = node(&[]).await;
    put(&mut node.client().await, early.announced(now)).await;
    node.shows(&early.did, &early.document).await;
    assert!(now_ms() >= now + 1_500);
    assert_eq!(node.rejected("future-stamp"), 1);
    node.quarantines(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_years_ahead_is_refused_with_a_reason_and_changes_nothing() {
    let node = node(&[]).await;
    let published = node.publish(submission("p", text("one"))).await.unwrap();
    let mut client = node.client().await;
    let soul = published.soul.as_str();
    let before = client.get(soul, PATIENCE).await.unwrap();
    for ahead in [11 * MINUTE, 5 * 365 * 24 * 60 * MINUTE] {
        let values = [("data", json!("never")), ("oip", json!("never"))];
        let graph = raw::node(soul, &values, now_ms() + ahead);
        let err = put_refused(&mut client, graph).await;
        assert_eq!(err, "a state is too far in the future");
    }
    assert_eq!(client.get(soul, PATIENCE).await.unwrap(), before);
    let edited = node.publish(submission("p", text("two"))).await.unwrap();
    node.shows(&edited.did, &edited.document).await;
    let dir = node.stop().await;
    let stats = store_of(&dir).stats();
    assert_eq!(stats.deferred, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_a_second_ahead_is_applied_when_due_and_pushed_to_followers() {
    let node = node(&[]).await;
    let soul = "index:0123456789ab";
    let mut follower = node.client().await;
    let mut writer = node.client().await;
    put(
        &mut writer,
        raw::node(soul, &[("k", json!("now"))], now_ms() - 5),
    )
    .await;
    let now = follower.get(soul, PATIENCE).await.unwrap().unwrap();
    assert_eq!(now["k"], "now");

    let due = now_ms() + 1_000;
    put(&mut writer, raw::node(soul, &[("k", json!("later"))], due)).await;
    let still = writer.get(soul, PATIENCE).await.unwrap().unwrap();
    if now_ms() < due {
        assert_eq!(still["k"], "now");
    }
    let pushed = follower
        .find(Duration::from_secs(20), |message| {
            message["put"][soul]["k"] == "later"
        })
        .await
        .unwrap();
    assert!(now_ms() >= due, "not before its time");
    assert_eq!(pushed["put"][soul]["_"][">"]["k"], json!(due));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_waits_is_applied_after_a_restart() {
    let node = node(&[]).await;
    let soul = "index:0123456789ab";
    let due = now_ms() + 1_000;
    put(
        &mut node.client().await,
        raw::node(soul, &[("k", json!("later"))], due),
    )
    .await;
    let node = node.restart(&[]).await;
    let mut client = node.client().await;
    crate::support::eventually("the value whose time has come", || {
        let shown = node.client();
        async move {
            let shown = shown.await.get(soul, PATIENCE).await.unwrap()?;
            (shown["k"] == "later").then_some(())
        }
    })
    .await;
    assert!(now_ms() >= due);
    assert!(client.get(soul, PATIENCE).await.unwrap().is_some());
}
