//! What texts mean, what is refused where, and that texts and trees go round.

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Condition {
    Condition::Text(Text::new(text))
}

fn field(name: &str) -> FieldPath {
    name.parse().unwrap()
}

fn in_field(name: &str, text: &str) -> Condition {
    Condition::Text(Text {
        fields: vec![field(name)],
        ..Text::new(text)
    })
}

fn phrase(text: &str) -> Condition {
    Condition::Phrase(Phrase {
        text: text.into(),
        fields: Vec::new(),
    })
}

fn not(inner: Condition) -> Condition {
    Condition::Not(Box::new(inner))
}

fn range(name: &str, from: Bound<&str>, to: Bound<&str>) -> Condition {
    Condition::Range {
        field: field(name),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    }
}

#[test]
fn texts_mean_what_the_table_says() {
    use Bound::{Excluded, Included, Unbounded};
    use Condition::{All, Any};
    let prefix = |text: &str| {
        Condition::Text(Text {
            last_word: LastWord::Prefix,
            ..Text::new(text)
        })
    };
    let fuzzy = |text: &str| {
        Condition::Text(Text {
            spelling: Spelling::Fuzzy,
            ..Text::new(text)
        })
    };
    for (written, expected) in [
        ("", Condition::Everything),
        ("  ", Condition::Everything),
        ("*", Condition::Everything),
        ("lemon", text("lemon")),
        ("lemon barley", All(vec![text("lemon"), text("barley")])),
        ("lemon AND barley", All(vec![text("lemon"), text("barley")])),
        (
            "lemon and barley",
            All(vec![text("lemon"), text("and"), text("barley")]),
        ),
        (
            "a b OR c",
            Any(vec![All(vec![text("a"), text("b")]), text("c")]),
        ),
        (
            "a (b OR c)",
            All(vec![text("a"), Any(vec![text("b"), text("c")])]),
        ),
        ("NOT a b", All(vec![not(text("a")), text("b")])),
        ("-a", not(text("a"))),
        ("-(a b)", not(All(vec![text("a"), text("b")]))),
        ("NOT NOT a", not(not(text("a")))),
        ("((a))", text("a")),
        ("\"pearl barley\"", phrase("pearl barley")),
        ("lem*", prefix("lem")),
        ("lemno~", fuzzy("lemno")),
        ("C++ AT&T", All(vec![text("C++"), text("AT&T")])),
        ("state-of-the-art", text("state-of-the-art")),
        (
            r"\-a \AND a\*b a\:b",
            All(vec![text("-a"), text("AND"), text("a*b"), text("a:b")]),
        ),
        ("name:lemon", in_field("basic.name", "lemon")),
        (
            "post.webUrl:https://x.example/a",
            in_field("post.webUrl", "https://x.example/a"),
        ),
        (
            "name:\"pearl barley\"",
            Condition::Phrase(Phrase {
                text: "pearl barley".into(),
                fields: vec![field("name")],
            }),
        ),
        ("type:=post", Condition::record_types(["post"])),
        (
            "tag:=\"Boat trip\"",
            Condition::exact(FieldPath::tags(), ["Boat trip"]),
        ),
        ("x.y:=\"\"", Condition::exact(field("x.y"), [""])),
        ("date:>=5", range("date", Included("5"), Unbounded)),
        ("date:>5", range("date", Excluded("5"), Unbounded)),
        ("date:<=-5", range("date", Unbounded, Included("-5"))),
        (
            "indexedAt:<2026-02-01T10:00:00Z",
            range("indexedAt", Unbounded, Excluded("2026-02-01T10:00:00Z")),
        ),
        ("date:[1 TO 2]", range("date", Included("1"), Included("2"))),
        ("date:{ 1 TO * ]", range("date", Excluded("1"), Unbounded)),
        (
            "x.y:[\"a b\" TO c}",
            range("x.y", Included("a b"), Excluded("c")),
        ),
        (
            "post:*\"a b\"",
            All(vec![
                Condition::Exists {
                    field: field("post"),
                },
                phrase("a b"),
            ]),
        ),
        (
            "post:*",
            Condition::Exists {
                field: field("post"),
            },
        ),
        ("storage:gun", Condition::Storage("gun".into())),
        (
            "refers:did:gun:5b:a",
            Condition::Refers("did:gun:5b:a".into()),
        ),
        ("did:gun:5b:a", Condition::did("did:gun:5b:a")),
        ("did:did:gun:5b:a", Condition::did("did:gun:5b:a")),
        (r"my\.template.a:b", in_field(r"my\.template.a", "b")),
    ] {
        assert_eq!(parse(written).as_ref(), Ok(&expected), "{written}");
        let printed = print(&expected);
        assert_eq!(parse(&printed), Ok(expected), "{written} as {printed}");
    }
}

