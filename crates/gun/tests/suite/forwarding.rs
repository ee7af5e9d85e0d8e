//! Gets for what is not here: passed on to the relays that the operator named, never in circles.

use gun::mesh::{Direction, MeshConfig, PeerId};
use gun::wire::encode;

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
