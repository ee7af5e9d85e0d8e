//! What the local application asks and tells, what is heard again, and the bounds.

use gun::mesh::{
    Answer, CloseReason, Direction, Input, Loaded, Mesh, MeshConfig, Output, PeerId, SendKind,
    StoreOutcome, Token, Told,
};
use gun::wire::{Body, Dam, Get, Limits, Message, Reject, encode, parse_frame};
use gun::{Graph, Soul, Value};

use crate::facts;
use crate::relay::{Relay, random};
use crate::store::Store;
use crate::wire::node;

pub(crate) const NOW: u64 = 1_795_400_000_000;

fn soul(name: &str) -> Soul {
    Soul::new(name).unwrap()
}

fn graph(name: &str) -> Graph {
    vec![node(name, &[("k", Value::Number(1.0))])]
}

/// A relay with peer 1 dialled and peer 2 accepted.
pub(crate) fn relay() -> Relay {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Dialled);
    relay.open(2, Direction::Accepted);
    relay.all_taken();
    relay
}

fn ask(relay: &mut Relay, token: u64, name: &str) -> String {
    relay.input(Input::Ask {
        token: Token(token),
        peer: PeerId(1),
        get: Get::node(soul(name)),
    });
    relay.taken(1)[0].id.clone().unwrap().to_string()
}

pub(crate) fn data(id: &str, to: &str, name: &str, more: &str) -> String {
    format!(
        r##"{{"#":"{id}","@":"{to}",{more}"put":{{"{name}":{{"_":{{"#":"{name}",">":{{"k":5}}}},"k":1}}}}}}"##
    )
}

#[test]
fn the_side_that_dialled_says_nothing_first() {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Dialled);
    assert!(relay.taken(1).is_empty());
    relay.open(2, Direction::Accepted);
    assert_eq!(facts::of(&relay.taken(2)), ["hello"]);
}

