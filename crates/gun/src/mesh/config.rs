//! The bounds of the mesh; each number with its reason.

use std::sync::Arc;

/// Name and bounds of a mesh.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Names this process to its peers: 9 letters and digits, new at each start.
    pub pid: Arc<str>,
    /// How long an answer or ack is waited for. A gun.js relay's ack takes 130 to 450 ms,
    /// and it forgets the way back after 9 s.
    pub ask_timeout_ms: u64,
    /// Subscriptions of one connection; a get beyond them is answered all the same.
    pub subscriptions_max: usize,
    /// Puts and gets of one connection that wait for the store.
    pub pending_max: usize,
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
        }
    }
}

/// As long as gun.js keeps the way back to an asker.
const ASK_TIMEOUT_MS: u64 = 9_000;

/// A client that shows 10,000 records follows each; at about 200 bytes each, 4 MB.
const SUBSCRIPTIONS_MAX: usize = 20_000;

/// gun.js clients are known to keep 50,000 puts under way.
const PENDING_MAX: usize = 65_536;
