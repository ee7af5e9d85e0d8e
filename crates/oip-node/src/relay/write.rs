//! `/put`: a nested object becomes nodes with states of our own, in one durable commit.
//!
//! Owns where nested objects go, and the errors of writing. What is admitted is decided where
//! puts of peers are decided.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use gun::graph::{Entry, NameError};
use gun::wire::Reject;
use gun::{Graph, Key, Node, Soul, State, Value};
use oip_store::{Op, QUEUE_BYTES_MAX, ReadError, Store, Transaction, WriteError};

use super::Relay;
use super::nested::{Member, Nested};
use crate::admission;
use crate::allowance::Cost;
use crate::clock;
use crate::deletions;
use crate::registry::Writes;
use crate::sync::marks::PUT_HERE;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// A soul that must not be stored; also one made of a soul and the key of an object.
    #[error("the soul {0:?} can't be used: {1}")]
    Soul(String, #[source] NameError),
    /// A key that must not be stored.
    #[error("the key {0:?} can't be used: {1}")]
    Key(String, #[source] NameError),
    /// The relay does not take it.
    #[error("{0}")]
    Refused(Reject),
    /// Larger than one commit may be.
    #[error("the data is larger than {} MiB, the most that is written at once: put it in several parts", QUEUE_BYTES_MAX / 1024 / 1024)]
    TooLarge,
    /// The node has too much to write.
    #[error("too much is being written: try again in a moment")]
    Busy,
    /// What is held is stamped ahead of this machine's clock.
    #[error(transparent)]
    ClockBehind(WriteError),
    /// The store failed.
    #[error("failed to write: {0}")]
    Store(#[source] WriteError),
    /// What the put has to be compared with can't be read.
    #[error("failed to read what is held: {0}")]
    Read(#[from] ReadError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// What a write may use up.
const WRITING: &[Cost] = &[Cost::Bytes, Cost::Souls, Cost::Checked];

impl Relay {
    /// Writes `data` at `soul`. When this returns it is durable, and subscribers are being told.
    ///
    /// Every value gets the state `max(now, the held one's successor)`, so that it wins over what
    /// is held. A link that is held already is not written again: deployed publishers write back
    /// whole indexes that they have read, and would undo what changed meanwhile. What is stored is
    /// charged to its author, and to the address `from` as if it had come from a peer there.
    ///
    /// # Errors
    /// [`PutError`]; then nothing of it was written.
    pub async fn put(
        &self,
        soul: &str,
        data: Nested,
        from: Option<IpAddr>,
    ) -> Result<(), PutError> {
        let soul = Soul::new(soul).map_err(|why| PutError::Soul(soul.to_owned(), why))?;
        let relay = self.clone();
        // Runs to its end also when the caller hangs up: what is written is told.
        self.parts
            .tracker
            .spawn(async move { relay.write(soul, data, from).await })
            .await
            .map_err(|_| PutError::Stopping)?
    }

    async fn write(&self, soul: Soul, data: Nested, from: Option<IpAddr>) -> Result<(), PutError> {
        if let Some(from) = from
            && !self.parts.hub.affords(from, WRITING).await
        {
            return Err(self.refused(Reject::Quota));
        }
        let parts = Arc::clone(&self.parts);
        let admitted = tokio::task::spawn_blocking(move || {
            let writes = placed(&parts.store, soul, data)?;
            let graph = as_graph(&writes);
            let checked = admission::admit(parts.admission, &parts.registry, &graph);
            let verdict = checked.and_then(|checked| {
                let now_ms = clock::wall_ms();
                admission::verify(parts.admission, &parts.store, &graph, now_ms)?;
                Ok(checked)
            });
            Ok::<_, PutError>((writes, verdict))
        });
        let (writes, verdict) = admitted.await.map_err(|_| PutError::Stopping)??;
        let checked = verdict.map_err(|reject| self.refused(reject))?;
        let ops: Vec<Op> = writes
            .into_iter()
            .filter(|(_, entries)| !entries.is_empty())
            .map(|(soul, entries)| Op::OfferWrite { soul, entries })
            .collect();
        if ops.is_empty() {
            return Ok(());
        }
        let committed = self
            .parts
            .store
            .commit(Transaction { ops }, clock::wall_ms())
            .await
            .map_err(|error| match error {
                WriteError::AccountFull(_) => self.refused(Reject::Quota),
                other => not_written(other),
            })?;
        if let Some(from) = from {
            let hub = &self.parts.hub;
            hub.spend(from, Cost::Checked, checked as u64).await;
            hub.spend(from, Cost::Bytes, committed.bytes).await;
            hub.spend(from, Cost::Souls, committed.created as u64).await;
        }
        self.tell(&committed.changed);
        self.follow_marks(&committed.changed, from).await;
        self.parts.hub.changed(committed.changed).await;
        Ok(())
    }

    /// Deletion marks that a deployed node behind this relay puts: worth something where the operator named
    /// its address, because anybody else who reaches the port could put them too.
    async fn follow_marks(&self, changed: &Graph, from: Option<IpAddr>) {
        let ranges = &self.parts.deletes_from;
        if !from.is_some_and(|from| ranges.iter().any(|range| range.holds(from))) {
            return;
        }
        let marks = &self.parts.marks;
        let mut told = Vec::new();
        for node in changed {
            told.extend(node.entries.iter().filter_map(|entry| {
                let (soul, is_set) =
                    deletions::read_change(node.soul.as_str(), entry.key.as_str(), &entry.value)?;
                Some((soul, is_set, entry.state.as_f64().max(0.0) as u64))
            }));
        }
        for (soul, is_set, at_ms) in told {
            if is_set {
                marks.set(&soul, PUT_HERE, at_ms).await;
            } else {
                marks.clear(&soul, PUT_HERE).await;
            }
        }
    }

    /// Counts a refusal as one of a peer's put.
    fn refused(&self, reject: Reject) -> PutError {
        self.parts.metrics.reject(reject.name());
        PutError::Refused(reject)
    }
}

/// Gives each object its soul, and joins those that share one.
fn placed(store: &Store, soul: Soul, data: Nested) -> Result<Writes, PutError> {
    let mut souls: Vec<Option<Soul>> = vec![None; data.objects.len()];
    if let Some(root) = souls.first_mut() {
        *root = Some(soul);
    }
    let mut writes = Writes::new();
    let mut known: HashMap<Soul, usize> = HashMap::new();
    for (number, object) in data.objects.into_iter().enumerate() {
        // An object comes after the one that holds it, so that its soul is known by now.
        let Some(soul) = souls[number].take() else {
            continue;
        };
        let mut entries = Vec::with_capacity(object.len());
        for (name, member) in object {
            let key = Key::new(&*name).map_err(|why| PutError::Key(name.clone(), why))?;
            let value = match member {
                Member::Value(value) => value,
                Member::Link(target) => {
                    let target = named(target)?;
                    if held_link(store, &soul, &key)?.as_ref() == Some(&target) {
                        continue;
                    }
                    Value::Link(target)
                }
                Member::Object(child) => {
                    let target = match held_link(store, &soul, &key)? {
                        Some(target) => target,
                        None => named(format!("{soul}/{name}"))?,
                    };
                    souls[child] = Some(target.clone());
                    Value::Link(target)
                }
            };
            entries.push((key, value));
        }
        match known.get(&soul) {
            Some(&at) => {
                let (_, held): &mut (Soul, Vec<(Key, Value)>) = &mut writes[at];
                held.extend(entries);
            }
            None => {
                known.insert(soul.clone(), writes.len());
                writes.push((soul, entries));
            }
        }
    }
    Ok(writes)
}

fn named(soul: String) -> Result<Soul, PutError> {
    Soul::new(&*soul).map_err(|why| PutError::Soul(soul, why))
}

/// Where a key links to: an object put there again is the same node (`gun-protocol` 6.6).
fn held_link(store: &Store, soul: &Soul, key: &Key) -> Result<Option<Soul>, ReadError> {
    Ok(match store.value(soul, key)? {
        Some((_, Value::Link(target))) => Some(target),
        _ => None,
    })
}

/// The writes as a peer would have sent them now: what admission judges.
fn as_graph(writes: &Writes) -> Graph {
    let state = State::from_millis(clock::wall_ms());
    let node = |(soul, entries): &(Soul, Vec<(Key, Value)>)| Node {
        soul: soul.clone(),
        entries: entries
            .iter()
            .map(|(key, value)| Entry {
                key: key.clone(),
                state,
                value: value.clone(),
            })
            .collect(),
    };
    writes.iter().map(node).collect()
}

fn not_written(error: WriteError) -> PutError {
    match error {
        WriteError::Busy => PutError::Busy,
        WriteError::ClockBehind { .. } => PutError::ClockBehind(error),
        // The one thing about these operations that the store finds invalid.
        WriteError::Invalid(_) => PutError::TooLarge,
        WriteError::Closed => PutError::Stopping,
        other => PutError::Store(other),
    }
}
