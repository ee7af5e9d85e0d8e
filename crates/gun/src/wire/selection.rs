//! How much of what a get matches its answer holds (`gun-protocol` 8.4): values are taken in the order
//! of their names until the budget is used up, from the end of the range if the get says so.

use std::collections::VecDeque;

use super::query::{Budget, Get, Order};
use crate::graph::{Entry, Graph, Node, Soul};

/// Values kept while a range is read from its end: what the largest budget, 100,000, can hold if each
/// counts 9, and the one that crosses it.
const WINDOW_MAX: usize = 11_113;

/// Takes values that match, in ascending order of their names.
#[derive(Debug)]
pub struct Selection {
    order: Order,
    budget: Budget,
    used: u64,
    graph: Graph,
    window: VecDeque<(Soul, Entry)>,
}

/// The budget is used up: no later value belongs to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Selection {
    /// Nothing yet, within what `get` asks for.
    #[must_use]
    pub fn new(get: &Get) -> Self {
        let budget = get.budget();
        let order = match budget {
            // Everything is everything from either end.
            Budget::All => Order::Ascending,
            Budget::Bytes(_) => get.order,
        };
        Self {
            order,
            budget,
            used: 0,
            graph: Graph::new(),
            window: VecDeque::new(),
        }
    }

    /// Takes the next value, unless the budget is used up.
    ///
    /// # Errors
    /// [`Full`]; there is no use in going on.
    pub fn take(&mut self, soul: &Soul, entry: Entry) -> Result<(), Full> {
        match (self.budget, self.order) {
            (Budget::All, _) => push(&mut self.graph, soul, entry),
            (Budget::Bytes(max), Order::Ascending) => {
                if self.used >= max {
                    return Err(Full);
                }
                self.used += length(&entry);
                push(&mut self.graph, soul, entry);
            }
            (Budget::Bytes(max), Order::Descending) => {
                self.used += length(&entry);
                self.window.push_back((soul.clone(), entry));
                // The first of those that stay is the one that crosses the budget.
                while let Some((_, first)) = self.window.front() {
                    let without = self.used - length(first);
                    if without < max && self.window.len() <= WINDOW_MAX {
                        break;
                    }
                    self.used = without;
                    self.window.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Values that certainly belong to the answer and were not given out yet.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.graph.iter().map(|node| node.entries.len()).sum()
    }

    /// Gives out what is ready.
    pub fn drain(&mut self) -> Graph {
        std::mem::take(&mut self.graph)
    }

    /// Gives out all that is left, once every value was taken.
    #[must_use]
    pub fn finish(mut self) -> Graph {
        for (soul, entry) in std::mem::take(&mut self.window) {
            push(&mut self.graph, &soul, entry);
        }
        self.graph
    }
}

fn push(graph: &mut Graph, soul: &Soul, entry: Entry) {
    match graph.last_mut().filter(|node| node.soul == *soul) {
        Some(node) => node.entries.push(entry),
        None => graph.push(Node {
            soul: soul.clone(),
            entries: vec![entry],
        }),
    }
}

/// What a value counts towards a budget: a text its length, anything else 9.
fn length(entry: &Entry) -> u64 {
    match entry.value.as_text() {
        Some(text) if !text.is_empty() => text.encode_utf16().count() as u64,
        _ => 9,
    }
}
