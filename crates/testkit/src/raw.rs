//! A GUN client that sends any text and shows every message, for tests on the wire itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long a peer may take to accept a connection on loopback.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long an answer has to stay as it is before it counts as whole: gun.js itself waits
/// 99 ms, and its relays send the parts of an answer within a few.
pub const SETTLE: Duration = Duration::from_millis(250);

/// What one get has brought so far.
struct Collected {
    id: String,
    soul: String,
    ends: Instant,
    node: Map<String, Value>,
    /// A part without `%` has come.
    ended: bool,
}

impl Collected {
    fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

/// What one answering message was.
enum Part {
    Data,
    NotFound,
}

/// A plain connection to a GUN peer. Answers nothing by itself, not even the handshake.
#[derive(Debug)]
pub struct RawGun {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Messages that arrived while another was waited for, oldest first.
    inbox: VecDeque<Value>,
}

/// A fresh message id: 9 letters or digits, as gun.js makes them.
#[must_use]
pub fn message_id() -> String {
    rand::rng()
        .sample_iter(&Alphanumeric)
        .take(9)
        .map(char::from)
        .collect()
}

/// A `put` member for one node: every key with the same state.
#[must_use]
pub fn node(soul: &str, entries: &[(&str, Value)], state_ms: u64) -> Value {
    let states: Map<String, Value> = entries
        .iter()
        .map(|(key, _)| ((*key).to_owned(), json!(state_ms)))
        .collect();
    let mut node = Map::new();
    node.insert("_".to_owned(), json!({"#": soul, ">": states}));
    for (key, value) in entries {
        node.insert((*key).to_owned(), value.clone());
    }
    json!({ soul: node })
}

impl RawGun {
    /// Connects to `ws://…`.
    ///
    /// # Errors
    /// When the peer does not accept it.
    pub async fn connect(url: &str) -> Result<Self> {
        let (socket, _response) = tokio::time::timeout(CONNECT_MAX, connect_async(url))
            .await
            .with_context(|| format!("{url} did not accept within {CONNECT_MAX:?}"))?
            .with_context(|| format!("connect to {url}"))?;
        Ok(Self {
            socket,
            inbox: VecDeque::new(),
        })
    }

    /// Sends one text frame as it is.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.socket.send(Message::text(text.into())).await?)
    }

