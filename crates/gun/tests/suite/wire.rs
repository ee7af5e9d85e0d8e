//! Frames as text: what is read, what is refused and under which name, limits at their edge.

use gun::wire::{
    Body, Dam, FRAME_CHARS_MAX, FramePacker, Get, Interest, KeyQuery, Lex, Limits, Message,
    MessageId, Order, Put, Refused, Response, SoulQuery, encode, parse_frame, split_graph,
};
use gun::{Graph, Key, Node, Soul, State, Value, graph::Entry};

const SMALL: Limits = Limits {
    frame_bytes_max: 200,
    messages_max: 3,
    nodes_max: 2,
    keys_max: 3,
    nesting_max: 2,
    ..Limits::ACCEPTED
};

fn refused(frame: &str, limits: &Limits) -> (Option<String>, &'static str) {
    let mut parsed = parse_frame(frame, limits);
    assert_eq!(parsed.len(), 1, "{frame}");
    match parsed.remove(0) {
        Err(Refused { id, reject }) => (id.map(|id| id.to_string()), reject.name()),
        Ok(message) => panic!("{frame} was read as {message:?}"),
    }
}

fn read(frame: &str) -> Message {
    let mut parsed = parse_frame(frame, &Limits::ACCEPTED);
    assert_eq!(parsed.len(), 1, "{frame}");
    parsed
        .remove(0)
        .unwrap_or_else(|refused| panic!("{frame}: {refused:?}"))
}

pub(crate) fn node(soul: &str, values: &[(&str, Value)]) -> Node {
    let entries = values.iter().map(|(key, value)| Entry {
        key: Key::new(*key).unwrap(),
        state: State::from_millis(1_700_000_000_000),
        value: value.clone(),
    });
    Node {
        soul: Soul::new(soul).unwrap(),
        entries: entries.collect(),
    }
}

fn put(id: &str, graph: Graph) -> Message {
    Message::new(MessageId::new(id).unwrap(), Body::Put(Put::new(graph)))
}

