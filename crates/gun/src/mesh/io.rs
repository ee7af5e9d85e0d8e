//! What goes into the mesh and what comes out of it.

use std::sync::Arc;

use crate::graph::{Graph, Soul};
use crate::wire::{Get, Message, MessageId, Refused, Reject};

/// One connection. Never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Names a piece of work that the caller was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names a question of the local application; chosen by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The other side: a client, or a node that has us among its peers.
    Accepted,
    /// This side: a peer that the operator named.
    Dialled,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A connection is open.
    Opened {
        /// Which.
        peer: PeerId,
        /// Who opened it.
        direction: Direction,
    },
    /// A connection is gone.
    Closed {
        /// Which.
        peer: PeerId,
    },
    /// A message came.
    Heard {
        /// From whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// A message or a frame came that the parser refused.
    Refused {
        /// From whom.
        peer: PeerId,
        /// Why.
        refused: Refused,
    },
    /// The work of an [`Output::Store`] is done, and durable.
    Stored {
        /// Which.
        ticket: Ticket,
        /// How it ended.
        outcome: StoreOutcome,
    },
    /// The work of an [`Output::Load`] gave a result; the last one has no `more`.
    Loaded {
        /// Which.
        ticket: Ticket,
        /// What was found.
        parts: Loaded,
    },
    /// Values became current and durable, whoever wrote them: a local publish, a peer's put, a
    /// value of the future that fell due. Subscribers hear of them.
    Changed {
        /// The values that won.
        graph: Graph,
        /// The connection and message that brought them; that connection is not told.
        origin: Option<(PeerId, MessageId)>,
    },
    /// A push was dropped because its receiver reads too slowly. What the receiver follows of these
    /// souls is loaded and pushed; the caller lets that [`Output::Load`] wait until the receiver has read.
    Missed {
        /// Who missed it.
        peer: PeerId,
        /// What it was about.
        souls: Vec<Soul>,
    },
    /// The local application asks one peer.
    Ask {
        /// Comes back with the answers.
        token: Token,
        /// Whom.
        peer: PeerId,
        /// What.
        get: Get,
    },
    /// The local application gives one peer data and wants to know that it arrived.
    Tell {
        /// Comes back with the ack.
        token: Token,
        /// Whom.
        peer: PeerId,
        /// The data.
        graph: Graph,
    },
    /// The local application sends an extension message.
    Announce {
        /// To whom.
        peer: PeerId,
        /// The value of `dam`; holds a colon, such as `oip:hello`.
        name: Arc<str>,
        /// JSON text.
        body: Arc<str>,
    },
    /// Time passed; see [`super::Mesh::next_deadline`].
    Tick,
}

/// How storing ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoreOutcome {
    /// Why something of the graph was refused; the sender's ack then says so.
    pub rejected: Option<Reject>,
    /// What was left, where some of a dialled peer's graph was left out and the rest taken.
    pub kept: Option<Graph>,
}

/// What loading found.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// Nothing.
    Missing,
    /// Nothing, and dialled peers are not to be asked for it.
    MissingHere,
    /// Data.
    Part {
        /// Some of it, or all.
        graph: Graph,
        /// Whether another part follows.
        more: bool,
    },
    /// It could not be read, or is not given to this peer.
    Failed(Reject),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
        /// What may be done with it when the connection is slow.
        kind: SendKind,
    },
    /// Close a connection; [`Input::Closed`] follows from the caller.
    Close {
        /// Which.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
    },
    /// Merge into the durable graph, then say [`Input::Stored`], and [`Input::Changed`] with
    /// `origin` for what won.
    Store {
        /// Names the work.
        ticket: Ticket,
        /// Who sent it.
        peer: PeerId,
        /// The id of the message it came in, for [`Input::Changed`].
        origin: Option<MessageId>,
        /// The data.
        graph: Graph,
    },
    /// Read from the durable graph, then say [`Input::Loaded`].
    Load {
        /// Names the work.
        ticket: Ticket,
        /// Who asks.
        peer: PeerId,
        /// For what.
        get: Get,
    },
    /// An answer to [`Input::Ask`]. A gun.js relay may answer a get several times: data may
    /// come after "not found", and after data without `more`, for some 2 s.
    Asked {
        /// Of the question.
        token: Token,
        /// The answer.
        answer: Answer,
    },
    /// The end of [`Input::Tell`].
    Told {
        /// Of the data.
        token: Token,
        /// How it ended.
        told: Told,
    },
    /// An extension message came.
    Extension {
        /// From whom.
        peer: PeerId,
        /// The value of `dam`.
        name: Arc<str>,
        /// JSON text of its body.
        body: Arc<str>,
    },
    /// A peer says that something about the connection is wrong: for a log.
    Complaint {
        /// Which.
        peer: PeerId,
        /// Its words.
        err: Arc<str>,
    },
    /// A peer named its process.
    Identified {
        /// Which.
        peer: PeerId,
        /// Its name.
        pid: Arc<str>,
    },
    /// The other end of the connection is this very process; a [`Output::Close`] follows.
    IsOurselves {
        /// Which.
        peer: PeerId,
    },
}

/// What a message is for, which decides its fate on a slow connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendKind {
    /// An answer or ack: the peer waits for it.
    Reply,
    /// News to a subscriber: may be dropped, see [`Input::Missed`].
    Push,
    /// A question, or data, of our own.
    Request,
    /// The empty batch.
    Keepalive,
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It leads to this process.
    Ourselves,
    /// It lost a push, which can't be made up for; after dialling again it asks anew.
    Behind,
}

/// An answer to a question of the local application.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Data, which is stored by now.
    Data {
        /// As it came.
        graph: Graph,
        /// Whether the peer said that more follows.
        more: bool,
    },
    /// Data came and was refused by the store.
    Refused(Reject),
    /// The peer says that it has nothing; it may still get it from others and answer again.
    NotFound,
    /// The peer refuses to answer, in its words.
    Err(Arc<str>),
    /// Nothing came in time. The last word on this token.
    TimedOut,
    /// The connection closed. The last word on this token.
    PeerGone,
}

/// How telling ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Every message of it was acknowledged.
    Ok,
    /// The peer refused some of it.
    Err(Arc<str>),
    /// An ack is missing. gun.js relays do not acknowledge what they had already.
    TimedOut,
    /// The connection closed first.
    PeerGone,
}
