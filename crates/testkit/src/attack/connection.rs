//! A connection from the attacker's address that sends as fast as the node reads, and reads all that
//! comes without waiting for any of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Target;

/// A node counts by address: the attacker's is not that of honest traffic.
const ATTACKER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);

/// Pause after the node closed a connection.
const AGAIN: Duration = Duration::from_millis(20);

pub(super) type Socket = WebSocketStream<TcpStream>;

/// A plain TCP connection to the relay port.
pub(super) async fn tcp(target: &Target) -> Result<TcpStream> {
    let url = reqwest::Url::parse(&target.relay.replacen("ws", "http", 1))?;
    let port = url.port().context("the relay has a port")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(ATTACKER)?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) async fn websocket(target: &Target) -> Result<Socket> {
    let stream = tcp(target).await?;
    let config = WebSocketConfig::default()
        .max_frame_size(None)
        .max_message_size(None);
    let (socket, _) =
        tokio_tungstenite::client_async_with_config(&target.relay, stream, Some(config)).await?;
    Ok(socket)
}

/// Sends what `frame` makes, one after the other, until `ends`; connects again when the node
/// closes the connection, which is its right.
pub(super) async fn flood(
    target: &Target,
    ends: Instant,
    mut frame: impl FnMut(u64) -> String,
) -> Result<()> {
    let mut number = 0;
    while Instant::now() < ends {
        let (mut sink, stream) = websocket(target).await?.split();
        let sending = send_until(&mut sink, ends, &mut number, &mut frame);
        tokio::select! {
            () = sending => {}
            () = drain(stream) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}

async fn send_until(
    sink: &mut SplitSink<Socket, Message>,
    ends: Instant,
    number: &mut u64,
    frame: &mut impl FnMut(u64) -> String,
) {
    while Instant::now() < ends {
        let left = ends.saturating_duration_since(Instant::now());
        let sent = tokio::time::timeout(left, sink.send(Message::text(frame(*number)))).await;
        *number += 1;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        // A single-threaded test runs honest traffic beside.
        tokio::task::yield_now().await;
    }
}

async fn drain(mut stream: SplitStream<Socket>) {
    while let Some(Ok(_)) = stream.next().await {}
}
