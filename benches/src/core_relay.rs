//! The protocol core alone, as a process: sockets and mesh of a node, and a map in memory in place of
//! the store. It promises nothing: an ack says only that a put was merged.

use std::collections::HashMap;

use anyhow::{Context, Result};
use gun::graph::Entry;
use gun::ham::{self, Verdict};
use gun::mesh::{Input, Loaded, Mesh, MeshConfig, Output, StoreOutcome};
use gun::wire::{Get, KeyQuery, SoulQuery};
use gun::{Graph, Key, Node, Soul, State, Value};
use gun_net::{Background, NetConfig, NetEvent, Network, ServeOptions, ServeStats, serve};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Values = HashMap<Key, (State, Value)>;

/// The argument that makes `relay` serve as one.
pub const ARGUMENT: &str = "serve-core";

/// Serves until the process is ended; prints the address first.
///
/// # Errors
/// When it can't listen.
#[tokio::main]
pub async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ws://{}/gun", listener.local_addr()?);
    let (sender, mut events) = mpsc::channel(256);
    let (cancel, tracker) = (CancellationToken::new(), TaskTracker::new());
    let config = NetConfig::new(Vec::new());
    let network = Network::start(
        config,
        sender,
        cancel.clone(),
        tracker.clone(),
        Background::new()?,
    );
    tracker.spawn(serve(
        listener,
        network.router(),
        ServeOptions::default(),
        ServeStats::default(),
        cancel,
        tracker.clone(),
    ));
    let mut relay = Relay {
        mesh: Mesh::new(MeshConfig::new("corerelay"), Box::new(rand::random)),
        network,
        nodes: HashMap::new(),
    };
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Opened {
                peer, direction, ..
            } => relay.handle(Input::Opened { peer, direction })?,
            NetEvent::Frame { peer, messages } => {
                for message in messages {
                    relay.handle(match message {
                        Ok(message) => Input::Heard { peer, message },
                        Err(refused) => Input::Refused { peer, refused },
                    })?;
                }
            }
            NetEvent::Closed { peer, .. } => relay.handle(Input::Closed { peer })?,
            // Its answers cost it nothing to make.
            NetEvent::Relieved { .. } => {}
        }
    }
    Ok(())
}

struct Relay {
    mesh: Mesh,
    network: Network,
    nodes: HashMap<Soul, Values>,
}

impl Relay {
    fn handle(&mut self, input: Input) -> Result<()> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now_ms = u64::try_from(since.as_millis()).context("a clock of this era")?;
        let mut inputs = vec![input];
        let mut out = Vec::new();
        while let Some(input) = inputs.pop() {
            self.mesh.handle(now_ms, input, &mut out);
            for output in out.drain(..) {
                match output {
                    Output::Send {
                        peer,
                        message,
                        kind,
                    } => {
                        let _ = self.network.send(peer, message, kind);
                    }
                    Output::Store {
                        ticket,
                        peer,
                        origin,
                        graph,
                    } => {
                        let changed = self.merge(graph, State::from_millis(now_ms));
                        inputs.push(Input::Changed {
                            graph: changed,
                            origin: origin.map(|id| (peer, id)),
                        });
                        let outcome = StoreOutcome::default();
                        inputs.push(Input::Stored { ticket, outcome });
                    }
                    Output::Load { ticket, get, .. } => inputs.push(Input::Loaded {
                        ticket,
                        parts: self.load(&get),
                    }),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, graph: Graph, now: State) -> Graph {
        let mut changed = graph;
        for node in &mut changed {
            let values = self.nodes.entry(node.soul.clone()).or_default();
            node.entries.retain(|entry| {
                let known = values.get(&entry.key).map(|(state, value)| (*state, value));
                let takes = ham::decide(known, entry.state, &entry.value, now) == Verdict::Take;
                if takes {
                    values.insert(entry.key.clone(), (entry.state, entry.value.clone()));
                }
                takes
            });
        }
        changed.retain(|node| !node.entries.is_empty());
        changed
    }

    fn load(&self, get: &Get) -> Loaded {
        let (SoulQuery::One(soul), KeyQuery::All) = (&get.souls, &get.keys) else {
            return Loaded::Missing;
        };
        let Some(values) = self.nodes.get(soul) else {
            return Loaded::Missing;
        };
        let entries = values.iter().map(|(key, (state, value))| Entry {
            key: key.clone(),
            state: *state,
            value: value.clone(),
        });
        let node = Node {
            soul: soul.clone(),
            entries: entries.collect(),
        };
        Loaded::Part {
            graph: vec![node],
            more: false,
        }
    }
}
