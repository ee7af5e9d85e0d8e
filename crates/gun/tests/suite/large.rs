//! Nodes of thousands of keys, texts of a megabyte, frames over the bound: the scenarios of
//! recordings 11, 12, 41 and 44, whose frames are cut in the files, made anew.

use gun::mesh::Direction;
use gun::wire::{Body, FRAME_CHARS_MAX, FramePacker, Limits, encode, parse_frame};

use crate::facts;
use crate::relay::Relay;

const NOW: u64 = 1_795_400_000_000;

fn put(id: &str, soul: &str, keys: std::ops::Range<usize>) -> String {
    let states: Vec<_> = keys
        .clone()
        .map(|n| format!(r##""k{n:05}":1700000000000"##))
        .collect();
    let values: Vec<_> = keys
        .map(|n| format!(r##""k{n:05}":"value of 20 chars {n:02}""##))
        .collect();
    format!(
        r##"{{"#":"{id}","put":{{"{soul}":{{"_":{{"#":"{soul}",">":{{{}}}}},{}}}}}}}"##,
        states.join(","),
        values.join(",")
    )
}

#[test]
fn a_node_of_5000_keys_is_answered_in_short_frames_that_name_the_next() {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Accepted);
    relay.open(2, Direction::Accepted);
    relay.all_taken();
    for n in 0..10 {
        relay.hear(
            1,
            &put(&format!("putlarge{n}"), "large", n * 500..(n + 1) * 500),
        );
    }
    assert_eq!(relay.taken(1).len(), 10);
    relay.hear(2, r##"{"#":"getlarge1","get":{"#":"large"}}"##);
    let messages = relay.taken(2);
    let mut packer = FramePacker::new();
    let mut frames: Vec<String> = messages.iter().filter_map(|m| packer.push(m)).collect();
    frames.extend(packer.flush());
    assert!(
        frames.iter().all(|frame| frame.len() <= FRAME_CHARS_MAX),
        "{}",
        frames.len()
    );
    assert!(frames.len() < 20, "{}", frames.len());
    let mut expected = None;
    let mut keys = 0;
    for message in &messages {
        assert!(
            expected.is_none_or(|id| id == message.id),
            "each names the next"
        );
        let Body::Put(put) = &message.body else {
            panic!("{message:?}")
        };
        keys += put.graph[0].entries.len();
        expected = Some(put.more.clone());
    }
    assert_eq!((keys, expected), (5_000, Some(None)));
}

#[test]
fn a_put_of_3000_keys_in_one_frame_is_read_right() {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Accepted);
    relay.taken(1);
    relay.hear(1, &put("bigAzzzzz", "bigframe", 0..3_000));
    assert_eq!(facts::of(&relay.taken(1)), ["ack @bigAzzzzz true"]);
    assert_eq!(relay.node("bigframe").unwrap().entries.len(), 3_000);
}

#[test]
fn a_text_of_a_megabyte_is_stored_answered_and_pushed() {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Accepted);
    relay.open(2, Direction::Accepted);
    relay.hear(2, r##"{"#":"getb00001","get":{"#":"big"}}"##);
    relay.all_taken();
    let text = "A".repeat(1 << 20);
    let put = format!(
        r##"{{"#":"put000001","put":{{"big":{{"_":{{"#":"big",">":{{"v":1700000000000}}}},"v":"{text}"}}}}}}"##
    );
    relay.hear(1, &put);
    assert_eq!(facts::of(&relay.taken(1)), ["ack @put000001 true"]);
    relay.hear(1, r##"{"#":"get000001","get":{"#":"big"}}"##);
    let graph =
        format!(r##"{{"big":{{"_":{{"#":"big",">":{{"v":1700000000000}}}},"v":"{text}"}}}}"##);
    let answer = relay.taken(1);
    // The hash that gun.js gave for the same answer.
    assert!(encode(&answer[0]).contains("\"##\":1853897540,"));
    assert!(facts::of(&answer) == [format!("data @get000001 {graph}")]);
    assert!(facts::of(&relay.taken(2)) == [format!("push {graph}")]);
}

#[test]
fn a_frame_over_the_bound_is_refused_and_the_connection_lives() {
    let mut relay = Relay::new(NOW);
    relay.open(1, Direction::Accepted);
    relay.taken(1);
    let frame = |bytes: usize| {
        let empty = r##"{"#":"toobig","put":{"tb":{"_":{"#":"tb",">":{"k":1}},"k":""}}}"##;
        let text = "A".repeat(bytes - empty.len());
        empty.replace(r##""k":"""##, &format!(r##""k":"{text}""##))
    };
    let max = Limits::ACCEPTED.frame_bytes_max;
    relay.hear(1, &frame(max + 1));
    assert_eq!(facts::of(&relay.taken(1)), ["dam !"]);
    relay.hear(1, &frame(max));
    assert_eq!(facts::of(&relay.taken(1)), ["ack @toobig true"]);
    assert!(parse_frame(&frame(max - 1), &Limits::ACCEPTED)[0].is_ok());
}
