//! The endpoint `/gun` as strangers meet it.

use std::time::Duration;

use crate::support::{Harness, SOON, news};
use anyhow::Result;
use gun::mesh::{Direction, SendKind};
use gun::wire::{Body, Limits, Message};
use gun_net::{NetConfig, SendResult, ServeOptions, Timers};
use serde_json::json;
use testkit::{RawGun, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_upgrade_is_taken_with_query_or_trailing_slash() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    for path in ["/gun", "/gun/", "/gun?token=x"] {
        let url = format!("ws://{}{path}", net.address);
        let mut raw = RawGun::connect(&url).await?;
        let (peer, direction, label) = net.opened().await?;
        assert_eq!(direction, Direction::Accepted);
        assert!(label.starts_with("127.0.0.1:"), "{label}");

        raw.send_text(r##"{"#":"abcdefghi","get":{"#":"soul"}}"##)
            .await?;
        let (from, messages) = net.frame().await?;
        assert_eq!((from, messages.len()), (peer, 1));
        let sent = net
            .network
            .send(peer, news("soul", "key", "value"), SendKind::Reply);
        assert_eq!(sent, SendResult::Queued);
        assert_eq!(raw.next(SOON).await?["put"]["soul"]["key"], "value");

        raw.close().await?;
        assert_eq!(net.closed().await?.0, peer);
        assert_eq!(
            net.network
                .send(peer, news("soul", "key", "value"), SendKind::Reply),
            SendResult::Gone
        );
    }
    net.stop().await
}

#[tokio::test]
async fn anything_else_on_gun_is_a_400_that_says_what_this_is() -> Result<()> {
    let net = Harness::start(NetConfig::new(Vec::new())).await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    for request in [
        http.get(net.http("/gun")),
        http.get(net.http("/gun/?x=1")),
        http.post(net.http("/gun")).body("{}"),
        http.get(net.http("/gun"))
            .header("upgrade", "websocket")
            .header("connection", "upgrade"),
    ] {
        let response = request.send().await?;
        assert_eq!(response.status(), 400);
        let text = response.text().await?;
        assert!(
            text.contains("this is a GUN peer: connect with a WebSocket"),
            "{text}"
        );
    }
    assert_eq!(http.get(net.http("/other")).send().await?.status(), 404);
    net.stop().await
}

#[tokio::test]
async fn batches_come_as_one_frame_and_empty_ones_do_not_come() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut raw = RawGun::connect(&net.url()).await?;
    net.opened().await?;
    raw.send_text("[]").await?;
    raw.send_text(r##"[{"#":"aaaaaaaaa","get":{"#":"s"}},{"#":"bbbbbbbbb","get":{}}]"##)
        .await?;
    let (_, messages) = net.frame().await?;
    let outcomes: Vec<bool> = messages
        .into_iter()
        .map(|message| message.is_ok())
        .collect();
    assert_eq!(outcomes, [true, false]);
    let traffic = net.network.traffic();
    assert_eq!(
        (
            traffic.frames_in,
            traffic.messages_in,
            traffic.messages_refused
        ),
        (2, 1, 1)
    );
    net.stop().await
}

#[tokio::test]
async fn a_binary_frame_is_dropped_and_the_connection_stays() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut raw = RawGun::connect(&net.url()).await?;
    net.opened().await?;
    raw.send_binary(br##"{"#":"aaaaaaaaa","get":{"#":"s"}}"##.to_vec())
        .await?;
    raw.send(&json!({"#": "bbbbbbbbb", "get": {"#": "s"}}))
        .await?;
    let (_, messages) = net.frame().await?;
    let first = messages
        .iter()
        .next()
        .and_then(|message| message.as_ref().ok());
    assert_eq!(
        first
            .and_then(|message| message.id.as_ref())
            .map(|id| id.as_str()),
        Some("bbbbbbbbb")
    );
    assert_eq!(net.network.traffic().frames_binary, 1);
    net.stop().await
}

fn small_frames(frame_bytes_max: usize) -> NetConfig {
    let accepted = Limits {
        frame_bytes_max,
        ..Limits::ACCEPTED
    };
    NetConfig {
        accepted,
        ..NetConfig::new(Vec::new())
    }
}

/// A get that is exactly `bytes` long.
fn get_of(bytes: usize) -> String {
    let bare = r##"{"#":"aaaaaaaaa","get":{"#":"s"}}"##;
    format!("{}{}", bare, " ".repeat(bytes - bare.len()))
}

#[tokio::test]
async fn a_frame_at_the_limit_is_taken_and_one_over_it_is_told_and_closed() -> Result<()> {
    const LIMIT: usize = 100_000;
    let mut net = Harness::start(small_frames(LIMIT)).await?;
    for fits in [LIMIT - 1, LIMIT] {
        let mut raw = RawGun::connect(&net.url()).await?;
        net.opened().await?;
        raw.send_text(get_of(fits)).await?;
        assert_eq!(net.frame().await?.1.len(), 1);
        drop(raw);
        net.closed().await?;
    }
    // Far over the limit too: the rest of the frame is still on its way when we answer.
    for over in [LIMIT + 1, 50 * LIMIT] {
        let mut raw = RawGun::connect(&net.url()).await?;
        net.opened().await?;
        raw.send_text(get_of(over)).await?;
        let told = raw.next(SOON).await?;
        assert_eq!(
            (&told["dam"], &told["err"]),
            (&json!("!"), &json!("Message too big!"))
        );
        assert_eq!(raw.closed(SOON).await?, Some(1009));
        let (_, why) = net.closed().await?;
        assert!(why.contains("over the limit"), "{why}");
    }
    assert_eq!(net.network.traffic().frames_too_large, 2);
    net.stop().await
}

#[tokio::test]
async fn a_frame_that_does_not_end_is_given_up_and_counted() -> Result<()> {
    let timers = Timers {
        frame_max: Duration::from_millis(300),
        watch_every: Duration::from_millis(50),
        ..Timers::default()
    };
    let mut net = Harness::start(NetConfig {
        timers,
        ..NetConfig::new(Vec::new())
    })
    .await?;
    let mut stream = websocket_by_hand(&net).await?;
    net.opened().await?;
    // A text frame of a megabyte, masked with zeros, of which a twentieth comes.
    let mut head = vec![0x81, 0x80 | 127];
    head.extend((1_u64 << 20).to_be_bytes());
    head.extend([0; 4]);
    stream.write_all(&head).await?;
    stream.write_all(&[b' '; 50_000]).await?;
    let (_, why) = net.closed().await?;
    assert!(why.contains("did not end"), "{why}");
    assert_eq!(net.network.traffic().frames_unfinished, 1);
    net.stop().await
}

#[tokio::test]
async fn a_message_in_many_fragments_is_under_the_same_limit() -> Result<()> {
    let mut net = Harness::start(small_frames(10_000)).await?;
    let mut stream = websocket_by_hand(&net).await?;
    net.opened().await?;
    // Text fragments of 100 bytes without an end, masked with zeros.
    let mut fragment = vec![0x01, 0x80 | 100, 0, 0, 0, 0];
    fragment.extend([b' '; 100]);
    let mut sent = 0;
    while sent < 10_000 {
        if stream.write_all(&fragment).await.is_err() {
            break;
        }
        fragment[0] = 0x00;
        sent += 100;
    }
    let _ = stream.write_all(&fragment).await;
    let (_, why) = net.closed().await?;
    assert!(why.contains("over the limit"), "{why}");
    net.stop().await
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut stream = websocket_by_hand(&net).await?;
    net.opened().await?;
    stream
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe])
        .await?;
    net.closed().await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    assert_eq!(
        (answer[0], u16::from_be_bytes([answer[2], answer[3]])),
        (0x88, 1007)
    );
    net.stop().await
}

