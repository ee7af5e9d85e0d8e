//! Single fields: words, whole values, ranges, what exists; of known types and of none.

use oip_index::{
    Condition, Direction, FieldPath, Index, IndexError, LastWord, MatchMode, Phrase, Query,
    QueryError, SortKey, Spelling, Text, syntax,
};
use serde_json::{Value, json};

use super::corpus::{named, upsert, with_data};
use super::{apply, dids};

fn field(name: &str) -> FieldPath {
    name.parse().expect("a field")
}

/// The DIDs that fit, sorted.
fn fitting(index: &dyn Index, condition: Condition) -> Vec<String> {
    let mut found = dids(index, &Query::of(condition));
    found.sort();
    found
}

/// The DIDs that fit a text of the syntax, sorted.
fn written(index: &dyn Index, text: &str) -> Vec<String> {
    fitting(index, syntax::parse(text).expect(text))
}

/// Documents with typed fields, fields of no known type, and odd ones.
fn pantry(index: &dyn Index) {
    let recipe = |did: &str, recipe: Value, unknown: Value| {
        with_data(
            did,
            json!({"basic": {"name": "pot"}, "recipe": recipe, "pantry": unknown}),
            json!({"recordType": "recipe", "ver": "0.8.0"}),
        )
    };
    let batch = [
        recipe(
            "a",
            json!({"servings": 2, "cuisine": "Northern coastal", "course": "dnr", "ingredient_amount": [0.5, 3]}),
            json!({"shelf": "Top left", "count": 10, "open": true}),
        ),
        recipe(
            "b",
            json!({"servings": 4.5, "cuisine": "northern inland", "course": "Dnr", "ingredient_amount": [1.5]}),
            json!({"shelf": "top left", "count": 9, "open": false}),
        ),
        recipe(
            "c",
            json!({"servings": "many", "cuisine": ["Coastal", "island"], "course": null, "ingredient_amount": []}),
            json!({"shelf": ["low", "Top left"], "deep": {"er": {"still": "x"}}}),
        ),
        recipe("d", json!({}), json!({"shelf": null})),
        with_data(
            "e",
            json!({"basic": {"name": "pot"}, r"my.own": {"a.b": "dotted"}}),
            json!({}),
        ),
    ];
    apply(index, &batch, 1);
}

pub(crate) fn words_in_a_field_are_found_there_only(index: &dyn Index) {
    pantry(index);
    for (text, expected) in [
        ("recipe.cuisine:NORTHERN", vec!["a", "b"]),
        ("recipe.cuisine:coastal", vec!["a", "c"]),
        ("recipe.cuisine:pot", vec![]),
        ("name:coastal", vec![]),
        ("recipe.cuisine:north*", vec!["a", "b"]),
        ("recipe.cuisine:nothern~", vec!["a", "b"]),
        ("recipe.cuisine:\"northern coastal\"", vec!["a"]),
        ("recipe.cuisine:\"coastal northern\"", vec![]),
        // Two values of one field are not next to each other.
        ("recipe.cuisine:\"coastal island\"", vec![]),
        // Fields that aren't of words are compared as a whole.
        ("recipe.course:dnr", vec!["a"]),
        ("recipe.course:dn*", vec!["a"]),
        ("recipe.servings:2", vec!["a"]),
        ("pantry.shelf:left", vec![]),
        ("pantry.shelf:\"Top left\"", vec!["a", "c"]),
        ("pantry.count:10", vec!["a"]),
        ("pantry.open:false", vec!["b"]),
        (r"my\.own.a\.b:dotted", vec!["e"]),
    ] {
        assert_eq!(written(index, text), expected, "{text}");
    }
    let both = |mode| {
        Condition::Text(Text {
            mode,
            fields: vec![field("recipe.cuisine"), field("name")],
            ..Text::new("coastal pot")
        })
    };
    assert_eq!(fitting(index, both(MatchMode::All)), ["a", "c"]);
    assert_eq!(
        fitting(index, both(MatchMode::Any)),
        ["a", "b", "c", "d", "e"]
    );
}

