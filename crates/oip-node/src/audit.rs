//! The audit trail of private records, in the store (`trust-and-privacy` 8).
//!
//! Owns the order of entries and when the head is signed. What a caller waits for (publishing, sharing)
//! is written before he is answered; what happens by the thousand (opening for the index) goes
//! through a bounded queue, and beyond its bound is counted in one entry.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use oip_record::NodeIdentity;
use oip_store::{Op, ReadError, Store, Transaction};
use oip_vault::audit::{self, Action, Broken, End, Entry, Event, Verifier};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock;

/// Events that wait to be written. Each is some hundred bytes.
const QUEUE_MAX: usize = 4_096;

/// Entries written in one transaction.
const BATCH_MAX: usize = 256;

/// How often the head is signed while something happens.
const SIGN_EVERY: Duration = Duration::from_secs(60);

/// Entries given out at a time.
pub(crate) const PAGE_MAX: usize = 1_000;

/// What the names of entries in the store begin with.
pub(crate) const ENTRIES: &str = "audit:";

/// The values that say how far the trail goes: up to which entry it is signed, and which is the last.
pub(crate) const BOUNDS: [&str; 2] = [HEAD, END];

const END: &str = "audit-end";
const HEAD: &str = "audit-head";

/// Appends to the trail, and reads it.
pub(crate) struct Audit {
    store: Store,
    identity: Arc<NodeIdentity>,
    /// Held while appending, so that each entry follows the one before.
    end: Mutex<Option<End>>,
    queue: mpsc::Sender<Event>,
    overflow: AtomicU64,
    /// What has happened since the head was signed last and can happen by the thousand, beside the first of each
    /// kind, which is written at once.
    counted: std::sync::Mutex<BTreeMap<Kind, u64>>,
}

/// What counts as the same happening within a minute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    action: Action,
    did: String,
    caller: String,
    reason: String,
}

/// Kinds that are told apart within a minute. Beyond that the records are not.
const KINDS_MAX: usize = 1_000;

/// Whether like happenings of different records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// One by one: callers have a name, and are few.
    ByRecord,
    /// Together, by reason: anybody can cause them.
    Together,
}

/// What [`crate::Node::verify_audit`] found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// Entries there are.
    pub entries: u64,
    /// Up to which one the node's identity vouches for the trail.
    pub signed_to: u64,
    /// What is wrong, if anything.
    pub broken: Option<String>,
}

impl Audit {
    pub(crate) fn new(
        store: Store,
        identity: Arc<NodeIdentity>,
    ) -> (Arc<Self>, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(QUEUE_MAX);
        let audit = Self {
            store,
            identity,
            end: Mutex::new(None),
            queue,
            overflow: AtomicU64::new(0),
            counted: std::sync::Mutex::default(),
        };
        (Arc::new(audit), events)
    }

    /// Writes an entry; it is durable when this returns.
    pub(crate) async fn note(&self, event: Event) {
        self.append(vec![event]).await;
    }

    /// Has an entry written soon.
    pub(crate) fn note_later(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.overflow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has it written that an operator found private records.
    pub(crate) fn note_found(&self, caller: String, count: u64) {
        self.note_counted(found_by(caller, count), Told::Together);
    }

    /// Has the first of like happenings written soon, and those of the next minute in one entry at its end: what is done
    /// again and again must not fill the trail.
    pub(crate) fn note_counted(&self, event: Event, told: Told) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let did = match told {
            Told::ByRecord if counted.len() < KINDS_MAX => event.did.clone(),
            _ => String::new(),
        };
        let kind = Kind {
            action: event.action,
            did,
            caller: event.caller.clone(),
            reason: event.reason.clone(),
        };
        match counted.get_mut(&kind) {
            Some(more) => *more += event.count,
            None => {
                counted.insert(kind, 0);
                drop(counted);
                self.note_later(event);
            }
        }
    }