/// A WebSocket opened by hand, for frames that no library would send.
async fn websocket_by_hand(net: &Harness) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(net.address).await?;
    let request = "GET /gun HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-extensions: permessage-deflate\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(
        !head.contains("sec-websocket-extensions"),
        "compression is never agreed to: {head}"
    );
    Ok(stream)
}

#[tokio::test]
async fn what_is_queued_shares_frames_and_a_lone_message_is_an_object() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut raw = RawGun::connect(&net.url()).await?;
    let (peer, ..) = net.opened().await?;
    net.network
        .send(peer, news("lone", "k", "v"), SendKind::Push);
    assert!(raw.next_text(SOON).await?.starts_with('{'));
    // The writer can't run in between: this test has a single thread.
    for number in 0..1_000 {
        net.network.send(
            peer,
            news(&format!("soul{number}"), "k", "v"),
            SendKind::Push,
        );
    }
    net.network
        .send(peer, Message::keepalive(), SendKind::Keepalive);
    let mut messages = 0;
    let mut frames = 0;
    while messages < 1_000 {
        let frame = raw.next_text(SOON).await?;
        assert!(
            frame.len() <= gun::wire::FRAME_CHARS_MAX && frame.starts_with('['),
            "{frame}"
        );
        messages += serde_json::from_str::<Vec<serde_json::Value>>(&frame)?.len();
        frames += 1;
    }
    assert!(frames <= 5, "{frames} frames for 1,000 short messages");
    net.network
        .send(peer, Message::keepalive(), SendKind::Keepalive);
    assert_eq!(raw.next_text(SOON).await?, "[]");
    net.stop().await
}

#[tokio::test]
async fn a_request_head_that_never_ends_is_cut_off() -> Result<()> {
    let options = ServeOptions {
        header_max: Duration::from_millis(100),
        ..ServeOptions::default()
    };
    let net = Harness::listen("127.0.0.1:0", NetConfig::new(Vec::new()), options).await?;
    let mut silent = TcpStream::connect(net.address).await?;
    let mut slow = TcpStream::connect(net.address).await?;
    slow.write_all(b"GET /gun HTTP/1.1\r\nhost: x\r\n").await?;
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        // Either an error answer or nothing, and then the end.
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
    }
    wait_until(SOON, "both places to be free", || async {
        match net.stats.open() {
            0 => Ok(()),
            open => Err(format!("{open} open")),
        }
    })
    .await;
    net.stop().await
}

