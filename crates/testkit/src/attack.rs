//! What strangers do to an open relay: each attack drives real connections against a real node for
//! as long as it is told to, from an address of its own (127.0.0.2).
//!
//! Owns the attacks and what of each is counted; judges nothing: tests look at memory, counters and
//! honest traffic, the bench at latency.

mod connection;
mod floods;
mod forms;
mod sockets;

use std::time::Instant;

use anyhow::Result;

/// Where the attack goes.
#[derive(Debug, Clone)]
pub struct Target {
    /// `ws://127.0.0.1:PORT/gun`.
    pub relay: String,
}

/// An attack. Each is a row of `docs/security.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    /// Values stamped years ahead, and very many stamped minutes ahead.
    FutureStates,
    /// Frames, batches, puts, names and nesting beyond the limits.
    Oversize,
    /// New souls as fast as they are taken.
    SoulFlood,
    /// Keys of one shared registry index as fast as they are taken.
    IndexFlood,
    /// Souls and keys that are names of members which every JavaScript object has.
    BuiltInNames,
    /// Compressed frames, although no compression was agreed on.
    CompressedFrames,
    /// Very many connections that never finish their request.
    SlowRequests,
    /// Frames of the largest size that never end.
    UnfinishedFrames,
    /// Very many subscriptions on one connection.
    Subscriptions,
    /// Ranges over everything, and gets that name no soul.
    Scans,
    /// A reader who asks for much and never reads.
    NeverReads,
    /// Gets for what nobody has.
    Misses,
    /// Control messages that name other peers to dial.
    ForeignPeers,
    /// The message ids of others, used first.
    StolenIds,
    /// Frames and messages that are broken in many ways.
    Malformed,
    /// Signed values whose signatures are false.
    FalseSignatures,
}

impl Attack {
    /// Every attack.
    pub const ALL: [Self; 16] = [
        Self::FutureStates,
        Self::Oversize,
        Self::SoulFlood,
        Self::IndexFlood,
        Self::BuiltInNames,
        Self::CompressedFrames,
        Self::SlowRequests,
        Self::UnfinishedFrames,
        Self::Subscriptions,
        Self::Scans,
        Self::NeverReads,
        Self::Misses,
        Self::ForeignPeers,
        Self::StolenIds,
        Self::Malformed,
        Self::FalseSignatures,
    ];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FutureStates => "future-states",
            Self::Oversize => "oversize",
            Self::SoulFlood => "soul-flood",
            Self::IndexFlood => "index-flood",
            Self::BuiltInNames => "built-in-names",
            Self::CompressedFrames => "compressed-frames",
            Self::SlowRequests => "slow-requests",
            Self::UnfinishedFrames => "unfinished-frames",
            Self::Subscriptions => "subscriptions",
            Self::Scans => "scans",
            Self::NeverReads => "never-reads",
            Self::Misses => "misses",
            Self::ForeignPeers => "foreign-peers",
            Self::StolenIds => "stolen-ids",
            Self::Malformed => "malformed",
            Self::FalseSignatures => "false-signatures",
        }
    }

    /// The reasons under which the node counts its refusals; of an attack that is refused by not
    /// being noticed there are none.
    #[must_use]
    pub fn counted(self) -> &'static [&'static str] {
        match self {
            Self::FutureStates => &["future_state", "quota"],
            Self::Oversize => &[
                "too_many_messages",
                "too_many_keys",
                "too_deep",
                "bad_soul",
                "frame_too_large",
            ],
            Self::SoulFlood => &["not_admitted", "quota"],
            Self::IndexFlood => &["quota"],
            Self::BuiltInNames => &["bad_soul", "bad_key"],
            Self::SlowRequests => &["too_many_connections"],
            Self::Subscriptions => &["subscription"],
            Self::Scans => &["range_too_wide", "bad_get"],
            Self::NeverReads => &["reader_too_slow"],
            Self::Malformed => &[
                "not_json",
                "lone_surrogate",
                "bad_number",
                "duplicate_member",
                "missing_meta",
                "soul_mismatch",
                "missing_state",
                "bad_state",
                "bad_value",
            ],
            Self::FalseSignatures => &["unverified"],
            // It is noticed after a minute only: see the tests of `gun-net`.
            Self::UnfinishedFrames => &[],
            Self::CompressedFrames | Self::Misses | Self::ForeignPeers | Self::StolenIds => &[],
        }
    }

    /// Environment of a node that is attacked so: the same bounds as by default, lower where reaching
    /// them would take hours.
    #[must_use]
    pub fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::SoulFlood => &[("OIP_GUN_RELAY_PEER_SOULS", "2000")],
            Self::IndexFlood => &[("OIP_GUN_RELAY_PUBLIC_BYTES", "200000")],
            _ => &[],
        }
    }

    /// Attacks until `ends`.
    ///
    /// # Errors
    /// When the node does something that it must not do, or can't be reached at all.
    pub async fn run(self, target: &Target, ends: Instant) -> Result<()> {
        match self {
            Self::FutureStates => floods::future_states(target, ends).await,
            Self::Oversize => forms::oversize(target, ends).await,
            Self::SoulFlood => floods::souls(target, ends).await,
            Self::IndexFlood => floods::index_keys(target, ends).await,
            Self::BuiltInNames => forms::built_in_names(target, ends).await,
            Self::CompressedFrames => sockets::compressed_frames(target, ends).await,
            Self::SlowRequests => sockets::slow_requests(target, ends).await,
            Self::UnfinishedFrames => sockets::unfinished_frames(target, ends).await,
            Self::Subscriptions => floods::subscriptions(target, ends).await,
            Self::Scans => floods::scans(target, ends).await,
            Self::NeverReads => sockets::never_reads(target, ends).await,
            Self::Misses => floods::misses(target, ends).await,
            Self::ForeignPeers => sockets::foreign_peers(target, ends).await,
            Self::StolenIds => floods::stolen_ids(target, ends).await,
            Self::Malformed => forms::malformed(target, ends).await,
            Self::FalseSignatures => floods::false_signatures(target, ends).await,
        }
    }
}
