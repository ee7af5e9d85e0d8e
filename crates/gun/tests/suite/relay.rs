//! A relay without network: the mesh on top of a store in memory.

use gun::graph::Entry;
use gun::mesh::{
    Answer, Direction, Input, Loaded, Mesh, MeshConfig, Output, PeerId, SendKind, StoreOutcome,
    Token, Told,
};
use gun::wire::{Get, Limits, Message, Reject, Selection, parse_frame};
use gun::{Graph, Node, State, sea};

use crate::store::Store;

pub(crate) struct Relay {
    pub(crate) mesh: Mesh,
    pub(crate) store: Store,
    pub(crate) now_ms: u64,
    /// What was sent and not taken yet.
    sent: Vec<(PeerId, Message)>,
    /// Everything else that came out, in order.
    pub(crate) events: Vec<Output>,
    pub(crate) last_kind: Option<SendKind>,
}

/// Deterministic stand-in for randomness (splitmix64).
pub(crate) fn random(seed: u64) -> Box<dyn FnMut() -> u64 + Send> {
    let mut state = seed;
    Box::new(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
}

impl Relay {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self::with(MeshConfig::new("relay0pid"), Store::default(), now_ms)
    }

    pub(crate) fn with(config: MeshConfig, store: Store, now_ms: u64) -> Self {
        let mesh = Mesh::new(config, random(now_ms));
        Self {
            mesh,
            store,
            now_ms,
            sent: Vec::new(),
            events: Vec::new(),
            last_kind: None,
        }
    }

    pub(crate) fn open(&mut self, peer: u64, direction: Direction) {
        self.input(Input::Opened {
            peer: PeerId(peer),
            direction,
        });
    }

    /// A frame from a peer, as the network layer would pass it on.
    pub(crate) fn hear(&mut self, peer: u64, frame: &str) {
        let peer = PeerId(peer);
        for message in parse_frame(frame, &Limits::ACCEPTED) {
            self.input(match message {
                Ok(message) => Input::Heard { peer, message },
                Err(refused) => Input::Refused { peer, refused },
            });
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut todo = Vec::new();
        self.mesh.handle(self.now_ms, input, &mut todo);
        for output in todo {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Send {
                peer,
                message,
                kind,
            } => {
                self.last_kind = Some(kind);
                self.sent.push((peer, message));
            }
            Output::Store {
                ticket,
                peer,
                origin,
                mut graph,
            } => {
                sea::drop_expired(&mut graph, State::from_millis(self.now_ms));
                let (changed, rejected) = match self.verify(&graph) {
                    Ok(()) => self.store.merge(&graph, self.now_ms),
                    Err(reject) => (Graph::new(), Some(reject)),
                };
                self.input(Input::Stored {
                    ticket,
                    outcome: StoreOutcome {
                        rejected,
                        kept: None,
                    },
                });
                let origin = origin.map(|id| (peer, id));
                self.input(Input::Changed {
                    graph: changed,
                    origin,
                });
            }
            Output::Load { ticket, get, .. } => {
                let parts = self.load(&get);
                self.input(Input::Loaded { ticket, parts });
            }
            other => self.events.push(other),
        }
    }

    fn verify(&self, graph: &Graph) -> Result<(), Reject> {
        sea::verify(graph, &|soul, key| {
            let stored = self.store.value(soul, key);
            Ok(stored.map(|(_, value)| value.clone()))
        })
    }

    fn load(&self, get: &Get) -> Loaded {
        let mut selection = Selection::new(get);
        for (soul, key, state, value) in self.store.values() {
            if get.matches(soul, key) {
                let (key, state, value) = (key.clone(), *state, value.clone());
                if selection.take(soul, Entry { key, state, value }).is_err() {
                    break;
                }
            }
        }
        let graph = selection.finish();
        if graph.is_empty() {
            return Loaded::Missing;
        }
        Loaded::Part { graph, more: false }
    }

    /// Lets time pass, with all that falls due on the way.
    pub(crate) fn advance(&mut self, to_ms: u64) {
        loop {
            let next = [self.mesh.next_deadline(), self.store.next_due()]
                .into_iter()
                .flatten()
                .min();
            let Some(at) = next.filter(|at| *at <= to_ms) else {
                break;
            };
            self.now_ms = self.now_ms.max(at);
            self.input(Input::Tick);
            let graph = self.store.fall_due(self.now_ms);
            if !graph.is_empty() {
                self.input(Input::Changed {
                    graph,
                    origin: None,
                });
            }
        }
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// The messages sent to one peer since the last call.
    pub(crate) fn taken(&mut self, peer: u64) -> Vec<Message> {
        let (taken, left) = self.sent.drain(..).partition(|(to, _)| *to == PeerId(peer));
        self.sent = left;
        let taken: Vec<(PeerId, Message)> = taken;
        taken.into_iter().map(|(_, message)| message).collect()
    }

    /// All messages sent since the last call.
    pub(crate) fn all_taken(&mut self) -> Vec<(PeerId, Message)> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn answers(&mut self, token: u64) -> Vec<Answer> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Output::Asked {
                    token: Token(t),
                    answer,
                } if *t == token => Some(answer.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn told(&mut self, token: u64) -> Vec<Told> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Output::Told {
                    token: Token(t),
                    told,
                } if *t == token => Some(told.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn publish(&mut self, graph: Graph) {
        let (changed, _) = self.store.merge(&graph, self.now_ms);
        self.input(Input::Changed {
            graph: changed,
            origin: None,
        });
    }

    pub(crate) fn node(&self, soul: &str) -> Option<Node> {
        self.store.node(&gun::Soul::new(soul).ok()?)
    }
}
