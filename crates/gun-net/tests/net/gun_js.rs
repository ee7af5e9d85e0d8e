//! Against the real gun.js relay.

use std::time::Duration;

use crate::support::{Harness, SOON, news};
use anyhow::Result;
use gun::graph::Entry;
use gun::mesh::{PeerId, SendKind};
use gun::wire::{Ack, Body, Dam, Get, Message, MessageId, Put};
use gun::{Key, Node, Soul, State, Value};
use gun_net::{NetConfig, NetEvent, Timers, parse_peers};
use testkit::{GunRelay, RawGun, RelayOptions, interop};

async fn node_at(relay: &GunRelay) -> Result<Harness> {
    let timers = Timers {
        backoff_longest: Duration::from_millis(200),
        ..Timers::default()
    };
    let peers = parse_peers(&relay.url())?;
    Harness::start(NetConfig {
        timers,
        ..NetConfig::new(peers)
    })
    .await
}

/// Reads events until a message comes for which `wanted` gives something.
async fn find<T>(net: &mut Harness, wanted: impl Fn(&Message) -> Option<T>) -> Result<T> {
    loop {
        if let NetEvent::Frame { messages, .. } = net.event().await? {
            let found = messages.iter().flatten().find_map(&wanted);
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }
}

/// Puts one value and waits for the ack.
async fn put(net: &mut Harness, peer: PeerId, message: Message) -> Result<Ack> {
    let id = message.id.clone();
    net.network.send(peer, message, SendKind::Request);
    find(net, |message| match &message.body {
        Body::Ack(ack) if message.reply_to == id => Some(ack.clone()),
        _ => None,
    })
    .await
}

/// Gets a node and gives the first answer.
async fn get(net: &mut Harness, peer: PeerId, soul: &str, bits: u64) -> Result<Body> {
    let id = MessageId::from_random(bits);
    let get = Body::Get(Get::node(Soul::new(soul)?));
    net.network
        .send(peer, Message::new(id.clone(), get), SendKind::Request);
    find(net, |message| {
        (message.reply_to.as_ref() == Some(&id)).then(|| message.body.clone())
    })
    .await
}

#[tokio::test]
async fn a_gun_js_relay_greets_acknowledges_and_answers() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let relay = GunRelay::start(&interop, RelayOptions::default()).await?;
    let mut net = node_at(&relay).await?;
    let (peer, _, label) = net.opened().await?;
    assert_eq!(label, relay.url());
    let hello = |message: &Message| match &message.body {
        Body::Dam(Dam::Hello { pid }) => pid.clone(),
        _ => None,
    };
    assert!(!find(&mut net, hello).await?.is_empty());

    let ack = put(
        &mut net,
        peer,
        news("soul/a", "name", "tea \u{1f375} \"quoted\""),
    )
    .await?;
    assert_eq!((ack.ok.as_deref(), ack.err), (Some("true"), None));
    let Body::Put(Put { graph, .. }) = get(&mut net, peer, "soul/a", 1 << 40).await? else {
        panic!("the relay has the node");
    };
    assert_eq!(
        graph[0].value("name"),
        Some(&Value::text("tea \u{1f375} \"quoted\""))
    );
    let absent = get(&mut net, peer, "soul/absent", 2 << 40).await?;
    assert_eq!(absent, Body::Ack(Ack::not_found()));
    net.stop().await
}

#[tokio::test]
async fn many_messages_at_once_reach_a_gun_js_relay_undamaged() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let relay = GunRelay::start(&interop, RelayOptions::default()).await?;
    let mut net = node_at(&relay).await?;
    let (peer, ..) = net.opened().await?;
    // In one frame, 3,000 keys would be garbled by the relay's parser (32,768 steps).
    let nodes: Vec<Message> = (0..300_u64)
        .map(|number| {
            let entries = (0..10).map(|key| Entry {
                key: Key::new(format!("k{key}")).expect("a key"),
                state: State::from_millis(1_700_000_000_000),
                value: Value::Number(f64::from(key)),
            });
            let soul = Soul::new(format!("many/{number}")).expect("a soul");
            let node = Node {
                soul,
                entries: entries.collect(),
            };
            Message::new(
                MessageId::from_random(number << 20),
                Body::Put(Put::new(vec![node])),
            )
        })
        .collect();
    for message in nodes {
        net.network.send(peer, message, SendKind::Request);
    }
    let mut acked = 0;
    while acked < 300 {
        if let NetEvent::Frame { messages, .. } = net.event().await? {
            acked += messages
                .iter()
                .flatten()
                .filter(|message| matches!(&message.body, Body::Ack(ack) if ack.ok.is_some()))
                .count();
        }
    }
    let mut raw = RawGun::connect(&relay.url()).await?;
    for number in 0..300 {
        let soul = format!("many/{number}");
        raw.get_until(&soul, SOON, |node| node.len() == 10).await?;
    }
    net.stop().await
}

#[tokio::test]
async fn a_gun_js_relay_that_restarts_is_connected_again() -> Result<()> {
    let Some(interop) = interop() else {
        return Ok(());
    };
    let mut relay = GunRelay::start(&interop, RelayOptions::default()).await?;
    let mut net = node_at(&relay).await?;
    let (first, ..) = net.opened().await?;
    let ack = put(&mut net, first, news("kept", "k", "v")).await?;
    assert!(ack.err.is_none());
    relay.restart().await?;
    assert_eq!(net.closed().await?.0, first);
    let (second, ..) = net.opened().await?;
    let Body::Put(Put { graph, .. }) = get(&mut net, second, "kept", 3 << 40).await? else {
        panic!("the relay kept the node");
    };
    assert_eq!(graph[0].value("k"), Some(&Value::text("v")));
    net.stop().await
}