#[test]
fn what_is_wrong_is_told_with_place_and_cure() {
    for (written, message) in [
        (
            "a (b",
            "at character 3: this parenthesis is never closed; add ), or write \\( to look for one",
        ),
        (
            "a ) b",
            "at character 3: this parenthesis was never opened; leave it out, or write \\) to look for one",
        ),
        (
            "a ()",
            "at character 3: there is nothing between these parentheses; leave them out",
        ),
        (
            "say \"x",
            "at character 5: this quote is never closed; add a \", or write \\\" to look for one",
        ),
        (
            "a AND",
            "at character 6: a joining word needs a condition on each side that it joins; write it in lower case to look for the word",
        ),
        (
            "OR a",
            "at character 1: OR needs a condition on each side that it joins; write it in lower case to look for the word",
        ),
        (
            "a OR OR b",
            "at character 6: OR needs a condition on each side that it joins; write it in lower case to look for the word",
        ),
        (
            "a NOT",
            "at character 3: NOT needs a condition on each side that it joins; write it in lower case to look for the word",
        ),
        (
            "a - b",
            "at character 3: - needs a condition on each side that it joins; write it in lower case to look for the word",
        ),
        (
            "a & b",
            "at character 3: there is no word in \"&\"; leave it out, or name a field and the whole value, as in field:=\"…\"",
        ),
        (
            "l*n",
            "at character 2: * has a meaning only at a word's end; write \\* to look for it",
        ),
        (
            "name: x",
            "at character 6: there is no value behind name: ; write one, name:* for any, or name\\: to look for the text",
        ),
        (
            "a..b:x",
            "at character 1: the field \"a..b\" has an empty name: write names joined by single dots, such as basic.name; write \\: where the colon is part of the text",
        ),
        (
            "date:[1 2]",
            "at character 6: a range is written [from TO to], with * for an open end and { } to leave a bound out",
        ),
        (
            "date:[1 TO 2",
            "at character 6: a range is written [from TO to], with * for an open end and { } to leave a bound out",
        ),
    ] {
        let error = parse(written).expect_err(written);
        assert_eq!(
            error.to_string(),
            format!("the query is wrong {message}"),
            "{written}"
        );
    }
}

#[test]
fn limits_hold_at_the_bound_and_one_beyond() {
    let long = |bytes: usize| parse(&"a".repeat(bytes)).map_err(|error| error.fault);
    assert!(long(SYNTAX_BYTES_MAX).is_ok());
    assert_eq!(long(SYNTAX_BYTES_MAX + 1), Err(SyntaxFault::TooLong));
    let many = |words: usize| parse(&"a ".repeat(words)).map_err(|error| error.fault);
    assert!(many(CONDITIONS_MAX - 1).is_ok_and(|condition| condition.check().is_ok()));
    assert_eq!(many(CONDITIONS_MAX), Err(SyntaxFault::TooMany));
    let levels = (CONDITION_DEPTH_MAX - 2) / 2;
    let deep = |levels: usize| {
        let text = format!("{}a b{}", "(x OR y (".repeat(levels), "))".repeat(levels));
        parse(&text).map_err(|error| error.fault)
    };
    assert!(deep(levels / 2).is_ok_and(|condition| condition.check().is_ok()));
    assert_eq!(deep(levels / 2 + 1), Err(SyntaxFault::TooDeep));
    let negated =
        |levels: usize| parse(&format!("{}a", "NOT ".repeat(levels))).map_err(|error| error.fault);
    assert!(negated(levels).is_ok());
    assert_eq!(negated(levels + 1), Err(SyntaxFault::TooDeep));
    assert_eq!(
        parse(&"(".repeat(SYNTAX_BYTES_MAX)).unwrap_err().fault,
        SyntaxFault::TooDeep
    );
}

/// Texts made of what has a meaning, and of anything.
fn written() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "lemon", "é", "東京", "🎉", " ", "  ", "(", ")", "\"", ":", "*", "~", "-", "\\",
        "AND", "OR", "NOT", " AND ", " OR ", " NOT ", "name:", "did:", "x.y:", "storage:", "=",
        ">", ">=", "<", "[", "]", "{", "}", " TO ", "\"a b\"", "\t", "\u{301}", "&", "1.5",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_text_panics_and_what_is_read_goes_round(text in written()) {
        if let Ok(condition) = parse(&text) {
            prop_assert_eq!(condition.check(), Ok(()));
            let printed = print(&condition);
            // What is printed may be longer than what was read, but for that it is read as the same.
            if printed.len() <= SYNTAX_BYTES_MAX {
                prop_assert_eq!(parse(&printed), Ok(condition), "{}", printed);
            }
        }
    }
}
