//! One WebSocket connection from its opening to its close, the same for both directions.
//!
//! A reader parses frames and hands them on, and waits when the application is busy, so that
//! TCP slows the peer down. A writer packs what is queued and flushes when nothing more waits.
//! A watch notices a peer that is gone without a word.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use gun::mesh::Direction;
use gun::wire::{self, Body, Dam, FramePacker, Limits, Message, MessageId};
use rand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error, Utf8Bytes};
use tracing::debug;

use crate::link::{CloseCause, Link};
use crate::network::{Inner, Messages, NetEvent};
use crate::outbox::Taken;

/// A frame up to this size is parsed where it was read, and a message written where it is sent; a longer
/// one takes up to a millisecond and more, and would hold up the other connections of the thread.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Read buffer per connection. Idle browsers are many; a busy link grows its buffer to the
/// frame it reads.
const READ_BUFFER_BYTES: usize = 16 << 10;

/// Frames are handed to the socket once this much has gathered, or nothing more waits.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// Scratch space for reading away what a peer still sends after its frame was refused.
const DISCARD_BYTES: usize = 16 << 10;

/// WebSocket settings for a connection with these limits on what is heard.
pub(crate) fn websocket_config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_frame_size(Some(limits.frame_bytes_max))
        .max_message_size(Some(limits.frame_bytes_max))
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// The peer said goodbye.
    Goodbye(String),
    /// The connection broke.
    Lost(String),
    /// A frame over the limit.
    TooLarge,
    /// A frame that WebSocket does not allow.
    Invalid(CloseCode, String),
    /// Nothing came for too long, not even the answer to a ping.
    Silent,
    /// The peer takes nothing off its socket.
    Stalled,
    /// A frame that did not end.
    Unfinished,
    /// This side closes.
    Ours(CloseCause),
    /// The node is stopping.
    Stopping,
}

impl End {
    fn why(&self) -> String {
        match self {
            Self::Goodbye(why) | Self::Lost(why) | Self::Invalid(_, why) => why.clone(),
            Self::TooLarge => "the peer sent a frame over the limit".to_owned(),
            Self::Silent => "the peer fell silent".to_owned(),
            Self::Stalled => "the peer stopped reading".to_owned(),
            Self::Unfinished => "the peer sent a frame that did not end in time".to_owned(),
            Self::Ours(CloseCause::Asked(why)) => why.clone(),
            Self::Ours(CloseCause::Full) => "the peer does not read its answers".to_owned(),
            Self::Stopping => "this node is stopping".to_owned(),
        }
    }

    /// The close frame to send; `None` when the peer began the close or can't hear it.
    fn close_frame(&self) -> Option<CloseFrame> {
        let code = match self {
            Self::Goodbye(_) | Self::Lost(_) | Self::Silent | Self::Stalled => return None,
            Self::TooLarge => CloseCode::Size,
            Self::Invalid(code, _) => *code,
            Self::Ours(CloseCause::Asked(_)) => CloseCode::Normal,
            Self::Unfinished | Self::Ours(CloseCause::Full) => CloseCode::Policy,
            Self::Stopping => CloseCode::Away,
        };
        Some(CloseFrame {
            code,
            reason: close_reason(&self.why()),
        })
    }
}

/// A close frame holds at most 123 bytes of text.
const CLOSE_REASON_BYTES_MAX: usize = 123;

fn close_reason(why: &str) -> Utf8Bytes {
    let mut end = why.len().min(CLOSE_REASON_BYTES_MAX);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    Utf8Bytes::from(&why[..end])
}

/// Runs a connection until it ends; returns why it ended. The link is already registered.
pub(crate) async fn run<S>(socket: WebSocketStream<S>, link: Arc<Link>, net: Arc<Inner>) -> String
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let opened = NetEvent::Opened {
        peer: link.peer,
        direction: link.direction,
        label: link.label.clone(),
        origin: link.origin,
    };
    net.report(opened).await;
    let (mut sink, mut stream) = socket.split();
    let end = converse(&mut sink, &mut stream, &link, &net).await;
    link.outbox.seal();
    // From here on a send finds no link; the peer is told goodbye in its own time.
    net.forget(link.peer);
    link.frame.finished();
    let why = end.why();
    debug!(peer = link.peer.0, label = link.label, why, "link closed");
    let closed = NetEvent::Closed {
        peer: link.peer,
        why: why.clone(),
    };
    let goodbye = async {
        if let Ok(socket) = sink.reunite(stream) {
            let timers = &net.config.timers;
            let stopping = matches!(end, End::Stopping);
            let grace = if stopping {
                timers.farewell_max
            } else {
                timers.close_max
            };
            // A peer that does not finish the closing handshake is cut off.
            let _ = timeout(grace, part(socket, &end)).await;
        }
    };
    tokio::join!(net.report(closed), goodbye);
    why
}

