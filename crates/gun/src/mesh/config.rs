//! The bounds of the mesh; each number with its reason.

use std::fmt;
use std::sync::Arc;

use crate::graph::Soul;

/// Name and bounds of a mesh.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Names this process to its peers: 9 letters and digits, new at each start.
    pub pid: Arc<str>,
    /// How long an answer or ack is waited for.
    pub ask_timeout_ms: u64,
    /// Subscriptions of one connection; a get beyond them is answered all the same.
    pub subscriptions_max: usize,
    /// Puts and gets of one connection that wait for the store; those beyond are refused.
    pub pending_max: usize,
    /// Souls that dialled peers are asked for when they are not here.
    pub forwards: SoulFilter,
    /// Souls that are followed at dialled peers because somebody follows them here.
    pub follows: SoulFilter,
}

/// Tells souls that are meant from those that are not.
#[derive(Clone)]
pub struct SoulFilter(Arc<dyn Fn(&Soul) -> bool + Send + Sync>);

impl SoulFilter {
    /// Those for which `takes` holds.
    #[must_use]
    pub fn new(takes: impl Fn(&Soul) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(takes))
    }

    pub(super) fn takes(&self, soul: &Soul) -> bool {
        (self.0)(soul)
    }
}

impl fmt::Debug for SoulFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoulFilter")
    }
}

impl MeshConfig {
    /// The bounds that `docs/wire.md` names.
    #[must_use]
    pub fn new(pid: impl Into<Arc<str>>) -> Self {
        Self {
            pid: pid.into(),
            ask_timeout_ms: ASK_TIMEOUT_MS,
            subscriptions_max: SUBSCRIPTIONS_MAX,
            pending_max: PENDING_MAX,
            forwards: SoulFilter::new(|_| true),
            follows: SoulFilter::new(|_| true),
        }
    }
}

/// As long as gun.js keeps the way back to an asker; its ack takes 130 to 450 ms.
const ASK_TIMEOUT_MS: u64 = 9_000;

/// A page that shows 10,000 records follows each of them; at about 200 bytes each, 4 MB.
const SUBSCRIPTIONS_MAX: usize = 20_000;

/// gun.js clients are known to keep 50,000 puts under way.
const PENDING_MAX: usize = 65_536;

/// How often an idle connection that others opened hears something: as gun.js.
pub(super) const KEEPALIVE_MS: u64 = 20_000;

/// How long ids heard are remembered: as gun.js.
pub(super) const HEARD_MS: u64 = 9_000;

/// Ids remembered, over all connections: about 10 MB. Beyond, the oldest are forgotten and a
/// repeated put is merged once more, which changes nothing.
pub(super) const HEARD_MAX: usize = 65_536;

/// Questions and puts of our own under way. The pipelines above keep far fewer.
pub(super) const REQUESTS_MAX: usize = 65_536;

/// After the last part of an answer, or "not found", more may come: a gun.js relay answers
/// from memory, from disk and for its peers, and asks those 3 at a time every 25 ms.
pub(super) const LATE_MS: u64 = 2_000;

/// A get that finds nothing here is asked of other relays at most this often. Those who ask
/// in the meantime hear the answers too; it ends loops between relays, and a client can't
/// make us ask the same thing faster.
pub(super) const FORWARD_MS: u64 = 10_000;

/// Different gets that are remembered as passed on.
pub(super) const FORWARDS_MAX: usize = 10_000;

/// Askers of one such get that hear the answers; the others have been told "not found".
pub(super) const ASKERS_MAX: usize = 64;

/// Pushes whose acks find the way back to the writer.
pub(super) const PUSHES_MAX: usize = 65_536;
