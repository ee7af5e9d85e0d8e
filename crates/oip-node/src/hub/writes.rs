//! What each connection has put and is not stored yet. What it asks for behind that waits, so that it reads what it
//! wrote: the store commits in batches, and a get in the same frame would be answered from before them.
//!
//! Owns the order of a connection's own puts and gets. Nobody waits for the puts of others. What waits counts as under
//! way in its line, which bounds it.

use std::collections::{BTreeMap, HashMap};

use gun::Soul;
use gun::mesh::{PeerId, Ticket};
use gun::wire::SoulQuery;

use super::held::Wish;
use crate::loader::Load;

/// The puts under way of all connections.
#[derive(Default)]
pub(super) struct Writes {
    writers: HashMap<PeerId, Writer>,
}

#[derive(Default)]
struct Writer {
    puts: BTreeMap<Ticket, Vec<Soul>>,
    tickets: HashMap<Soul, Vec<Ticket>>,
    /// What waits for puts of a soul; for those of any, if it is a range.
    waiting: HashMap<Option<Soul>, Vec<Wish>>,
}

impl Writes {
    /// A put of these souls is on its way to the store.
    pub(super) fn begin(&mut self, peer: PeerId, ticket: Ticket, souls: Vec<Soul>) {
        let writer = self.writers.entry(peer).or_default();
        for soul in &souls {
            writer.tickets.entry(soul.clone()).or_default().push(ticket);
        }
        writer.puts.insert(ticket, souls);
    }

    /// Gives a wish back if no put of its connection came before it; keeps it otherwise.
    pub(super) fn hold(&mut self, peer: PeerId, wish: Wish) -> Option<Wish> {
        let Some(writer) = self.writers.get_mut(&peer) else {
            return Some(wish);
        };
        let about = about(&wish);
        if !writer.is_behind_a_put(about.as_ref(), wish.ticket) {
            return Some(wish);
        }
        writer.waiting.entry(about).or_default().push(wish);
        None
    }

    /// A put was stored or refused. Gives what waited for it and for no other.
    pub(super) fn end(&mut self, peer: PeerId, ticket: Ticket) -> Vec<Wish> {
        let Some(writer) = self.writers.get_mut(&peer) else {
            return Vec::new();
        };
        let souls = writer.puts.remove(&ticket).unwrap_or_default();
        for soul in &souls {
            if let Some(tickets) = writer.tickets.get_mut(soul) {
                tickets.retain(|other| *other != ticket);
                if tickets.is_empty() {
                    writer.tickets.remove(soul);
                }
            }
        }
        let mut free = Vec::new();
        if !writer.waiting.is_empty() {
            for about in souls.into_iter().map(Some).chain([None]) {
                let waiting = writer.waiting.remove(&about).unwrap_or_default();
                let (behind, others): (Vec<_>, Vec<_>) = waiting
                    .into_iter()
                    .partition(|wish| writer.is_behind_a_put(about.as_ref(), wish.ticket));
                free.extend(others);
                if !behind.is_empty() {
                    writer.waiting.insert(about, behind);
                }
            }
        }
        if writer.puts.is_empty() {
            self.writers.remove(&peer);
        }
        free
    }
}

impl Writer {
    fn is_behind_a_put(&self, about: Option<&Soul>, ticket: Ticket) -> bool {
        match about {
            Some(soul) => self
                .tickets
                .get(soul)
                .is_some_and(|puts| puts.iter().any(|put| *put < ticket)),
            None => self
                .puts
                .first_key_value()
                .is_some_and(|(put, _)| *put < ticket),
        }
    }
}

/// The soul that a wish is about; `None` for more than one.
fn about(wish: &Wish) -> Option<Soul> {
    match &wish.load {
        Load::Get(get) => match &get.souls {
            SoulQuery::One(soul) => Some(soul.clone()),
            _ => None,
        },
        Load::Rest(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use gun::wire::Get;

    use super::*;

    const WRITER: PeerId = PeerId(1);

    fn soul(name: &str) -> Soul {
        Soul::new(name).unwrap()
    }

    fn wish(ticket: u64, name: &str) -> Wish {
        Wish {
            ticket: Ticket(ticket),
            load: Load::Get(Get::node(soul(name))),
        }
    }

    fn range(ticket: u64) -> Wish {
        let mut get = Get::node(soul("a"));
        get.souls = SoulQuery::Lex(gun::wire::Lex::prefix("a"));
        Wish {
            ticket: Ticket(ticket),
            load: Load::Get(get),
        }
    }

    fn tickets(wishes: &[Wish]) -> Vec<u64> {
        wishes.iter().map(|wish| wish.ticket.0).collect()
    }

    #[test]
    fn a_get_waits_for_the_puts_of_its_soul_that_came_before_it() {
        let mut writes = Writes::default();
        writes.begin(WRITER, Ticket(1), vec![soul("a"), soul("b")]);
        writes.begin(WRITER, Ticket(2), vec![soul("a")]);
        assert!(writes.hold(WRITER, wish(3, "a")).is_none());
        assert!(writes.hold(WRITER, wish(4, "b")).is_none());
        assert!(writes.hold(WRITER, wish(5, "c")).is_some());
        // What comes later does not hold up what came before.
        writes.begin(WRITER, Ticket(6), vec![soul("a"), soul("b")]);
        // Checked puts end in another order.
        assert!(writes.end(WRITER, Ticket(2)).is_empty());
        let mut free = tickets(&writes.end(WRITER, Ticket(1)));
        free.sort_unstable();
        assert_eq!(free, [3, 4]);
        assert!(writes.end(WRITER, Ticket(6)).is_empty());
        assert!(writes.writers.is_empty());
    }

    #[test]
    fn a_range_waits_for_every_put_before_it_and_nobody_for_those_of_others() {
        let mut writes = Writes::default();
        writes.begin(WRITER, Ticket(1), vec![soul("z")]);
        assert!(writes.hold(PeerId(2), wish(2, "z")).is_some());
        assert!(writes.hold(WRITER, range(3)).is_none());
        writes.begin(WRITER, Ticket(4), vec![soul("y")]);
        assert_eq!(tickets(&writes.end(WRITER, Ticket(1))), [3]);
        assert!(writes.hold(WRITER, range(5)).is_none());
        assert_eq!(tickets(&writes.end(WRITER, Ticket(4))), [5]);
    }
}
