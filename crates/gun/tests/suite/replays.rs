//! Recorded traffic of gun.js relays and clients, replayed: our relay says the same, but for
//! the deviations that each test names. A rule is a row of the table in `docs/wire.md`.

use gun::mesh::{Direction, SendKind};
use gun::wire::{Body, Limits, parse_frame};

use crate::facts;
use crate::relay::Relay;
use crate::vector::{self, Kind, Replay, Rule};

const S1: &str = r##"{"s1":{"_":{"#":"s1",">":{"a":1700000000000}},"a":"x"}}"##;
const UNDEFINED_S1: &str =
    r##"{"undefineds1":{"_":{"#":"undefineds1",">":{"a":1700000000000}},"a":"x"}}"##;

#[test]
fn the_handshake_is_that_of_gun_js() {
    Replay::of("01-handshake-raw").check();
    Replay::of("01-handshake-raw-head").check();
    Replay::of("02-handshake-gunjs-browser").check();
    Replay::of("03-handshake-gunjs-node").check();
}

#[test]
fn puts_are_acknowledged_and_read_back() {
    Replay::of("04-put-flat").check();
    Replay::of("06-put-null").check();
    Replay::of("07-put-json-text").check();
}

#[test]
fn a_put_is_acknowledged_and_a_miss_told_by_every_relay_of_ours() {
    // The recorded relay had no storage, and then says neither.
    Replay::of("04b-put-flat-noradisk")
        .with(Rule::AckAll, "a", &["ack @put000001 true"])
        .with(Rule::AnswerAll, "a", &["none @get000002"])
        .check();
    Replay::of("42b-nested-put-noradisk")
        .with(Rule::AnswerAll, "a", &["none @9lFAXqPG5"])
        .check();
}

#[test]
fn every_put_call_of_a_client_works() {
    Replay::of("05-put-gunjs")
        .never(Rule::Echo, "push ")
        .check();
    Replay::of("42-nested-put-radisk")
        .never(Rule::Echo, "push ")
        .check();
}

#[test]
fn gets_are_answered_and_malformed_ones_refused() {
    let node = r##"{"undefineds1":{"_":{"#":"undefineds1",">":{"a":1700000000000,"b":1700000000000,"c":1700000000000,"d":1700000000000}},"a":"x","b":2,"c":null,"d":{"#":"s2"}}}"##;
    for name in ["08-get", "08-get-head"] {
        let mut replay = Replay::of(name);
        for id in ["mem6", "mem7", "disk6", "disk7"] {
            replay = replay
                .without(Rule::Refuse, "a", &[&format!("data @{id} {node}")])
                .with(
                    Rule::Refuse,
                    "a",
                    &[&format!("err @{id} the get names no soul")],
                );
        }
        replay.check();
    }
}