type Sink<S> = SplitSink<WebSocketStream<S>, tungstenite::Message>;
type Stream<S> = SplitStream<WebSocketStream<S>>;

async fn converse<S>(sink: &mut Sink<S>, stream: &mut Stream<S>, link: &Link, net: &Inner) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let ping = Notify::new();
    let mut writer = std::pin::pin!(write(sink, link, net, &ping));
    let end = tokio::select! {
        end = read(stream, link, net) => end,
        end = &mut writer => return end,
        end = watch(link, net, &ping) => end,
        () = link.closing() => ended_here(link),
        () = net.cancel.cancelled() => End::Stopping,
    };
    link.outbox.seal();
    // What was promised before the end still goes out, if the peer takes it.
    if matches!(
        end,
        End::Stopping | End::TooLarge | End::Ours(CloseCause::Asked(_))
    ) {
        let _ = timeout(net.config.timers.drain_max, writer).await;
    }
    end
}

/// This side ends the connection: because it was ordered to, or because the node stops.
fn ended_here(link: &Link) -> End {
    link.close_cause().map_or(End::Stopping, End::Ours)
}

/// Reads frames until the connection ends.
async fn read<S>(stream: &mut Stream<S>, link: &Link, net: &Inner) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let limits = match link.direction {
        Direction::Accepted => &net.config.accepted,
        Direction::Dialled => &net.config.dialled,
    };
    loop {
        match stream.next().await {
            Some(Ok(tungstenite::Message::Text(text))) => {
                link.meters.count(|meter| &meter.frames_in, 1);
                let messages = parse(text, *limits, link, net).await;
                link.frame.finished();
                let refused = messages.iter().filter(|message| message.is_err()).count();
                link.meters
                    .count(|meter| &meter.messages_refused, refused as u64);
                link.meters.count(
                    |meter| &meter.messages_in,
                    (messages.len() - refused) as u64,
                );
                // The empty batch only keeps the connection open.
                if messages.is_empty() {
                    continue;
                }
                let frame = NetEvent::Frame {
                    peer: link.peer,
                    messages,
                };
                if net.events.send(frame).await.is_err() {
                    return End::Stopping;
                }
            }
            // GUN has no binary frames; gun.js drops them without a word.
            Some(Ok(tungstenite::Message::Binary(_))) => {
                link.frame.finished();
                link.meters.count(|meter| &meter.frames_binary, 1);
            }
            Some(Ok(tungstenite::Message::Close(frame))) => {
                let why = frame.map_or_else(
                    || "the peer closed".to_owned(),
                    |frame| format!("the peer closed ({}) {}", frame.code, frame.reason),
                );
                return End::Goodbye(why.trim_end().to_owned());
            }
            // These may come between the parts of a message, which goes on.
            Some(Ok(tungstenite::Message::Ping(data) | tungstenite::Message::Pong(data))) => {
                link.frame.passed(data.len());
            }
            Some(Ok(tungstenite::Message::Frame(_))) => {}
            Some(Err(error)) => return broken(error, link),
            None => return End::Lost("the connection ended".to_owned()),
        }
    }
}

fn broken(error: Error, link: &Link) -> End {
    match error {
        Error::Capacity(_) => {
            link.meters.count(|meter| &meter.frames_too_large, 1);
            End::TooLarge
        }
        Error::Utf8(_) => End::Invalid(CloseCode::Invalid, "a text frame is not UTF-8".to_owned()),
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => End::Lost("the connection ended without goodbye".to_owned()),
        Error::Protocol(error) => End::Invalid(CloseCode::Protocol, error.to_string()),
        error => End::Lost(error.to_string()),
    }
}

/// Parses a frame once there is room for it among those that wait for the application.
async fn parse(text: Utf8Bytes, limits: Limits, link: &Link, net: &Inner) -> Messages {
    let own = link.credit(text.len()).await;
    let room = [own, net.inbound_room(text.len()).await];
    let parsed = if text.len() <= INLINE_BYTES_MAX {
        wire::parse_frame(&text, &limits)
    } else {
        let parsing = move || wire::parse_frame(&text, &limits);
        // The parser is total; only a node that stops cuts it off.
        net.background.run(parsing).await.unwrap_or_default()
    };
    Messages::new(parsed, room)
}

/// Writes what is queued until the outbox is sealed and empty, or the connection breaks.
async fn write<S>(sink: &mut Sink<S>, link: &Link, net: &Inner, ping: &Notify) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match write_all(sink, link, net, ping).await {
        Ok(()) => ended_here(link),
        Err(error) => broken(error, link),
    }
}

