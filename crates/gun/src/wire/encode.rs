//! Messages as JSON text, exactly as a gun.js node peer writes them: members in text order at
//! every level, numbers as ECMAScript prints them.

use std::ops::Range;

use super::hash::text_hash;
use super::message::{Ack, Body, Dam, Message, Put};
use super::query::{Get, Interest, KeyQuery, Lex, Order, SoulQuery};
use crate::graph::{Entry, Graph, Node, State, Value};
use crate::text::{compare_utf16, push_escaped, push_json_text, push_number, push_value};

/// Room for the data of most messages.
const DATA_CHARS: usize = 1_024;

/// The JSON text of a message.
#[must_use]
pub fn encode(message: &Message) -> String {
    let mut out = String::with_capacity(128);
    encode_into(&mut out, message);
    out
}

/// Appends the JSON text of a message; a keepalive is the empty batch.
pub(super) fn encode_into(out: &mut String, message: &Message) {
    if message.body == Body::Keepalive {
        out.push_str("[]");
        return;
    }
    let mut members = Members::open(out);
    if let Some(id) = &message.id {
        members.text("#", id.as_str());
    }
    let data = match &message.body {
        Body::Put(put) => {
            let mut text = String::with_capacity(DATA_CHARS);
            encode_graph(&mut text, &put.graph);
            text
        }
        _ => String::new(),
    };
    let hash = match (&message.body, &message.reply_to) {
        // Known only now that the text is there.
        (Body::Put(_), Some(_)) => Some(text_hash(&data)),
        _ => message.hash,
    };
    if let Some(hash) = hash {
        push_number(members.name("##"), f64::from(hash));
    }
    if let Body::Put(Put {
        more: Some(more), ..
    }) = &message.body
    {
        members.text("%", more.as_str());
    }
    if !message.seen_by.is_empty() {
        members.text("><", &message.seen_by.join(","));
    }
    if let Some(id) = &message.reply_to {
        members.text("@", id.as_str());
    }
    match &message.body {
        Body::Put(put) => push_put(&mut members, put, &data),
        Body::Get(get) => push_get(members.name("get"), get),
        Body::Ack(Ack { ok, err }) => {
            if let Some(err) = err {
                members.text("err", err);
            }
            if let Some(ok) = ok {
                members.name("ok").push_str(ok);
            }
        }
        Body::Dam(dam) => push_dam(&mut members, dam),
        Body::Keepalive => {}
    }
    members.close();
}

fn push_put(members: &mut Members<'_>, put: &Put, data: &str) {
    if let Some(wish) = put.wants {
        let mut wants = Members::open(members.name("ok"));
        push_integer(wants.name("/"), wish.peers);
        push_integer(wants.name("@"), wish.acks);
        wants.close();
    }
    members.name("put").push_str(data);
}

fn push_dam(members: &mut Members<'_>, dam: &Dam) {
    match dam {
        Dam::Hello { pid } => {
            members.text("dam", "?");
            if let Some(pid) = pid {
                members.text("pid", pid);
            }
        }
        Dam::Error { err } => {
            members.text("dam", "!");
            members.text("err", err);
        }
        Dam::Hi => members.text("dam", "hi"),
        Dam::Extension { name, body } => {
            members.name("body").push_str(body);
            members.text("dam", name);
        }
        // A name that every receiver ignores: what `Unknown` means.
        Dam::Unknown => members.text("dam", "-"),
    }
}

fn push_get(out: &mut String, get: &Get) {
    let mut members = Members::open(out);
    match &get.souls {
        SoulQuery::One(soul) => members.text("#", soul.as_str()),
        SoulQuery::Lex(lex) => push_lex(members.name("#"), lex),
    }
    if let Some(bytes) = get.bytes_max {
        push_number(members.name("%"), bytes as f64);
    }
    if get.order == Order::Descending {
        members.name("-").push('1');
    }
    match &get.keys {
        KeyQuery::All => {}
        KeyQuery::One(key) => members.text(".", key.as_str()),
        KeyQuery::Lex(lex) => push_lex(members.name("."), lex),
    }
    if get.interest == Interest::Once {
        members.name("once").push('1');
    }
    members.close();
}

