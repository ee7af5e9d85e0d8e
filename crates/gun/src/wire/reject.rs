//! Why something heard is not taken. Each reason has a name for metrics and one decided
//! response; `docs/wire.md` lists them all.

use super::message::MessageId;
use crate::graph::NameError;

/// A message, or a frame, that was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Its id, where one could be read.
    pub id: Option<MessageId>,
    /// What was wrong.
    pub reject: Reject,
}

/// What the sender of a refused message hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// An ack with `err`, if the message had an id.
    Ack,
    /// A control message `!`, since no id is known to answer.
    Control,
    /// Nothing: noise that other peers send in good faith.
    Silence,
}

/// Whose fault it was that something heard is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// The frame is neither an object nor an array of JSON.
    #[error("the frame is not JSON")]
    NotJson,
    /// Text that can't be a batch or a message: other first character, or an element that is
    /// neither object nor text.
    #[error("a frame holds messages, or arrays of them, and nothing else")]
    NotAMessage,
    /// Over [`super::Limits::frame_bytes_max`].
    #[error("the frame is over {max} bytes")]
    FrameTooLarge {
        /// The bound.
        max: usize,
    },
    /// Over [`super::Limits::messages_max`].
    #[error("the batch holds over {max} messages")]
    TooManyMessages {
        /// The bound.
        max: usize,
    },
    /// Over [`super::Limits::nodes_max`].
    #[error("the put holds over {max} nodes")]
    TooManyNodes {
        /// The bound.
        max: usize,
    },
    /// Over [`super::Limits::keys_max`].
    #[error("the put holds over {max} keys")]
    TooManyKeys {
        /// The bound.
        max: usize,
    },
    /// Over [`super::Limits::nesting_max`].
    #[error("the message is nested over {max} deep")]
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// `#` is not a text of 1 to 64 bytes.
    #[error("the message id is not a text of 1 to 64 bytes")]
    BadId,
    /// A member occurs twice in one object.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// Half of a surrogate pair, which is no Unicode text.
    #[error("a text holds half a surrogate pair")]
    LoneSurrogate,
    /// A number beyond the range of doubles.
    #[error("a number is out of range")]
    BadNumber,
    /// Neither `dam`, `put`, `get` nor `@`.
    #[error("the message says nothing")]
    Empty,
    /// Both `put` and `get`.
    #[error("a message can't put and get at once")]
    PutAndGet,
    /// `put` is not an object of nodes.
    #[error("`put` is not an object of nodes")]
    BadPut,
    /// A node is not an object.
    #[error("a node is not an object")]
    BadNode,
    /// A node without `_`, or without its members `#` and `>`.
    #[error("a node lacks its metadata")]
    MissingMeta,
    /// `_` says another soul than the node's name.
    #[error("a node's metadata names another soul")]
    SoulMismatch,
    /// A key without state.
    #[error("a key has no state")]
    MissingState,
    /// A state that is not a finite number.
    #[error("a state is not a number")]
    BadState,
    /// A value that is neither null, boolean, number, text nor link.
    #[error("a value is neither null, boolean, number, text nor link")]
    BadValue,
    /// A soul that must not be stored.
    #[error("a soul can't be used: {0}")]
    BadSoul(NameError),
    /// A key that must not be stored.
    #[error("a key can't be used: {0}")]
    BadKey(NameError),
    /// A get that names no soul, or asks in an unknown form.
    #[error("the get names no soul")]
    BadGet,
    /// A range that holds more than one answer may.
    #[error("the range holds too many names: ask for a narrower one")]
    RangeTooWide,
    /// A state further in the future than this peer keeps.
    #[error("a state is too far in the future")]
    FutureState,
    /// The soul is not one that this relay takes from others.
    #[error("this relay does not take such souls")]
    NotAdmitted,
    /// A signature is missing or false (the words of gun.js).
    #[error("Unverified data.")]
    Unverified,
    /// The `pub` of an account is another key than the soul names (the words of gun.js).
    #[error("Account not same!")]
    BadAccount,
    /// A value of an alias is not a link to what its key names (the words of gun.js).
    #[error("Alias not same!")]
    BadAlias,
    /// A value of an alias is null (the words of gun.js).
    #[error("Alias must exist!")]
    MissingAlias,
    /// The key of a content-addressed soul names another value (the words of gun.js).
    #[error("Data hash not same as hash!")]
    WrongHash,
    /// Another than the owner signed, and no valid certificate of the owner allows him this
    /// write (the words of gun.js).
    #[error("Certificate verification fail.")]
    BadCertificate,
    /// The state lies after the certificate's expiry (the words of gun.js).
    #[error("Certificate expired.")]
    CertificateExpired,
    /// The writer stands on the block list that the certificate names.
    #[error("the owner of this space has blocked this writer")]
    WriterBlocked,
    /// The sender's allowance is used up.
    #[error("the allowance of this connection is used up")]
    Quota,
    /// Too much is under way already.
    #[error("too busy, try again later")]
    Busy,
    /// Storage failed.
    #[error("the data could not be stored")]
    StoreFailed,
}

impl Reject {
    /// A name for metric labels and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAMessage => "not_a_message",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::TooManyMessages { .. } => "too_many_messages",
            Self::TooManyNodes { .. } => "too_many_nodes",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::TooDeep { .. } => "too_deep",
            Self::BadId => "bad_id",
            Self::DuplicateMember => "duplicate_member",
            Self::LoneSurrogate => "lone_surrogate",
            Self::BadNumber => "bad_number",
            Self::Empty => "empty",
            Self::PutAndGet => "put_and_get",
            Self::BadPut => "bad_put",
            Self::BadNode => "bad_node",
            Self::MissingMeta => "missing_meta",
            Self::SoulMismatch => "soul_mismatch",
            Self::MissingState => "missing_state",
            Self::BadState => "bad_state",
            Self::BadValue => "bad_value",
            Self::BadSoul(_) => "bad_soul",
            Self::BadKey(_) => "bad_key",
            Self::BadGet => "bad_get",
            Self::RangeTooWide => "range_too_wide",
            Self::FutureState => "future_state",
            Self::NotAdmitted => "not_admitted",
            Self::Unverified => "unverified",
            Self::BadAccount => "account",
            Self::BadAlias => "alias",
            Self::MissingAlias => "missing_alias",
            Self::WrongHash => "content_hash",
            Self::BadCertificate => "certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::WriterBlocked => "writer_blocked",
            Self::Quota => "quota",
            Self::Busy => "busy",
            Self::StoreFailed => "store_failed",
        }
    }

    /// What the sender hears.
    #[must_use]
    pub fn response(&self) -> Response {
        match self {
            Self::NotJson | Self::FrameTooLarge { .. } | Self::TooManyMessages { .. } => {
                Response::Control
            }
            Self::NotAMessage | Self::BadId | Self::Empty => Response::Silence,
            _ => Response::Ack,
        }
    }
}
