//! Peers that come, go, stay away, fall silent, or turn out to be this node.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::{Harness, SOON, news};
use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use gun::mesh::{Direction, SendKind};
use gun_net::{LinkPhase, LinkStatus, NetConfig, SendResult, ServeOptions, Timers, parse_peers};
use testkit::wait_until;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

/// Timers that let a test see in milliseconds what takes minutes.
fn quick() -> Timers {
    Timers {
        connect_max: Duration::from_millis(500),
        backoff_first: Duration::from_millis(2),
        backoff_longest: Duration::from_millis(20),
        ..Timers::default()
    }
}

fn dialing(peers: &str) -> NetConfig {
    let peers = parse_peers(peers).expect("good addresses");
    NetConfig {
        timers: quick(),
        ..NetConfig::new(peers)
    }
}

async fn link_that(net: &Harness, what: &str, holds: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    wait_until(SOON, what, || async {
        let link = net.network.links().into_iter().next();
        let link = link.ok_or_else(|| "no link".to_owned())?;
        if holds(&link) {
            Ok(link)
        } else {
            Err(format!("{link:?}"))
        }
    })
    .await
}

/// A port on which nothing listens.
async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

#[tokio::test]
async fn two_networks_talk_in_both_directions() -> Result<()> {
    let mut relay = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut node = Harness::start(dialing(&format!("http://{}", relay.address))).await?;
    let (to_relay, direction, label) = node.opened().await?;
    assert_eq!((direction, label), (Direction::Dialled, relay.url()));
    let (to_node, ..) = relay.opened().await?;

    assert_eq!(
        node.network
            .send(to_relay, news("up", "k", "v"), SendKind::Request),
        SendResult::Queued
    );
    assert_eq!(relay.frame().await?.1.len(), 1);
    relay
        .network
        .send(to_node, news("down", "k", "v"), SendKind::Reply);
    assert_eq!(node.frame().await?.1.len(), 1);

    let link = &node.network.links()[0];
    assert!(link.connected() && link.peer == Some(to_relay), "{link:?}");
    assert_eq!(
        (
            link.attempts,
            link.traffic.messages_in,
            link.traffic.messages_out
        ),
        (1, 1, 1)
    );
    assert!(
        link.last_heard_ms
            .is_some_and(|heard| heard >= link.since_ms)
    );
    assert!(link.traffic.bytes_in > 0 && link.traffic.bytes_out > 0);
    assert_eq!(
        (relay.network.inbound_count(), node.network.inbound_count()),
        (1, 0)
    );
    node.stop().await?;
    let (closed, why) = relay.closed().await?;
    assert_eq!(closed, to_node);
    assert!(why.contains("stopping"), "{why}");
    relay.stop().await
}