    fn take_counted(&self) -> Vec<Event> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = std::mem::take(&mut *counted).into_iter();
        counted
            .filter(|(_, more)| *more > 0)
            .map(|(kind, count)| Event {
                action: kind.action,
                did: kind.did,
                key_id: String::new(),
                caller: kind.caller,
                reason: kind.reason,
                count,
            })
            .collect()
    }

    /// Writes what is queued, and signs the head, until cancelled.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut events: mpsc::Receiver<Event>,
        cancel: CancellationToken,
    ) {
        let mut signing = tokio::time::interval(SIGN_EVERY);
        signing.tick().await;
        // What was written before a crash has no signature yet.
        self.sign_stored().await;
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                _ = events.recv_many(&mut batch, BATCH_MAX) => {}
                _ = signing.tick() => {
                    self.append(self.take_counted()).await;
                    self.sign().await;
                }
                () = cancel.cancelled() => break,
            }
            self.append(batch).await;
        }
        let mut rest = self.take_counted();
        while let Ok(event) = events.try_recv() {
            rest.push(event);
        }
        self.append(rest).await;
        self.sign().await;
    }

    async fn append(&self, mut events: Vec<Event>) {
        let missed = self.overflow.swap(0, Ordering::Relaxed);
        if missed > 0 {
            events.push(Event {
                action: Action::Opened,
                did: String::new(),
                key_id: String::new(),
                caller: "node".into(),
                reason: "more than could be written one by one".into(),
                count: missed,
            });
        }
        if events.is_empty() {
            return;
        }
        let mut held = self.end.lock().await;
        let mut end = match held.take().map_or_else(|| self.stored_end(), Ok) {
            Ok(end) => end,
            Err(error) => {
                tracing::error!(%error, "failed to read the end of the audit trail");
                return;
            }
        };
        let at_ms = clock::wall_ms();
        let mut ops = Vec::new();
        for event in events {
            let (entry, next) = audit::append(&end, event, at_ms);
            ops.push(named(row_name(entry.seq), &serde_json::to_value(&entry)));
            end = next;
        }
        let counted = serde_json::json!({"seq": end.seq, "hash": end.hash});
        ops.push(named(END.to_owned(), &Ok(counted)));
        match self.store.commit(Transaction { ops }, at_ms).await {
            Ok(_) => *held = Some(end),
            Err(error) => tracing::error!(%error, "failed to write the audit trail"),
        }
    }

    /// Signs the end that an earlier process left.
    async fn sign_stored(&self) {
        let mut held = self.end.lock().await;
        match self.stored_end() {
            Ok(end) if held.is_none() && end.seq > 0 => *held = Some(end),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "failed to read the end of the audit trail"),
        }
        drop(held);
        self.sign().await;
    }

    async fn sign(&self) {
        let held = self.end.lock().await;
        let Some(end) = held.as_ref() else {
            return;
        };
        let at_ms = clock::wall_ms();
        let head = match audit::sign_head(end, at_ms, &self.identity) {
            Ok(head) => head,
            Err(error) => {
                tracing::error!(%error, "failed to sign the audit trail");
                return;
            }
        };
        if self
            .stored_head()
            .ok()
            .flatten()
            .is_some_and(|stored| stored["seq"] == head["seq"])
        {
            return;
        }
        let op = named(HEAD.to_owned(), &Ok(head));
        if let Err(error) = self.store.commit(Transaction::from(op), at_ms).await {
            tracing::error!(%error, "failed to write the head of the audit trail");
        }
    }

    fn stored(&self, name: &str) -> Result<Option<serde_json::Value>, ReadError> {
        let bytes = self.store.cursor(name)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn stored_head(&self) -> Result<Option<serde_json::Value>, ReadError> {
        self.stored(HEAD)
    }

    fn stored_end(&self) -> Result<End, ReadError> {
        let end = self.stored(END)?;
        Ok(end
            .and_then(|end| {
                Some(End {
                    seq: end["seq"].as_u64()?,
                    hash: end["hash"].as_str()?.to_owned(),
                })
            })
            .unwrap_or_default())
    }

    /// Entries after a number, at most [`PAGE_MAX`].
    pub(crate) fn entries(&self, after: u64, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let mut entries = Vec::new();
        for seq in (after + 1..).take(limit.min(PAGE_MAX)) {
            match self.stored(&row_name(seq))? {
                Some(entry) => match serde_json::from_value(entry) {
                    Ok(entry) => entries.push(entry),
                    Err(_) => break,
                },
                None => break,
            }
        }
        Ok(entries)
    }

    /// Checks the whole trail.
    pub(crate) fn verify(&self) -> Result<AuditReport, ReadError> {
        let head = self.stored_head()?;
        let head_seq = head
            .as_ref()
            .and_then(|head| head["seq"].as_u64())
            .unwrap_or(0);
        let mut verifier = Verifier::new(self.stored_end()?, head.as_ref());
        let mut read = 0;
        let broken = loop {
            let page = self.entries(read, PAGE_MAX)?;
            if page.is_empty() {
                break verifier
                    .finish(head.as_ref(), self.identity.public(), clock::wall_ms())
                    .err();
            }
            let fault: Option<Broken> = page.iter().find_map(|entry| verifier.next(entry).err());
            read += page.len() as u64;
            if fault.is_some() {
                break fault;
            }
        };
        Ok(AuditReport {
            entries: read,
            signed_to: head_seq,
            broken: broken.map(|broken| broken.to_string()),
        })
    }
}

fn found_by(caller: String, count: u64) -> Event {
    Event {
        action: Action::AdminRead,
        did: String::new(),
        key_id: String::new(),
        caller,
        reason: "found by searching".to_owned(),
        count,
    }
}

fn row_name(seq: u64) -> String {
    format!("{ENTRIES}{seq:020}")
}

/// The name of the last entry, as the value at its bound says.
pub(crate) fn last_entry(bound: &[u8]) -> Option<String> {
    let bound: serde_json::Value = serde_json::from_slice(bound).ok()?;
    Some(row_name(bound["seq"].as_u64()?))
}

fn named(name: String, value: &Result<serde_json::Value, serde_json::Error>) -> Op {
    let text = value.as_ref().map(ToString::to_string).unwrap_or_default();
    Op::SetCursor {
        name,
        value: text.into_bytes(),
    }
}