#[test]
fn subscribers_hear_of_changes_and_nobody_else_does() {
    for name in ["10-live-axe", "10-live-axe-head"] {
        Replay::of(name)
            .never(Rule::FanOut, "get ")
            .with(Rule::AckAll, "a", &["ack @puta00003 true"])
            .without(
                Rule::Echo,
                "b",
                &[r##"push {"room":{"_":{"#":"room",">":{"k2":1700000000009}},"k2":"fromb"}}"##],
            )
            .check();
    }
}

#[test]
fn a_relay_without_routing_pushes_more_than_ours() {
    let first = r##"push {"room":{"_":{"#":"room",">":{"k1":1700000000000,"k2":1700000000000}},"k1":"v1","k2":"v2"}}"##;
    let newer = r##"push {"room":{"_":{"#":"room",">":{"k1":1700000000005}},"k1":"v1b"}}"##;
    let stale = r##"push {"room":{"_":{"#":"room",">":{"k1":1699999999995}},"k1":"stale"}}"##;
    let from_b = r##"push {"room":{"_":{"#":"room",">":{"k2":1700000000009}},"k2":"fromb"}}"##;
    let other = r##"push {"other":{"_":{"#":"other",">":{"k":1700000000000}},"k":1}}"##;
    let three = r##"push {"room":{"_":{"#":"room",">":{"k1":1700000000020,"k2":1700000000020,"k3":1700000000020}},"k1":"c1","k2":"c2","k3":"c3"}}"##;
    Replay::of("10b-live-noaxe")
        .never(Rule::FanOut, "get ")
        .with(Rule::AckAll, "a", &["ack @puta00003 true"])
        .without(Rule::Flood, "a", &[from_b, three])
        .without(Rule::Flood, "b", &[stale, other])
        .without(Rule::Flood, "c", &[first, newer, stale, from_b, other])
        .without(Rule::Flood, "d", &[first, stale, from_b, other, three])
        .with(
            Rule::Flood,
            "d",
            &[
                r##"push {"room":{"_":{"#":"room",">":{"k1":1700000000000}},"k1":"v1"}}"##,
                r##"push {"room":{"_":{"#":"room",">":{"k1":1700000000020}},"k1":"c1"}}"##,
            ],
        )
        .without(Rule::Flood, "e", &[stale, other])
        .check();
}

#[test]
fn of_equal_states_the_greater_text_wins_in_both_orders() {
    // The second of each of these pairs loses; gun.js says nothing to it.
    let losers = [1, 3, 5, 6, 8, 10, 12, 14, 16, 17, 21];
    let acks = losers.map(|pair| format!("ack @cf{pair}p2 true"));
    let acks = acks.each_ref().map(String::as_str);
    Replay::of("13-conflict-equal-state")
        .with(Rule::AckAll, "a", &acks)
        .check();
}

#[test]
fn a_value_of_the_future_waits_for_its_time() {
    Replay::of("14-future-state")
        .starting_at(1_795_359_223_036 - 3_607)
        .never(Rule::FanOut, "get ")
        .with(Rule::AckAll, "a", &["ack @put000001 true"])
        .with(
            Rule::Future,
            "a",
            &["err @put000003 a state is too far in the future"],
        )
        .check();
    Replay::of("14b-future-state-noaxe")
        .starting_at(1_795_359_929_899 - 2_359)
        .with(Rule::AckAll, "a", &["ack @put000001 true"])
        .without(
            Rule::Flood,
            "b",
            &[r##"push {"fut":{"_":{"#":"fut",">":{"k":1795359929899}},"k":"later"}}"##],
        )
        .check();
}

#[test]
fn unknown_control_messages_are_ignored_with_all_they_hold() {
    Replay::of("15-unknown-dam")
        .never(Rule::FanOut, "get ")
        .check();
    Replay::of("32-mob-opt")
        .without(Rule::Dial, "a", &["Unknown"])
        .check();
}

#[test]
fn malformed_frames_leave_the_connection_alive() {
    let x = |id: &str, graph: &str| format!("data @{id} {graph}");
    let mut replay = Replay::of("16-malformed").never(Rule::FanOut, "get ");
    for conn in ["a0", "a8", "a9", "a16", "a18", "a19", "a20"] {
        replay = replay.with(Rule::Json, conn, &["dam !"]);
    }
    for (conn, id) in [("a16", "x1"), ("a18", "x3"), ("a19", "x4")] {
        replay = replay.without(Rule::Json, conn, &[&x(id, S1)]);
    }
    for (conn, id) in [("a22", "x6"), ("a24", "x7"), ("a26", "x9")] {
        replay = replay.without(Rule::Refuse, conn, &[&x(id, UNDEFINED_S1)]);
    }
    for (conn, id) in [("a22", "x6"), ("a24", "x7"), ("a25", "x8"), ("a26", "x9")] {
        replay = replay.with(
            Rule::Refuse,
            conn,
            &[&format!("err @{id} the get names no soul")],
        );
    }
    // An answer to an id that is no text reads like a push.
    replay
        .without(Rule::Ids, "a21", &[&format!("push {S1}")])
        .without(Rule::Ids, "a27", &[&format!("push {S1}")])
        .without(Rule::Ids, "a23", &[&x("0wypcwFVp", S1)])
        .check();
}

#[test]
fn binary_frames_are_ignored() {
    Replay::of("17-binary").check();
}

#[test]
fn batches_are_taken_apart() {
    Replay::of("18-batch")
        .without(Rule::Ids, "a", &["ack @pvXfZ4tZG true"])
        .check();
}

#[test]
fn every_put_is_acknowledged_or_refused_whole_with_the_reason() {
    let value = "a value is neither null, boolean, number, text nor link";
    let refused = [
        ("st7ZZZZZZ", value),
        ("st8ZZZZZZ", value),
        ("st9ZZZZZZ", value),
        ("st10ZZZZZ", value),
        ("st11ZZZZZ", "a key has no state"),
        ("st12ZZZZZ", "a node lacks its metadata"),
        ("st13ZZZZZ", "a node lacks its metadata"),
        ("st14ZZZZZ", "a node's metadata names another soul"),
        ("st15ZZZZZ", "a node is not an object"),
        ("st16ZZZZZ", "a state is not a number"),
        ("st17ZZZZZ", "a state is not a number"),
        ("st21ZZZZZ", "a key can't be used: the name is empty"),
        ("st22ZZZZZ", "a soul can't be used: the name is empty"),
        ("st24ZZZZZ", "`put` is not an object of nodes"),
        ("st25ZZZZZ", "`put` is not an object of nodes"),
        ("st26ZZZZZ", "`put` is not an object of nodes"),
        ("st27ZZZZZ", "a node is not an object"),
    ];
    let mut replay = Replay::of("20-stale-and-duplicate")
        .with(Rule::AckAll, "a", &["ack @st2ZZZZZZ true", "ack @st3ZZZZZZ true"])
        .with(Rule::AckAll, "a", &["ack @st5ZZZZZZ true", "ack @st6ZZZZZZ true"])
        .with(Rule::Repeat, "a", &["ack @st1ZZZZZZ true"])
        .without(
            Rule::Refuse,
            "a",
            &[
                r##"data @st10gZZZZ {"part":{"_":{"#":"part",">":{"a":1700000000000}},"a":"good"}}"##,
                "ack @st16ZZZZZ true",
                "ack @st17ZZZZZ true",
                "ack @st21ZZZZZ true",
                r##"data @st21gZZZZ {"ek":{"_":{"#":"ek",">":{"a":1700000000000}},"a":2}}"##,
            ],
        )
        .with(Rule::Refuse, "a", &["none @st10gZZZZ", "none @st21gZZZZ"]);
    for (id, reason) in refused {
        replay = replay.with(Rule::Refuse, "a", &[&format!("err @{id} {reason}")]);
    }
    replay.check();
}

#[test]
fn accepted_connections_hear_an_empty_batch_every_20_seconds() {
    Replay::of("22-heartbeat").check();
}

#[test]
fn an_asker_who_has_the_answer_is_spared_it() {
    Replay::of("24-get-with-hash").check();
}

#[test]
fn a_repeated_get_is_dropped_for_nine_seconds() {
    let node = r##"data @dupid0001 {"s1":{"_":{"#":"s1",">":{"a":1700000000000,"b":1700000000000,"c":1700000000000,"d":1700000000000}},"a":"x","b":2,"c":null,"d":{"#":"s2"}}}"##;
    Replay::of("30-dup-window")
        .with(Rule::Repeat, "a", &[node])
        .check();
}

#[test]
fn acks_of_gets_are_not_passed_on() {
    Replay::of("31-ack-routing")
        .never(Rule::FanOut, "get ")
        .without(
            Rule::FanOut,
            "a",
            &[r##"ack @geta00001 {"custom":1}"##, "err @geta00001 nope"],
        )
        .without(
            Rule::Echo,
            "a",
            &[r##"push {"ar":{"_":{"#":"ar",">":{"k":1700000000000}},"k":1}}"##],
        )
        // The recorded ack names the id of the recorded push; the next test has ours.
        .without(Rule::Ids, "a", &[r##"ack @puta00001 {"fromb":1}"##])
        .check();
}

#[test]
fn the_ack_of_a_push_reaches_the_writer_under_his_id() {
    let mut relay = Relay::new(1_795_400_000_000);
    for peer in [1, 2] {
        relay.open(peer, Direction::Accepted);
    }
    relay.hear(2, r##"{"#":"getb00001","get":{"#":"ar"}}"##);
    relay.taken(2);
    relay.hear(
        1,
        r##"{"#":"puta00001","ok":{"@":9,"/":2},"put":{"ar":{"_":{"#":"ar",">":{"k":1}},"k":1}}}"##,
    );
    let push = relay.taken(2).remove(0);
    let Body::Put(put) = &push.body else {
        panic!("{push:?}")
    };
    assert_eq!(put.wants.map(|wish| (wish.acks, wish.peers)), Some((2, 2)));
    let id = push.id.unwrap();
    relay.taken(1);
    relay.hear(
        2,
        &format!(r##"{{"#":"ackb00001","@":"{id}","ok":{{"fromb":1}}}}"##),
    );
    assert_eq!(
        facts::of(&relay.taken(1)),
        [r##"ack @puta00001 {"fromb":1}"##]
    );
    // Only he who was sent it can answer it.
    relay.hear(1, &format!(r##"{{"#":"acka00001","@":"{id}","ok":1}}"##));
    assert!(relay.taken(1).is_empty() && relay.taken(2).is_empty());
    assert_eq!(relay.last_kind, Some(SendKind::Reply));
}

#[test]
fn ids_that_look_alike_are_different_ids() {
    let node = |n: u32| {
        format!(
            r##"data @gg-f{n} {{"idc-f{n}":{{"_":{{"#":"idc-f{n}",">":{{"a":1700000000000,"b":1700000000000}}}},"a":1,"b":2}}}}"##
        )
    };
    for name in ["33-id-collision", "33-id-collision-head"] {
        Replay::of(name)
            .without(Rule::Repeat, "a", &["none @gg-f10", "none @gg-f11"])
            .with(
                Rule::Repeat,
                "a",
                &["ack @f10 true", "ack @f11 true", &node(10), &node(11)],
            )
            .check();
    }
}

#[test]
fn an_older_write_never_wins_not_even_after_a_restart() {
    let old = |id: &str| {
        format!(r##"data @{id} {{"dl":{{"_":{{"#":"dl",">":{{"k":1700000000000}}}},"k":"OLD"}}}}"##)
    };
    let new = |id: &str| {
        format!(r##"data @{id} {{"dl":{{"_":{{"#":"dl",">":{{"k":1700000001000}}}},"k":"NEW"}}}}"##)
    };
    for name in ["34-stale-after-restart", "34-stale-after-restart-head"] {
        Replay::of(name)
            .without(Rule::Durable, "a", &[&old("get000001"), &old("get000002")])
            .with(Rule::Durable, "a", &[&new("get000001"), &new("get000002")])
            .check();
    }
    Replay::of("35-stale-after-restart-get-first")
        .without(
            Rule::Durable,
            "a",
            &[
                r##"push {"dl":{"_":{"#":"dl",">":{"k":1700000000000}},"k":"OLD"}}"##,
                &old("get000002"),
            ],
        )
        .with(Rule::Durable, "a", &[&new("get000002")])
        .check();
}

#[test]
fn a_key_is_followed_alone_and_until_the_connection_closes() {
    Replay::of("43-lex-live")
        .never(Rule::FanOut, "get ")
        .check();
}

#[test]
fn writing_does_not_subscribe() {
    Replay::of("45-put-by-writer-then-get-elsewhere")
        .without(
            Rule::Echo,
            "c",
            &[r##"push {"w":{"_":{"#":"w",">":{"k":1700000000002}},"k":"v3"}}"##],
        )
        .check();
}

#[test]
fn data_that_answers_another_is_news_to_us() {
    let news = r##"push {"anp":{"_":{"#":"anp",">":{"k":1700000000000}},"k":"from b"}}"##;
    Replay::of("49b-answer-not-pushed")
        .never(Rule::FanOut, "get ")
        .without(
            Rule::News,
            "a",
            &[r##"data @geta00001 {"anp":{"_":{"#":"anp",">":{"k":1700000000000}},"k":"from b"}}"##],
        )
        .with(Rule::News, "a", &[news])
        .with(Rule::News, "c", &[news])
        .without(
            Rule::Echo,
            "b",
            &[r##"push {"anp":{"_":{"#":"anp",">":{"k":1700000000005}},"k":"newer"}}"##],
        )
        .check();
}

/// In these recordings a bare server stands in for the relay, so only the client's side is
/// gun.js; each put of it must be acknowledged, each get answered.
#[test]
fn clients_get_an_end_for_every_put_and_get() {
    for name in ["46-ack-fields-client", "48-client-behaviour"] {
        let mut relay = Relay::new(1_795_400_000_000);
        relay.open(1, Direction::Accepted);
        relay.taken(1);
        let mut due = 0;
        for line in vector::read(name) {
            let Kind::ToRelay(frame) = line.kind else {
                continue;
            };
            for message in parse_frame(&frame, &Limits::ACCEPTED) {
                let message = message.unwrap();
                due += usize::from(matches!(message.body, Body::Put(_) | Body::Get(_)));
            }
            relay.hear(1, &frame);
        }
        let ends = relay
            .taken(1)
            .iter()
            .filter(|message| message.reply_to.is_some())
            .count();
        assert_eq!(ends, due, "{name}");
        assert!(due > 0, "{name}");
    }
}

/// Whatever gun.js sent in any recording can be read.
#[test]
fn every_recorded_frame_of_a_relay_is_understood() {
    let mut frames = 0;
    for entry in std::fs::read_dir(vector::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(frame) = json["frame"]
                .as_str()
                .filter(|_| json["dir"] == "relay->client")
            else {
                continue;
            };
            if json["truncated"] == true {
                continue;
            }
            frames += 1;
            for message in parse_frame(frame, &Limits::DIALLED) {
                if let Err(refused) = message {
                    let name = refused.reject.name();
                    assert_eq!(name, "empty", "{}: {frame}", path.display());
                }
            }
        }
    }
    assert!(frames > 300, "{frames}");
}

/// The table of deviations has a row for each rule that a test relies on.
#[test]
fn each_rule_is_a_row_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wire.md");
    let text = std::fs::read_to_string(path).unwrap();
    for rule in Rule::ALL {
        let row = format!("| `{}` |", rule.label());
        assert_eq!(text.matches(&row).count(), 1, "{row}");
    }
}

#[test]
fn ranges_of_keys_and_souls_hold_what_a_gun_js_disk_finds_in_them() {
    Replay::of("09-get-lex")
        // The whole node from memory, and then the part that the budget allows from disk.
        .without(
            Rule::Budget,
            "a",
            &[
                r##"data @mem8 {"lx":{"_":{"#":"lx",">":{"a1":1700000000000,"a2":1700000000000,"b1":1700000000000,"b2":1700000000000,"b3":1700000000000,"c1":1700000000000}},"a1":"va1-0123456789","a2":"va2-0123456789","b1":"vb1-0123456789","b2":"vb2-0123456789","b3":"vb3-0123456789","c1":"vc1-0123456789"}}"##,
            ],
        )
        .with(
            Rule::Budget,
            "a",
            &[
                r##"data @mem8 {"lx":{"_":{"#":"lx",">":{"a1":1700000000000,"a2":1700000000000,"b1":1700000000000}},"a1":"va1-0123456789","a2":"va2-0123456789","b1":"vb1-0123456789"}}"##,
            ],
        )
        .never(Rule::Ranges, "data @mem14 {\"undefined")
        .never(Rule::Ranges, "data @disk14 {\"undefined")
        .with(
            Rule::Ranges,
            "a",
            &[
                "err @mem14 the get names no soul",
                "err @disk14 the get names no soul",
            ],
        )
        .check();
}

#[test]
fn ranges_are_bounded_and_read_from_either_end() {
    Replay::of("39-lex-more").check();
}

#[test]
fn ranges_over_a_large_node_are_whole() {
    // Keys k00, k01, … with values of 80 characters: 1,000 of them are 13 keys.
    let range = |id: &str, keys: std::ops::Range<usize>| {
        let name = |key: usize| format!("k{key:02}");
        let states: Vec<_> = keys
            .clone()
            .map(|key| format!("\"{}\":1700000000000", name(key)))
            .collect();
        let values: Vec<_> = keys
            .map(|key| {
                let value = format!("value {key} ").repeat(10);
                format!("\"{}\":\"{value}\"", name(key))
            })
            .collect();
        format!(
            r##"data @{id} {{"mfnode":{{"_":{{"#":"mfnode",">":{{{}}}}},{}}}}}"##,
            states.join(","),
            values.join(",")
        )
    };
    Replay::of("49-node-over-several-files")
        .never(Rule::Ranges, "data @getlexAAA")
        .never(Rule::Ranges, "none @getlexBBB")
        .with(
            Rule::Ranges,
            "a",
            &[&range("getlexAAA", 0..13), &range("getlexBBB", 20..25)],
        )
        .check();
}