#[tokio::test]
async fn a_peer_that_restarts_on_its_port_is_connected_again_under_a_new_name() -> Result<()> {
    let relay = Harness::start(NetConfig::new(Vec::new())).await?;
    let address = relay.address.to_string();
    let mut node = Harness::start(dialing(&relay.url())).await?;
    let (first, ..) = node.opened().await?;
    relay.stop().await?;
    let (closed, why) = node.closed().await?;
    assert_eq!(closed, first);
    assert!(why.contains("stopping"), "{why}");
    let link = link_that(&node, "failing attempts", |link| link.attempts > 3).await;
    let error = link.last_error.unwrap_or_default();
    assert!(error.contains("is the peer running"), "{error}");

    let mut relay = Harness::listen(
        &address,
        NetConfig::new(Vec::new()),
        ServeOptions::default(),
    )
    .await?;
    let (second, ..) = node.opened().await?;
    assert_ne!(first, second);
    relay.opened().await?;
    node.network
        .send(second, news("s", "k", "v"), SendKind::Request);
    assert_eq!(relay.frame().await?.1.len(), 1);
    node.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn an_absent_peer_is_dialled_for_ever() -> Result<()> {
    let address = free_address().await?;
    let mut node = Harness::start(dialing(&format!("ws://{address}"))).await?;
    let link = link_that(&node, "200 attempts", |link| link.attempts >= 200).await;
    assert!(!link.connected());
    assert!(
        matches!(link.phase, LinkPhase::Connecting | LinkPhase::Waiting),
        "{link:?}"
    );
    assert_eq!(link.last_heard_ms, None);

    let address = address.to_string();
    let relay = Harness::listen(
        &address,
        NetConfig::new(Vec::new()),
        ServeOptions::default(),
    )
    .await?;
    node.opened().await?;
    node.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn an_address_that_is_no_gun_relay_says_so() -> Result<()> {
    let relay = Harness::start(NetConfig::new(Vec::new())).await?;
    let wrong_path = format!("ws://{}/elsewhere", relay.address);
    let node = Harness::start(dialing(&wrong_path)).await?;
    let link = link_that(&node, "an error", |link| link.last_error.is_some()).await;
    let error = link.last_error.unwrap_or_default();
    assert!(
        error.contains("HTTP 404") && error.contains("is the path right"),
        "{error}"
    );
    node.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_port_that_accepts_and_never_answers_is_given_up_in_time() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let node = Harness::start(dialing(&format!("ws://{}", listener.local_addr()?))).await?;
    let link = link_that(&node, "an error", |link| link.last_error.is_some()).await;
    let error = link.last_error.unwrap_or_default();
    assert!(error.contains("is a GUN relay listening there"), "{error}");
    node.stop().await
}

#[tokio::test]
async fn a_wss_address_whose_peer_speaks_no_tls_fails_and_is_tried_on() -> Result<()> {
    let relay = Harness::start(NetConfig::new(Vec::new())).await?;
    let node = Harness::start(dialing(&format!("wss://{}", relay.address))).await?;
    let link = link_that(&node, "an error", |link| link.attempts > 2).await;
    let error = link.last_error.unwrap_or_default();
    assert!(error.contains("TLS failed"), "{error}");
    node.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn an_address_that_leads_to_the_own_port_is_never_connected() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:0").await?;
    let own = listener.local_addr()?;
    let mut config = dialing(&format!("ws://localhost:{}", own.port()));
    config.listening = vec![own];
    let node = Harness::with_listener(listener, config, ServeOptions::default())?;
    let link = link_that(&node, "the refusal", |link| {
        matches!(link.phase, LinkPhase::Refused(_))
    })
    .await;
    let LinkPhase::Refused(reason) = link.phase else {
        unreachable!()
    };
    assert!(reason.contains("this node itself: remove it"), "{reason}");
    assert_eq!(link.attempts, 1);
    assert_eq!(node.network.inbound_count(), 0);
    node.stop().await
}

#[tokio::test]
async fn a_peer_found_to_be_ourselves_is_closed_and_not_dialled_again() -> Result<()> {
    let relay = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut node = Harness::start(dialing(&relay.url())).await?;
    let (peer, ..) = node.opened().await?;
    node.network.refuse_ourselves(peer);
    assert_eq!(node.closed().await?.0, peer);
    let link = link_that(&node, "the end of the link", |link| link.peer.is_none()).await;
    assert!(
        matches!(&link.phase, LinkPhase::Refused(why) if why.contains("itself")),
        "{link:?}"
    );
    // Longer than the longest wait before dialling again.
    assert!(
        tokio::time::timeout(Duration::from_millis(100), node.events.recv())
            .await
            .is_err()
    );
    assert_eq!(node.network.links()[0].attempts, 1);
    node.stop().await?;
    relay.stop().await
}

#[tokio::test]
async fn a_silent_peer_that_answers_pings_stays_and_a_dead_one_is_dropped() -> Result<()> {
    let timers = Timers {
        ping_after: Duration::from_millis(100),
        silence_max: Duration::from_millis(400),
        watch_every: Duration::from_millis(20),
        ..quick()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let config = dialing(&format!("ws://{}/gun", listener.local_addr()?));
    let mut node = Harness::start(NetConfig { timers, ..config }).await?;
    let (stream, _) = listener.accept().await?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let (peer, ..) = node.opened().await?;

    // Three times the bound on silence: reading answers the pings, and nothing else is said.
    let mut pings = 0;
    while pings < 12 {
        let frame = socket
            .next()
            .await
            .expect("the node keeps the connection")?;
        if matches!(frame, tungstenite::Message::Ping(_)) {
            pings += 1;
            socket.flush().await?;
        }
    }
    assert!(node.network.links()[0].connected());

    // It stops reading: to the node it looks like a host that lost its power.
    let (closed, why) = node.closed().await?;
    assert_eq!(closed, peer);
    assert!(why.contains("fell silent"), "{why}");
    node.stop().await
}
