//! Follows the statements of trusted nodes: asks peers for those that are not here, and has what was put
//! aside judged anew when more creators are trusted than before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gun::wire::Get;
use gun::{Key, Soul, Value};
use oip_store::{Committed, Op, ReadError, Store, Transaction, Wanted, WriteError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Trust;
use crate::clock;
use crate::config::TypeFilter;
use crate::hub::HubHandle;
use crate::peers::Peers;
use crate::registry::{DEPLOYED_TYPES, Registry, is_type_name};
use crate::sync::pull::Puller;
use crate::sync::sweep::TYPES_MAX;

/// Why a record that an import brought lies in quarantine.
pub(crate) const UNTRUSTED: &str = "untrusted";

/// Names the extent of trust under which records were last judged.
const EXTENT: &str = "trusted-extent";

/// The shortest pause between two looks: anybody may write pointers.
const PAUSE: Duration = Duration::from_millis(100);

/// Records that become wanted in one transaction.
const PAGE: usize = 1_000;

/// Pause while the wanted list has no room.
const ROOM: Duration = Duration::from_secs(1);

/// What following works with.
pub(crate) struct TrustWatch {
    pub trust: Arc<Trust>,
    pub store: Store,
    pub registry: Arc<Registry>,
    pub types: TypeFilter,
    pub hub: HubHandle,
    pub peers: Arc<Peers>,
    /// Wakes the intake.
    pub listed: Arc<Notify>,
    pub pulled: Vec<Arc<Puller>>,
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl TrustWatch {
    /// Looks whenever a statement changed, and at every interval, until cancelled.
    pub(crate) async fn run(self, interval: Duration, cancel: CancellationToken) {
        loop {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = cancel.cancelled() => return,
            };
            if let Err(error) = looked {
                tracing::error!(event = "error", operation = "trust", %error, "failed to look for the statements of trusted nodes");
            } else if self.trust.is_open() {
                return;
            }
            let changed = async {
                self.trust.seen.notified().await;
                tokio::time::sleep(PAUSE).await;
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(interval) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn look(&self) -> Result<(), WatchError> {
        let look = self.trust.look(&self.store, &self.registry)?;
        if !look.ops.is_empty() {
            let ops = look.ops.clone();
            self.store
                .commit(Transaction { ops }, clock::wall_ms())
                .await?;
        }
        let lacking = look.lacking.clone();
        self.trust.learn(look);
        self.judge_anew_if_more().await?;
        // What is asked for wakes the next look when it arrives.
        for peer in self.peers.with_registry(None) {
            for soul in &lacking {
                self.hub.ask(peer, Get::node(soul.clone())).await;
            }
        }
        Ok(())
    }

    async fn judge_anew_if_more(&self) -> Result<(), WatchError> {
        let now = self.trust.extent();
        // Without a note everybody was trusted, as on every node before the setting.
        let before: Option<BTreeSet<String>> = match self.store.cursor(EXTENT)? {
            Some(noted) => serde_json::from_slice(&noted).unwrap_or_default(),
            None => None,
        };
        if now == before {
            return Ok(());
        }
        let is_more = match (&before, &now) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(now)) => !now.is_subset(before),
        };
        if is_more {
            let wanted = self.want_what_was_put_aside().await?;
            for puller in &self.pulled {
                puller.look_again();
            }
            tracing::info!(
                wanted,
                "more creators are trusted: {wanted} records are judged anew"
            );
        }
        let value = serde_json::to_vec(&now).unwrap_or_default();
        let op = Op::SetCursor {
            name: EXTENT.to_owned(),
            value,
        };
        self.store
            .commit(Transaction::from(op), clock::wall_ms())
            .await?;
        Ok(())
    }

    async fn want_what_was_put_aside(&self) -> Result<u64, WatchError> {
        let mut total = 0;
        for record_type in self.known_types()? {
            let Some(index) = self.registry.index(&record_type) else {
                continue;
            };
            let mut after: Option<Key> = None;
            loop {
                let page = self.store.keys(&index, after.as_ref(), PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                let mut ops = Vec::new();
                for entry in &page {
                    let soul = Soul::new(entry.key.as_str()).ok();
                    let named = soul.filter(|_| entry.value != Value::Null);
                    if let Some(soul) = named
                        && !self.is_held(&soul)?
                    {
                        ops.push(Op::WantedAdd(Wanted {
                            soul,
                            record_type: Some(record_type.clone()),
                            at_ms: None,
                        }));
                    }
                }
                total += self.want(ops).await?;
            }
        }
        let mut after = None;
        loop {
            let page = self.store.quarantine(after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.soul.clone());
            let aside = page.into_iter().filter(|row| row.reason == UNTRUSTED);
            let ops = aside.flat_map(|row| {
                let wanted = Wanted {
                    soul: row.soul.clone(),
                    record_type: row.record_type,
                    at_ms: None,
                };
                [Op::WantedAdd(wanted), Op::QuarantineRemove(row.soul)]
            });
            total += self.want(ops.collect()).await?;
        }
        Ok(total)
    }

    /// How many became wanted. A full list is waited for: what it does not take would be forgotten.
    async fn want(&self, ops: Vec<Op>) -> Result<u64, WatchError> {
        let count = ops.iter().filter(|op| matches!(op, Op::WantedAdd(_)));
        let count = count.count() as u64;
        if count == 0 {
            return Ok(0);
        }
        loop {
            let transaction = Transaction { ops: ops.clone() };
            let Committed { over_limit, .. } =
                self.store.commit(transaction, clock::wall_ms()).await?;
            self.listed.notify_one();
            if over_limit == 0 {
                return Ok(count);
            }
            tokio::time::sleep(ROOM).await;
        }
    }

    /// Whether what lies in the graph is what is held.
    fn is_held(&self, soul: &Soul) -> Result<bool, ReadError> {
        let (Some(held), Ok(key)) = (self.store.record(soul)?, Key::new("oip")) else {
            return Ok(false);
        };
        let shown = self.store.value(soul, &key)?;
        Ok(shown.is_some_and(|(_, value)| value.as_text() == Some(&*held.oip)))
    }

    fn known_types(&self) -> Result<BTreeSet<String>, ReadError> {
        let directory = self
            .store
            .keys(&self.registry.directory(), None, TYPES_MAX)?;
        let named = directory
            .into_iter()
            .map(|entry| entry.key.as_str().to_owned());
        let deployed = DEPLOYED_TYPES.iter().map(|name| (*name).to_owned());
        Ok(named
            .chain(deployed)
            .filter(|name| is_type_name(name) && self.types.wants(name))
            .collect())
    }
}