#[test]
fn each_fault_has_its_name_and_the_id_of_its_message() {
    let faults = [
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":NaN}}}"##,
            None,
            "not_json",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1}}"##,
            None,
            "not_json",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1e400}}}"##,
            Some("i"),
            "bad_number",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1e400}},"k":1}}}"##,
            Some("i"),
            "bad_number",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":"\ud83d"}}}"##,
            Some("i"),
            "lone_surrogate",
        ),
        (
            r##"{"put":{"s":{"_":{"#":"s",">":{"k":1}},"k":"\ude00"}},"#":"i"}"##,
            Some("i"),
            "lone_surrogate",
        ),
        (
            r##"{"#":"i","get":{"#":"a\ud83dx"}}"##,
            Some("i"),
            "lone_surrogate",
        ),
        (
            r##"{"#":"i","#":"j","get":{"#":"s"}}"##,
            Some("j"),
            "duplicate_member",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":1,"k":2}}}"##,
            Some("i"),
            "duplicate_member",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1,"k":2}},"k":1}}}"##,
            Some("i"),
            "duplicate_member",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{}}},"s":{"_":{"#":"s",">":{}}}}}"##,
            Some("i"),
            "duplicate_member",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":"1"}},"k":1}}}"##,
            Some("i"),
            "bad_state",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":null}},"k":1}}}"##,
            Some("i"),
            "bad_state",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s"},"k":1}}}"##,
            Some("i"),
            "missing_meta",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{">":{"k":1}},"k":1}}}"##,
            Some("i"),
            "missing_meta",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":7,"k":1}}}"##,
            Some("i"),
            "missing_meta",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"t",">":{"k":1}},"k":1}}}"##,
            Some("i"),
            "soul_mismatch",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"l":1}},"k":1}}}"##,
            Some("i"),
            "missing_state",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":{}}}}"##,
            Some("i"),
            "bad_value",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":{"#":7}}}}"##,
            Some("i"),
            "bad_value",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"k":1}},"k":{"#":""}}}}"##,
            Some("i"),
            "bad_soul",
        ),
        (
            r##"{"#":"i","put":{"__proto__":{"_":{"#":"__proto__",">":{"k":1}},"k":1}}}"##,
            Some("i"),
            "bad_soul",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"constructor":1}},"constructor":1}}}"##,
            Some("i"),
            "bad_key",
        ),
        (
            r##"{"#":"i","put":{"s":{"_":{"#":"s",">":{"a\u001bb":1}},"a\u001bb":1}}}"##,
            Some("i"),
            "bad_key",
        ),
        (r##"{"#":"i","get":{"#":"s",".":7}}"##, Some("i"), "bad_get"),
        (
            r##"{"#":"i","get":{"#":"s",".":{"*":7}}}"##,
            Some("i"),
            "bad_get",
        ),
        (
            r##"{"#":"i","put":{},"get":{"#":"s"}}"##,
            Some("i"),
            "put_and_get",
        ),
        (r##"{"#":"","get":{"#":"s"}}"##, None, "bad_id"),
        (r##"{"#":"i"}"##, Some("i"), "empty"),
    ];
    for (frame, id, name) in faults {
        assert_eq!(
            refused(frame, &Limits::ACCEPTED),
            (id.map(str::to_owned), name),
            "{frame}"
        );
    }
}

#[test]
fn a_bad_message_leaves_the_rest_of_its_batch_alone() {
    let frame = r##"[{"#":"a","get":{"#":"s"}},{"#":"b","get":{"#":"\ud800"}},7,"{\"#\":\"c\",\"get\":{\"#\":\"s\"}}",{"#":"d","get":{}}]"##;
    let ids: Vec<_> = parse_frame(frame, &Limits::ACCEPTED)
        .into_iter()
        .map(|parsed| {
            parsed
                .map(|m| m.id.unwrap().to_string())
                .map_err(|r| r.reject.name())
        })
        .collect();
    let expected = [
        Ok("a".to_owned()),
        Err("lone_surrogate"),
        Err("not_a_message"),
        Ok("c".to_owned()),
        Err("bad_get"),
    ];
    assert_eq!(ids, expected);
}

#[test]
fn a_relay_that_was_chosen_loses_the_bad_values_only() {
    let frame = r##"{"#":"i","@":"q","%":1,"put":{"s":{"_":{"#":"s",">":{"k":1,"l":2,"m":"3","n":4}},"k":"\ud800","l":"good","m":1,"n":[]},"__proto__":{"_":{"#":"__proto__",">":{"k":1}},"k":1},"t":{"_":{"#":"t",">":{"k":5}},"k":true},"u":null}}"##;
    let message = parse_frame(frame, &Limits::DIALLED).remove(0).unwrap();
    let Body::Put(Put {
        graph,
        dropped,
        more,
        ..
    }) = message.body
    else {
        panic!()
    };
    let texts: Vec<_> = graph
        .iter()
        .map(|node| {
            (
                node.soul.as_str(),
                node.entries[0].key.as_str(),
                node.entries.len(),
            )
        })
        .collect();
    assert_eq!(texts, [("s", "l", 1), ("t", "k", 1)]);
    assert_eq!(
        (dropped, more.is_some(), message.reply_to.is_some()),
        (4, true, true)
    );
    assert_eq!(refused(frame, &Limits::ACCEPTED).1, "bad_state");
}

#[test]
fn limits_hold_at_their_edge() {
    let of_bytes = |bytes: usize| {
        let empty = r##"{"#":"i","get":{"#":""}}"##.len();
        format!(
            r##"{{"#":"i","get":{{"#":"{}"}}}}"##,
            "s".repeat(bytes - empty)
        )
    };
    assert!(parse_frame(&of_bytes(199), &SMALL)[0].is_ok());
    assert!(parse_frame(&of_bytes(200), &SMALL)[0].is_ok());
    assert_eq!(refused(&of_bytes(201), &SMALL), (None, "frame_too_large"));

    let batch = |count: usize| format!("[{}]", vec![r##"{"dam":"hi"}"##; count].join(","));
    assert_eq!(parse_frame(&batch(3), &SMALL).len(), 3);
    assert_eq!(refused(&batch(4), &SMALL), (None, "too_many_messages"));

    let nodes = |count: usize| {
        let node = |n: usize| format!(r##""{n}":{{"_":{{"#":"{n}",">":{{}}}}}}"##);
        let nodes: Vec<_> = (0..count).map(node).collect();
        format!(r##"{{"#":"i","put":{{{}}}}}"##, nodes.join(","))
    };
    assert!(parse_frame(&nodes(2), &SMALL)[0].is_ok());
    assert_eq!(
        refused(&nodes(3), &SMALL),
        (Some("i".to_owned()), "too_many_nodes")
    );

    let keys = |count: usize| {
        let values: Vec<_> = (0..count).map(|n| format!(r##""{n}":1"##)).collect();
        let values = values.join(",");
        format!(r##"{{"#":"i","put":{{"s":{{"_":{{"#":"s",">":{{{values}}}}},{values}}}}}}}"##)
    };
    assert!(parse_frame(&keys(3), &SMALL)[0].is_ok());
    assert_eq!(
        refused(&keys(4), &SMALL),
        (Some("i".to_owned()), "too_many_keys")
    );

    let deep = |depth: usize| {
        format!(
            r##"{{"#":"i","@":"q","ok":{}{}}}"##,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(parse_frame(&deep(2), &SMALL)[0].is_ok());
    assert_eq!(
        refused(&deep(3), &SMALL),
        (Some("i".to_owned()), "too_deep")
    );
}

#[test]
fn nesting_without_end_is_refused_and_not_followed() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(refused(&deep, &Limits::ACCEPTED).1, "not_json");
    let value = format!(
        r##"{{"#":"i","put":{{"s":{{"_":{{"#":"s",">":{{"k":1}}}},"k":{}{}}}}}}}"##,
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    assert_eq!(
        refused(&value, &Limits::ACCEPTED),
        (Some("i".to_owned()), "bad_value")
    );
}

#[test]
fn a_name_that_is_too_long_is_no_name_also_in_a_message_that_is_read_twice() {
    let long = "p".repeat(65);
    // The repeated member fails the first reading; of a control message the rest is taken.
    for more in ["", r##","@":"a","@":"b""##] {
        let text = format!(r##"{{"dam":"?","pid":"{long}"{more}}}"##);
        assert_eq!(
            read(&text).body,
            Body::Dam(Dam::Hello { pid: None }),
            "{text}"
        );
    }
}

#[test]
fn a_control_message_is_read_whatever_else_it_holds() {
    let message = read(r##"{"#":"i","put":{"s":7},"dam":"oip:x","body":{"a":[1]},"pid":"p"}"##);
    let expected = Dam::Extension {
        name: "oip:x".into(),
        body: r##"{"a":[1]}"##.into(),
    };
    assert_eq!(message.body, Body::Dam(expected));
    assert_eq!(
        read(r##"{"dam":"?","pid":"abc"}"##).body,
        Body::Dam(Dam::Hello {
            pid: Some("abc".into())
        })
    );
    for unknown in [
        r##"{"dam":"mob","peers":{}}"##,
        r##"{"dam":7}"##,
        r##"{"dam":"x-ext"}"##,
    ] {
        assert_eq!(read(unknown).body, Body::Dam(Dam::Unknown), "{unknown}");
    }
}

#[test]
fn acks_keep_what_plugins_put_into_them() {
    let ack = |frame: &str| match read(frame).body {
        Body::Ack(ack) => (
            ack.ok.map(|ok| ok.to_string()),
            ack.err.map(|err| err.to_string()),
        ),
        body => panic!("{body:?}"),
    };
    assert_eq!(
        ack(r##"{"@":"q","ok":{"rtc":{"a":[1]}}}"##).0.as_deref(),
        Some(r##"{"rtc":{"a":[1]}}"##)
    );
    assert_eq!(
        ack(r##"{"@":"q","err":null,"ok":1}"##),
        (Some("1".to_owned()), None)
    );
    assert_eq!(
        ack(r##"{"@":"q","err":"no"}"##),
        (None, Some("no".to_owned()))
    );
    assert_eq!(ack(r##"{"@":"q"}"##), (None, None));
    assert_eq!(ack(r##"{"@":"q","put":null}"##), (None, None));
}

#[test]
fn every_form_of_get_is_read() {
    let get = |frame: &str| match read(frame).body {
        Body::Get(get) => get,
        body => panic!("{body:?}"),
    };
    let soul = || Soul::new("s").unwrap();
    assert_eq!(get(r##"{"get":{"#":"s"}}"##), Get::node(soul()));
    assert_eq!(get(r##"{"get":{".":"","#":"s"}}"##), Get::node(soul()));
    assert_eq!(get(r##"{"get":{".":null,"#":"s"}}"##), Get::node(soul()));
    assert_eq!(
        get(r##"{"get":{".":"k","#":"s"}}"##),
        Get::key(soul(), Key::new("k").unwrap())
    );
    let range = get(r##"{"get":{"#":"s",".":{"*":"p",">":"a","<":"b","-":1},"%":500}}"##);
    let lex = Lex {
        exact: None,
        prefix: Some("p".into()),
        from: Some("a".into()),
        to: Some("b".into()),
    };
    assert_eq!(range.keys, KeyQuery::Lex(lex));
    assert_eq!(
        (range.bytes_max, range.order),
        (Some(500), Order::Descending)
    );
    let souls = get(r##"{"get":{"#":{"*":"p"},"once":1}}"##);
    assert_eq!(souls.souls, SoulQuery::Lex(Lex::prefix("p")));
    assert_eq!(souls.interest, Interest::Once);
}

#[test]
fn responses_fit_the_fault() {
    let response = |frame: &str| {
        parse_frame(frame, &Limits::ACCEPTED)
            .remove(0)
            .unwrap_err()
            .reject
            .response()
    };
    assert_eq!(response(""), Response::Silence);
    assert_eq!(response(" {}"), Response::Silence);
    assert_eq!(response("\u{feff}{}"), Response::Silence);
    assert_eq!(response("{}"), Response::Silence);
    assert_eq!(response("{"), Response::Control);
    assert_eq!(response(r##"{"#":"i","get":7}"##), Response::Ack);
}

#[test]
fn messages_share_a_frame_up_to_its_bound() {
    let mut packer = FramePacker::new();
    assert_eq!(packer.flush(), None);
    assert_eq!(
        packer.push(&put("a", vec![node("s", &[("k", Value::Null)])])),
        None
    );
    let alone = packer.flush().unwrap();
    assert!(alone.starts_with('{'), "{alone}");

    let mut frames = Vec::new();
    let text = Value::text("x".repeat(5_000));
    for n in 0..50 {
        frames.extend(packer.push(&put(
            &format!("id{n:07}"),
            vec![node("s", &[("k", text.clone())])],
        )));
    }
    frames.extend(packer.flush());
    assert!(
        frames
            .iter()
            .all(|frame| frame.len() <= FRAME_CHARS_MAX && frame.starts_with('['))
    );
    let messages: usize = frames
        .iter()
        .map(|f| parse_frame(f, &Limits::ACCEPTED).len())
        .sum();
    assert_eq!((messages, frames.len()), (50, 9));
}

#[test]
fn a_batch_is_full_to_the_last_character() {
    let mut packer = FramePacker::new();
    let first = put(
        "a",
        vec![node("s", &[("k", Value::text("x".repeat(10_000)))])],
    );
    let rest = FRAME_CHARS_MAX - encode(&first).len() - "[,]".len();
    let base = encode(&put("b", vec![node("s", &[("k", Value::text(""))])])).len();
    for (extra, fits) in [(0, true), (1, false)] {
        let second = put(
            "b",
            vec![node(
                "s",
                &[("k", Value::text("x".repeat(rest - base + extra)))],
            )],
        );
        assert_eq!(packer.push(&first), None);
        assert_eq!(packer.push(&second).is_none(), fits);
        let frame = packer.flush().unwrap();
        assert_eq!(frame.len() == FRAME_CHARS_MAX, fits);
    }
}

#[test]
fn a_keepalive_is_sent_only_when_nothing_else_is() {
    let mut packer = FramePacker::new();
    assert_eq!(packer.push(&Message::keepalive()).as_deref(), Some("[]"));
    assert!(parse_frame("[]", &Limits::ACCEPTED).is_empty());
    assert_eq!(packer.push(&put("a", vec![])), None);
    assert_eq!(packer.push(&Message::keepalive()), None);
    assert_eq!(encode(&Message::keepalive()), "[]");
}

#[test]
fn a_large_graph_is_cut_into_messages_that_fit_a_frame() {
    let values: Vec<(String, Value)> = (0..3_000)
        .map(|n| (format!("k{n:05}"), Value::text("é\n\"".repeat(n % 7))))
        .collect();
    let values: Vec<(&str, Value)> = values
        .iter()
        .map(|(k, v)| (k.as_str(), v.clone()))
        .collect();
    let graph = vec![
        node("a", &values[..10]),
        node("big", &values),
        node("z", &values[..1]),
    ];
    let parts = split_graph(graph.clone());
    assert!(parts.len() > 3);
    let mut joined = Graph::new();
    for part in parts {
        let text = encode(&put("123456789", part.clone()));
        assert!(text.len() <= FRAME_CHARS_MAX, "{}", text.len());
        for node in part {
            for entry in node.entries {
                crate::store::push(&mut joined, &node.soul, entry);
            }
        }
    }
    assert_eq!(joined, graph);
}

#[test]
fn a_value_longer_than_a_frame_goes_alone() {
    let long = Value::text("x".repeat(100_000));
    let graph = vec![node(
        "s",
        &[("a", Value::Null), ("b", long.clone()), ("c", Value::Null)],
    )];
    let parts = split_graph(graph);
    let keys: Vec<Vec<&str>> = parts
        .iter()
        .map(|part| {
            part[0]
                .entries
                .iter()
                .map(|entry| entry.key.as_str())
                .collect()
        })
        .collect();
    assert_eq!(keys, [vec!["a"], vec!["b"], vec!["c"]]);
}

/// Operators look refusals up by the name in their metrics.
#[test]
fn each_refusal_is_a_row_of_the_table() {
    use gun::graph::NameError;
    use gun::wire::Reject;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/wire.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rejects = [
        Reject::NotJson,
        Reject::NotAMessage,
        Reject::FrameTooLarge { max: 1 },
        Reject::TooManyMessages { max: 1 },
        Reject::TooManyNodes { max: 1 },
        Reject::TooManyKeys { max: 1 },
        Reject::TooDeep { max: 1 },
        Reject::BadId,
        Reject::DuplicateMember,
        Reject::LoneSurrogate,
        Reject::BadNumber,
        Reject::Empty,
        Reject::PutAndGet,
        Reject::BadPut,
        Reject::BadNode,
        Reject::MissingMeta,
        Reject::SoulMismatch,
        Reject::MissingState,
        Reject::BadState,
        Reject::BadValue,
        Reject::BadSoul(NameError::Empty),
        Reject::BadKey(NameError::Empty),
        Reject::BadGet,
        Reject::RangeTooWide,
        Reject::FutureState,
        Reject::NotAdmitted,
        Reject::Unverified,
        Reject::Quota,
        Reject::Busy,
        Reject::StoreFailed,
    ];
    for reject in rejects {
        let name = format!("`{}`", reject.name());
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| `") && line.contains(&name))
            .collect();
        let [row] = rows[..] else {
            panic!("{name}: {rows:?}")
        };
        let response = match reject.response() {
            Response::Ack => "| ack |",
            Response::Control => "| control |",
            Response::Silence => "| - |",
        };
        assert!(row.contains(response), "{row}");
    }
}
