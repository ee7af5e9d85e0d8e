//! Gives own records to a dialled peer, with their registry entries, in the order of the feed. What
//! the peer has acknowledged is remembered durably, so that after an absence of either side only
//! the rest is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gun::mesh::{PeerId, Told};
use gun::wire::Get;
use gun::{Graph, Key, Node, Soul};
use oip_store::{Op, ReadError, RecordRow, Store, Transaction};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::deletions;
use crate::hub::{Fetched, HubHandle};
use crate::metrics::Metrics;
use crate::registry::Registry;

/// Records under way to one peer. gun.js gathers writes for 250 ms before it acknowledges, so the
/// rate there is this number per quarter of a second.
const WINDOW_MAX: usize = 256;

/// Bytes under way to one peer: well below what an outbox holds, so that a run of large records
/// does not close the connection it is sent on.
const WINDOW_BYTES_MAX: usize = 8 << 20;

/// Feed entries read at a time.
const PAGE: usize = 512;

/// The cursor is written after so many records, or when nothing more waits: writing it for every
/// record would cost a sync each, and after a crash a repeat costs nothing but its bytes.
const CURSOR_EVERY: u64 = 256;

/// Times a record is sent before it is left to the peer's own question for it.
const TRIES: u32 = 3;

/// Wait before a record is sent again; doubled each time.
const RETRY: Duration = Duration::from_secs(2);

/// What telling works with.
pub(crate) struct Uplink {
    pub store: Store,
    pub hub: HubHandle,
    pub registry: Arc<Registry>,
    pub node_id: Arc<str>,
    pub metrics: Arc<Metrics>,
}

impl Uplink {
    /// Runs while the connection is open.
    pub(crate) async fn run(
        self: Arc<Self>,
        peer: PeerId,
        address: Arc<str>,
        until: CancellationToken,
    ) {
        tokio::select! {
            result = self.follow(peer, &address) => {
                if let Err(error) = result {
                    tracing::error!(event = "error", operation = "tell", peer = %address, %error, "failed to read own records");
                }
            }
            () = until.cancelled() => {}
        }
    }

    async fn follow(self: &Arc<Self>, peer: PeerId, address: &str) -> Result<(), ReadError> {
        let name = cursor_name(address);
        let start = cursor(&self.store, address)?;
        let mut feed = self.store.watch_feed();
        let mut progress = Progress {
            read: start,
            saved: start,
            under_way: BTreeMap::new(),
            bytes: 0,
        };
        let mut tells = JoinSet::new();
        loop {
            feed.mark_unchanged();
            let page = self.store.feed(progress.read, PAGE)?;
            let is_last = page.len() < PAGE;
            for (seq, soul) in page {
                progress.read = seq;
                let Some(row) = self
                    .store
                    .record(&soul)?
                    .filter(|row| row.own && row.seq == seq)
                else {
                    continue;
                };
                let bytes = row.oip.len() + row.data.as_ref().map_or(0, |data| data.len());
                while progress.is_full(tells.len(), bytes) {
                    progress.ended(tells.join_next().await);
                }
                progress.under_way.insert(seq, bytes);
                progress.bytes += bytes;
                let this = Arc::clone(self);
                tells.spawn(async move { (seq, this.tell(peer, row).await) });
                if progress.reached() - progress.saved >= CURSOR_EVERY {
                    self.save(&name, &mut progress).await;
                }
            }
            if !is_last {
                continue;
            }
            // Nothing more to send: collect acks until something new is published.
            loop {
                tokio::select! {
                    ended = tells.join_next(), if !tells.is_empty() => progress.ended(ended),
                    changed = feed.changed() => {
                        if changed.is_err() { return Ok(()) }
                        break;
                    }
                }
                if tells.is_empty() && progress.reached() > progress.saved {
                    self.save(&name, &mut progress).await;
                }
            }
        }
    }

    async fn save(&self, name: &str, progress: &mut Progress) {
        let reached = progress.reached();
        let op = Op::SetCursor {
            name: name.to_owned(),
            value: reached.to_be_bytes().to_vec(),
        };
        match self
            .store
            .commit(Transaction::from(op), clock::wall_ms())
            .await
        {
            Ok(_) => progress.saved = reached,
            Err(error) => tracing::warn!(%error, "failed to remember what a peer was told"),
        }
    }

    /// Tells one record, and again if no ack shows that it arrived.
    async fn tell(&self, peer: PeerId, row: RecordRow) -> Ended {
        let graph = match self.announcement(&row) {
            Ok(graph) => graph,
            Err(error) => {
                tracing::error!(event = "error", operation = "tell", %error, "failed to read an own record");
                return Ended::Open;
            }
        };
        for attempt in 0..TRIES {
            match self.hub.tell(peer, graph.clone()).await {
                Told::Ok => {
                    self.metrics.told.inc();
                    return Ended::Settled;
                }
                Told::PeerGone => return Ended::Open,
                Told::Err(reason) => {
                    tracing::warn!(event = "error", operation = "tell", soul = %row.soul, reason = %reason, "a peer refused a record");
                }
                // gun.js relays don't acknowledge what they had already: read it back before sending again.
                Told::TimedOut => {
                    if self.has(peer, &row).await {
                        self.metrics.told.inc();
                        return Ended::Settled;
                    }
                }
            }
            tokio::time::sleep(RETRY * 2_u32.pow(attempt)).await;
        }
        tracing::warn!(event = "error", operation = "tell", soul = %row.soul, "a peer did not take a record; it is left to ask for it");
        Ended::Settled
    }