pub(crate) fn whole_values_are_exact_in_every_field(index: &dyn Index) {
    pantry(index);
    for (name, values, expected) in [
        ("recipe.cuisine", &["Northern coastal"][..], vec!["a"]),
        ("recipe.cuisine", &["northern coastal"], vec![]),
        ("recipe.cuisine", &["Northern"], vec![]),
        (
            "recipe.cuisine",
            &["island", "northern inland"],
            vec!["b", "c"],
        ),
        ("recipe.course", &["dnr"], vec!["a"]),
        ("recipe.servings", &["2"], vec!["a"]),
        ("recipe.servings", &["2.0", "4.5"], vec!["a", "b"]),
        ("recipe.ingredient_amount", &["3"], vec!["a"]),
        ("pantry.shelf", &["Top left"], vec!["a", "c"]),
        ("pantry.shelf", &["Top"], vec![]),
        ("pantry.count", &["9", "10"], vec!["a", "b"]),
        ("pantry.open", &["true"], vec!["a"]),
        ("pantry.deep.er.still", &["x"], vec!["c"]),
        ("pantry.none", &["x"], vec![]),
        ("oip.ver", &["0.8.0"], vec!["a", "b", "c", "d"]),
        (r"my\.own.a\.b", &["dotted"], vec!["e"]),
        ("name", &["pot"], vec!["a", "b", "c", "d", "e"]),
        ("recipe.cuisine", &[], vec![]),
    ] {
        let condition = Condition::exact(field(name), values.iter().copied());
        assert_eq!(fitting(index, condition), expected, "{name} {values:?}");
    }
    let long = "y".repeat(257);
    apply(
        index,
        &[with_data(
            "l",
            json!({"pantry": {"shelf": long}}),
            json!({}),
        )],
        2,
    );
    let whole = Condition::exact(field("pantry.shelf"), [long.as_str()]);
    assert_eq!(
        fitting(index, whole),
        [""; 0],
        "too long to be compared as a whole"
    );
    assert_eq!(
        fitting(index, Condition::text(long)),
        ["l"],
        "found by its words"
    );
}

pub(crate) fn ranges_go_by_the_field_s_type(index: &dyn Index) {
    pantry(index);
    let batch = [
        upsert(
            "n1",
            json!({"date": -5}),
            json!({"indexedAt": "2026-01-20T00:00:00.000Z"}),
        ),
        upsert(
            "n2",
            json!({"date": 9_007_199_254_740_993_i64}),
            json!({"indexedAt": "2026-01-20T23:59:59.999Z"}),
        ),
        upsert(
            "n3",
            json!({"date": 10}),
            json!({"indexedAt": "2026-01-21T00:00:00.000Z"}),
        ),
        upsert("n4", json!({"date": "10"}), json!({"indexedAt": "soon"})),
    ];
    apply(index, &batch, 2);
    for (text, expected) in [
        ("recipe.servings:>=2", vec!["a", "b"]),
        ("recipe.servings:>2", vec!["b"]),
        ("recipe.servings:<4.5", vec!["a"]),
        ("recipe.servings:[1e0 TO 4.50]", vec!["a", "b"]),
        ("recipe.servings:{2 TO 4.5}", vec![]),
        ("recipe.ingredient_amount:[0.6 TO 2]", vec!["b"]),
        ("recipe.ingredient_amount:>=2.5", vec!["a"]),
        ("date:[-5 TO 9]", vec!["n1"]),
        ("date:>9", vec!["n2", "n3"]),
        ("date:>=9007199254740993", vec!["n2"]),
        ("date:[* TO *]", vec!["n1", "n2", "n3"]),
        ("indexedAt:[2026-01-20 TO 2026-01-20]", vec!["n1", "n2"]),
        ("indexedAt:>2026-01-20", vec!["n3"]),
        ("indexedAt:<2026-01-20", vec![]),
        ("indexedAt:<=2026-01-20T23:59:59.998Z", vec!["n1"]),
        ("oip.ver:[0.7 TO 0.9]", vec!["a", "b", "c", "d"]),
        ("oip.ver:<0.8", vec![]),
        ("recipe.course:[a TO z]", vec!["a"]),
    ] {
        assert_eq!(written(index, text), expected, "{text}");
    }
    let refused = |text: &str| {
        let query = Query::of(syntax::parse(text).expect(text));
        match index.search(&query) {
            Err(IndexError::Query(error)) => error,
            other => panic!("{text}: {other:?}"),
        }
    };
    assert!(matches!(
        refused("pantry.count:>5"),
        QueryError::Untyped { .. }
    ));
    assert!(matches!(
        refused("date:>soon"),
        QueryError::WrongValue { .. }
    ));
    assert!(matches!(
        refused("date:=soon"),
        QueryError::WrongValue { .. }
    ));
}

