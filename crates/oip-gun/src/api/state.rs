//! What every route works on, and the bounds on bodies.

use std::sync::Arc;

use oip_node::Node;
use oip_record::limits::DATA_BYTES_MAX;
use tokio_util::task::TaskTracker;

use super::callers::Access;
use crate::http::{Bodies, KIB, MIB};

/// The longest body: the longest record, and room for white space and for what is not part of the
/// record itself (request parameters in the body).
pub(super) const BODY_BYTES_MAX: usize = DATA_BYTES_MAX + 64 * KIB;

/// All bodies held at a time. A parsed body takes several times its bytes, and a node is to stay
/// below a few hundred MB: eight records of the greatest size, or 60,000 usual ones.
const BODIES_BYTES_MAX: usize = 64 * MIB;

/// Whether the graph is served on the API port too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GunRelay {
    /// `/gun-relay/get` and `/gun-relay/put` work.
    Served,
    /// They answer 503 (`DISABLE_GUN_RELAY_PROXY`).
    Off,
}

/// What every route works on; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(super) node: Node,
    pub(super) access: Arc<Access>,
    pub(super) bodies: Bodies,
    pub(super) gun_relay: GunRelay,
    /// Writes run here, so that a caller who hangs up can't stop one half-way, and so that a
    /// graceful stop can wait for them.
    pub(super) writes: TaskTracker,
}

impl ApiState {
    /// The state of an API for `node`.
    #[must_use]
    pub fn new(node: Node, access: Access) -> Self {
        Self {
            node,
            access: Arc::new(access),
            bodies: Bodies::new(BODY_BYTES_MAX, BODIES_BYTES_MAX),
            gun_relay: GunRelay::Served,
            writes: TaskTracker::new(),
        }
    }

    /// The same with the graph served here or not.
    #[must_use]
    pub fn with_gun_relay(mut self, gun_relay: GunRelay) -> Self {
        self.gun_relay = gun_relay;
        self
    }

    /// Waits until every write that was begun has ended. Call it when no request arrives any more.
    pub async fn drain(&self) {
        self.writes.close();
        self.writes.wait().await;
    }
}
