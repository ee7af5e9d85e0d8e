//! What the deletion marks of deployed nodes do: they hide a record, and nothing more.
//!
//! A mark bears no signature, so that anybody may have made it. It counts only when a peer that the
//! operator configured shows it, only against versions up to its time, never against what this node
//! published, and only as long as that peer is configured and goes on showing it. The verified copy
//! stays; what the index shows of it changes.
//!
//! Two kinds of marks come from no peer, and count because the operator said so: those of a relay's folder
//! that he imported, and those that a deployed node behind this relay puts, from an address that he named.
//!
//! Owns who marked what, durably, beside the record; the quarantine shows it to people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gun::Soul;
use gun_net::PeerAddress;
use oip_store::{Op, QuarantineRow, ReadError, RecordRow, Store, Transaction, WriteError};

use super::judge::did_of;
use crate::clock;
use crate::config::AddressRange;
use crate::explain;
use crate::metrics::Metrics;

/// The reason under which the quarantine lists what is hidden.
pub(crate) const REASON: &str = "deletion-mark";

/// Who shows the marks that an import brought: they stay until a later version, or until the record is
/// tried again by hand.
pub(crate) const IMPORTED: &str = "imported";

/// Who shows the marks that were put on this relay's HTTP port from addresses that the operator named
/// (`OIP_GUN_RELAY_DELETES_FROM`).
pub(crate) const PUT_HERE: &str = "this relay";

/// Imported marks in one transaction.
const IMPORT_BATCH: usize = 512;

/// Peers whose marks are kept for one record: more than anybody configures.
const MARKERS_MAX: usize = 64;

/// Marks that are noted before their record is held, since the start: a first sync meets them in any
/// order. Beyond it they count when the peer shows them again and the record is there.
const AHEAD_MAX: u64 = 100_000;

/// Times a change is made anew because a version came in between.
const TRIES: usize = 8;

/// Hidden records looked at when the node starts, a page at a time.
const PAGE: usize = 1_000;

/// The marks of configured peers.
pub(crate) struct Marks {
    pub store: Store,
    /// The labels of the peers that count.
    pub configured: BTreeSet<String>,
    pub metrics: Arc<Metrics>,
    /// Marks noted since the start whose record is not held.
    pub ahead: AtomicU64,
}

/// The labels of those whose marks count.
pub(crate) fn counted(peers: &[PeerAddress], put_from: &[AddressRange]) -> BTreeSet<String> {
    let put_here = (!put_from.is_empty()).then(|| PUT_HERE.to_owned());
    let peers = peers.iter().map(ToString::to_string);
    peers.chain(put_here).collect()
}

/// By peer, the time up to which versions are marked, in ms since 1970.
type Markers = BTreeMap<String, u64>;

impl Marks {
    /// The peer whose mark hides this version, and the mark's time.
    pub(crate) fn hides(&self, row: &RecordRow) -> Result<Option<(String, u64)>, ReadError> {
        let markers = self.markers(&row.soul)?;
        Ok(self.counting(row, &markers))
    }

    /// Of these marks, the latest that hides this version.
    fn counting(&self, row: &RecordRow, markers: &Markers) -> Option<(String, u64)> {
        if is_made_here(row) || row.deleted {
            return None;
        }
        let at_ms = u64::try_from(row.at_ms).unwrap_or(0);
        markers
            .iter()
            .filter(|(peer, until_ms)| **until_ms >= at_ms && self.counts(peer))
            .max_by_key(|(_, until_ms)| **until_ms)
            .map(|(peer, until_ms)| (peer.clone(), *until_ms))
    }

    /// Whether this peer's marks are worth anything.
    fn counts(&self, peer: &str) -> bool {
        peer == IMPORTED || self.configured.contains(peer)
    }

    /// The time of the peer's mark, if it is known.
    pub(crate) fn noted(&self, soul: &Soul, peer: &str) -> Option<u64> {
        self.markers(soul).ok()?.get(peer).copied()
    }