fn push_lex(out: &mut String, lex: &Lex) {
    let mut members = Members::open(out);
    for (name, part) in [
        ("*", &lex.prefix),
        ("<", &lex.to),
        ("=", &lex.exact),
        (">", &lex.from),
    ] {
        if let Some(text) = part {
            members.text(name, text);
        }
    }
    members.close();
}

/// Appends the JSON text of a graph as it stands in `put`, members sorted.
pub fn encode_graph(out: &mut String, graph: &Graph) {
    let mut members = Members::open(out);
    for node in sorted(graph, |node| node.soul.as_str()) {
        push_json_text(members.next(), node.soul.as_str());
        members.out.push(':');
        push_node(members.out, node);
    }
    members.close();
}

fn push_node(out: &mut String, node: &Node) {
    let entries = sorted(&node.entries, |entry| entry.key.as_str());
    let mut members = Members::open(out);
    let mut meta_written = false;
    for entry in &entries {
        if !meta_written && compare_utf16("_", entry.key.as_str()).is_lt() {
            push_meta(members.name("_"), node, &entries);
            meta_written = true;
        }
        push_json_text(members.next(), entry.key.as_str());
        members.out.push(':');
        push_wire_value(members.out, &entry.value);
    }
    if !meta_written {
        push_meta(members.name("_"), node, &entries);
    }
    members.close();
}

/// Quotes that a text may hold and still be written as JavaScript writes it. To a gun.js node each
/// `\"` is a parser step, so that a text with some 30,000 of them is lost there, as records in JSON
/// soon are; `\u0022` means the same and costs no step.
const QUOTES_PLAIN_MAX: usize = 1_000;

fn push_wire_value(out: &mut String, value: &Value) {
    match value {
        Value::Text(text)
            if text.len() > QUOTES_PLAIN_MAX
                && text.matches('"').nth(QUOTES_PLAIN_MAX).is_some() =>
        {
            out.push('"');
            for (number, part) in text.split('"').enumerate() {
                if number > 0 {
                    out.push_str("\\u0022");
                }
                push_escaped(out, part);
            }
            out.push('"');
        }
        _ => push_value(out, value),
    }
}

fn push_meta(out: &mut String, node: &Node, entries: &[&Entry]) {
    let mut meta = Members::open(out);
    meta.text("#", node.soul.as_str());
    let mut states = Members::open(meta.name(">"));
    // Mostly all keys were written at once: where the text of their state stands.
    let mut written: Option<(State, Range<usize>)> = None;
    for entry in entries {
        push_json_text(states.next(), entry.key.as_str());
        states.out.push(':');
        match &written {
            Some((state, text)) if *state == entry.state => {
                states.out.extend_from_within(text.clone());
            }
            _ => {
                let start = states.out.len();
                push_number(states.out, entry.state.as_f64());
                written = Some((entry.state, start..states.out.len()));
            }
        }
    }
    states.close();
    meta.close();
}

/// The items in text order of their names; most graphs hold few, often sorted already.
fn sorted<T>(items: &[T], name: impl Fn(&T) -> &str) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_by(|left, right| compare_utf16(name(left), name(right)));
    sorted
}

fn push_integer(out: &mut String, number: i64) {
    push_number(out, number as f64);
}

/// Writes the members of one object with the commas between them.
struct Members<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Starts a member.
    fn next(&mut self) -> &mut String {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out
    }

    /// Starts a member whose name needs no escapes.
    fn name(&mut self, name: &str) -> &mut String {
        let out = self.next();
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        out
    }

    fn text(&mut self, name: &str, text: &str) {
        push_json_text(self.name(name), text);
    }

    fn close(self) {
        self.out.push('}');
    }
}

/// Ids travel as texts; kept here so that the packer can tell what a message costs beyond
/// its graph.
pub(super) const ENVELOPE_CHARS_MAX: usize = {
    // Names, quotes and brackets, two ids with every byte escaped, a hash and an `ok`.
    128 + 3 * 6 * super::message::ID_BYTES_MAX
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_many_quotes_is_written_without_any_and_reads_the_same() {
        for quotes in [QUOTES_PLAIN_MAX, QUOTES_PLAIN_MAX + 1, 40_000] {
            let text = "\\\"\n".repeat(quotes);
            let mut out = String::new();
            push_wire_value(&mut out, &Value::text(text.as_str()));
            assert_eq!(out.contains("u0022"), quotes > QUOTES_PLAIN_MAX);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