async fn write_all<S>(
    sink: &mut Sink<S>,
    link: &Link,
    net: &Inner,
    ping: &Notify,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut packer = FramePacker::new();
    let mut taken = Vec::new();
    loop {
        link.set_writing(true);
        loop {
            match link.outbox.take(&mut taken) {
                Taken::Nothing => break,
                Taken::Some => {}
                Taken::Relieved => net.report(NetEvent::Relieved { peer: link.peer }).await,
            }
            let counts = |(message, _): &&(Message, usize)| message.body != Body::Keepalive;
            let messages = taken.iter().filter(counts).count();
            link.meters
                .count(|meter| &meter.messages_out, messages as u64);
            for (message, weight) in taken.drain(..) {
                let frame = if weight <= INLINE_BYTES_MAX {
                    packer.push(&message)
                } else {
                    let encoding = net.background.run(move || wire::encode(&message));
                    // Only a node that stops cuts it off.
                    packer.push_text(&encoding.await.unwrap_or_default())
                };
                if let Some(frame) = frame {
                    feed(sink, link, frame).await?;
                }
            }
        }
        if let Some(frame) = packer.flush() {
            feed(sink, link, frame).await?;
        }
        // More may have been queued while the frames were fed: one flush serves it all.
        if link.outbox.len() > 0 {
            continue;
        }
        sink.flush().await?;
        link.set_writing(false);
        if link.outbox.is_sealed() && link.outbox.len() == 0 {
            return Ok(());
        }
        tokio::select! {
            () = link.outbox.ready() => {}
            () = ping.notified() => {
                sink.feed(tungstenite::Message::Ping(Default::default())).await?;
            }
        }
    }
}

async fn feed<S>(sink: &mut Sink<S>, link: &Link, frame: String) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    link.meters.count(|meter| &meter.frames_out, 1);
    sink.feed(tungstenite::Message::text(frame)).await
}

/// Watches for a peer that is gone without a word. Only a peer this side dialled is pinged:
/// an accepted one is not obliged to answer anything, but its socket must take what it asked
/// for.
async fn watch(link: &Link, net: &Inner, ping: &Notify) -> End {
    let timers = &net.config.timers;
    let meter = &link.meters.own;
    let mut pinged_ms = 0;
    let mut moved = (meter.bytes_out.value(), Instant::now());
    loop {
        tokio::time::sleep(timers.watch_every).await;
        if link.frame.has_taken(timers.frame_max) {
            link.meters.count(|meter| &meter.frames_unfinished, 1);
            return End::Unfinished;
        }
        // An idle link says nothing about the peer; one that can't get rid of a byte does.
        let bytes_out = meter.bytes_out.value();
        if bytes_out != moved.0 || !link.has_unsent() {
            moved = (bytes_out, Instant::now());
        } else if moved.1.elapsed() >= timers.stall_max {
            return End::Stalled;
        }
        if link.direction == Direction::Accepted {
            continue;
        }
        let now_ms = net.clock.now_ms();
        let silent = Duration::from_millis(now_ms.saturating_sub(meter.heard_ms()));
        if silent >= timers.silence_max {
            return End::Silent;
        }
        let last_try_ms = meter.heard_ms().max(pinged_ms);
        if Duration::from_millis(now_ms.saturating_sub(last_try_ms)) >= timers.ping_after {
            pinged_ms = now_ms;
            ping.notify_one();
        }
    }
}

/// Parts from the peer: says why, and reads on until it has heard.
async fn part<S>(mut socket: WebSocketStream<S>, end: &End)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if matches!(end, End::Lost(_) | End::Silent | End::Stalled) {
        return;
    }
    if matches!(end, End::TooLarge) {
        let id = MessageId::from_random(rand::rng().random());
        let err = Dam::Error {
            err: "Message too big!".into(),
        };
        let text = wire::encode(&Message::new(id, Body::Dam(err)));
        if socket.send(tungstenite::Message::text(text)).await.is_err() {
            return;
        }
    }
    if let Some(frame) = end.close_frame()
        && socket.close(Some(frame)).await.is_err()
    {
        return;
    }
    if matches!(end, End::TooLarge | End::Invalid(..) | End::Unfinished) {
        // The rest of the frame is still to come. It is read away unparsed: closing a socket
        // with unread data resets it, and the peer would lose our last words.
        let mut scratch = vec![0; DISCARD_BYTES];
        while socket
            .get_mut()
            .read(&mut scratch)
            .await
            .is_ok_and(|bytes| bytes > 0)
        {}
    } else {
        while let Some(Ok(_)) = socket.next().await {}
    }
}