    /// Notes marks of an import. Blocks; no node runs on the store.
    pub(crate) fn import(&self, marks: &[(Soul, u64)]) -> Result<(), WriteError> {
        let now_ms = clock::wall_ms();
        for batch in marks.chunks(IMPORT_BATCH) {
            let mut ops = Vec::new();
            for (soul, at_ms) in batch {
                let at_ms = (*at_ms).min(now_ms);
                let change = self.planned(soul, |markers| raise(markers, IMPORTED, at_ms))?;
                ops.extend(change.into_iter().flat_map(|change| change.ops));
            }
            let (reply, committed) = std::sync::mpsc::sync_channel(1);
            self.store
                .submit(Transaction { ops }, now_ms, move |result| {
                    // The receiver waits below.
                    let _ = reply.send(result);
                });
            committed.recv().map_err(|_| WriteError::Closed)??;
        }
        Ok(())
    }

    /// A configured peer shows a mark of this time.
    pub(crate) async fn set(&self, soul: &Soul, peer: &str, at_ms: u64) {
        // A mark of the future would hide what is yet to be published.
        let at_ms = at_ms.min(clock::wall_ms());
        self.change(soul, |markers| raise(markers, peer, at_ms))
            .await;
    }

    /// A configured peer shows that a mark is gone.
    pub(crate) async fn clear(&self, soul: &Soul, peer: &str) {
        self.change(soul, |markers| markers.remove(peer).is_some())
            .await;
    }

    /// Records that a mark of this peer hides, as far as one look reaches.
    pub(crate) fn hidden_by(&self, peer: &str) -> Vec<Soul> {
        let mut hidden = Vec::new();
        let mut after = None;
        while hidden.len() < PAGE {
            let Ok(page) = self.store.quarantine(after.as_ref(), PAGE) else {
                return hidden;
            };
            let is_last = page.len() < PAGE;
            after = page.last().map(|row| row.soul.clone());
            let rows = page.into_iter();
            let by_peer =
                rows.filter(|row| row.reason == REASON && row.source.as_deref() == Some(peer));
            hidden.extend(by_peer.map(|row| row.soul));
            if is_last {
                break;
            }
        }
        hidden
    }

