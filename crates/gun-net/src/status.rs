//! What is known about the links, for health and metrics: measured, never configured.

use gun::mesh::{Direction, PeerId};

use crate::meter::Meter;

/// Where a configured address stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkPhase {
    /// Being dialled.
    Connecting,
    /// Connected.
    Connected,
    /// Not connected; dialled again after a while.
    Waiting,
    /// Never dialled again, for this reason.
    Refused(String),
    /// The node is stopping.
    Stopped,
}

/// One configured address, or one accepted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// The address, or the remote socket address of an accepted connection.
    pub label: String,
    /// Who dials.
    pub direction: Direction,
    /// Where it stands.
    pub phase: LinkPhase,
    /// The connection, while there is one.
    pub peer: Option<PeerId>,
    /// When the phase began, in ms since 1970.
    pub since_ms: u64,
    /// When the last byte came, in ms since 1970; `None` before the first connection.
    pub last_heard_ms: Option<u64>,
    /// How often it was dialled.
    pub attempts: u64,
    /// Why the last connection or attempt ended.
    pub last_error: Option<String>,
    /// Bytes, frames and messages over all connections of this address.
    pub traffic: Traffic,
    /// Messages that wait to be sent.
    pub outbox_len: usize,
}

impl LinkStatus {
    /// Whether there is a connection.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.phase == LinkPhase::Connected
    }
}

/// Counters since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// Bytes written to sockets.
    pub bytes_out: u64,
    /// Text frames read.
    pub frames_in: u64,
    /// Text frames written.
    pub frames_out: u64,
    /// Messages read and well-formed.
    pub messages_in: u64,
    /// Messages the parser refused.
    pub messages_refused: u64,
    /// Messages written.
    pub messages_out: u64,
    /// News that was dropped because the peer reads too slowly: it needs to catch up.
    pub pushes_dropped: u64,
    /// Binary frames, which mean nothing in GUN.
    pub frames_binary: u64,
    /// Connections closed for a frame over the limit.
    pub frames_too_large: u64,
    /// Connections closed for a frame that did not end.
    pub frames_unfinished: u64,
    /// Connections closed because the peer did not read its answers.
    pub closed_full: u64,
}

impl Traffic {
    pub(crate) fn of(meter: &Meter) -> Self {
        Self {
            bytes_in: meter.bytes_in.value(),
            bytes_out: meter.bytes_out.value(),
            frames_in: meter.frames_in.value(),
            frames_out: meter.frames_out.value(),
            messages_in: meter.messages_in.value(),
            messages_refused: meter.messages_refused.value(),
            messages_out: meter.messages_out.value(),
            pushes_dropped: meter.pushes_dropped.value(),
            frames_binary: meter.frames_binary.value(),
            frames_too_large: meter.frames_too_large.value(),
            frames_unfinished: meter.frames_unfinished.value(),
            closed_full: meter.closed_full.value(),
        }
    }
}
