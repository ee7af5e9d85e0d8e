//! Tables that forget: each entry lives for a fixed time, and there are never more than a
//! fixed number of them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

/// Seeds the hash of a table: names come from strangers, who must not be able to choose
/// names that collide; and the same seed replays a run exactly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// A table whose entries expire in the order in which they came.
#[derive(Debug)]
pub(super) struct Window<K, V> {
    life_ms: u64,
    entries_max: usize,
    entries: HashMap<K, Dated<V>, Seed>,
    /// Oldest first. Entries that were removed or renewed leave their old line behind.
    order: VecDeque<(u64, u64, K)>,
    stamps: u64,
}

#[derive(Debug)]
struct Dated<V> {
    stamp: u64,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Window<K, V> {
    pub(super) fn new(seed: Seed, life_ms: u64, entries_max: usize) -> Self {
        let entries = HashMap::with_hasher(seed);
        Self {
            life_ms,
            entries_max,
            entries,
            order: VecDeque::new(),
            stamps: 0,
        }
    }

    /// Puts an entry in, in place of one with the same key. If the table is full the oldest
    /// entry leaves it, and is returned.
    pub(super) fn insert(&mut self, now_ms: u64, key: K, value: V) -> Option<(K, V)> {
        self.stamps += 1;
        let stamp = self.stamps;
        self.order
            .push_back((now_ms.saturating_add(self.life_ms), stamp, key.clone()));
        self.entries.insert(key, Dated { stamp, value });
        if self.order.len() > 2 * self.entries_max {
            let entries = &self.entries;
            self.order.retain(|(_, stamp, key)| {
                entries.get(key).is_some_and(|entry| entry.stamp == *stamp)
            });
        }
        if self.entries.len() > self.entries_max {
            self.pop()
        } else {
            None
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|entry| entry.value)
    }

    /// Takes out the oldest entry whose time is over.
    pub(super) fn expire(&mut self, now_ms: u64) -> Option<(K, V)> {
        self.drop_stale();
        match self.order.front() {
            Some((expires, ..)) if *expires <= now_ms => self.pop(),
            _ => None,
        }
    }

    /// When the oldest entry expires.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        // A stale line at the front only makes for a tick that finds nothing to do.
        self.order.front().map(|(expires, ..)| *expires)
    }

    /// Takes out all entries that `wanted` accepts, oldest first.
    pub(super) fn extract(&mut self, wanted: impl Fn(&V) -> bool) -> Vec<(K, V)> {
        let mut keys: Vec<(u64, K)> = self
            .entries
            .iter()
            .filter(|(_, entry)| wanted(&entry.value))
            .map(|(key, entry)| (entry.stamp, key.clone()))
            .collect();
        keys.sort_unstable_by_key(|(stamp, _)| *stamp);
        keys.into_iter()
            .filter_map(|(_, key)| self.remove(&key).map(|value| (key, value)))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn pop(&mut self) -> Option<(K, V)> {
        self.drop_stale();
        let (_, _, key) = self.order.pop_front()?;
        let value = self.remove(&key)?;
        Some((key, value))
    }

    fn drop_stale(&mut self) {
        while let Some((_, stamp, key)) = self.order.front() {
            if self
                .entries
                .get(key)
                .is_some_and(|entry| entry.stamp == *stamp)
            {
                return;
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(entries_max: usize) -> Window<u32, char> {
        Window::new(Seed(1), 10, entries_max)
    }

    #[test]
    fn an_entry_expires_when_its_life_is_over_and_not_before() {
        let mut table = window(8);
        table.insert(100, 1, 'a');
        assert_eq!(table.expire(109), None);
        assert_eq!(table.next_deadline(), Some(110));
        assert_eq!(table.expire(110), Some((1, 'a')));
        assert_eq!(table.expire(1_000), None);
    }

    #[test]
    fn a_renewed_entry_lives_on() {
        let mut table = window(8);
        table.insert(100, 1, 'a');
        table.insert(105, 1, 'b');
        assert_eq!(table.expire(110), None);
        assert_eq!(table.expire(115), Some((1, 'b')));
    }

    #[test]
    fn a_full_table_forgets_its_oldest_entry() {
        let mut table = window(2);
        assert_eq!(table.insert(1, 1, 'a'), None);
        assert_eq!(table.insert(2, 2, 'b'), None);
        assert_eq!(table.insert(3, 3, 'c'), Some((1, 'a')));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn removed_entries_take_no_room() {
        let mut table = window(4);
        for key in 0..10_000 {
            table.insert(0, key, 'x');
            table.remove(&key);
        }
        assert!(table.order.len() <= 9, "{}", table.order.len());
    }
}