    /// Sends one message as a text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, message: &Value) -> Result<()> {
        self.send_text(message.to_string()).await
    }

    /// Sends one binary frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// The next message, in the order of the frames.
    ///
    /// # Errors
    /// When none comes within `deadline`, the connection closes, or a frame is not JSON.
    pub async fn next(&mut self, deadline: Duration) -> Result<Value> {
        if let Some(message) = self.inbox.pop_front() {
            return Ok(message);
        }
        let ends = Instant::now() + deadline;
        loop {
            self.read_frame(ends).await?;
            if let Some(message) = self.inbox.pop_front() {
                return Ok(message);
            }
        }
    }

    /// The next message for which `wanted` holds; others wait for later calls.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn find(
        &mut self,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let ends = Instant::now() + deadline;
        loop {
            let found = self.inbox.iter().position(&wanted);
            if let Some(message) = found.and_then(|at| self.inbox.remove(at)) {
                return Ok(message);
            }
            self.read_frame(ends).await?;
        }
    }

    /// The next text frame as it is, `[]` too; messages already taken apart are not in it.
    ///
    /// # Errors
    /// When none comes within `deadline` or the connection closes.
    pub async fn next_text(&mut self, deadline: Duration) -> Result<String> {
        self.read_text(Instant::now() + deadline).await
    }

    /// Waits until the peer closes the connection; returns the close code, if it sent one.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn closed(&mut self, deadline: Duration) -> Result<Option<u16>> {
        let ends = Instant::now() + deadline;
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.socket.next()).await {
                Err(_) => bail!("the peer did not close within {deadline:?}"),
                Ok(Some(Ok(Message::Close(frame)))) => {
                    return Ok(frame.map(|frame| frame.code.into()));
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) => return Ok(None),
            }
        }
    }

    /// Puts a graph (as [`node`] builds it) and waits for the acknowledgement.
    ///
    /// # Errors
    /// When none comes within `deadline`.
    pub async fn put(&mut self, graph: Value, deadline: Duration) -> Result<Value> {
        let id = message_id();
        self.send(&json!({"#": id, "put": graph})).await?;
        self.find(deadline, |message| {
            message["@"] == id.as_str() && message.get("put").is_none()
        })
        .await
        .with_context(|| format!("no acknowledgement of put {id}"))
    }

    /// Gets a soul and collects what the peer answers: all values by key, over all parts of
    /// the answer. `None` is "not found".
    ///
    /// A gun.js relay sends the *last* part of a node first (the one without `%`), and may
    /// answer again from its disk: the answer counts as whole once such a part has come and
    /// then nothing more for [`SETTLE`].
    ///
    /// # Errors
    /// When the answer is not whole within `deadline`.
    pub async fn get(
        &mut self,
        soul: &str,
        deadline: Duration,
    ) -> Result<Option<Map<String, Value>>> {
        let mut answer = self.ask(soul, deadline).await?;
        loop {
            let patience = if answer.ended { SETTLE } else { answer.left() };
            match self.collect(&mut answer, patience).await {
                Ok(Part::Data) => {}
                Ok(Part::NotFound) => break,
                Err(_) if answer.ended => break,
                Err(error) => return Err(error),
            }
        }
        Ok((!answer.node.is_empty()).then_some(answer.node))
    }

    /// Gets a soul and collects what the peer answers until `whole` holds for it.
    ///
    /// # Errors
    /// When it does not hold within `deadline`; the message shows what came.
    pub async fn get_until(
        &mut self,
        soul: &str,
        deadline: Duration,
        whole: impl Fn(&Map<String, Value>) -> bool,
    ) -> Result<Map<String, Value>> {
        let mut answer = self.ask(soul, deadline).await?;
        while !whole(&answer.node) {
            let left = answer.left();
            let collected = self.collect(&mut answer, left).await;
            collected.with_context(|| format!("only this came: {:?}", answer.node))?;
        }
        Ok(answer.node)
    }

    async fn ask(&mut self, soul: &str, deadline: Duration) -> Result<Collected> {
        let id = message_id();
        self.send(&json!({"#": id, "get": {"#": soul}})).await?;
        Ok(Collected {
            id,
            soul: soul.to_owned(),
            ends: Instant::now() + deadline,
            node: Map::new(),
            ended: false,
        })
    }

    /// Takes the next message that answers, and adds what it holds.
    async fn collect(&mut self, answer: &mut Collected, patience: Duration) -> Result<Part> {
        let message = self
            .find(patience, |message| message["@"] == answer.id.as_str())
            .await
            .with_context(|| format!("no whole answer to get {} of {}", answer.id, answer.soul))?;
        let Some(part) = message.get("put").filter(|put| put.is_object()) else {
            return Ok(Part::NotFound);
        };
        if let Some(entries) = part[&answer.soul].as_object() {
            let entries = entries.iter().filter(|(key, _)| *key != "_");
            answer
                .node
                .extend(entries.map(|(key, value)| (key.clone(), value.clone())));
        }
        answer.ended |= message.get("%").is_none();
        Ok(Part::Data)
    }

    /// Closes the connection properly.
    ///
    /// # Errors
    /// When the connection is already gone.
    pub async fn close(mut self) -> Result<()> {
        Ok(self.socket.close(None).await?)
    }

    async fn read_text(&mut self, ends: Instant) -> Result<String> {
        loop {
            let left = ends.saturating_duration_since(Instant::now());
            let frame = tokio::time::timeout(left, self.socket.next())
                .await
                .context("the peer sent nothing in time")?;
            match frame {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => bail!("the peer closed: {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the connection broke"),
                None => bail!("the connection is closed"),
            }
        }
    }

    async fn read_frame(&mut self, ends: Instant) -> Result<()> {
        let text = self.read_text(ends).await?;
        let frame: Value =
            serde_json::from_str(&text).with_context(|| format!("a frame is not JSON: {text}"))?;
        match frame {
            Value::Array(messages) => {
                for message in messages {
                    match message {
                        Value::String(text) => self.inbox.push_back(serde_json::from_str(&text)?),
                        other => self.inbox.push_back(other),
                    }
                }
            }
            message => self.inbox.push_back(message),
        }
        Ok(())
    }
}
