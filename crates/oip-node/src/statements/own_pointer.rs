//! Looks after the pointer to this node's statement: anybody may write over it, and who looks for this node by its id is
//! then led astray.
//!
//! Owns how often it is written again, so that whoever overwrites it can't make us flood.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use gun::mesh::Direction;
use oip_record::NodeIdentity;
use oip_store::{Op, Transaction};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{OwnStatementError, Statements};
use crate::clock;
use crate::node::Introduction;

/// Pause after the pointer was written again: what was overwritten meanwhile waits for its end.
const PAUSE: Duration = Duration::from_secs(60);

/// How long peers are waited for to take it.
const TELL: Duration = Duration::from_secs(8);

/// What looking after it works with.
pub(crate) struct OwnPointer {
    pub statements: Statements,
    pub identity: Arc<NodeIdentity>,
    pub alias: Option<String>,
    /// What peers are told first.
    pub introduction: Introduction,
    /// Woken when a peer shows another.
    pub misled: Arc<Notify>,
}

impl OwnPointer {
    /// Writes the pointer again whenever another stands in its place, until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = self.misled.notified() => {}
                () = cancel.cancelled() => return,
            }
            tracing::warn!(
                "a peer showed another key under this node's id; the pointer is written again"
            );
            if let Err(error) = self.write_again().await {
                tracing::error!(%error, "failed to write the pointer to this node's statement again");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn write_again(&self) -> Result<(), OwnStatementError> {
        let Statements {
            store,
            hub,
            registry,
            peers,
            ..
        } = &self.statements;
        let (id, public) = (self.identity.node_id(), self.identity.public());
        let now_ms = clock::wall_ms();
        let Some((soul, entries)) = registry.pointer(&id, public, now_ms) else {
            return Ok(());
        };
        // A state of now: what a peer shows is not of the future to it.
        let write = Transaction::from(Op::Write { soul, entries });
        let committed = store.commit(write, now_ms).await?;
        hub.changed(committed.changed).await;
        let graph = self
            .statements
            .own_graph(&self.identity, self.alias.as_deref())?;
        *self
            .introduction
            .write()
            .unwrap_or_else(PoisonError::into_inner) = graph.clone();
        let mut told = JoinSet::new();
        for peer in peers.with_registry(None) {
            let is_dialled = peers
                .peer(peer)
                .is_some_and(|peer| peer.direction == Direction::Dialled);
            if is_dialled {
                let (hub, graph) = (hub.clone(), graph.clone());
                told.spawn(async move { hub.tell(peer, graph).await });
            }
        }
        let all = async { while told.join_next().await.is_some() {} };
        // One that does not answer is told on its next connection.
        let _ = tokio::time::timeout(TELL, all).await;
        Ok(())
    }
}