pub(crate) fn fields_and_templates_exist_where_they_have_a_value(index: &dyn Index) {
    pantry(index);
    for (text, expected) in [
        ("recipe.cuisine:*", vec!["a", "b", "c"]),
        ("recipe.course:*", vec!["a", "b"]),
        ("recipe.servings:*", vec!["a", "b"]),
        ("recipe.ingredient_amount:*", vec!["a", "b"]),
        ("recipe:*", vec!["a", "b", "c"]),
        ("pantry:*", vec!["a", "b", "c"]),
        ("pantry.deep:*", vec!["c"]),
        ("pantry.deep.er:*", vec!["c"]),
        ("pantry.dee:*", vec![]),
        (r"my\.own:*", vec!["e"]),
        ("my:*", vec![]),
        ("NOT recipe:*", vec!["d", "e"]),
    ] {
        assert_eq!(written(index, text), expected, "{text}");
    }
}

/// Words, whole values, ranges, what exists, dates, and what sorts last, of documents of which no two give a
/// field values of different types: an index with a mapping that guesses takes them all.
pub(crate) fn documents_that_agree_on_their_fields_answer_alike_everywhere(index: &dyn Index) {
    let recipe = |did: &str, recipe: Value, own: Value, indexed_at: &str| {
        let data = json!({"basic": {"name": "pot"}, "recipe": recipe, "own": own});
        with_data(
            did,
            data,
            json!({"recordType": "recipe", "indexedAt": indexed_at}),
        )
    };
    let batch = [
        recipe(
            "a",
            json!({"servings": 2.5, "cuisine": "Northern coastal", "course": "dnr", "prep_time_mins": 40}),
            json!({"shelf": "Top left", "count": 10, "when": "2026-01-20", "deep": {"er": "x"}}),
            "2026-01-20T00:00:00.000Z",
        ),
        recipe(
            "b",
            json!({"servings": 4.5, "cuisine": "northern inland", "course": "Dnr", "prep_time_mins": 5}),
            json!({"shelf": "top left", "count": 9, "when": "2026-02-20"}),
            "2026-01-20T23:59:59.999Z",
        ),
        recipe(
            "c",
            json!({"servings": 10.5, "cuisine": ["Coastal", "island"]}),
            json!({"shelf": ["low", "Top left"]}),
            "2026-01-21T00:00:00.000Z",
        ),
        recipe("d", json!({}), json!({}), "2026-03-01T00:00:00.000Z"),
    ];
    apply(index, &batch, 1);
    for (text, expected) in [
        ("recipe.cuisine:NORTHERN", vec!["a", "b"]),
        ("recipe.cuisine:\"northern coastal\"", vec!["a"]),
        ("recipe.cuisine:\"coastal island\"", vec![]),
        ("recipe.cuisine:nothern~", vec!["a", "b"]),
        ("recipe.course:dn*", vec!["a"]),
        ("own.shelf:=\"Top left\"", vec!["a", "c"]),
        ("own.count:=10", vec!["a"]),
        ("own.when:=2026-01-20", vec!["a"]),
        ("own.deep.er:=x", vec!["a"]),
        ("recipe.servings:>2.5", vec!["b", "c"]),
        ("recipe.servings:[2 TO 4.5]", vec!["a", "b"]),
        ("recipe.prep_time_mins:<40", vec!["b"]),
        ("indexedAt:[2026-01-20 TO 2026-01-20]", vec!["a", "b"]),
        ("indexedAt:>=2026-01-21", vec!["c", "d"]),
        ("recipe.course:*", vec!["a", "b"]),
        ("own.deep:*", vec!["a"]),
        ("own:*", vec!["a", "b", "c"]),
        ("NOT recipe:*", vec!["d"]),
    ] {
        assert_eq!(written(index, text), expected, "{text}");
    }
    for (name, ascending, descending) in [
        (
            "recipe.servings",
            ["a", "b", "c", "d"],
            ["c", "b", "a", "d"],
        ),
        (
            "recipe.prep_time_mins",
            ["b", "a", "c", "d"],
            ["a", "b", "c", "d"],
        ),
        ("recipe.course", ["b", "a", "c", "d"], ["a", "b", "c", "d"]),
        ("indexedAt", ["a", "b", "c", "d"], ["d", "c", "b", "a"]),
    ] {
        for (direction, expected) in [
            (Direction::Ascending, ascending),
            (Direction::Descending, descending),
        ] {
            let query = Query {
                sort: vec![SortKey::field(field(name), direction)],
                ..Query::default()
            };
            assert_eq!(dids(index, &query), expected, "{name} {direction:?}");
        }
    }
}

