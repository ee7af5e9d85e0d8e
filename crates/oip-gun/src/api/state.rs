//! What every route works on, and the bound on the memory of all bodies together.

use std::sync::Arc;

use axum::http::HeaderMap;
use oip_node::Node;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::body::{BODY_BYTES_MAX, announced_bytes};
use super::callers::Access;

/// What every route works on; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(super) node: Node,
    pub(super) access: Arc<Access>,
    pub(super) body_budget: BodyBudget,
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
            body_budget: BodyBudget::new(),
            writes: TaskTracker::new(),
        }
    }

    /// Waits until every write that was begun has ended. Call it when no request arrives any more.
    pub async fn drain(&self) {
        self.writes.close();
        self.writes.wait().await;
    }
}

/// All bodies held at a time. A parsed body takes several times its bytes, and a node is to stay
/// below a few hundred MB: eight records of the greatest size, or 60,000 usual ones.
const BODIES_KIB_MAX: usize = 64 * 1024;
const _: () = assert!(BODIES_KIB_MAX * 1024 > BODY_BYTES_MAX, "one body must fit");

/// Turns for bodies, by their size: a caller waits until there is room.
#[derive(Clone)]
pub(super) struct BodyBudget {
    kibibytes: Arc<Semaphore>,
}

impl BodyBudget {
    fn new() -> Self {
        Self {
            kibibytes: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
        }
    }

    /// Waits for room for the body that `headers` announce; one of unknown size counts as the
    /// longest. The room is free again when the permit is dropped.
    pub(super) async fn take(&self, headers: &HeaderMap) -> Option<OwnedSemaphorePermit> {
        let bytes = announced_bytes(headers)
            .map_or(BODY_BYTES_MAX, |bytes| {
                usize::try_from(bytes).unwrap_or(usize::MAX)
            })
            .min(BODY_BYTES_MAX);
        let kibibytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        // The semaphore is never closed, so that this always has a permit.
        Arc::clone(&self.kibibytes)
            .acquire_many_owned(kibibytes)
            .await
            .ok()
    }
}