    async fn has(&self, peer: PeerId, row: &RecordRow) -> bool {
        let Ok(key) = Key::new("oip") else {
            return false;
        };
        let ours = self.store.value(&row.soul, &key).ok().flatten();
        match self
            .hub
            .ask(peer, Get::key(row.soul.clone(), key.clone()).once())
            .await
        {
            Fetched::Data(graph) => graph.iter().any(|node| {
                node.soul == row.soul
                    && node.entry("oip").is_some_and(|theirs| {
                        ours.as_ref()
                            .is_none_or(|(state, _)| theirs.state >= *state)
                    })
            }),
            _ => false,
        }
    }

    /// A record with all that makes others find it, states as they are in the graph.
    fn announcement(&self, row: &RecordRow) -> Result<Graph, ReadError> {
        let mut graph = Vec::new();
        let whole = [
            Some(row.soul.clone()),
            Soul::new(format!("{}/meta", row.soul)).ok(),
        ];
        let registered = self
            .registry
            .entry_souls(&self.node_id, &row.record_type, &row.soul);
        let marked = deletions::entry(&row.soul);
        for soul in whole.into_iter().flatten().chain(registered).chain(marked) {
            graph.extend(self.store.node(&soul)?);
        }
        // Of directory, index and deletion registry, the one key that concerns this record.
        let keys = [
            (
                Some(self.registry.directory()),
                Key::new(row.record_type.as_str()).ok(),
            ),
            (
                self.registry.index(&row.record_type),
                Key::new(row.soul.as_str()).ok(),
            ),
            (Some(deletions::index()), deletions::flag(&row.soul)),
        ];
        for (soul, key) in keys {
            let (Some(soul), Some(key)) = (soul, key) else {
                continue;
            };
            if let Some((state, value)) = self.store.value(&soul, &key)? {
                graph.push(Node {
                    soul,
                    entries: vec![gun::graph::Entry { key, state, value }],
                });
            }
        }
        Ok(graph)
    }
}

/// How telling one record ended.
enum Ended {
    /// Arrived, refused, or given up: the peer can still ask for it.
    Settled,
    /// To be told again on the next connection.
    Open,
}

/// How far a peer has been told: up to the first record that is still under way.
struct Progress {
    read: u64,
    saved: u64,
    /// Sequence numbers with the bytes of their records.
    under_way: BTreeMap<u64, usize>,
    bytes: usize,
}

impl Progress {
    fn is_full(&self, tells: usize, next_bytes: usize) -> bool {
        tells >= WINDOW_MAX || (tells > 0 && self.bytes + next_bytes > WINDOW_BYTES_MAX)
    }

    fn ended(&mut self, ended: Option<Result<(u64, Ended), tokio::task::JoinError>>) {
        let Some(Ok((seq, ended))) = ended else {
            return;
        };
        match ended {
            Ended::Settled => self.bytes -= self.under_way.remove(&seq).unwrap_or(0),
            // Stays under way, so that the cursor never passes it; its bytes are free again.
            Ended::Open => {
                if let Some(bytes) = self.under_way.get_mut(&seq) {
                    self.bytes -= std::mem::take(bytes);
                }
            }
        }
    }

    fn reached(&self) -> u64 {
        self.under_way
            .first_key_value()
            .map_or(self.read, |(seq, _)| seq.saturating_sub(1))
    }
}

/// How many own records a peer has not acknowledged, and how many seconds the oldest has waited.
/// Looks at no more than one page of the feed, so that asking stays cheap.
pub(crate) fn lag(store: &Store, address: &str, now_ms: u64) -> Result<(u64, u64), ReadError> {
    let told = cursor(store, address)?;
    let (mut records, mut oldest_ms) = (0, None);
    for (_, soul) in store.feed(told, PAGE)? {
        if let Some(row) = store.record(&soul)?.filter(|row| row.own) {
            records += 1;
            let at_ms = u64::try_from(row.at_ms).unwrap_or(0);
            oldest_ms = Some(oldest_ms.map_or(at_ms, |oldest: u64| oldest.min(at_ms)));
        }
    }
    Ok((
        records,
        oldest_ms.map_or(0, |at_ms| now_ms.saturating_sub(at_ms) / 1_000),
    ))
}

fn cursor_name(address: &str) -> String {
    format!("told:{address}")
}

fn cursor(store: &Store, address: &str) -> Result<u64, ReadError> {
    let bytes = store.cursor(&cursor_name(address))?;
    Ok(bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes))
}
