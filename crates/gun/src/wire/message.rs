//! The messages of the GUN protocol as values (`docs/wire.md`, "Messages").
//!
//! Owns their shapes; [`super::parse_frame`] and [`super::encode`] turn them from and into text.

use std::fmt;
use std::sync::Arc;

use super::query::Get;
use crate::graph::Graph;

/// The name of a message. Peers remember ids for a while and route answers by them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Arc<str>);

/// Longest id heard, in bytes. gun.js sends 9 characters, and bridges pass on what they hear.
pub(crate) const ID_BYTES_MAX: usize = 64;

/// Length of the ids made here. All of one length: a gun.js relay takes an id that equals an
/// earlier one plus digits for a duplicate, and another peer wants 32 characters at most.
const ID_LETTERS: usize = 9;

/// The letters of gun.js: digits and letters without the capital Y.
const ALPHABET: &[u8; 61] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXZabcdefghijklmnopqrstuvwxyz";

impl MessageId {
    /// Takes an id as heard: 1 to 64 bytes of text; `None` for any other.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty() && text.len() <= ID_BYTES_MAX).then(|| Self(text.into()))
    }

    /// Makes an id of nine letters and digits from 64 random bits.
    #[must_use]
    pub fn from_random(bits: u64) -> Self {
        let mut letters = [0_u8; ID_LETTERS];
        let mut rest = bits;
        for letter in &mut letters {
            *letter = ALPHABET[(rest % 61) as usize];
            rest /= 61;
        }
        // The alphabet is ASCII, so the conversion keeps every byte.
        Self(String::from_utf8_lossy(&letters).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `#`. Always present on what is sent; a sender may have left it out.
    pub id: Option<MessageId>,
    /// `@`: the message this one answers.
    pub reply_to: Option<MessageId>,
    /// `##`: the hash of the data in an answer, or in a get that of an answer already had.
    pub hash: Option<i32>,
    /// `><`: names of peers that need not get this message.
    pub seen_by: Vec<Arc<str>>,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// A message with an id and nothing else around its body.
    #[must_use]
    pub fn new(id: MessageId, body: Body) -> Self {
        Self {
            id: Some(id),
            reply_to: None,
            hash: None,
            seen_by: Vec::new(),
            body,
        }
    }

    /// The same as an answer to `reply_to`.
    #[must_use]
    pub fn answering(mut self, reply_to: MessageId) -> Self {
        self.reply_to = Some(reply_to);
        self
    }

    /// The empty batch `[]`, which keeps an idle connection open. It is never parsed: an
    /// empty batch yields no message.
    #[must_use]
    pub fn keepalive() -> Self {
        Self {
            id: None,
            reply_to: None,
            hash: None,
            seen_by: Vec::new(),
            body: Body::Keepalive,
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Data: news, or the answer to a get when the message has a `reply_to`.
    Put(Put),
    /// A question.
    Get(Get),
    /// The answer to a put; with neither `ok` nor `err` also "not found" for a get.
    Ack(Ack),
    /// A control message.
    Dam(Dam),
    /// The empty batch, see [`Message::keepalive`].
    Keepalive,
}

/// Data with states.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The nodes, or parts of nodes.
    pub graph: Graph,
    /// `%` in an answer: the id of the message that goes on with it; `None` in the last.
    pub more: Option<MessageId>,
    /// `ok`: which acks the writer hopes for beyond that of the peer it speaks to.
    pub wants: Option<AckWish>,
    /// Values left out while reading, see [`super::OnFault::DropValue`]; 0 in what is sent.
    pub dropped: usize,
}

impl Put {
    /// News without further wishes.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        Self {
            graph,
            more: None,
            wants: None,
            dropped: 0,
        }
    }
}

/// `ok` of a put: how many acks are wanted (`@`) and how many peers the sender sees (`/`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckWish {
    /// Acks wanted.
    pub acks: i64,
    /// Peers the sender sees.
    pub peers: i64,
}

/// The outcome of a put; without a member, "not found".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ack {
    /// JSON text of `ok`, kept as it came: plugins send objects in it. `null` is the same as none.
    pub ok: Option<Arc<str>>,
    /// What went wrong.
    pub err: Option<Arc<str>>,
}

impl Ack {
    /// The ack of a stored put.
    #[must_use]
    pub fn success() -> Self {
        Self {
            ok: Some("true".into()),
            err: None,
        }
    }

    /// The ack of a refused put or get.
    #[must_use]
    pub fn failure(err: impl Into<Arc<str>>) -> Self {
        Self {
            ok: None,
            err: Some(err.into()),
        }
    }

    /// "I have nothing for that get."
    #[must_use]
    pub fn not_found() -> Self {
        Self::default()
    }
}

/// A control message.
#[derive(Debug, Clone, PartialEq)]
pub enum Dam {
    /// `?`: asks for, or gives, the name of a process.
    Hello {
        /// The sender's own name.
        pid: Option<Arc<str>>,
    },
    /// `!`: something about the connection went wrong.
    Error {
        /// Text for a log.
        err: Arc<str>,
    },
    /// `hi`: opens the connection; asks for nothing.
    Hi,
    /// An extension: `dam` holds a character beyond letters and digits, such as `oip:hello`.
    Extension {
        /// The whole value of `dam`.
        name: Arc<str>,
        /// JSON text of the member `body`; `null` when there is none.
        body: Arc<str>,
    },
    /// Any other value: ignored and not passed on. Never sent.
    Unknown,
}
