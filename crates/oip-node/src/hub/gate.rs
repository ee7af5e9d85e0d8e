//! What peers ask the store for, let through or refused: by shape, by signature, by what the address
//! they come from has used up.

use std::net::IpAddr;
use std::time::Instant;

use gun::mesh::{Input, Loaded, PeerId, Ticket};
use gun::wire::{MessageId, Reject};
use gun::{Graph, State};
use oip_store::{Committed, Op, Transaction};

use super::held::{TooMuch, Wish};
use super::{Done, Running, Scan, Unchecked};
use crate::admission;
use crate::allowance::Cost;
use crate::clock;
use crate::config::Admission;
use crate::loader::{self, Given, Load};

impl Running {
    /// Loads for a peer, unless it has much to read before.
    pub(super) fn wish(&mut self, peer: PeerId, wish: Wish) {
        match self.lines.hold(peer, wish) {
            Ok(Some(wish)) => self.load(peer, wish),
            Ok(None) => {}
            Err(TooMuch) => {
                self.hub.network.close_slow_reader(peer);
                self.cut_off(peer);
            }
        }
    }

    pub(super) fn load(&mut self, peer: PeerId, wish: Wish) {
        let Wish { ticket, load } = wish;
        let get = match load {
            Load::Get(get) => get,
            Load::Rest(rest) => {
                self.begin(peer);
                let done = self.done.clone();
                return loader::rest(&self.hub.background, &self.hub.store, rest, move |given| {
                    let _ = done.send(Done::Loaded {
                        ticket,
                        peer,
                        given,
                        is_scan: false,
                    });
                });
            }
        };
        // Most gets end here, in the step that asks.
        if let Some(given) = loader::at_once(&self.hub.store, &get) {
            return self.given(ticket, peer, given);
        }
        if self.is_used_up(peer, Cost::Scanned) {
            return self.given(ticket, peer, Loaded::Failed(Reject::Quota).into());
        }
        self.begin(peer);
        self.scans.add(peer, Scan { ticket, peer, get });
        self.scan_next();
    }

    /// Hands a part of an answer on, and sees to it that the next one is made.
    pub(super) fn given(&mut self, ticket: Ticket, peer: PeerId, given: Given) {
        let Given { part, rest, .. } = given;
        match &part {
            Loaded::Failed(reject @ Reject::StoreFailed) => self.hub.metrics.reject(reject.name()),
            Loaded::Failed(reject) => self.rejected(peer, reject),
            Loaded::Missing | Loaded::MissingHere | Loaded::Part { .. } => {}
        }
        let part = match part {
            Loaded::Missing if self.is_used_up(peer, Cost::Missed) => Loaded::MissingHere,
            Loaded::Missing => {
                self.spend(peer, Cost::Missed, 1);
                Loaded::Missing
            }
            part => part,
        };
        self.feed(Input::Loaded {
            ticket,
            parts: part,
        });
        if let Some(rest) = rest
            && self.lines.is_open(peer)
        {
            let load = Load::Rest(rest);
            self.wish(peer, Wish { ticket, load });
        }
    }

    /// Has the next range read.
    pub(super) fn scan_next(&mut self) {
        let Some(Scan { ticket, peer, get }) = self.scans.next() else {
            return;
        };
        let parts = self.range_parts.clone();
        loader::range(&self.hub.background, &self.hub.store, get, move |given| {
            // A hub that has stopped has nobody to answer.
            let _ = parts.blocking_send(Done::Loaded {
                ticket,
                peer,
                given,
                is_scan: true,
            });
        });
    }

    pub(super) fn store(
        &mut self,
        ticket: Ticket,
        peer: PeerId,
        origin: Option<MessageId>,
        mut graph: Graph,
    ) {
        self.begin(peer);
        let souls = graph.iter().map(|node| node.soul.clone()).collect();
        self.writes.begin(peer, ticket, souls);
        // What is to be kept for some seconds only, and is older, is dropped without a word.
        gun::sea::drop_expired(&mut graph, State::from_millis(clock::wall_ms()));
        // What a peer that the operator named passes on was made by many: one of them must not hide the others.
        let is_dialled = !self.origins.contains_key(&peer);
        let sent = graph.len();
        if is_dialled {
            self.drop_false_pointers(&mut graph);
            let (admission, registry) = (self.hub.admission, &self.hub.registry);
            graph.retain(|node| admission::admits(admission, registry, &node.soul));
        }
        let kept = (graph.len() < sent && !graph.is_empty()).then(|| graph.clone());
        let checked = match self.admit(peer, &graph) {
            Ok(_) if sent > 0 && graph.is_empty() => {
                return self.refuse(ticket, peer, Reject::NotAdmitted);
            }
            Ok(checked) => checked,
            Err(reject) => return self.refuse(ticket, peer, reject),
        };
        let put = Unchecked {
            ticket,
            peer,
            origin,
            graph,
            signatures: checked,
            kept,
        };
        if checked == 0 {
            return self.submit(put);
        }
        self.lines.begin(peer, checked);
        self.spend(peer, Cost::Checked, checked as u64);
        self.checks.add(peer, put);
        self.check_next();
    }

