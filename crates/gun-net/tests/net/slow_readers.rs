//! Readers that don't read: bounded memory, and nobody else suffers.

use std::time::Duration;

use crate::support::{Harness, SOON, news};
use anyhow::Result;
use gun::mesh::SendKind;
use gun_net::{NetConfig, OutboxLimits, SendResult, Timers};
use testkit::{RawGun, wait_until};

fn config() -> NetConfig {
    let outbox = OutboxLimits {
        bytes_max: 1 << 20,
        ..OutboxLimits::default()
    };
    NetConfig {
        outbox,
        ..NetConfig::new(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_for_a_peer_that_never_reads_is_dropped_and_counted() -> Result<()> {
    let mut net = Harness::start(config()).await?;
    let never_reads = RawGun::connect(&net.url()).await?;
    let (stuck, ..) = net.opened().await?;
    let mut reads = RawGun::connect(&net.url()).await?;
    let (well, ..) = net.opened().await?;

    // 200 MB of news: the sockets' buffers hold a few MB, the outbox one half of a MB.
    let text = "x".repeat(20_000);
    let mut dropped = 0_u64;
    for _ in 0..10_000 {
        if net
            .network
            .send(stuck, news("s", "k", &text), SendKind::Push)
            == SendResult::Dropped
        {
            dropped += 1;
        }
        assert!(net.network.outbox_bytes() <= 1 << 20);
    }
    assert!(dropped > 5_000, "{dropped} dropped");
    assert_eq!(net.network.traffic().pushes_dropped, dropped);
    let status = net
        .network
        .inbound()
        .into_iter()
        .find(|link| link.peer == Some(stuck));
    assert_eq!(
        status.map(|status| status.traffic.pushes_dropped),
        Some(dropped)
    );

    assert_eq!(
        net.network
            .send(well, news("s", "k", "live"), SendKind::Push),
        SendResult::Queued
    );
    assert_eq!(reads.next(SOON).await?["put"]["s"]["k"], "live");
    drop(never_reads);
    net.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_its_answers_is_closed() -> Result<()> {
    let mut net = Harness::start(config()).await?;
    let _never_reads = RawGun::connect(&net.url()).await?;
    let (stuck, ..) = net.opened().await?;
    let text = "x".repeat(20_000);
    while net
        .network
        .send(stuck, news("s", "k", &text), SendKind::Reply)
        == SendResult::Queued
    {
        assert!(net.network.outbox_bytes() <= 1 << 20);
        tokio::task::yield_now().await;
    }
    let (closed, why) = net.closed().await?;
    assert_eq!(closed, stuck);
    assert!(why.contains("does not read its answers"), "{why}");
    assert_eq!(net.network.traffic().closed_full, 1);
    wait_until(SOON, "the outbox to be freed", || async {
        match net.network.outbox_bytes() {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        }
    })
    .await;
    net.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_socket_takes_nothing_is_given_up() -> Result<()> {
    let timers = Timers {
        stall_max: Duration::from_millis(200),
        watch_every: Duration::from_millis(50),
        ..Timers::default()
    };
    let mut net = Harness::start(NetConfig { timers, ..config() }).await?;
    let _never_reads = RawGun::connect(&net.url()).await?;
    let (stuck, ..) = net.opened().await?;
    let text = "x".repeat(20_000);
    let network = net.network.clone();
    // More than the sockets' buffers can ever hold, for as long as the connection is there.
    let writer = tokio::spawn(async move {
        while network.send(stuck, news("s", "k", &text), SendKind::Push) != SendResult::Gone {
            tokio::task::yield_now().await;
        }
    });
    let (closed, why) = net.closed().await?;
    writer.await?;
    assert_eq!(closed, stuck);
    assert!(why.contains("stopped reading"), "{why}");
    net.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_application_slows_its_peers_down_and_loses_nothing() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let url = net.url();
    let writer = tokio::spawn(async move {
        let mut raw = RawGun::connect(&url).await?;
        for number in 0..500 {
            let padding = " ".repeat(100_000);
            raw.send_text(format!(
                r##"{{"#":"m{number:08}","get":{{"#":"s"}}}}{padding}"##
            ))
            .await?;
        }
        anyhow::Ok(raw)
    });
    let (peer, ..) = net.opened().await?;
    // Nothing is handled while the peer writes 50 MB; what is read stays bounded by the connection's
    // credit, which each of these frames takes whole, and one frame in the reader's hand.
    wait_until(SOON, "the reader to wait for the application", || async {
        match net.network.traffic().frames_in {
            frames @ 2.. => Ok(frames),
            frames => Err(format!("{frames} frames")),
        }
    })
    .await;
    assert_eq!(net.network.traffic().frames_in, 2);
    assert!(!writer.is_finished());
    for number in 0..500 {
        let (from, messages) = net.frame().await?;
        assert_eq!(from, peer);
        let id = messages
            .iter()
            .next()
            .and_then(|message| message.as_ref().ok());
        let id = id
            .and_then(|message| message.id.as_ref())
            .map(|id| id.as_str().to_owned());
        assert_eq!(id, Some(format!("m{number:08}")));
    }
    let raw = writer.await??;
    drop(raw);
    net.stop().await
}
