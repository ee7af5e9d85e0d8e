//! Pushes that found no room: their receiver is given what he follows once he reads.

use gun::Soul;
use gun::mesh::{CloseReason, Direction, Input, Loaded, Output, PeerId, SendKind, Ticket};
use gun::wire::Reject;

use crate::facts;
use crate::relay::Relay;
use crate::requests::{NOW, data};

const READER: PeerId = PeerId(2);

/// A relay with a node of two keys, of which the reader follows one.
fn relay() -> Relay {
    let mut relay = Relay::new(NOW);
    for peer in [1, 2] {
        relay.open(peer, Direction::Accepted);
    }
    relay.hear(1, &data("w", "", "s", ""));
    let other = r##"{"#":"x","put":{"s":{"_":{"#":"s",">":{"other":5}},"other":2}}}"##;
    relay.hear(1, other);
    relay.hear(2, r##"{"#":"g","get":{"#":"s",".":"k"}}"##);
    relay.all_taken();
    relay
}

fn missed(names: &[&str]) -> Input {
    let souls = names.iter().map(|name| Soul::new(*name).unwrap());
    Input::Missed {
        peer: READER,
        souls: souls.collect(),
    }
}

/// The loads that an input asks for.
fn loads(relay: &mut Relay, input: Input) -> Vec<Ticket> {
    let mut out = Vec::new();
    relay.mesh.handle(NOW, input, &mut out);
    let tickets = out.iter().map(|output| match output {
        Output::Load { ticket, peer, .. } if *peer == READER => *ticket,
        other => panic!("{other:?}"),
    });
    tickets.collect()
}

#[test]
fn who_missed_a_push_is_pushed_what_he_follows_as_it_stands() {
    let mut relay = relay();
    relay.input(missed(&["s", "nobody/follows/this"]));
    let k = r##"push {"s":{"_":{"#":"s",">":{"k":5}},"k":1}}"##;
    assert_eq!(facts::of(&relay.taken(2)), [k]);
    assert_eq!(relay.last_kind, Some(SendKind::Push));
    assert!(relay.taken(1).is_empty());
}

#[test]
fn a_soul_that_waits_to_be_read_is_not_read_twice_and_one_that_was_read_is_again() {
    let mut relay = relay();
    let first = loads(&mut relay, missed(&["s"]));
    assert_eq!(first.len(), 1);
    assert!(loads(&mut relay, missed(&["s"])).is_empty());
    let none = Loaded::MissingHere;
    relay.input(Input::Loaded {
        ticket: first[0],
        parts: none,
    });
    assert!(relay.taken(2).is_empty());
    assert_eq!(loads(&mut relay, missed(&["s"])).len(), 1);
}

#[test]
fn what_cannot_be_made_up_for_ends_the_connection_so_that_it_asks_anew() {
    let mut relay = relay();
    let tickets = loads(&mut relay, missed(&["s"]));
    relay.input(Input::Loaded {
        ticket: tickets[0],
        parts: Loaded::Failed(Reject::Quota),
    });
    let close = Output::Close {
        peer: READER,
        reason: CloseReason::Behind,
    };
    assert_eq!(relay.events, [close]);
    relay.input(Input::Closed { peer: READER });
    assert!(loads(&mut relay, missed(&["s"])).is_empty());
}