    /// Takes out pointers that lead astray, so that a right one finds its place free, however old it is. One under our own
    /// id is told: whoever looks for this node behind that peer meets it.
    fn drop_false_pointers(&self, graph: &mut Graph) {
        for node in graph.iter_mut() {
            let soul = node.soul.clone();
            node.entries.retain(|entry| {
                let Some(id) = self.hub.registry.false_pointer(soul.as_str(), entry) else {
                    return true;
                };
                if *id == *self.hub.identity_id {
                    self.hub.misled.notify_one();
                }
                self.hub.admission == Admission::Open
            });
        }
        graph.retain(|node| !node.entries.is_empty());
    }

    /// Whether a put is taken, by its shape and by what its sender has used up.
    fn admit(&self, peer: PeerId, graph: &Graph) -> Result<usize, Reject> {
        let checked = match admission::admit(self.hub.admission, &self.hub.registry, graph) {
            // gun.js answers a node of any size in one message; who it is asked of is the operator's choice.
            Err(Reject::TooManyKeys { .. }) if !self.origins.contains_key(&peer) => {
                graph.iter().map(|node| node.entries.len()).sum()
            }
            checked => checked?,
        };
        let is_ahead = || {
            let now = State::from_millis(clock::wall_ms());
            let entries = graph.iter().flat_map(|node| &node.entries);
            entries.into_iter().any(|entry| entry.state > now)
        };
        let used_up = self.is_used_up(peer, Cost::Bytes)
            || self.is_used_up(peer, Cost::Souls)
            || (checked > 0 && self.is_used_up(peer, Cost::Checked))
            || (self.is_used_up(peer, Cost::Deferred) && is_ahead());
        if used_up {
            Err(Reject::Quota)
        } else {
            Ok(checked)
        }
    }

    /// Has the next put checked, off the reactor.
    pub(super) fn check_next(&mut self) {
        let Some(put) = self.checks.next() else {
            return;
        };
        let (admission, store) = (self.hub.admission, self.hub.store.clone());
        let done = self.done.clone();
        let is_dialled = !self.origins.contains_key(&put.peer);
        self.hub.background.start(move || {
            let began = Instant::now();
            let now_ms = clock::wall_ms();
            let mut put = put;
            let mut result = admission::verify(admission, &store, &put.graph, now_ms);
            if is_dialled && matches!(&result, Err(reject) if *reject != Reject::StoreFailed) {
                admission::keep_verified(admission, &store, &mut put.graph, now_ms);
                if !put.graph.is_empty() {
                    put.kept = Some(put.graph.clone());
                    result = Ok(());
                }
            }
            let took = began.elapsed();
            let _ = done.send(Done::Checked { put, took, result });
        });
    }

    pub(super) fn submit(&mut self, put: Unchecked) {
        let Unchecked {
            ticket,
            peer,
            origin,
            graph,
            kept,
            ..
        } = put;
        let done = self.done.clone();
        let finish = move |result| {
            let _ = done.send(Done::Stored {
                ticket,
                peer,
                origin,
                kept,
                result,
            });
        };
        let transaction = Transaction::from(Op::Offer { graph });
        self.hub.store.submit(transaction, clock::wall_ms(), finish);
    }

    /// Counts what a put made this node keep.
    pub(super) fn count(&mut self, peer: PeerId, committed: &Committed) {
        let ahead = committed.deferred + committed.too_far;
        self.spend(peer, Cost::Bytes, committed.bytes);
        self.spend(peer, Cost::Souls, committed.created as u64);
        self.spend(peer, Cost::Deferred, ahead as u64);
    }

    pub(super) fn spend(&mut self, peer: PeerId, cost: Cost, amount: u64) {
        if let Some(origin) = self.origins.get(&peer) {
            self.spend_of(*origin, cost, amount);
        }
    }

    pub(super) fn spend_of(&mut self, origin: IpAddr, cost: Cost, amount: u64) {
        self.hub
            .allowances
            .spend(origin, cost, amount, clock::wall_ms());
    }

    /// Whether an address that comes over HTTP has something left of all of these.
    pub(super) fn can_afford(&self, origin: IpAddr, costs: &[Cost]) -> bool {
        let now_ms = clock::wall_ms();
        costs
            .iter()
            .all(|cost| !self.hub.allowances.is_used_up(origin, *cost, now_ms))
    }

    fn is_used_up(&self, peer: PeerId, cost: Cost) -> bool {
        self.origins.get(&peer).is_some_and(|origin| {
            let now_ms = clock::wall_ms();
            self.hub.allowances.is_used_up(*origin, cost, now_ms)
        })
    }
}
