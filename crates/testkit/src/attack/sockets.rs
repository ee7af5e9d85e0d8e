//! Attacks by connection: what a peer does with its sockets, whatever it says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::Target;
use super::connection::{tcp, websocket};
use crate::raw::{message_id, node};

const PAUSE: Duration = Duration::from_millis(20);

const UPGRADE: &str = "GET /gun HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Offers compression, expects it to be declined, and sends a compressed frame all the same.
pub(super) async fn compressed_frames(target: &Target, ends: Instant) -> Result<()> {
    while Instant::now() < ends {
        let mut stream = tcp(target).await?;
        let request = UPGRADE.replace(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; 4_096];
        let read = stream.read(&mut answer).await?;
        let head = String::from_utf8_lossy(&answer[..read]).to_lowercase();
        ensure!(head.starts_with("http/1.1 101"), "no upgrade: {head}");
        ensure!(
            !head.contains("sec-websocket-extensions"),
            "compression was agreed to: {head}"
        );
        // A text frame with the first reserved bit set, masked with zeros: "compressed".
        let frame = [0xc1, 0x80 | 5, 0, 0, 0, 0, 1, 2, 3, 4, 5];
        stream.write_all(&frame).await?;
        let closed = tokio::time::timeout(Duration::from_secs(10), async {
            while let Ok(1..) = stream.read(&mut answer).await {}
        });
        ensure!(
            closed.await.is_ok(),
            "a compressed frame did not end the connection"
        );
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Opens connections that send a request a byte at a time, more than one address may have.
pub(super) async fn slow_requests(target: &Target, ends: Instant) -> Result<()> {
    const CONNECTIONS: usize = 1_200;
    let mut held = Vec::new();
    while Instant::now() < ends {
        while held.len() < CONNECTIONS && Instant::now() < ends {
            let Ok(stream) = tcp(target).await else { break };
            held.push(stream);
            tokio::task::yield_now().await;
        }
        for stream in &mut held {
            // Those that were turned away are gone; that is the point.
            let _ = stream.try_write(b"G");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Sends all but the last byte of the largest frame, on very many connections at once, and waits.
pub(super) async fn unfinished_frames(target: &Target, ends: Instant) -> Result<()> {
    const CONNECTIONS: usize = 20;
    const FRAME_BYTES: u64 = 40 << 20;
    let one = async || -> Result<()> {
        let mut stream = tcp(target).await?;
        stream.write_all(UPGRADE.as_bytes()).await?;
        let mut answer = vec![0; 4_096];
        let answered = stream.read(&mut answer).await?;
        ensure!(answered > 0, "no upgrade");
        // A text frame, masked with zeros, and how long it will be.
        let mut head = vec![0x81, 0x80 | 127];
        head.extend(FRAME_BYTES.to_be_bytes());
        head.extend([0; 4]);
        stream.write_all(&head).await?;
        let piece = vec![b' '; 64 << 10];
        let mut left = FRAME_BYTES - 1;
        while left > 0 {
            let bytes = left.min(piece.len() as u64);
            stream.write_all(&piece[..bytes as usize]).await?;
            left -= bytes;
        }
        std::future::pending().await
    };
    let all = futures_util::future::join_all((0..CONNECTIONS).map(|_| one()));
    let time = ends.saturating_duration_since(Instant::now());
    // A connection that the node closes is not opened again: what is asked is what the rest may hold.
    let _ = tokio::time::timeout(time, all).await;
    Ok(())
}

/// Asks for megabytes again and again and never reads a byte.
pub(super) async fn never_reads(target: &Target, ends: Instant) -> Result<()> {
    const SOUL: &str = "0123456789ab:large";
    let mut writer = websocket(target).await?;
    let text = json!("z".repeat(1 << 20));
    let put = json!({"#": message_id(), "put": node(SOUL, &[("data", text)], 1)});
    writer.send(Message::text(put.to_string())).await?;
    let _ack = writer.next().await;
    while Instant::now() < ends {
        let mut socket = websocket(target).await?;
        while Instant::now() < ends {
            let get = json!({"#": message_id(), "get": {"#": SOUL}}).to_string();
            // A node that reads him as slowly as he deserves has to be waited for.
            let sent =
                tokio::time::timeout(Duration::from_secs(2), socket.send(Message::text(get)));
            if !matches!(sent.await, Ok(Ok(()))) {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Names a listener of ours as a peer, in every way the protocol has, and fails if it is dialled.
pub(super) async fn foreign_peers(target: &Target, ends: Instant) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/gun", listener.local_addr()?);
    let mut socket = websocket(target).await?;
    while Instant::now() < ends {
        for message in [
            json!({"#": message_id(), "dam": "opt", "opt": {"peers": url}}),
            json!({"#": message_id(), "dam": "opt", "opt": {"peers": {(url.as_str()): {}}}}),
            json!({"#": message_id(), "dam": "mob", "mob": 1, "peers": {(url.as_str()): {}}}),
        ] {
            socket.send(Message::text(message.to_string())).await?;
        }
        let dialled = tokio::time::timeout(PAUSE, listener.accept()).await;
        ensure!(
            dialled.is_err(),
            "the node dialled a peer that a stranger named"
        );
    }
    Ok(())
}