#[tokio::test]
async fn an_address_over_its_cap_is_turned_away_until_one_of_its_connections_ends() -> Result<()> {
    let options = ServeOptions {
        per_address_max: 2,
        ..ServeOptions::default()
    };
    let net = Harness::listen("127.0.0.1:0", NetConfig::new(Vec::new()), options).await?;
    let first = RawGun::connect(&net.url()).await?;
    let _second = RawGun::connect(&net.url()).await?;
    assert!(
        RawGun::connect(&net.url()).await.is_err(),
        "a third connection is over the cap"
    );
    assert_eq!((net.stats.open(), net.stats.turned_away()), (2, 1));
    drop(first);
    wait_until(SOON, "a place to be free", || async {
        RawGun::connect(&net.url()).await
    })
    .await;
    net.stop().await
}

#[tokio::test]
async fn all_addresses_together_are_capped() -> Result<()> {
    let options = ServeOptions {
        connections_max: 1,
        ..ServeOptions::default()
    };
    let net = Harness::listen("127.0.0.1:0", NetConfig::new(Vec::new()), options).await?;
    let _first = RawGun::connect(&net.url()).await?;
    assert!(RawGun::connect(&net.url()).await.is_err());
    net.stop().await
}

#[tokio::test]
async fn stopping_sends_what_is_queued_and_says_goodbye() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut raw = RawGun::connect(&net.url()).await?;
    let (peer, ..) = net.opened().await?;
    for number in 0..100 {
        let message = news(&format!("soul{number}"), "k", "v");
        assert!(matches!(message.body, Body::Put(_)));
        net.network.send(peer, message, SendKind::Reply);
    }
    let stopping = tokio::spawn(net.stop());
    for number in 0..100 {
        let soul = format!("soul{number}");
        assert!(raw.next(SOON).await?["put"].get(&soul).is_some(), "{soul}");
    }
    assert_eq!(raw.closed(SOON).await?, Some(1001));
    drop(raw);
    stopping.await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_do_not_answer_the_goodbye_hold_up_a_stop_for_less_than_two_seconds()
-> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let _mute = RawGun::connect(&net.url()).await?;
    net.opened().await?;
    let _never_reads = RawGun::connect(&net.url()).await?;
    let (stuck, ..) = net.opened().await?;
    let text = "x".repeat(20_000);
    for _ in 0..2_000 {
        net.network
            .send(stuck, news("s", "k", &text), SendKind::Push);
        tokio::task::yield_now().await;
    }
    let stopping = std::time::Instant::now();
    net.stop().await?;
    assert!(
        stopping.elapsed() < Duration::from_secs(2),
        "{:?}",
        stopping.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_port_with_tokens_takes_them_from_the_query_or_the_header_and_counts_the_others()
-> Result<()> {
    const TOKEN: &str = "one-of-the-tokens-0";
    let tokens = vec!["another-token-000000".to_owned(), TOKEN.to_owned()];
    let stats = gun_net::ServeStats::default();
    let routes = axum::Router::new().route("/", axum::routing::get(|| async { "in" }));
    let router = gun_net::guard(routes, tokens, stats.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let cancel = tokio_util::sync::CancellationToken::new();
    let tracker = tokio_util::task::TaskTracker::new();
    tracker.spawn(gun_net::serve(
        listener,
        router,
        ServeOptions::default(),
        stats.clone(),
        cancel.clone(),
        tracker.clone(),
    ));
    let http = reqwest::Client::builder().no_proxy().build()?;
    for (request, status) in [
        (http.get(&url), 401),
        (http.get(format!("{url}?token=one-of-the-tokens-1")), 401),
        (http.get(&url).bearer_auth("one-of-the-tokens"), 401),
        (http.get(&url).header("authorization", TOKEN), 401),
        (http.get(format!("{url}?x=1&token={TOKEN}")), 200),
        (http.get(&url).bearer_auth(TOKEN), 200),
        (http.request(reqwest::Method::OPTIONS, &url), 405),
    ] {
        let response = request.send().await?;
        assert_eq!(response.status(), status, "{:?}", response.text().await);
    }
    assert_eq!(stats.unauthorized(), 4);
    cancel.cancel();
    Ok(())
}

#[tokio::test]
async fn pushes_that_wait_for_one_peer_share_a_frame() -> Result<()> {
    let mut net = Harness::start(NetConfig::new(Vec::new())).await?;
    let mut raw = RawGun::connect(&net.url()).await?;
    let (peer, ..) = net.opened().await?;
    // One thread: the connection's task gets no turn before all of them wait.
    for number in 0..20 {
        let push = news("soul", &format!("key{number}"), "value");
        net.network.send(peer, push, SendKind::Push);
    }
    let frame: Vec<serde_json::Value> = serde_json::from_str(&raw.next_text(SOON).await?)?;
    assert_eq!(frame.len(), 20);
    assert_eq!(net.network.traffic().frames_out, 1);
    net.stop().await
}
