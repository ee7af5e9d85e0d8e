//! The index as operators see it: how it stands, rebuilding, comparing; and the quarantine.

use gun::Soul;
use oip_record::Did;
use oip_store::{Op, QuarantineRow, Transaction, Wanted, WriteError};
use serde::Serialize;
use tokio::sync::oneshot;

use super::{Node, ReadError, off_reactor};
use crate::clock;
use crate::indexer::verify::{self, IndexComparison};
use crate::indexer::{RebuildProgress, Replayed, Request};
use crate::sync::marks;

/// How the index stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexReport {
    /// What it is: `embedded`, `elasticsearch 8.17.0`.
    pub backend: String,
    /// The mapping of its documents.
    pub mapping: String,
    /// Changes it has yet to apply.
    pub lag: u64,
    /// What keeps it from working, if anything does.
    pub trouble: Option<String>,
    /// Why it is to be rebuilt, if it is.
    pub rebuild_due: Option<String>,
    /// The rebuild that is under way.
    pub rebuild: Option<RebuildProgress>,
    /// Why a rebuild begins as soon as the index works, if one does.
    pub rebuild_waiting: Option<String>,
    /// Rebuilds that were finished since the start.
    pub rebuilds_finished: u64,
    /// Rebuilds that were given up since the start, or refused.
    pub rebuilds_given_up: u64,
    /// Why the last of these was, if none was finished after it.
    pub rebuild_given_up: Option<String>,
}

/// Who refused what is in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuarantineKind {
    /// Verification: the version is not held.
    Record,
    /// The index: the record is held, and can't be searched.
    Index,
}

/// Rows in quarantine that were tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuarantineReplay {
    /// Of what the index refused.
    pub index: Replayed,
    /// Records that will be fetched and judged again in a moment.
    pub records: u64,
}

/// Rows of refused records taken into one transaction when all are tried again.
const REPLAY_ROWS: usize = 500;

impl Node {
    /// How the index stands.
    #[must_use]
    pub fn index(&self) -> IndexReport {
        let status = self.inner.index.status();
        let rebuilds = self.inner.rebuilds.borrow().clone();
        IndexReport {
            backend: status.backend,
            mapping: status.mapping,
            lag: self.index_lag(),
            trouble: status.trouble.or(status.kept_out),
            rebuild_due: status.rebuild_due,
            rebuild: rebuilds.running,
            rebuild_waiting: rebuilds.waiting,
            rebuilds_finished: rebuilds.finished,
            rebuilds_given_up: rebuilds.given_up,
            rebuild_given_up: rebuilds.last_given_up,
        }
    }

    /// Has a new index filled from the store and put in place of the old one, which serves until then.
    /// Returns at once; [`Self::index`] shows the progress, and why it was given up if so. While the index does
    /// not work it waits for that. Does nothing while one is being filled.
    ///
    /// # Errors
    /// [`ReadError::Stopping`].
    pub async fn rebuild_index(&self) -> Result<(), ReadError> {
        let sent = self.inner.index_requests.send(Request::Rebuild).await;
        sent.map_err(|_| ReadError::Stopping)
    }

    /// Compares the index with the store, by digest for each type, and lists what differs.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn verify_index(&self) -> Result<IndexComparison, ReadError> {
        self.indexed().await;
        let first = self.compare_index().await?;
        if first.agrees {
            return Ok(first);
        }
        self.indexed().await;
        let second = self.compare_index().await?;
        Ok(verify::confirmed(&first, second))
    }

    async fn compare_index(&self) -> Result<IndexComparison, ReadError> {
        let inner = self.inner.clone();
        off_reactor(move || verify::compare(&inner.store, &*inner.index, &inner.scope)).await
    }

    /// Up to `limit` rows of one kind of quarantine in byte order of their souls, those behind `after`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn quarantine(
        &self,
        kind: QuarantineKind,
        after: Option<Soul>,
        limit: usize,
    ) -> Result<Vec<QuarantineRow>, ReadError> {
        let store = self.inner.store.clone();
        off_reactor(move || {
            Ok(match kind {
                QuarantineKind::Record => store.quarantine(after.as_ref(), limit)?,
                QuarantineKind::Index => store.unindexed(after.as_ref(), limit)?,
            })
        })
        .await
    }

    /// The rows of one record, of either kind.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn quarantined(
        &self,
        did: &Did,
    ) -> Result<Vec<(QuarantineKind, QuarantineRow)>, ReadError> {
        let (store, soul) = (self.inner.store.clone(), did.soul().clone());
        off_reactor(move || {
            let record = store
                .quarantined(&soul)?
                .map(|row| (QuarantineKind::Record, row));
            let index = store
                .unindexed_row(&soul)?
                .map(|row| (QuarantineKind::Index, row));
            Ok(record.into_iter().chain(index).collect())
        })
        .await
    }

    /// Tries again what is in quarantine: one record, or everything. What the index refused is tried at
    /// once; refused records become wanted, and are judged again by discovery.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn replay_quarantine(
        &self,
        did: Option<&Did>,
    ) -> Result<QuarantineReplay, ReadError> {
        let soul = did.map(|did| did.soul().clone());
        let (reply, answer) = oneshot::channel();
        let request = Request::Replay {
            soul: soul.clone(),
            reply,
        };
        let sent = self.inner.index_requests.send(request).await;
        sent.map_err(|_| ReadError::Stopping)?;
        let index = answer.await.map_err(|_| ReadError::Stopping)?;
        let records = match soul {
            Some(soul) => match self.inner.store.quarantined(&soul)? {
                // No peer can take back what an import brought.
                Some(row) if is_hidden(&row) => {
                    let marks = &self.inner.scope.marks;
                    marks.clear(&soul, marks::IMPORTED).await;
                    u64::from(self.inner.store.quarantined(&soul)?.is_none())
                }
                Some(row) => self.want_again(vec![row]).await?,
                None => 0,
            },
            None => self.want_all_again().await?,
        };
        Ok(QuarantineReplay { index, records })
    }

    async fn want_all_again(&self) -> Result<u64, ReadError> {
        let (mut records, mut after) = (0, None);
        loop {
            let rows = self
                .quarantine(QuarantineKind::Record, after, REPLAY_ROWS)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(records);
            };
            after = Some(last.soul.clone());
            records += self.want_again(rows).await?;
        }
    }

    /// The rows leave the quarantine when they are wanted; what is refused again comes back.
    async fn want_again(&self, mut rows: Vec<QuarantineRow>) -> Result<u64, ReadError> {
        // What is hidden is held: there is nothing to fetch.
        rows.retain(|row| !is_hidden(row));
        let records = rows.len() as u64;
        let ops = rows.into_iter().flat_map(|row| {
            let wanted = Wanted {
                soul: row.soul.clone(),
                record_type: row.record_type,
                at_ms: None,
            };
            [Op::QuarantineRemove(row.soul), Op::WantedAdd(wanted)]
        });
        let transaction = Transaction { ops: ops.collect() };
        match self.inner.store.commit(transaction, clock::wall_ms()).await {
            Ok(_) => {
                self.inner.listed.notify_one();
                Ok(records)
            }
            Err(WriteError::Closed) => Err(ReadError::Stopping),
            Err(error) => Err(ReadError::Replay(error)),
        }
    }
}

/// Whether a row tells that a deletion mark hides a record.
fn is_hidden(row: &QuarantineRow) -> bool {
    row.reason == marks::REASON
}
