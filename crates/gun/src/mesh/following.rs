//! What is followed here is followed at the peers that this side dialled, too: a soul is asked of each of them once per
//! link, so that changes made behind it arrive although the value was here all along, and go on arriving when the link
//! was lost and is there again. Owns the pace and the bound; what came of an answer is merged and pushed as any other.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::io::PeerId;
use super::window::Seed;
use crate::graph::Soul;

/// Souls asked of one link in a turn, and the time to the next: 640 a second, so that a page of ten thousand records is
/// followed within seconds, and a peer that comes back is not asked for everything at once.
const TURN_SOULS_MAX: usize = 64;
const TURN_MS: u64 = 100;

/// Souls followed at one link: half of what a peer of our kind lets one connection follow, since a miss follows as well.
const SOULS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Following {
    seed: Seed,
    links: BTreeMap<PeerId, Link>,
    /// When the next turn begins, if anything waits.
    turn_ms: Option<u64>,
}

#[derive(Debug)]
struct Link {
    asked: HashSet<Soul, Seed>,
    waiting: VecDeque<Soul>,
}

impl Following {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            links: BTreeMap::new(),
            turn_ms: None,
        }
    }

    /// A link is open; these souls are followed here.
    pub(super) fn opened(&mut self, now_ms: u64, peer: PeerId, souls: impl Iterator<Item = Soul>) {
        let link = Link {
            asked: HashSet::with_hasher(self.seed),
            waiting: souls.take(SOULS_MAX).collect(),
        };
        if !link.waiting.is_empty() {
            self.turn_ms.get_or_insert(now_ms + TURN_MS);
        }
        self.links.insert(peer, link);
    }

    pub(super) fn closed(&mut self, peer: PeerId) {
        self.links.remove(&peer);
    }

    /// Somebody follows a soul here. In a moment, since a soul that is not here is asked for anyway.
    pub(super) fn followed(&mut self, now_ms: u64, by: PeerId, soul: &Soul) {
        for (peer, link) in &mut self.links {
            let is_full = link.asked.len() + link.waiting.len() >= SOULS_MAX;
            if *peer != by && !is_full && !link.asked.contains(soul) {
                link.waiting.push_back(soul.clone());
                self.turn_ms.get_or_insert(now_ms + TURN_MS);
            }
        }
    }

    /// A soul was asked of a link for another reason, and is followed there by that.
    pub(super) fn asked(&mut self, peer: PeerId, soul: &Soul) {
        if let Some(link) = self.links.get_mut(&peer)
            && link.asked.len() < SOULS_MAX
        {
            link.asked.insert(soul.clone());
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.turn_ms
    }

    /// What is to be asked now.
    pub(super) fn turn(&mut self, now_ms: u64) -> Vec<(PeerId, Soul)> {
        if self.turn_ms.is_none_or(|at| at > now_ms) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (peer, link) in &mut self.links {
            let mut left = TURN_SOULS_MAX;
            while left > 0
                && let Some(soul) = link.waiting.pop_front()
            {
                if link.asked.insert(soul.clone()) {
                    due.push((*peer, soul));
                    left -= 1;
                }
            }
        }
        let waits = self.links.values().any(|link| !link.waiting.is_empty());
        self.turn_ms = waits.then_some(now_ms + TURN_MS);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: PeerId = PeerId(1);
    const CLIENT: PeerId = PeerId(2);

    fn soul(number: usize) -> Soul {
        Soul::new(format!("s{number}")).unwrap()
    }

    #[test]
    fn a_link_that_opens_is_asked_for_what_is_followed_in_turns_and_once() {
        let mut following = Following::new(Seed(1));
        following.opened(0, LINK, (0..TURN_SOULS_MAX + 1).map(soul));
        following.followed(0, CLIENT, &soul(0));
        assert_eq!(following.turn(TURN_MS - 1), []);
        assert_eq!(following.turn(TURN_MS).len(), TURN_SOULS_MAX);
        assert_eq!(following.next_deadline(), Some(2 * TURN_MS));
        assert_eq!(following.turn(2 * TURN_MS), [(LINK, soul(TURN_SOULS_MAX))]);
        assert_eq!(following.next_deadline(), None);
        following.followed(300, CLIENT, &soul(1));
        assert_eq!(following.next_deadline(), None);
    }

    #[test]
    fn what_was_asked_anyway_is_not_asked_again_and_a_link_follows_nothing_for_itself() {
        let mut following = Following::new(Seed(1));
        following.opened(0, LINK, std::iter::empty());
        following.followed(0, LINK, &soul(1));
        assert_eq!(following.next_deadline(), None);
        following.followed(0, CLIENT, &soul(2));
        following.asked(LINK, &soul(2));
        assert_eq!(following.turn(TURN_MS), []);
        following.closed(LINK);
        following.opened(1_000, LINK, [soul(2)].into_iter());
        assert_eq!(following.turn(1_000 + TURN_MS), [(LINK, soul(2))]);
    }

    #[test]
    fn a_link_follows_so_much_and_no_more() {
        let mut following = Following::new(Seed(1));
        following.opened(0, LINK, (0..2 * SOULS_MAX).map(soul));
        following.followed(0, CLIENT, &soul(3 * SOULS_MAX));
        let (mut asked, mut now_ms) = (0, 0);
        while let Some(at) = following.next_deadline() {
            now_ms = at;
            asked += following.turn(now_ms).len();
        }
        assert_eq!(asked, SOULS_MAX);
        following.followed(now_ms, CLIENT, &soul(4 * SOULS_MAX));
        assert_eq!(following.next_deadline(), None);
    }
}