pub(crate) fn any_field_sorts(index: &dyn Index) {
    sorts(
        index,
        &[
            (
                "recipe.servings",
                ["a", "b", "c", "d", "e"],
                ["b", "a", "c", "d", "e"],
            ),
            (
                "recipe.cuisine",
                ["c", "a", "b", "d", "e"],
                ["b", "a", "c", "d", "e"],
            ),
            (
                "recipe.course",
                ["b", "a", "c", "d", "e"],
                ["a", "b", "c", "d", "e"],
            ),
            // Of several values the first in this direction counts: 0.5 of 0.5 and 3, then the 3.
            (
                "recipe.ingredient_amount",
                ["a", "b", "c", "d", "e"],
                ["a", "b", "c", "d", "e"],
            ),
        ],
    );
}

/// Of the embedded index only: a server keeps no order of fields that it knows nothing of.
#[expect(
    clippy::allow_attributes,
    reason = "each test program uses its own part of the suite"
)]
#[allow(dead_code)]
pub(crate) fn sorting_by_a_field_of_no_known_type_is_refused_with_the_cure(index: &dyn Index) {
    pantry(index);
    for name in ["pantry.count", "pantry.none"] {
        let query = Query {
            sort: vec![SortKey::field(field(name), Direction::Ascending)],
            ..Query::default()
        };
        let error = index.search(&query).expect_err("it has no order");
        assert!(
            matches!(error, IndexError::Query(QueryError::Untyped { .. })),
            "{error}"
        );
        assert!(error.to_string().contains("OIP_TEMPLATES_DIR"), "{error}");
    }
}

