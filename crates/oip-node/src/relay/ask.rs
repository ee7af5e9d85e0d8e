//! What is not held is asked of the peers that this node dialled, as a deployed relay asks its own.
//!
//! Owns the bounds: one question per soul at a time, few altogether, each for a short time. Refuses
//! to ask for what would not be stored, and to ask those who dialled us: many apps, and none has it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gun::Soul;
use gun::mesh::{Direction, PeerId};
use gun::wire::Get;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Relay;
use crate::admission;
use crate::hub::Fetched;

/// How long a miss may wait for peers: a relay that has the node in memory answers within
/// milliseconds, one that has to read its disk within a few hundred.
const ASK_MAX: Duration = Duration::from_secs(1);

/// A gun.js relay answers from memory, and then, without a word that more comes, from its disk.
const MORE_MAX: Duration = Duration::from_millis(150);

/// Souls asked for at a time. Beyond it a miss is answered at once, so that a flood of made-up
/// souls costs other relays no more than this.
const ASKING_MAX: usize = 64;

/// The souls that are being asked for.
#[derive(Debug, Default)]
pub(super) struct Asking {
    souls: Mutex<HashMap<Soul, Outcome>>,
}

/// Whether anything came, once the question is over.
type Outcome = watch::Receiver<Option<bool>>;

/// A question under way. Those who wait for it go on when it is dropped.
struct Turn {
    asking: Arc<Asking>,
    soul: Soul,
    came: watch::Sender<Option<bool>>,
}

enum Entered {
    /// Nobody asks for it: ask.
    First(Turn),
    /// Somebody does: wait.
    Other(Outcome),
    /// Too many are being asked for.
    Full,
}

/// What became of asking others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// What they have is here.
    Whole,
    /// They have nothing.
    Nothing,
    /// They have not answered to the end: what is here by now may be a part.
    NotYet,
}

impl Asking {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Soul, Outcome>> {
        // No code that can panic runs under the lock.
        self.souls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question for a soul that is under way.
    fn under_way(&self, soul: &Soul) -> Option<Outcome> {
        self.lock().get(soul).cloned()
    }

    fn enter(self: &Arc<Self>, soul: &Soul) -> Entered {
        let mut souls = self.lock();
        if let Some(asked) = souls.get(soul) {
            return Entered::Other(asked.clone());
        }
        if souls.len() >= ASKING_MAX {
            return Entered::Full;
        }
        let (came, asked) = watch::channel(None);
        souls.insert(soul.clone(), asked);
        Entered::First(Turn {
            asking: Arc::clone(self),
            soul: soul.clone(),
            came,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.asking.lock().remove(&self.soul);
    }
}

async fn outcome(mut asked: Outcome) -> Came {
    let asked = asked.wait_for(Option::is_some);
    match tokio::time::timeout(ASK_MAX, asked).await {
        Ok(Ok(came)) if *came == Some(true) => Came::Whole,
        Ok(_) => Came::Nothing,
        Err(_) => Came::NotYet,
    }
}

impl Relay {
    /// Asks the dialled peers for a node, each until it has told all or its time is over. Waits for that a moment only.
    pub(super) async fn ask_for(&self, soul: &Soul) -> Came {
        let peers = self.dialled();
        let parts = &self.parts;
        if peers.is_empty() || !admission::admits(parts.admission, &parts.registry, soul) {
            return Came::Nothing;
        }
        match self.asking.enter(soul) {
            Entered::Full => Came::Nothing,
            Entered::Other(asked) => outcome(asked).await,
            Entered::First(turn) => {
                let (relay, asked) = (self.clone(), turn.came.subscribe());
                // Goes on when nobody waits any more: until it ends, what is held is a part.
                tokio::spawn(async move {
                    let came = relay.ask_all(&turn.soul, peers).await;
                    turn.came.send_replace(Some(came));
                });
                outcome(asked).await
            }
        }
    }

    /// Waits for the question for a soul, if one is under way.
    pub(super) async fn asked_for(&self, soul: &Soul) -> Option<Came> {
        let asked = self.asking.under_way(soul)?;
        Some(outcome(asked).await)
    }

    async fn ask_all(&self, soul: &Soul, peers: Vec<PeerId>) -> bool {
        let mut answers = JoinSet::new();
        for peer in peers {
            let (hub, get) = (self.parts.hub.clone(), Get::node(soul.clone()).once());
            answers.spawn(async move { hub.ask(peer, get).await });
        }
        while let Some(answer) = answers.join_next().await {
            if matches!(answer, Ok(Fetched::Data(_))) {
                tokio::time::sleep(MORE_MAX).await;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soul(name: &str) -> Soul {
        Soul::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_soul_is_asked_for_once_and_those_who_wait_go_on_when_it_ends() {
        let asking = Arc::new(Asking::default());
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
        let asking = Arc::new(Asking::default());
        let turns: Vec<_> = (0..ASKING_MAX)
            .map(|number| asking.enter(&soul(&number.to_string())))
            .collect();
        assert!(matches!(asking.enter(&soul("one more")), Entered::Full));
        drop(turns);
        assert!(matches!(asking.enter(&soul("one more")), Entered::First(_)));
    }
}