    /// Shows again what only peers hid that are configured no more.
    pub(crate) async fn look_again(&self) -> Result<(), ReadError> {
        let mut after = None;
        loop {
            let page = self.store.quarantine(after.as_ref(), PAGE)?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|row| row.soul.clone());
            for row in page.iter().filter(|row| row.reason == REASON) {
                self.change(&row.soul, |markers| {
                    let before = markers.len();
                    markers.retain(|peer, _| self.counts(peer));
                    markers.len() != before
                })
                .await;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Changes who marked a record, and lets the index follow.
    async fn change(&self, soul: &Soul, mut change: impl FnMut(&mut Markers) -> bool) {
        for _ in 0..TRIES {
            match self.change_once(soul, &mut change).await {
                Ok(()) => return,
                // A version came in between: decide for that one.
                Err(WriteError::Superseded(_)) => {}
                Err(error) => {
                    tracing::error!(event = "error", operation = "mark", did = %did_of(soul), %error, "failed to note a deletion mark");
                    return;
                }
            }
        }
    }

    async fn change_once(
        &self,
        soul: &Soul,
        change: &mut impl FnMut(&mut Markers) -> bool,
    ) -> Result<(), WriteError> {
        let Some(change) = self.planned(soul, change)? else {
            return Ok(());
        };
        if change.is_ahead && self.ahead.fetch_add(1, Ordering::Relaxed) >= AHEAD_MAX {
            return Ok(());
        }
        let transaction = Transaction { ops: change.ops };
        self.store.commit(transaction, clock::wall_ms()).await?;
        let did = did_of(soul);
        match change.effect {
            Effect::Hidden => {
                self.metrics.hidden.inc();
                tracing::info!(event = "recordHidden", did, "a deletion mark hides {did}");
            }
            Effect::Shown => tracing::info!(
                event = "recordShown",
                did,
                "no deletion mark hides {did} any more"
            ),
            Effect::None => {}
        }
        Ok(())
    }

    /// What a change of marks means for the store; `None` if nothing.
    fn planned(
        &self,
        soul: &Soul,
        mut change: impl FnMut(&mut Markers) -> bool,
    ) -> Result<Option<Planned>, WriteError> {
        let read = |error: ReadError| WriteError::from(error);
        let mut markers = self.markers(soul).map_err(read)?;
        if !change(&mut markers) {
            return Ok(None);
        }
        let held = self.store.record(soul).map_err(read)?;
        let is_ahead = held.is_none();
        // The quarantine tells what was hidden when other peers were configured.
        let listed = self.store.quarantined(soul).map_err(read)?;
        let was_hidden = match &held {
            Some(held) => {
                self.hides(held).map_err(read)?.is_some()
                    || listed.is_some_and(|row| row.reason == REASON)
            }
            None => false,
        };
        let mut ops = vec![
            Op::ExpectRecord {
                soul: soul.clone(),
                seq: held.as_ref().map(|held| held.seq),
            },
            Op::SetCursor {
                name: name_of(soul),
                value: serde_json::to_vec(&markers).unwrap_or_default(),
            },
        ];
        let mut effect = Effect::None;
        if let Some(held) = held.filter(|held| !is_made_here(held) && !held.deleted) {
            let by = self.counting(&held, &markers);
            match &by {
                Some((peer, until_ms)) => {
                    ops.push(Op::QuarantineAdd(shown(&held, peer, *until_ms)));
                }
                None if was_hidden => ops.push(Op::QuarantineRemove(soul.clone())),
                None => {}
            }
            if by.is_some() != was_hidden {
                let (what, why, peer) = match by {
                    Some((peer, until_ms)) => (
                        "hidden",
                        format!("a deletion mark up to {until_ms}"),
                        Some(peer),
                    ),
                    None => ("shown", "no deletion mark counts any more".to_owned(), None),
                };
                effect = if peer.is_some() {
                    Effect::Hidden
                } else {
                    Effect::Shown
                };
                ops.extend(explain::note(&self.store, soul, what, why, peer));
                // At the head of the feed again, where the index sees it.
                ops.push(Op::PutRecord(held));
            }
        }
        Ok(Some(Planned {
            ops,
            effect,
            is_ahead,
        }))
    }

    fn markers(&self, soul: &Soul) -> Result<Markers, ReadError> {
        let value = self.store.cursor(&name_of(soul))?;
        Ok(value
            .and_then(|value| serde_json::from_slice(&value).ok())
            .unwrap_or_default())
    }
}

/// What a change of marks is in the store, and to those who look.
struct Planned {
    ops: Vec<Op>,
    effect: Effect,
    /// Whether the marked record is not held.
    is_ahead: bool,
}

enum Effect {
    Hidden,
    Shown,
    None,
}

/// Whether this node made the version itself. What its wallet signed elsewhere, and an import or a peer
/// brought, it did not.
pub(crate) fn is_made_here(row: &RecordRow) -> bool {
    row.own && row.source.is_none()
}

/// Notes a mark of a peer, if it is later than the one known.
fn raise(markers: &mut Markers, peer: &str, at_ms: u64) -> bool {
    let known = markers.get(peer).copied().unwrap_or(0);
    if known >= at_ms || (markers.len() >= MARKERS_MAX && known == 0) {
        return false;
    }
    markers.insert(peer.to_owned(), at_ms);
    true
}

/// The quarantine's row for a hidden record. It holds no texts: the verified copy has them.
pub(crate) fn shown(held: &RecordRow, peer: &str, until_ms: u64) -> QuarantineRow {
    let now_ms = clock::wall_ms();
    let (by, until) = match peer {
        IMPORTED => (
            "that was imported with a relay's folder".to_owned(),
            "when it is tried again by hand (`oip-gun quarantine replay` and its DID)",
        ),
        PUT_HERE => (
            "that was put on this relay from an address in OIP_GUN_RELAY_DELETES_FROM".to_owned(),
            "when the mark is cleared there or no address is named any more",
        ),
        peer => (
            format!("which {peer} shows"),
            "when that peer clears the mark or is taken out of GUN_PEERS",
        ),
    };
    QuarantineRow {
        soul: held.soul.clone(),
        record_type: Some(held.record_type.clone()),
        creator: Some(held.creator.clone()),
        reason: REASON.to_owned(),
        detail: format!(
            "hidden by the unsigned deletion mark of {}, {by}: it is shown again {until}, or when a later version is published",
            oip_record::Stamp::from_ms(super::judge::signed_ms(until_ms)).as_str()
        ),
        source: Some(peer.to_owned()),
        attempts: 0,
        first_ms: now_ms,
        last_ms: now_ms,
        due_ms: None,
        data: None,
        oip: None,
    }
}

/// Names where it is kept who marked a record.
fn name_of(soul: &Soul) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let digest = digest(&SHA256, soul.as_str().as_bytes());
    format!("marks:{}", oip_record::soul::hex(digest.as_ref()))
}
