//! How messages share frames, and how data is cut so that frames stay short.
//!
//! Lengths are counted in bytes of UTF-8, which are never fewer than UTF-16 units: a frame
//! within [`FRAME_CHARS_MAX`] bytes is within it in characters.

use super::encode::{ENVELOPE_CHARS_MAX, encode_into};
use super::limits::FRAME_CHARS_MAX;
use super::message::{Body, Message};
use crate::graph::{Entry, Graph, Node};
use crate::text::json_text_len;

/// Gathers messages into frames: one message alone as an object, several as an array.
#[derive(Debug, Default)]
pub struct FramePacker {
    batch: String,
    messages: usize,
}

impl FramePacker {
    /// An empty packer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message; returns a frame when the message did not fit into it any more.
    #[must_use]
    pub fn push(&mut self, message: &Message) -> Option<String> {
        if message.body == Body::Keepalive {
            // Messages that wait keep the connection open as well.
            return (self.messages == 0).then(|| "[]".to_owned());
        }
        let start = self.begin();
        encode_into(&mut self.batch, message);
        self.added(start)
    }

    /// The same for a message that was encoded elsewhere.
    #[must_use]
    pub fn push_text(&mut self, message: &str) -> Option<String> {
        let start = self.begin();
        self.batch.push_str(message);
        self.added(start)
    }

    fn begin(&mut self) -> usize {
        let start = self.batch.len();
        self.batch.push(if start == 0 { '[' } else { ',' });
        start
    }

    /// A message was added at `start`; gives out what was there before it if both don't fit.
    fn added(&mut self, start: usize) -> Option<String> {
        self.messages += 1;
        // One more for the bracket that closes the array.
        if self.batch.len() < FRAME_CHARS_MAX || self.messages == 1 {
            return None;
        }
        let late = self.batch.split_off(start);
        self.messages -= 1;
        let frame = self.flush();
        self.batch.push('[');
        self.batch.push_str(&late[1..]);
        self.messages = 1;
        frame
    }

    /// The frame with what was added since the last; `None` when nothing was.
    #[must_use]
    pub fn flush(&mut self) -> Option<String> {
        let messages = std::mem::take(&mut self.messages);
        let mut frame = std::mem::take(&mut self.batch);
        match messages {
            0 => None,
            1 => {
                frame.remove(0);
                Some(frame)
            }
            _ => {
                frame.push(']');
                Some(frame)
            }
        }
    }
}

/// Cuts a graph so that each part fits one frame as a message of its own; a part is longer
/// only if it is a single value. An empty graph gives no part.
#[must_use]
pub fn split_graph(graph: Graph) -> Vec<Graph> {
    let budget = FRAME_CHARS_MAX - ENVELOPE_CHARS_MAX;
    if graph.iter().map(node_chars_max).sum::<usize>() <= budget {
        return if graph.is_empty() {
            Vec::new()
        } else {
            vec![graph]
        };
    }
    let mut parts = Parts {
        budget,
        used: 0,
        done: Vec::new(),
        current: Vec::new(),
    };
    for node in graph {
        parts.add(node);
    }
    parts.finish()
}

struct Parts {
    budget: usize,
    used: usize,
    done: Vec<Graph>,
    current: Graph,
}

impl Parts {
    fn add(&mut self, node: Node) {
        let frame = node_frame_chars(&node);
        let mut piece = Node {
            soul: node.soul,
            entries: Vec::new(),
        };
        let mut opened = false;
        for entry in node.entries {
            let chars = entry_chars(&entry);
            let opening = if opened { 0 } else { frame };
            if self.used > 0 && self.used + opening + chars > self.budget {
                self.cut(&mut piece);
                opened = false;
            }
            if !opened {
                self.used += frame;
                opened = true;
            }
            self.used += chars;
            piece.entries.push(entry);
        }
        if !piece.entries.is_empty() {
            self.current.push(piece);
        }
    }

    /// Ends the part, with what `piece` has of the node that goes on in the next.
    fn cut(&mut self, piece: &mut Node) {
        let entries = std::mem::take(&mut piece.entries);
        if !entries.is_empty() {
            self.current.push(Node {
                soul: piece.soul.clone(),
                entries,
            });
        }
        self.done.push(std::mem::take(&mut self.current));
        self.used = 0;
    }

    fn finish(mut self) -> Vec<Graph> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}

/// Longest text of a state: `-1.7976931348623157e+308`.
const STATE_CHARS_MAX: usize = 24;

/// Quotes, colons, commas and braces of one key, in the node and among the states.
const ENTRY_MARKS: usize = 8;

/// `"soul":{"_":{"#":"soul",">":{}}},` beside the two souls.
const NODE_MARKS: usize = 32;

/// An upper bound that needs no look at the texts: an escape makes one byte six.
fn node_chars_max(node: &Node) -> usize {
    let entries: usize = node
        .entries
        .iter()
        .map(|entry| {
            let value = match &entry.value {
                crate::Value::Text(text) => 6 * text.len() + 2,
                crate::Value::Link(soul) => 6 * soul.as_str().len() + 8,
                _ => STATE_CHARS_MAX,
            };
            12 * entry.key.as_str().len() + value + STATE_CHARS_MAX + ENTRY_MARKS
        })
        .sum();
    entries + 12 * node.soul.as_str().len() + NODE_MARKS
}

fn node_frame_chars(node: &Node) -> usize {
    2 * json_text_len(node.soul.as_str()) + NODE_MARKS
}

fn entry_chars(entry: &Entry) -> usize {
    let value = match &entry.value {
        crate::Value::Text(text) => json_text_len(text),
        crate::Value::Link(soul) => json_text_len(soul.as_str()) + 6,
        _ => STATE_CHARS_MAX,
    };
    2 * json_text_len(entry.key.as_str()) + value + STATE_CHARS_MAX + ENTRY_MARKS
}
