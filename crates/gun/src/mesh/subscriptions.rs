//! Who wants to hear of which values: connection × soul × key, or all keys.
//!
//! A subscription ends with its connection; the protocol has no other end for it.

use std::collections::{BTreeMap, HashMap};

use super::io::PeerId;
use super::window::Seed;
use crate::graph::{Entry, Key, Node, Soul};

/// Which values of a soul a connection follows.
#[derive(Debug, Clone, PartialEq)]
enum Keys {
    All,
    Some(Vec<Key>),
}

impl Keys {
    fn select(&self, node: &Node) -> Vec<Entry> {
        let entries = node.entries.iter();
        match self {
            Self::All => node.entries.clone(),
            Self::Some(keys) => entries
                .filter(|entry| keys.contains(&entry.key))
                .cloned()
                .collect(),
        }
    }
}

/// What became of a wish to subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subscribed {
    Yes,
    /// The connection has as many as it may have.
    Full,
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Per soul, by connection.
    by_soul: HashMap<Soul, Vec<(PeerId, Keys)>, Seed>,
    by_peer: BTreeMap<PeerId, Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    souls: Vec<Soul>,
    /// Souls and single keys: what the cap counts.
    count: usize,
}

impl Subscriptions {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            by_soul: HashMap::with_hasher(seed),
            by_peer: BTreeMap::new(),
        }
    }

    /// Subscribes to a key, or to all keys when there is none.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        soul: &Soul,
        key: Option<&Key>,
        count_max: usize,
    ) -> Subscribed {
        let followed = self.by_peer.entry(peer).or_default();
        let full = followed.count >= count_max;
        if full && !self.by_soul.contains_key(soul) {
            return Subscribed::Full;
        }
        let followers = self.by_soul.entry(soul.clone()).or_default();
        let at = match followers.binary_search_by_key(&peer, |(peer, _)| *peer) {
            Ok(at) => at,
            Err(_) if full => return Subscribed::Full,
            Err(at) => {
                followers.insert(at, (peer, Keys::Some(Vec::new())));
                followed.souls.push(soul.clone());
                at
            }
        };
        match (&mut followers[at].1, key) {
            (Keys::All, _) => {}
            (Keys::Some(keys), None) => {
                // A soul followed by some keys costs at least one, so this frees or keeps.
                followed.count = followed.count + 1 - keys.len();
                followers[at].1 = Keys::All;
            }
            (Keys::Some(keys), Some(key)) => {
                if keys.contains(key) {
                    return Subscribed::Yes;
                }
                // Many keys one by one are as good as all: it bounds the search above.
                if keys.len() == KEYS_MAX {
                    followed.count = followed.count + 1 - keys.len();
                    followers[at].1 = Keys::All;
                } else if full {
                    return Subscribed::Full;
                } else {
                    keys.push(key.clone());
                    followed.count += 1;
                }
            }
        }
        Subscribed::Yes
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, peer: PeerId) {
        for soul in self
            .by_peer
            .remove(&peer)
            .map(|followed| followed.souls)
            .unwrap_or_default()
        {
            if let Some(followers) = self.by_soul.get_mut(&soul) {
                followers.retain(|(follower, _)| *follower != peer);
                if followers.is_empty() {
                    self.by_soul.remove(&soul);
                }
            }
        }
    }

    /// For each connection that follows something of `node`, the part it follows.
    pub(super) fn parts<'n>(
        &'n self,
        node: &'n Node,
    ) -> impl Iterator<Item = (PeerId, Vec<Entry>)> + 'n {
        let followers = self.by_soul.get(&node.soul).map_or(&[][..], Vec::as_slice);
        followers.iter().filter_map(|(peer, keys)| {
            let entries = keys.select(node);
            (!entries.is_empty()).then_some((*peer, entries))
        })
    }

    /// What one connection follows of a node.
    pub(super) fn part(&self, peer: PeerId, node: &Node) -> Vec<Entry> {
        let followers = self.by_soul.get(&node.soul).map_or(&[][..], Vec::as_slice);
        match followers.binary_search_by_key(&peer, |(peer, _)| *peer) {
            Ok(at) => followers[at].1.select(node),
            Err(_) => Vec::new(),
        }
    }

    /// The souls that anybody follows, in no order.
    pub(super) fn souls(&self) -> impl Iterator<Item = &Soul> {
        self.by_soul.keys()
    }

    /// Subscriptions of all connections.
    pub(super) fn count(&self) -> usize {
        self.by_peer.values().map(|followed| followed.count).sum()
    }
}

/// Keys of one soul that a connection follows one by one; beyond, it follows all of them.
const KEYS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const ME: PeerId = PeerId(1);

    fn soul(name: &str) -> Soul {
        Soul::new(name).unwrap()
    }

    fn key(name: &str) -> Key {
        Key::new(name).unwrap()
    }

    #[test]
    fn the_cap_counts_souls_and_single_keys() {
        let mut subscriptions = Subscriptions::new(Seed(1));
        assert_eq!(subscriptions.add(ME, &soul("a"), None, 3), Subscribed::Yes);
        assert_eq!(
            subscriptions.add(ME, &soul("b"), Some(&key("k")), 3),
            Subscribed::Yes
        );
        assert_eq!(
            subscriptions.add(ME, &soul("b"), Some(&key("l")), 3),
            Subscribed::Yes
        );
        assert_eq!(subscriptions.add(ME, &soul("c"), None, 3), Subscribed::Full);
        assert_eq!(
            subscriptions.add(ME, &soul("b"), Some(&key("m")), 3),
            Subscribed::Full
        );
        assert_eq!(subscriptions.add(ME, &soul("a"), None, 3), Subscribed::Yes);
        assert_eq!(subscriptions.count(), 3);
    }

    #[test]
    fn a_soul_takes_the_place_of_its_keys() {
        let mut subscriptions = Subscriptions::new(Seed(1));
        for name in ["k", "l"] {
            subscriptions.add(ME, &soul("a"), Some(&key(name)), 3);
        }
        subscriptions.add(ME, &soul("a"), None, 3);
        assert_eq!(subscriptions.count(), 1);
    }

    #[test]
    fn very_many_keys_of_a_soul_become_the_whole_soul() {
        let mut subscriptions = Subscriptions::new(Seed(1));
        for number in 0..=KEYS_MAX {
            subscriptions.add(ME, &soul("a"), Some(&key(&number.to_string())), 1_000);
        }
        assert_eq!(subscriptions.count(), 1);
    }

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let mut subscriptions = Subscriptions::new(Seed(1));
        subscriptions.add(ME, &soul("a"), None, 3);
        subscriptions.add(PeerId(2), &soul("a"), Some(&key("k")), 3);
        subscriptions.remove(ME);
        subscriptions.remove(PeerId(2));
        assert_eq!(subscriptions.count(), 0);
        assert!(subscriptions.by_soul.is_empty());
    }
}
