//! Dear work of peers, one piece at a time, off the reactor, in fair turns: signatures to check, ranges to
//! read. A peer that asks for very much waits behind its own; others wait for one piece of it at most.
//!
//! Refuses nothing: how much may wait is the hub's bound.

use std::collections::{HashMap, VecDeque};

use gun::mesh::PeerId;

/// The lines, one per peer, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    lines: HashMap<PeerId, VecDeque<T>>,
    order: VecDeque<PeerId>,
    busy: bool,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
            busy: false,
        }
    }
}

impl<T> Turns<T> {
    pub(crate) fn add(&mut self, peer: PeerId, work: T) {
        let line = self.lines.entry(peer).or_default();
        if line.is_empty() {
            self.order.push_back(peer);
        }
        line.push_back(work);
    }

    /// The next piece of work, unless one is being done. Say [`Self::done`] after it.
    pub(crate) fn next(&mut self) -> Option<T> {
        if self.busy {
            return None;
        }
        let peer = self.order.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let work = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.order.push_back(peer);
        }
        self.busy = true;
        Some(work)
    }

    pub(crate) fn done(&mut self) {
        self.busy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_take_turns_whoever_sent_more() {
        let mut turns = Turns::default();
        for work in 0..3 {
            turns.add(PeerId(1), work);
        }
        turns.add(PeerId(2), 10);
        let mut order = Vec::new();
        while let Some(work) = turns.next() {
            order.push(work);
            turns.done();
        }
        assert_eq!(order, [0, 10, 1, 2]);
        assert!(turns.lines.is_empty());
    }

    #[test]
    fn one_piece_is_done_at_a_time() {
        let mut turns = Turns::default();
        turns.add(PeerId(1), 0);
        turns.add(PeerId(2), 1);
        assert!(turns.next().is_some());
        assert!(turns.next().is_none());
        turns.done();
        assert!(turns.next().is_some());
    }
}
