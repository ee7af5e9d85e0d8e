//! What messages say, without what differs from run to run: ids of answers, their order, and
//! how much of an answer each message carries.

use std::collections::BTreeMap;

use gun::Graph;
use gun::wire::{Body, Dam, Get, Message, MessageId, encode, encode_graph};

use crate::store::push;

/// One line per thing said, sorted.
///
/// * `hello`, `hello @id`: the handshake, as question and as answer
/// * `ack @id JSON`, `err @id text`, `none @id`: ends of puts and gets
/// * `data @id graph`: an answer; the parts of one put together
/// * `push graph`: news; what was pushed in one go put together
/// * `get JSON`: a question passed on
/// * `dam !`, `[]`: complaint and keepalive
pub(crate) fn of(messages: &[Message]) -> Vec<String> {
    let mut facts = Vec::new();
    let mut data: BTreeMap<MessageId, Graph> = BTreeMap::new();
    let mut news = Graph::new();
    for message in messages {
        let at = message
            .reply_to
            .as_ref()
            .map(|id| format!(" @{id}"))
            .unwrap_or_default();
        match &message.body {
            Body::Put(put) => match &message.reply_to {
                Some(to) => add(data.entry(to.clone()).or_default(), &put.graph),
                None => add(&mut news, &put.graph),
            },
            Body::Get(get) => facts.push(question(get)),
            Body::Ack(ack) => facts.push(match (&ack.err, &ack.ok) {
                (Some(err), _) => format!("err{at} {err}"),
                (None, Some(ok)) => format!("ack{at} {ok}"),
                (None, None) => format!("none{at}"),
            }),
            Body::Dam(Dam::Hello { .. }) => facts.push(format!("hello{at}")),
            Body::Dam(Dam::Error { .. }) => facts.push("dam !".to_owned()),
            Body::Dam(other) => facts.push(format!("{other:?}")),
            Body::Keepalive => facts.push("[]".to_owned()),
        }
    }
    facts.extend(
        data.into_iter()
            .map(|(to, graph)| format!("data @{to} {}", text(&graph))),
    );
    if !news.is_empty() {
        facts.push(format!("push {}", text(&news)));
    }
    facts.sort();
    facts
}

fn add(graph: &mut Graph, part: &Graph) {
    for node in part {
        for entry in &node.entries {
            push(graph, &node.soul, entry.clone());
        }
    }
}

fn question(get: &Get) -> String {
    let id = MessageId::new("q").expect("one letter is an id");
    format!("get {}", encode(&Message::new(id, Body::Get(get.clone()))))
}

pub(crate) fn text(graph: &Graph) -> String {
    let mut text = String::new();
    encode_graph(&mut text, graph);
    text
}