#[test]
fn a_change_is_pushed_in_the_step_that_tells_of_it_and_waits_for_no_timer() {
    let mut relay = relay();
    relay.hear(2, r##"{"#":"getaaaaaa","get":{"#":"a"}}"##);
    relay.hear(2, r##"{"#":"getbbbbbb","get":{"#":"b"}}"##);
    relay.all_taken();
    let deadline = relay.mesh.next_deadline();
    let mut out = Vec::new();
    // What one commit changed: one put for each follower, whatever it holds.
    let changed = [graph("a"), graph("b"), graph("c")].concat();
    relay.mesh.handle(
        NOW,
        Input::Changed {
            graph: changed,
            origin: None,
        },
        &mut out,
    );
    let [
        Output::Send {
            peer: PeerId(2),
            message,
            kind: SendKind::Push,
        },
    ] = &out[..]
    else {
        panic!("{out:?}");
    };
    let Body::Put(put) = &message.body else {
        panic!("{message:?}");
    };
    let souls: Vec<&str> = put.graph.iter().map(|node| node.soul.as_str()).collect();
    assert_eq!(souls, ["a", "b"]);
    assert_eq!(relay.mesh.next_deadline(), deadline);
}

#[test]
fn a_connection_to_ourselves_is_closed() {
    let mut relay = relay();
    relay.hear(1, r##"{"#":"h","dam":"?","pid":"relay0pid"}"##);
    let peer = PeerId(1);
    let expected = [
        Output::IsOurselves { peer },
        Output::Close {
            peer,
            reason: CloseReason::Ourselves,
        },
    ];
    assert_eq!(relay.events, expected);
    assert!(relay.taken(1).is_empty());
}

#[test]
fn an_answer_is_reported_after_it_is_stored() {
    let mut relay = relay();
    let id = ask(&mut relay, 7, "s");
    relay.hear(1, &data("d1", &id, "s", ""));
    assert!(relay.node("s").is_some());
    assert!(matches!(
        &relay.answers(7)[..],
        [Answer::Data { more: false, .. }]
    ));
    // Data that answers a question of ours needs no ack.
    assert!(relay.taken(1).is_empty());
}

#[test]
fn an_answer_in_parts_is_reported_part_by_part_and_late_ones_too() {
    let mut relay = relay();
    let id = ask(&mut relay, 7, "s");
    relay.hear(1, &data("d1", &id, "s", r##""%":"d2","##));
    relay.advance(NOW + 8_000);
    relay.hear(1, &data("d2", &id, "s", r##""%":1,"##));
    relay.advance(NOW + 16_000);
    relay.hear(1, &data("d3", &id, "s", ""));
    relay.hear(1, &format!(r##"{{"#":"n","@":"{id}"}}"##));
    relay.advance(NOW + 17_000);
    relay.hear(1, &data("d4", &id, "s", ""));
    let kinds: Vec<_> = relay
        .answers(7)
        .iter()
        .map(|answer| match answer {
            Answer::Data { more: true, .. } => "part",
            Answer::Data { .. } => "last",
            Answer::NotFound => "none",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["part", "part", "last", "none", "last"]);
    relay.advance(NOW + 60_000);
    assert_eq!(
        relay.answers(7).len(),
        5,
        "an answered question does not time out"
    );
}

#[test]
fn data_may_follow_not_found() {
    let mut relay = relay();
    let id = ask(&mut relay, 7, "s");
    relay.hear(1, &format!(r##"{{"#":"n","@":"{id}"}}"##));
    relay.hear(1, &data("d", &id, "s", ""));
    assert!(matches!(
        &relay.answers(7)[..],
        [Answer::NotFound, Answer::Data { .. }]
    ));
}

#[test]
fn a_question_without_answer_times_out_once() {
    let mut relay = relay();
    let id = ask(&mut relay, 7, "s");
    assert_eq!(relay.mesh.next_deadline(), Some(NOW + 9_000));
    relay.advance(NOW + 8_999);
    assert!(relay.answers(7).is_empty());
    relay.advance(NOW + 9_000);
    assert_eq!(relay.answers(7), [Answer::TimedOut]);
    // What comes now is news like any other.
    relay.hear(1, &data("late", &id, "s", ""));
    assert_eq!(relay.answers(7).len(), 1);
    assert_eq!(facts::of(&relay.taken(1)), ["ack @late true"]);
}

#[test]
fn an_answer_from_another_connection_is_not_an_answer() {
    let mut relay = relay();
    let id = ask(&mut relay, 7, "s");
    relay.hear(2, &data("forged", &id, "s", ""));
    relay.hear(2, &format!(r##"{{"#":"n","@":"{id}"}}"##));
    assert!(relay.answers(7).is_empty());
    assert_eq!(facts::of(&relay.taken(2)), ["ack @forged true"]);
}

#[test]
fn requests_end_with_their_connection() {
    let mut relay = relay();
    ask(&mut relay, 7, "s");
    let peer = PeerId(1);
    relay.input(Input::Tell {
        token: Token(8),
        peer,
        graph: graph("t"),
    });
    relay.input(Input::Closed { peer });
    assert_eq!(relay.answers(7), [Answer::PeerGone]);
    assert_eq!(relay.told(8), [Told::PeerGone]);
    relay.input(Input::Ask {
        token: Token(9),
        peer,
        get: Get::node(soul("s")),
    });
    assert_eq!(relay.answers(9), [Answer::PeerGone]);
}

#[test]
fn told_data_is_done_when_every_message_of_it_is_acknowledged() {
    let mut relay = relay();
    let values: Vec<(String, Value)> = (0..3_000).map(|n| (format!("k{n}"), Value::Null)).collect();
    let values: Vec<(&str, Value)> = values
        .iter()
        .map(|(k, v)| (k.as_str(), v.clone()))
        .collect();
    let big = vec![node("big", &values)];
    relay.input(Input::Tell {
        token: Token(8),
        peer: PeerId(1),
        graph: big,
    });
    let ids: Vec<_> = relay
        .taken(1)
        .into_iter()
        .map(|message| message.id.unwrap())
        .collect();
    assert!(ids.len() > 2);
    for id in &ids[1..] {
        relay.hear(1, &format!(r##"{{"#":"a{id}","@":"{id}","ok":true}}"##));
    }
    assert!(relay.told(8).is_empty());
    relay.hear(
        1,
        &format!(r##"{{"#":"last","@":"{}","ok":{{"":1}}}}"##, ids[0]),
    );
    assert_eq!(relay.told(8), [Told::Ok]);
}

#[test]
fn a_missing_ack_and_an_error_are_told() {
    let mut relay = relay();
    let peer = PeerId(1);
    relay.input(Input::Tell {
        token: Token(8),
        peer,
        graph: graph("t"),
    });
    relay.input(Input::Tell {
        token: Token(9),
        peer,
        graph: graph("t"),
    });
    let id = relay.taken(1)[1].id.clone().unwrap();
    relay.hear(1, &format!(r##"{{"#":"e","@":"{id}","err":"no"}}"##));
    assert_eq!(relay.told(9), [Told::Err("no".into())]);
    relay.advance(NOW + 9_000);
    assert_eq!(relay.told(8), [Told::TimedOut]);
}

#[test]
fn a_repeated_put_is_acknowledged_again_without_being_stored() {
    let mut mesh = Mesh::new(MeshConfig::new("pid"), random(1));
    let peer = PeerId(1);
    let mut out = Vec::new();
    mesh.handle(
        NOW,
        Input::Opened {
            peer,
            direction: Direction::Accepted,
        },
        &mut out,
    );
    let frame = r##"{"#":"p1","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1}}}"##;
    let message = parse_frame(frame, &Limits::ACCEPTED).remove(0).unwrap();
    let hear = |mesh: &mut Mesh| {
        let mut out = Vec::new();
        mesh.handle(
            NOW,
            Input::Heard {
                peer,
                message: message.clone(),
            },
            &mut out,
        );
        out
    };
    let Output::Store { ticket, .. } = hear(&mut mesh)[0] else {
        panic!()
    };
    assert!(
        hear(&mut mesh).is_empty(),
        "nothing is said before it is durable"
    );
    let mut out = Vec::new();
    mesh.handle(
        NOW,
        Input::Stored {
            ticket,
            outcome: StoreOutcome::default(),
        },
        &mut out,
    );
    assert!(matches!(
        &out[..],
        [Output::Send {
            kind: SendKind::Reply,
            ..
        }]
    ));
    let again = hear(&mut mesh);
    assert!(
        matches!(
            &again[..],
            [Output::Send {
                kind: SendKind::Reply,
                ..
            }]
        ),
        "{again:?}"
    );
    assert_eq!(mesh.counts().repeated, 2);
}

#[test]
fn another_connection_may_use_the_same_id() {
    let mut relay = relay();
    let frame = r##"{"#":"p1","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1}}}"##;
    let other = r##"{"#":"p1","put":{"t":{"_":{"#":"t",">":{"k":1}},"k":1}}}"##;
    relay.hear(1, frame);
    relay.hear(2, other);
    assert!(relay.node("s").is_some() && relay.node("t").is_some());
    assert_eq!(facts::of(&relay.taken(2)), ["ack @p1 true"]);
}

#[test]
fn beyond_the_cap_gets_are_answered_but_not_subscribed() {
    let config = MeshConfig {
        subscriptions_max: 2,
        ..MeshConfig::new("pid")
    };
    let mut relay = Relay::with(config, Store::default(), NOW);
    relay.open(1, Direction::Accepted);
    for name in ["a", "b", "c"] {
        relay.hear(1, &format!(r##"{{"#":"g{name}","get":{{"#":"{name}"}}}}"##));
    }
    relay.hear(1, r##"{"#":"once","get":{"#":"d","once":1}}"##);
    assert_eq!(relay.taken(1).len(), 5);
    assert_eq!(
        (
            relay.mesh.counts().subscriptions,
            relay.mesh.counts().subscriptions_refused
        ),
        (2, 1)
    );
    for name in ["a", "b", "c", "d"] {
        relay.publish(graph(name));
    }
    assert_eq!(relay.taken(1).len(), 2);
}

#[test]
fn too_much_under_way_is_refused_and_may_be_tried_again() {
    let config = MeshConfig {
        pending_max: 1,
        ..MeshConfig::new("pid")
    };
    let mut mesh = Mesh::new(config, random(1));
    let peer = PeerId(1);
    let mut out = Vec::new();
    mesh.handle(
        NOW,
        Input::Opened {
            peer,
            direction: Direction::Accepted,
        },
        &mut out,
    );
    let get = |id: &str| {
        let frame = format!(r##"{{"#":"{id}","get":{{"#":"s"}}}}"##);
        let message = parse_frame(&frame, &Limits::ACCEPTED).remove(0).unwrap();
        Input::Heard { peer, message }
    };
    let mut out = Vec::new();
    mesh.handle(NOW, get("g1"), &mut out);
    let Output::Load { ticket, .. } = out[0] else {
        panic!()
    };
    out.clear();
    mesh.handle(NOW, get("g2"), &mut out);
    let [
        Output::Send {
            message:
                Message {
                    body: Body::Ack(ack),
                    ..
                },
            ..
        },
    ] = &out[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!(ack.err.as_deref(), Some("too busy, try again later"));
    out.clear();
    mesh.handle(
        NOW,
        Input::Loaded {
            ticket,
            parts: Loaded::Missing,
        },
        &mut out,
    );
    out.clear();
    mesh.handle(NOW, get("g2"), &mut out);
    assert!(matches!(&out[..], [Output::Load { .. }]), "{out:?}");
}

#[test]
fn a_load_in_pages_is_answered_message_by_message() {
    let mut mesh = Mesh::new(MeshConfig::new("pid"), random(1));
    let peer = PeerId(1);
    let mut out = Vec::new();
    mesh.handle(
        NOW,
        Input::Opened {
            peer,
            direction: Direction::Accepted,
        },
        &mut out,
    );
    let frame = r##"{"#":"g1","get":{"#":"s"}}"##;
    let message = parse_frame(frame, &Limits::ACCEPTED).remove(0).unwrap();
    out.clear();
    mesh.handle(NOW, Input::Heard { peer, message }, &mut out);
    let Output::Load { ticket, .. } = out[0] else {
        panic!()
    };
    out.clear();
    for (name, more) in [("a", true), ("b", true), ("c", false)] {
        let graph = vec![node("s", &[(name, Value::Null)])];
        mesh.handle(
            NOW,
            Input::Loaded {
                ticket,
                parts: Loaded::Part { graph, more },
            },
            &mut out,
        );
    }
    let chain: Vec<_> = out
        .iter()
        .map(|output| match output {
            Output::Send { message, .. } => match &message.body {
                Body::Put(put) => (message.id.clone().unwrap(), put.more.clone()),
                body => panic!("{body:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(chain[0].1.as_ref(), Some(&chain[1].0));
    assert_eq!(chain[1].1.as_ref(), Some(&chain[2].0));
    assert_eq!((chain[2].1.as_ref(), chain.len()), (None, 3));
}

#[test]
fn a_refusal_of_the_store_is_the_answer() {
    let mut mesh = Mesh::new(MeshConfig::new("pid"), random(1));
    let peer = PeerId(1);
    let mut out = Vec::new();
    mesh.handle(
        NOW,
        Input::Opened {
            peer,
            direction: Direction::Accepted,
        },
        &mut out,
    );
    out.clear();
    for frame in [
        r##"{"#":"p","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1}}}"##,
        r##"{"#":"g","get":{"#":"s"}}"##,
    ] {
        let message = parse_frame(frame, &Limits::ACCEPTED).remove(0).unwrap();
        mesh.handle(NOW, Input::Heard { peer, message }, &mut out);
    }
    let [
        Output::Store { ticket: store, .. },
        Output::Load { ticket: load, .. },
    ] = out[..]
    else {
        panic!("{out:?}")
    };
    out.clear();
    let outcome = StoreOutcome {
        rejected: Some(Reject::NotAdmitted),
        kept: None,
    };
    mesh.handle(
        NOW,
        Input::Stored {
            ticket: store,
            outcome,
        },
        &mut out,
    );
    let parts = Loaded::Failed(Reject::StoreFailed);
    mesh.handle(
        NOW,
        Input::Loaded {
            ticket: load,
            parts,
        },
        &mut out,
    );
    let messages: Vec<Message> = out
        .into_iter()
        .map(|output| match output {
            Output::Send { message, .. } => message,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "err @g the data could not be stored",
        "err @p this relay does not take such souls",
    ];
    assert_eq!(facts::of(&messages), expected);
}

#[test]
fn extensions_pass_in_both_directions() {
    let mut relay = relay();
    let input = Input::Announce {
        peer: PeerId(1),
        name: "oip:hello".into(),
        body: r##"{"v":1}"##.into(),
    };
    relay.input(input);
    let message = relay.taken(1).remove(0);
    assert_eq!(
        message.body,
        Body::Dam(Dam::Extension {
            name: "oip:hello".into(),
            body: r##"{"v":1}"##.into()
        })
    );
    relay.hear(2, &encode(&message));
    let expected = Output::Extension {
        peer: PeerId(2),
        name: "oip:hello".into(),
        body: r##"{"v":1}"##.into(),
    };
    assert_eq!(relay.events, [expected]);
    assert!(relay.taken(2).is_empty());
}

#[test]
fn nothing_reaches_a_closed_connection() {
    let mut relay = relay();
    relay.hear(2, r##"{"#":"g","get":{"#":"s"}}"##);
    relay.input(Input::Closed { peer: PeerId(2) });
    relay.taken(2);
    relay.publish(graph("s"));
    relay.advance(NOW + 60_000);
    assert!(relay.taken(2).is_empty());
    assert_eq!(relay.mesh.counts().subscriptions, 0);
    assert_eq!(relay.mesh.next_deadline(), None);
}
