//! What is not held is asked of the peers that this node dialled, as a deployed relay asks its own.
//!
//! Owns the bounds: one question per soul at a time, few altogether, each for a short time. Refuses
//! to ask for what would not be stored, and to ask those who dialled us: many apps, and none has it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gun::mesh::{Direction, PeerId};
use gun::wire::Get;
use gun::{Node, Soul};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Relay;
use crate::admission;
use crate::hub::Fetched;

/// How long a miss may wait for peers: a relay that has the node in memory answers within
/// milliseconds, one that has to read its disk within a few hundred.
const ASK_MAX: Duration = Duration::from_secs(1);

/// Souls asked for at a time. Beyond it a miss is answered at once, so that a flood of made-up
/// souls costs other relays no more than this.
const ASKING_MAX: usize = 64;

/// The souls that are being asked for.
#[derive(Debug, Default)]
pub(super) struct Asking {
    souls: Mutex<HashMap<Soul, watch::Receiver<()>>>,
}

/// A question under way. Those who wait for it go on when it is dropped.
struct Turn<'a> {
    asking: &'a Asking,
    soul: Soul,
    _done: watch::Sender<()>,
}

enum Entered<'a> {
    /// Nobody asks for it: ask.
    First(Turn<'a>),
    /// Somebody does: wait.
    Other(watch::Receiver<()>),
    /// Too many are being asked for.
    Full,
}

impl Asking {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Soul, watch::Receiver<()>>> {
        // No code that can panic runs under the lock.
        self.souls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, soul: &Soul) -> Entered<'_> {
        let mut souls = self.lock();
        if let Some(asked) = souls.get(soul) {
            return Entered::Other(asked.clone());
        }
        if souls.len() >= ASKING_MAX {
            return Entered::Full;
        }
        let (done, asked) = watch::channel(());
        souls.insert(soul.clone(), asked);
        Entered::First(Turn {
            asking: self,
            soul: soul.clone(),
            _done: done,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.asking.lock().remove(&self.soul);
    }
}

impl Relay {
    /// Asks the dialled peers for a node; whether it is worth looking into the store again.
    pub(super) async fn ask_for(&self, soul: &Soul) -> bool {
        let peers = self.dialled();
        if peers.is_empty() || !self.would_store(soul) {
            return false;
        }
        match self.asking.enter(soul) {
            Entered::Full => false,
            Entered::First(_turn) => {
                tokio::time::timeout(ASK_MAX, self.ask_all(soul, peers))
                    .await
                    // A large node may still be on its way: what came of it is not the whole.
                    .unwrap_or(false)
            }
            Entered::Other(mut asked) => {
                // Ends with an error when the question is over, however it ended.
                while asked.changed().await.is_ok() {}
                true
            }
        }
    }

    async fn ask_all(&self, soul: &Soul, peers: Vec<PeerId>) -> bool {
        let mut answers = JoinSet::new();
        for peer in peers {
            let (hub, get) = (self.parts.hub.clone(), Get::node(soul.clone()).once());
            answers.spawn(async move { hub.ask(peer, get).await });
        }
        while let Some(answer) = answers.join_next().await {
            if matches!(answer, Ok(Fetched::Data(_))) {
                return true;
            }
        }
        false
    }

    fn dialled(&self) -> Vec<PeerId> {
        let links = self.parts.network.links().into_iter();
        links
            .filter(|link| link.direction == Direction::Dialled && link.connected())
            .filter_map(|link| link.peer)
            .collect()
    }

    /// Whether an answer would be admitted, as far as its soul tells.
    fn would_store(&self, soul: &Soul) -> bool {
        let node = Node {
            soul: soul.clone(),
            entries: Vec::new(),
        };
        let graph = vec![node];
        admission::admit(self.parts.admission, &self.parts.registry, &graph).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soul(name: &str) -> Soul {
        Soul::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_soul_is_asked_for_once_and_those_who_wait_go_on_when_it_ends() {
        let asking = Asking::default();
        let Entered::First(turn) = asking.enter(&soul("a")) else {
            panic!("nobody asks yet");
        };
        let Entered::Other(mut waiting) = asking.enter(&soul("a")) else {
            panic!("it is being asked for");
        };
        drop(turn);
        assert!(waiting.changed().await.is_err());
        assert!(matches!(asking.enter(&soul("a")), Entered::First(_)));
    }

    #[test]
    fn the_number_of_questions_is_bounded() {
        let asking = Asking::default();
        let turns: Vec<_> = (0..ASKING_MAX)
            .map(|number| asking.enter(&soul(&number.to_string())))
            .collect();
        assert!(matches!(asking.enter(&soul("one more")), Entered::Full));
        drop(turns);
        assert!(matches!(asking.enter(&soul("one more")), Entered::First(_)));
    }
}
