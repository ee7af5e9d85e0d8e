//! Asking peers for what a name leads to.
//!
//! Owns the deadlines, and that what is here is asked for once more of every peer: a statement that was replaced while
//! this node was away leads to a key that is not used any more. Asking also subscribes, so that what replaces it later
//! arrives by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gun::graph::Entry;
use gun::mesh::PeerId;
use gun::wire::Get;
use gun::{Key, Soul, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{RecipientError, Statements};

/// How long peers are waited for. A person waits for the publish meanwhile; a relay between two nodes
/// that have it answers in milliseconds.
const LOOK_UP: Duration = Duration::from_secs(8);

/// How long peers are waited for where what is asked for is here already, and may be old.
const ASK_ONCE: Duration = Duration::from_secs(2);

/// Pause between two questions, while a peer may still be connecting or have only part of it.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Questions that are remembered. Beyond that all are forgotten, and asked once more.
const ASKED_MAX: usize = 50_000;

/// Which connections have been asked for which souls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<BTreeSet<(PeerId, Soul)>>>);

impl Asked {
    /// Those of the peers that have not been asked yet.
    fn not_yet(&self, peers: Vec<PeerId>, soul: &Soul) -> Vec<PeerId> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |peer: &PeerId| !asked.contains(&(*peer, soul.clone()));
        peers.into_iter().filter(is_new).collect()
    }

    fn note(&self, peers: &[PeerId], soul: &Soul) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= ASKED_MAX {
            asked.clear();
        }
        asked.extend(peers.iter().map(|peer| (*peer, soul.clone())));
    }
}

impl Statements {
    /// A value from the graph here, else from whichever peer has it, within the deadline.
    pub(super) async fn look_up(
        &self,
        soul: &Soul,
        key: &str,
        name: &str,
    ) -> Result<Option<Entry>, RecipientError> {
        self.look_up_fitting(soul, key, name, |_| true).await
    }

    /// The same, where only some values can be what is looked for: any other counts as none.
    pub(super) async fn look_up_fitting(
        &self,
        soul: &Soul,
        key: &str,
        name: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Option<Entry>, RecipientError> {
        let key = Key::new(key).map_err(|_| RecipientError::NotAName(name.to_owned()))?;
        let until = Instant::now() + LOOK_UP;
        loop {
            let peers = self.peers.with_registry(None);
            if let Some(entry) = self.stored_value(soul, &key, name, &fits)? {
                let new = self.asked.not_yet(peers, soul);
                if new.is_empty() {
                    return Ok(Some(entry));
                }
                self.ask(new, soul, Instant::now() + ASK_ONCE).await;
                return self.stored_value(soul, &key, name, &fits);
            }
            if (peers.is_empty() && !self.expects_peers) || Instant::now() >= until {
                return Ok(None);
            }
            self.ask(peers, soul, until).await;
            if self.stored_value(soul, &key, name, &fits)?.is_none() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    fn stored_value(
        &self,
        soul: &Soul,
        key: &Key,
        name: &str,
        fits: &impl Fn(&Value) -> bool,
    ) -> Result<Option<Entry>, RecipientError> {
        let stored = self.store.value(soul, key);
        let stored = stored.map_err(|_| RecipientError::Store(name.to_owned()))?;
        let stored = stored.filter(|(_, value)| *value != Value::Null && fits(value));
        Ok(stored.map(|(state, value)| Entry {
            key: key.clone(),
            state,
            value,
        }))
    }

    async fn ask(&self, peers: Vec<PeerId>, soul: &Soul, until: Instant) {
        self.asked.note(&peers, soul);
        let mut asked = JoinSet::new();
        for peer in peers {
            let (hub, get) = (self.hub.clone(), Get::node(soul.clone()));
            asked.spawn(async move { hub.ask(peer, get).await });
        }
        let answers = async { while asked.join_next().await.is_some() {} };
        let _ = tokio::time::timeout_at(until, answers).await;
    }
}
