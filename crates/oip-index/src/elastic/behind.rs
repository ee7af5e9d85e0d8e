//! The position in the feed, written behind its batch: while the next one is made and sent, so that a backlog does not
//! wait for it.
//!
//! Owns that positions are written in their order, and none is under way where an index is read anew, cleared or replaced. One
//! that is lost costs its batch being sent again, which changes nothing.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use super::backend::{Inner, locked};
use super::error::ElasticError;
use super::generations::Generation;

/// The position that is being written, if one is.
#[derive(Default)]
pub(super) struct Behind(Mutex<Option<JoinHandle<Result<(), ElasticError>>>>);

impl Inner {
    /// Writes a position while the caller goes on. The one before must have been waited for.
    pub(super) fn write_position_behind(self: &Arc<Self>, present: Arc<Generation>, cursor: u64) {
        let this = Arc::clone(self);
        let writing = self.server.start(async move {
            let patience = this.patience();
            this.place().set_position(&present, cursor, patience).await
        });
        *locked(&self.behind.0) = Some(writing);
    }

    /// Waits for the position that is being written.
    ///
    /// # Errors
    /// It could not be written: what was applied since the one before has to be applied again.
    pub(super) async fn position_written(&self) -> Result<(), ElasticError> {
        let writing = locked(&self.behind.0).take();
        match writing {
            // It is aborted by nobody, and panics nowhere: then there is none to wait for.
            Some(writing) => writing.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}
