//! Replicas that hear of each other's writes in any order, some twice, with clocks that
//! disagree, end up the same.

use gun::graph::Entry;
use gun::mesh::{Direction, Input, PeerId, Token};
use gun::wire::{Get, encode};
use gun::{Graph, Key, Node, Soul, State, Value};

use crate::relay::{Relay, random};

const NOW: u64 = 1_795_400_000_000;
const REPLICAS: usize = 5;
const SOULS: [&str; 3] = ["a", "b", "c"];

/// Towards the replica before and after in the line.
const BEFORE: u64 = 1;
const AFTER: u64 = 2;

struct Line {
    replicas: Vec<Relay>,
    /// Under way: to whom, on which of his connections, what.
    frames: Vec<(usize, u64, String)>,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Line {
    /// Replicas in a line; each dials the next, and neighbours follow each other's souls.
    fn new(seed: u64) -> Self {
        let mut random = random(seed);
        // Clocks up to 4 minutes off in either direction.
        let skews: Vec<u64> = (0..REPLICAS).map(|_| random() % 480_000).collect();
        let replicas = skews.iter().map(|skew| Relay::new(NOW + skew)).collect();
        let mut line = Self {
            replicas,
            frames: Vec::new(),
            random,
        };
        for at in 0..REPLICAS {
            if at + 1 < REPLICAS {
                line.replicas[at].open(AFTER, Direction::Dialled);
                line.replicas[at + 1].open(BEFORE, Direction::Accepted);
            }
        }
        for at in 0..REPLICAS {
            let neighbours = [(BEFORE, at > 0), (AFTER, at + 1 < REPLICAS)];
            for (peer, _) in neighbours.into_iter().filter(|(_, there)| *there) {
                for name in SOULS {
                    let get = Get::node(Soul::new(name).unwrap());
                    let peer = PeerId(peer);
                    line.replicas[at].input(Input::Ask {
                        token: Token(0),
                        peer,
                        get,
                    });
                }
            }
        }
        line.deliver_all();
        line
    }

    fn chance(&mut self, of: u64) -> usize {
        ((self.random)() % of) as usize
    }

    fn collect(&mut self) {
        for at in 0..REPLICAS {
            for (peer, message) in self.replicas[at].all_taken() {
                let (to, peer) = if peer == PeerId(BEFORE) {
                    (at - 1, AFTER)
                } else {
                    (at + 1, BEFORE)
                };
                self.frames.push((to, peer, encode(&message)));
            }
        }
    }

    /// Delivers one of the frames under way, and sometimes leaves it there to come again.
    fn deliver_one(&mut self) {
        let at = self.chance(self.frames.len() as u64);
        let (to, peer, frame) = if self.chance(8) == 0 {
            self.frames[at].clone()
        } else {
            self.frames.swap_remove(at)
        };
        self.replicas[to].hear(peer, &frame);
        self.collect();
    }

    fn deliver_all(&mut self) {
        self.collect();
        while !self.frames.is_empty() {
            self.deliver_one();
        }
    }

    fn write(&mut self) {
        let at = self.chance(REPLICAS as u64);
        let soul = Soul::new(SOULS[self.chance(3)]).unwrap();
        let key = Key::new(["k", "l", "m", "n"][self.chance(4)]).unwrap();
        let number = self.chance(5) as f64;
        let value = match self.chance(5) {
            0 => Value::Null,
            1 => Value::Number(number),
            2 => Value::text("😀".repeat(self.chance(3))),
            3 => Value::text("\u{fffd}"),
            _ => Value::Link(soul.clone()),
        };
        // Few different states, so that many writes tie.
        let state = State::from_millis(self.replicas[at].now_ms / 60_000 * 60_000);
        let entries = vec![Entry { key, state, value }];
        let graph: Graph = vec![Node { soul, entries }];
        self.replicas[at].publish(graph);
        self.collect();
    }
}

#[test]
fn replicas_end_the_same_whatever_the_order() {
    for seed in 0..200 {
        let mut line = Line::new(seed);
        for _ in 0..60 {
            match line.chance(4) {
                0 | 1 => line.write(),
                2 if !line.frames.is_empty() => line.deliver_one(),
                _ => {
                    let at = line.chance(REPLICAS as u64);
                    let later = line.replicas[at].now_ms + line.chance(2_000) as u64;
                    line.replicas[at].advance(later);
                    line.collect();
                }
            }
        }
        // Deliver what is left; then let the values of clocks ahead fall due everywhere.
        for _ in 0..3 {
            line.deliver_all();
            for replica in &mut line.replicas {
                replica.advance(replica.now_ms + 600_000);
            }
        }
        line.deliver_all();
        for name in SOULS {
            let first = line.replicas[0].node(name);
            for replica in &line.replicas {
                assert_eq!(replica.node(name), first, "seed {seed}, soul {name}");
                assert_eq!(replica.store.next_due(), None, "seed {seed}");
            }
        }
    }
}