/// A field, and the DIDs in ascending and in descending order of it.
type Sorted = (&'static str, [&'static str; 5], [&'static str; 5]);

fn sorts(index: &dyn Index, cases: &[Sorted]) {
    pantry(index);
    for (name, ascending, descending) in cases {
        for (direction, expected) in [
            (Direction::Ascending, ascending),
            (Direction::Descending, descending),
        ] {
            let query = Query {
                sort: vec![SortKey::field(field(name), direction)],
                ..Query::default()
            };
            assert_eq!(dids(index, &query), expected, "{name} {direction:?}");
        }
    }
}

pub(crate) fn phrases_stand_in_one_field_in_order(index: &dyn Index) {
    let batch = [
        named("did:gun:a", "pearl barley soup"),
        named("did:gun:b", "barley pearl"),
        upsert(
            "did:gun:c",
            json!({"name": "pearl", "description": "barley"}),
            json!({}),
        ),
        upsert(
            "did:gun:d",
            json!({"tagItems": ["pearl", "barley"]}),
            json!({}),
        ),
        with_data(
            "did:gun:e",
            json!({"post": {"t": "Cooked PEARL, barley!"}}),
            json!({}),
        ),
        named("did:gun:f", "pearl of barley"),
    ];
    apply(index, &batch, 1);
    let phrase = |text: &str| {
        Condition::Phrase(Phrase {
            text: text.into(),
            fields: Vec::new(),
        })
    };
    assert_eq!(
        fitting(index, phrase("pearl barley")),
        ["did:gun:a", "did:gun:e"]
    );
    assert_eq!(fitting(index, phrase("pearl-barley soup")), ["did:gun:a"]);
    assert_eq!(fitting(index, phrase("barley")).len(), 6);
    assert_eq!(fitting(index, phrase("--")), [""; 0]);
    let best = dids(index, &Query::of(phrase("pearl barley")));
    assert_eq!(best[0], "did:gun:a", "the name counts more");
}

pub(crate) fn slips_are_forgiven_where_asked_and_count_less(index: &dyn Index) {
    let batch = [
        named("did:gun:a", "lemon"),
        named("did:gun:b", "lemno tree"),
        named("did:gun:c", "melon"),
        named("did:gun:d", "marmalade"),
        named("did:gun:e", "it"),
    ];
    apply(index, &batch, 1);
    let fuzzy = |text: &str| {
        Condition::Text(Text {
            spelling: Spelling::Fuzzy,
            ..Text::new(text)
        })
    };
    assert_eq!(fitting(index, fuzzy("lemon")), ["did:gun:a", "did:gun:b"]);
    assert_eq!(dids(index, &Query::of(fuzzy("lemon")))[0], "did:gun:a");
    assert_eq!(
        fitting(index, fuzzy("marmelad")),
        ["did:gun:d"],
        "two slips in a long word"
    );
    assert_eq!(
        fitting(index, fuzzy("mermelad")),
        [""; 0],
        "three are too many"
    );
    assert_eq!(fitting(index, fuzzy("is")), [""; 0], "none in a short one");
    assert_eq!(fitting(index, fuzzy("LEMMO tre")), ["did:gun:b"]);
}

pub(crate) fn conditions_join_and_negate(index: &dyn Index) {
    let batch = [
        named("did:gun:a", "red boat"),
        named("did:gun:b", "red house"),
        named("did:gun:c", "blue boat"),
    ];
    apply(index, &batch, 1);
    for (text, expected) in [
        ("red boat", vec!["did:gun:a"]),
        ("red OR boat", vec!["did:gun:a", "did:gun:b", "did:gun:c"]),
        ("red NOT boat", vec!["did:gun:b"]),
        ("NOT red", vec!["did:gun:c"]),
        ("NOT (red boat)", vec!["did:gun:b", "did:gun:c"]),
        ("NOT NOT red", vec!["did:gun:a", "did:gun:b"]),
        ("(red house) OR (blue boat)", vec!["did:gun:b", "did:gun:c"]),
        ("*", vec!["did:gun:a", "did:gun:b", "did:gun:c"]),
        ("NOT *", vec![]),
        ("did:gun:b OR did:gun:c", vec!["did:gun:b", "did:gun:c"]),
    ] {
        assert_eq!(written(index, text), expected, "{text}");
    }
    assert_eq!(fitting(index, Condition::All(vec![])).len(), 3);
    assert_eq!(fitting(index, Condition::Any(vec![])), [""; 0]);
    let open = Condition::Text(Text {
        last_word: LastWord::Prefix,
        mode: MatchMode::Any,
        ..Text::new("hou blu")
    });
    assert_eq!(fitting(index, open), ["did:gun:c"]);
}
