//! Gets for what is not here: passed on to the relays that the operator named, never in circles.

use gun::Graph;
use gun::mesh::{
    Direction, Input, Loaded, MeshConfig, Output, PeerId, SoulFilter, StoreOutcome, Ticket,
};
use gun::wire::{Limits, MessageId, Reject, encode, parse_frame};

use crate::facts;
use crate::relay::Relay;
use crate::requests::{NOW, data, relay};
use crate::store::Store;

#[test]
fn a_miss_is_told_at_once_and_asked_of_dialled_peers_only() {
    let mut relay = relay();
    relay.open(3, Direction::Accepted);
    relay.taken(3);
    relay.hear(2, r##"{"#":"g1","get":{"#":"s"}}"##);
    assert_eq!(facts::of(&relay.taken(2)), ["none @g1"]);
    assert!(relay.taken(3).is_empty());
    let asked = relay.taken(1);
    assert_eq!(facts::of(&asked), [r##"get {"#":"q","get":{"#":"s"}}"##]);
    let id = asked[0].id.clone().unwrap();

    // The same question again, from whomever, is not passed on again.
    relay.hear(3, r##"{"#":"g2","get":{"#":"s"}}"##);
    relay.hear(2, r##"{"#":"g3","get":{"#":"s"}}"##);
    assert!(relay.taken(1).is_empty());
    relay.taken(2);
    relay.taken(3);

    // The answer reaches all who asked, once each: not as a push too.
    relay.hear(1, &data("d", &id.to_string(), "s", ""));
    let graph = r##"{"s":{"_":{"#":"s",">":{"k":5}},"k":1}}"##;
    assert_eq!(facts::of(&relay.taken(3)), [format!("data @g2 {graph}")]);
    assert_eq!(
        facts::of(&relay.taken(2)),
        [format!("data @g1 {graph}"), format!("data @g3 {graph}")]
    );
    assert!(relay.taken(1).is_empty(), "no ack for what we asked for");
}

#[test]
fn what_is_followed_here_is_followed_at_dialled_peers_again_after_each_dial() {
    let mut relay = relay();
    relay.hear(2, &data("w", "", "held", ""));
    relay.hear(2, r##"{"#":"g1","get":{"#":"held"}}"##);
    relay.hear(2, r##"{"#":"g2","get":{"#":"missing"}}"##);
    let missing = r##"get {"#":"q","get":{"#":"missing"}}"##;
    assert_eq!(facts::of(&relay.taken(1)), [missing]);
    // Changes made behind the peer are to arrive, so that what is here is asked for too.
    relay.advance(NOW + 1_000);
    let held = r##"get {"#":"q","get":{"#":"held"}}"##;
    assert_eq!(facts::of(&relay.taken(1)), [held]);
    relay.hear(2, r##"{"#":"g3","get":{"#":"held"}}"##);
    relay.advance(NOW + 2_000);
    assert!(relay.taken(1).is_empty(), "once per link");

    relay.input(Input::Closed { peer: PeerId(1) });
    relay.open(1, Direction::Dialled);
    relay.advance(NOW + 3_000);
    let mut asked = facts::of(&relay.taken(1));
    asked.sort();
    assert_eq!(asked, [held, missing]);
    relay.taken(2);
    let id = "unasked";
    relay.hear(1, &data("n", id, "held", ""));
    assert!(relay.taken(2).is_empty(), "nothing new");
}

#[test]
fn souls_that_would_be_refused_are_neither_asked_for_nor_followed_elsewhere() {
    let none = || SoulFilter::new(|soul| !soul.as_str().starts_with("junk"));
    let config = MeshConfig {
        forwards: none(),
        follows: none(),
        ..MeshConfig::new("relay0pid")
    };
    let mut relay = Relay::with(config, Store::default(), NOW);
    relay.open(1, Direction::Dialled);
    relay.open(2, Direction::Accepted);
    relay.all_taken();
    relay.hear(
        2,
        r##"[{"#":"g1","get":{"#":"junk1"}},{"#":"g2","get":{"#":"s"}}]"##,
    );
    relay.advance(NOW + 1_000);
    let asked = facts::of(&relay.taken(1));
    assert_eq!(asked, [r##"get {"#":"q","get":{"#":"s"}}"##]);
}

#[test]
fn relays_that_dial_each_other_do_not_ask_in_circles() {
    // Three of ours in a ring, each dialling the next; a client asks the first.
    let mut relays: Vec<Relay> = (0..3)
        .map(|n| {
            Relay::with(
                MeshConfig::new(format!("pid{n}")),
                Store::default(),
                NOW + n,
            )
        })
        .collect();
    for relay in &mut relays {
        relay.open(1, Direction::Dialled);
        relay.open(2, Direction::Accepted);
        relay.all_taken();
    }
    relays[0].open(3, Direction::Accepted);
    relays[0].hear(3, r##"{"#":"g1","get":{"#":"nowhere"}}"##);
    let mut sent = 0;
    loop {
        let mut moved = Vec::new();
        for (at, relay) in relays.iter_mut().enumerate() {
            for (peer, message) in relay.all_taken() {
                match peer {
                    PeerId(1) => moved.push(((at + 1) % 3, 2, message)),
                    PeerId(2) => moved.push(((at + 2) % 3, 1, message)),
                    _ => {}
                }
            }
        }
        if moved.is_empty() {
            break;
        }
        sent += moved.len();
        assert!(sent < 100, "the question goes round and round");
        for (to, peer, message) in moved {
            relays[to].hear(peer, &encode(&message));
        }
    }
    assert!(sent >= 4, "{sent}");
}

#[test]
fn a_name_on_the_way_is_not_asked_again() {
    let mut relay = relay();
    relay.hear(1, r##"{"#":"h","dam":"?","pid":"upstream1"}"##);
    relay.taken(1);
    relay.hear(2, r##"{"#":"g1","><":"upstream1,other","get":{"#":"s"}}"##);
    assert!(relay.taken(1).is_empty());
}

/// A relay that asked a dialled peer for `s`, and its answer of two values on the way to the store.
fn with_an_answer_to_store() -> (Relay, Ticket, Graph) {
    let mut relay = relay();
    relay.hear(2, r##"{"#":"g1","get":{"#":"s"}}"##);
    relay.taken(2);
    let id = relay.taken(1)[0].id.clone().unwrap();
    let frame = format!(
        r##"{{"#":"d","@":"{id}","put":{{"s":{{"_":{{"#":"s",">":{{"good":5,"bad":5}}}},"good":1,"bad":2}}}}}}"##
    );
    let message = parse_frame(&frame, &Limits::ACCEPTED).remove(0).unwrap();
    let mut out = Vec::new();
    let peer = PeerId(1);
    relay
        .mesh
        .handle(relay.now_ms, Input::Heard { peer, message }, &mut out);
    let Some(Output::Store { ticket, graph, .. }) = out.pop() else {
        panic!("it is stored first");
    };
    (relay, ticket, graph)
}

#[test]
fn of_an_answer_of_which_some_was_left_out_the_rest_reaches_who_asked() {
    let (mut relay, ticket, mut graph) = with_an_answer_to_store();
    graph[0]
        .entries
        .retain(|entry| entry.key.as_str() == "good");
    let outcome = StoreOutcome {
        rejected: None,
        kept: Some(graph),
    };
    relay.input(Input::Stored { ticket, outcome });
    let good = r##"data @g1 {"s":{"_":{"#":"s",">":{"good":5}},"good":1}}"##;
    assert_eq!(facts::of(&relay.taken(2)), [good]);
}

#[test]
fn of_an_answer_that_was_refused_what_was_stored_all_the_same_is_pushed() {
    let (mut relay, ticket, mut graph) = with_an_answer_to_store();
    let outcome = StoreOutcome {
        rejected: Some(Reject::FutureState),
        kept: None,
    };
    relay.input(Input::Stored { ticket, outcome });
    assert!(relay.taken(2).is_empty());
    graph[0]
        .entries
        .retain(|entry| entry.key.as_str() == "good");
    let origin = Some((PeerId(1), MessageId::new("d").unwrap()));
    relay.input(Input::Changed { graph, origin });
    let pushed = facts::of(&relay.taken(2));
    assert_eq!(
        pushed,
        [r##"push {"s":{"_":{"#":"s",">":{"good":5}},"good":1}}"##]
    );
}

#[test]
fn what_an_address_may_not_have_asked_elsewhere_is_told_and_not_asked() {
    let mut relay = relay();
    let frame = r##"{"#":"g1","get":{"#":"s"}}"##;
    let message = parse_frame(frame, &Limits::ACCEPTED).remove(0).unwrap();
    let mut out = Vec::new();
    let peer = PeerId(2);
    relay
        .mesh
        .handle(relay.now_ms, Input::Heard { peer, message }, &mut out);
    let Some(Output::Load { ticket, .. }) = out.pop() else {
        panic!("it is looked for");
    };
    let parts = Loaded::MissingHere;
    relay.input(Input::Loaded { ticket, parts });
    assert_eq!(facts::of(&relay.taken(2)), ["none @g1"]);
    assert!(relay.taken(1).is_empty());
}
