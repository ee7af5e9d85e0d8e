//! Puts whose signatures are to be checked: one at a time, off the reactor, in fair turns.
//!
//! Checking is dear (some 60 us each). A peer that sends very many waits behind its own; others
//! wait for one put of it at most. Refuses nothing: how much may wait is the hub's bound.

use std::collections::{HashMap, VecDeque};

use gun::Graph;
use gun::mesh::{PeerId, Ticket};
use gun::wire::MessageId;

/// A put that waits for its check.
#[derive(Debug)]
pub(crate) struct Unchecked {
    pub ticket: Ticket,
    pub peer: PeerId,
    pub origin: Option<MessageId>,
    pub graph: Graph,
}

/// The lines, one per peer, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    lines: HashMap<PeerId, VecDeque<Unchecked>>,
    turns: VecDeque<PeerId>,
    checking: bool,
}

impl Checks {
    pub(crate) fn add(&mut self, put: Unchecked) {
        let line = self.lines.entry(put.peer).or_default();
        if line.is_empty() {
            self.turns.push_back(put.peer);
        }
        line.push_back(put);
    }

    /// The next put to check, unless one is being checked. Say [`Self::done`] after it.
    pub(crate) fn next(&mut self) -> Option<Unchecked> {
        if self.checking {
            return None;
        }
        let peer = self.turns.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let put = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        self.checking = true;
        Some(put)
    }

    pub(crate) fn done(&mut self) {
        self.checking = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(peer: u64, ticket: u64) -> Unchecked {
        Unchecked {
            ticket: Ticket(ticket),
            peer: PeerId(peer),
            origin: None,
            graph: Graph::new(),
        }
    }

    #[test]
    fn peers_take_turns_whoever_sent_more() {
        let mut checks = Checks::default();
        for ticket in 0..3 {
            checks.add(put(1, ticket));
        }
        checks.add(put(2, 10));
        let mut order = Vec::new();
        while let Some(put) = checks.next() {
            order.push(put.ticket.0);
            checks.done();
        }
        assert_eq!(order, [0, 10, 1, 2]);
        assert!(checks.lines.is_empty());
    }

    #[test]
    fn one_put_is_checked_at_a_time() {
        let mut checks = Checks::default();
        checks.add(put(1, 0));
        checks.add(put(2, 1));
        assert!(checks.next().is_some());
        assert!(checks.next().is_none());
        checks.done();
        assert!(checks.next().is_some());
    }
}
