//! What a connection asks for while it has much to read: held back until it has read it, so that a
//! reader who doesn't read costs his questions, and not their answers.
//!
//! Owns the bounds on what is held. A connection that asks for more is one that never reads.

use std::collections::{HashMap, VecDeque};

use gun::mesh::{PeerId, Ticket};

use crate::loader::Load;

/// Wishes held of one connection. A page asks for thousands of nodes at once; at about half a kilobyte
/// each, 16 MB.
const WISHES_MAX: usize = 32_768;

/// Wishes held in all: about 64 MB.
const TOTAL_MAX: usize = 131_072;

/// Something to load for a connection.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) ticket: Ticket,
    pub(super) load: Load,
}

/// More than is held: the connection is to be closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// All that is held.
#[derive(Default)]
pub(super) struct Held {
    /// Those who have much to read, or of whom something is held.
    peers: HashMap<PeerId, Reader>,
    total: usize,
}

#[derive(Default)]
struct Reader {
    is_crowded: bool,
    wishes: VecDeque<Wish>,
}

impl Held {
    pub(super) fn crowded(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_default().is_crowded = true;
    }

    /// Whether something is held that may go on now.
    pub(super) fn relieved(&mut self, peer: PeerId) -> bool {
        let Some(reader) = self.peers.get_mut(&peer) else {
            return false;
        };
        reader.is_crowded = false;
        let holds = !reader.wishes.is_empty();
        if !holds {
            self.peers.remove(&peer);
        }
        holds
    }

    /// Holds a wish behind those held before; gives it back if there is no reason to.
    pub(super) fn hold(&mut self, peer: PeerId, wish: Wish) -> Result<Option<Wish>, TooMuch> {
        let Some(reader) = self.peers.get_mut(&peer) else {
            return Ok(Some(wish));
        };
        if reader.wishes.len() >= WISHES_MAX || self.total >= TOTAL_MAX {
            return Err(TooMuch);
        }
        self.total += 1;
        // The rest of an answer comes before other answers: its reader waits for the end.
        if wish.load.is_rest() {
            reader.wishes.push_front(wish);
        } else {
            reader.wishes.push_back(wish);
        }
        Ok(None)
    }

    /// The next wish that is held, unless its connection has much to read again.
    pub(super) fn next(&mut self, peer: PeerId) -> Option<Wish> {
        let reader = self.peers.get_mut(&peer)?;
        if reader.is_crowded {
            return None;
        }
        let wish = reader.wishes.pop_front();
        if wish.is_some() {
            self.total -= 1;
        }
        if reader.wishes.is_empty() {
            self.peers.remove(&peer);
        }
        wish
    }

    /// Whether anything is held of a connection.
    pub(super) fn holds(&self, peer: PeerId) -> bool {
        self.peers
            .get(&peer)
            .is_some_and(|reader| !reader.wishes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use gun::Soul;
    use gun::wire::Get;

    use super::*;

    const PEER: PeerId = PeerId(1);

    fn wish(number: u64) -> Wish {
        Wish {
            ticket: Ticket(number),
            load: Load::Get(Get::node(Soul::new("s").unwrap())),
        }
    }

    fn held(held: &mut Held, number: u64) -> bool {
        matches!(held.hold(PEER, wish(number)), Ok(None))
    }

    #[test]
    fn wishes_of_a_reader_with_much_to_read_wait_and_go_on_in_order() {
        let mut all = Held::default();
        assert!(!held(&mut all, 1), "there is nothing to wait for");
        all.crowded(PEER);
        assert!(held(&mut all, 2) && held(&mut all, 3));
        assert!(all.next(PEER).is_none());
        assert!(all.relieved(PEER));
        assert_eq!(all.next(PEER).unwrap().ticket, Ticket(2));
        // What comes meanwhile does not overtake.
        assert!(held(&mut all, 4));
        assert_eq!(all.next(PEER).unwrap().ticket, Ticket(3));
        all.crowded(PEER);
        assert!(all.next(PEER).is_none());
        assert!(all.relieved(PEER));
        assert_eq!(all.next(PEER).unwrap().ticket, Ticket(4));
        assert!(all.next(PEER).is_none());
        assert!(all.peers.is_empty() && all.total == 0);
    }

    #[test]
    fn so_many_wishes_are_held_and_no_more() {
        let mut all = Held::default();
        all.crowded(PEER);
        for number in 0..WISHES_MAX as u64 {
            assert!(held(&mut all, number));
        }
        assert!(matches!(all.hold(PEER, wish(0)), Err(TooMuch)));
        let others = (2..).map(PeerId).take(TOTAL_MAX / WISHES_MAX - 1);
        for peer in others {
            all.crowded(peer);
            for number in 0..WISHES_MAX as u64 {
                assert!(matches!(all.hold(peer, wish(number)), Ok(None)));
            }
        }
        let last = PeerId(1_000);
        all.crowded(last);
        assert!(matches!(all.hold(last, wish(0)), Err(TooMuch)));
        all.relieved(PEER);
        while all.next(PEER).is_some() {}
        assert!(!all.holds(PEER));
        assert!(matches!(all.hold(last, wish(0)), Ok(None)));
    }
}
