//! Exact filters and counts.

use std::ops::Bound;

use oip_index::{Access, Condition, FieldPath, Index, IndexOp, MatchMode, Position, Query};
use serde_json::json;

use super::corpus::{records, upsert, with_data};
use super::{apply, dids};

fn sorted(index: &dyn Index, query: &Query) -> Vec<String> {
    let mut found = dids(index, query);
    found.sort();
    found
}

fn record(did: &str, record_type: &str, creator: &str, tags: &[&str]) -> IndexOp {
    upsert(
        did,
        json!({"name": "thing", "tagItems": tags}),
        json!({"recordType": record_type, "creator": {"didAddress": creator}}),
    )
}

fn shelf() -> Vec<IndexOp> {
    vec![
        record("did:gun:a", "post", "did:key:Alice", &["sea", "Boat trip"]),
        record("did:gun:b", "Post", "did:key:bob", &["sea"]),
        record(
            "did:gun:c",
            "conversationSession",
            "did:key:Alice",
            &["boat", "Sea", "C++"],
        ),
        record(
            "did:arweave:d",
            "recipe",
            "did:key:bob",
            &["boat", "sea", "sea"],
        ),
        record("urn:e", "recipe", "did:key:Alice:2", &[]),
    ]
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

pub(crate) fn record_types_are_exact_alternatives(index: &dyn Index) {
    apply(index, &shelf(), 1);
    for (types, expected) in [
        (&["post"][..], vec!["did:gun:a"]),
        (&["conversationSession"], vec!["did:gun:c"]),
        (&["conversationsession"], vec![]),
        (&["conversation"], vec![]),
        (
            &["post", "recipe", "none"],
            vec!["did:arweave:d", "did:gun:a", "urn:e"],
        ),
    ] {
        let query = Query::of(Condition::record_types(types.iter().copied()));
        assert_eq!(sorted(index, &query), expected, "{types:?}");
    }
}

pub(crate) fn creators_are_exact_alternatives(index: &dyn Index) {
    apply(index, &shelf(), 1);
    for (creators, expected) in [
        (&["did:key:Alice"][..], vec!["did:gun:a", "did:gun:c"]),
        (&["did:key:alice"], vec![]),
        (
            &["did:key:bob", "did:key:Alice:2"],
            vec!["did:arweave:d", "did:gun:b", "urn:e"],
        ),
    ] {
        let query = Query::of(Condition::exact(
            FieldPath::creator(),
            creators.iter().copied(),
        ));
        assert_eq!(sorted(index, &query), expected, "{creators:?}");
    }
}

pub(crate) fn tags_are_exact_and_any_or_all(index: &dyn Index) {
    apply(index, &shelf(), 1);
    for (tags, any, all) in [
        (
            &["sea"][..],
            vec!["did:arweave:d", "did:gun:a", "did:gun:b"],
            vec!["did:arweave:d", "did:gun:a", "did:gun:b"],
        ),
        (&["Sea"], vec!["did:gun:c"], vec!["did:gun:c"]),
        (&["Boat trip"], vec!["did:gun:a"], vec!["did:gun:a"]),
        (&["trip"], vec![], vec![]),
        (&["C++"], vec!["did:gun:c"], vec!["did:gun:c"]),
        (
            &["boat", "sea"],
            vec!["did:arweave:d", "did:gun:a", "did:gun:b", "did:gun:c"],
            vec!["did:arweave:d"],
        ),
        (
            &["boat", "missing"],
            vec!["did:arweave:d", "did:gun:c"],
            vec![],
        ),
    ] {
        for (tags_mode, expected) in [(MatchMode::Any, any), (MatchMode::All, all)] {
            let query = Query::of(Condition::Tags {
                tags: strings(tags),
                mode: tags_mode,
            });
            assert_eq!(sorted(index, &query), expected, "{tags:?} {tags_mode:?}");
        }
    }
}

pub(crate) fn a_did_finds_its_document_only(index: &dyn Index) {
    apply(index, &shelf(), 1);
    for op in shelf() {
        assert_eq!(sorted(index, &Query::by_did(op.did())), [op.did()]);
    }
    for did in ["did:gun:A", "did:gun:", "a", "did:gun:a ", ""] {
        assert_eq!(sorted(index, &Query::by_did(did)), [""; 0], "{did:?}");
    }
}

pub(crate) fn storage_is_the_method_of_the_did(index: &dyn Index) {
    apply(index, &shelf(), 1);
    for (storage, expected) in [
        ("gun", vec!["did:gun:a", "did:gun:b", "did:gun:c"]),
        ("arweave", vec!["did:arweave:d"]),
        ("gu", vec![]),
        ("irys", vec![]),
    ] {
        let query = Query::of(Condition::Storage(storage.into()));
        assert_eq!(sorted(index, &query), expected, "{storage}");
    }
}

pub(crate) fn what_refers_to_a_did_is_found_wherever_it_stands(index: &dyn Index) {
    let long = format!("did:gun:{}", "l".repeat(249));
    let batch = [
        with_data(
            "did:gun:a",
            json!({"recipe": {"ingredient": ["did:gun:oil", "did:gun:oil:2"]}}),
            json!({}),
        ),
        with_data(
            "did:gun:b",
            json!({"own": {"deep": [{"er": "did:gun:oil"}]}}),
            json!({}),
        ),
        with_data(
            "did:gun:c",
            json!({"post": {"articleText": "see did:gun:oil"}, "own": {"did:gun:oil": 1, "far": long}}),
            json!({"creator": {"didAddress": "did:gun:oil"}}),
        ),
        upsert("did:gun:oil", json!({"avatar": "did:arweave:x"}), json!({})),
    ];
    apply(index, &batch, 1);
    for (start, expected) in [
        ("did:gun:oil", vec!["did:gun:a", "did:gun:b"]),
        ("did:gun:oil:", vec!["did:gun:a"]),
        ("did:arweave:", vec!["did:gun:oil"]),
        ("did:gun:oils", vec![]),
        ("did:Gun:oil", vec![]),
        ("did:gun:l", vec![]),
    ] {
        let query = Query::of(Condition::Refers(start.into()));
        assert_eq!(sorted(index, &query), expected, "{start}");
    }
}

pub(crate) fn the_more_alternatives_hold_the_better(index: &dyn Index) {
    let batch = [
        record("did:gun:one", "post", "did:key:a", &["sea"]),
        record(
            "did:gun:three",
            "post",
            "did:key:b",
            &["sea", "boat", "tide"],
        ),
        record("did:gun:two", "post", "did:key:c", &["tide", "sea"]),
        record("did:gun:none", "post", "did:key:d", &["hill"]),
    ];
    apply(index, &batch, 1);
    let tag = |tag: &str| Condition::exact(FieldPath::tags(), [tag]);
    let most = Condition::Most(vec![tag("sea"), tag("boat"), tag("tide")]);
    let best_first = Query::of(most.clone());
    let expected = ["did:gun:three", "did:gun:two", "did:gun:one"];
    assert_eq!(dids(index, &best_first), expected);
    let hits = index.search(&best_first).unwrap().hits;
    let scores: Vec<_> = hits.iter().filter_map(|hit| hit.score).collect();
    assert_eq!(scores, [3.0, 2.0, 1.0]);
    // Words in a part don't count beyond the 1, and other conditions don't either.
    let words = Condition::Most(vec![Condition::text("sea"), tag("boat")]);
    let both = Query::of(words.and(Condition::record_types(["post"])));
    assert_eq!(index.search(&both).unwrap().hits[0].score, Some(2.0));
    assert_eq!(
        index
            .count(&Query::of(Condition::Not(Box::new(most))))
            .unwrap(),
        1
    );
    assert_eq!(
        index
            .count(&Query::of(Condition::Most(Vec::new())))
            .unwrap(),
        0
    );
}

fn stamped_within(from: Option<i64>, to: Option<i64>) -> Condition {
    let bound = |ms: Option<i64>| match ms {
        Some(ms) => Bound::Included(ms.to_string()),
        None => Bound::Unbounded,
    };
    Condition::Range {
        field: FieldPath::indexed_at(),
        from: bound(from),
        to: bound(to),
    }
}

pub(crate) fn dates_are_a_closed_range(index: &dyn Index) {
    let stamped = |did: &str, indexed_at: serde_json::Value| {
        upsert(did, json!({}), json!({"indexedAt": indexed_at}))
    };
    let batch = [
        stamped("a", json!("1969-12-31T23:59:59.999Z")),
        stamped("b", json!("1970-01-01T00:00:00.000Z")),
        stamped("c", json!("1970-01-01T01:00:00.001+01:00")),
        stamped("d", json!("2026-01-20T10:00:00Z")),
        stamped("e", json!("soon")),
        stamped("f", json!(null)),
    ];
    apply(index, &batch, 1);
    for (from, to, expected) in [
        (Some(0), Some(0), vec!["b"]),
        (Some(0), Some(1), vec!["b", "c"]),
        (Some(-1), None, vec!["a", "b", "c", "d"]),
        (None, Some(-1), vec!["a"]),
        (Some(1), Some(0), vec![]),
        (Some(i64::MIN), Some(i64::MAX), vec!["a", "b", "c", "d"]),
        (Some(1_768_903_200_000), None, vec!["d"]),
        (Some(1_768_903_200_001), None, vec![]),
    ] {
        let query = Query::of(stamped_within(from, to));
        assert_eq!(sorted(index, &query), expected, "{from:?} to {to:?}");
    }
}

pub(crate) fn dates_in_seconds_are_compared_by_days_and_times(index: &dyn Index) {
    let dated = |did: &str, second: i64| upsert(did, json!({"date": second}), json!({}));
    // 2026-01-20 begins with the second 1768867200.
    let batch = [
        dated("a", 1_768_867_199),
        dated("b", 1_768_867_200),
        dated("c", 1_768_867_200 + 86_399),
        dated("d", 1_768_867_200 + 86_400),
    ];
    apply(index, &batch, 1);
    for (text, expected) in [
        ("date:>=2026-01-20", vec!["b", "c", "d"]),
        ("date:>2026-01-20", vec!["d"]),
        ("date:<2026-01-20", vec!["a"]),
        ("date:<=2026-01-20", vec!["a", "b", "c"]),
        ("date:[2026-01-20 TO 2026-01-20]", vec!["b", "c"]),
        ("date:>=\"2026-01-20T23:59:59Z\"", vec!["c", "d"]),
        ("date:<1768867200", vec!["a"]),
    ] {
        let query = Query::of(oip_index::syntax::parse(text).unwrap());
        assert_eq!(sorted(index, &query), expected, "{text}");
    }
    let wrong = Query::of(oip_index::syntax::parse("date:>=soon").unwrap());
    assert!(index.search(&wrong).is_err());
    let servings = oip_index::syntax::parse("recipe.servings:>=2026-01-20").unwrap();
    assert!(index.search(&Query::of(servings)).is_err(), "it is no date");
}

pub(crate) fn filters_and_text_must_all_hold(index: &dyn Index) {
    apply(index, &shelf(), 1);
    let condition = Condition::All(vec![
        Condition::record_types(["post", "Post", "conversationSession"]),
        Condition::exact(FieldPath::creator(), ["did:key:Alice"]),
        Condition::Tags {
            tags: strings(&["sea", "boat"]),
            mode: MatchMode::Any,
        },
        Condition::Storage("gun".into()),
        Condition::text("thing"),
    ]);
    let query = Query::of(condition.clone());
    assert_eq!(sorted(index, &query), ["did:gun:a", "did:gun:c"]);
    for (more, expected) in [
        (Condition::did("did:gun:c"), 1),
        (Condition::did("did:gun:b"), 0),
        (Condition::text("nothing"), 0),
        (stamped_within(Some(0), None), 0),
    ] {
        let query = Query::of(condition.clone().and(more.clone()));
        assert_eq!(index.count(&query).unwrap(), expected, "{more:?}");
    }
}

pub(crate) fn counts_follow_the_query(index: &dyn Index) {
    let records = records();
    apply(index, &records, 1);
    let total = records.len() as u64;
    assert_eq!(index.count(&Query::default()).unwrap(), total);
    let none = Query {
        limit: 0,
        ..Query::default()
    };
    let page = index.search(&none).unwrap();
    assert_eq!((page.total, page.hits.len()), (total, 0));
    let one = Query {
        limit: 1,
        position: Position::Offset(3),
        ..Query::default()
    };
    assert_eq!(index.count(&one).unwrap(), total);
    let typed = Query::of(Condition::record_types(["exercise"]));
    assert_eq!(index.count(&typed).unwrap(), 1);
}

pub(crate) fn record_types_are_counted(index: &dyn Index) {
    apply(index, &shelf(), 1);
    let counted = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    let expected = counted(&[
        ("recipe", 2),
        ("Post", 1),
        ("conversationSession", 1),
        ("post", 1),
    ]);
    assert_eq!(index.record_types(&Access::public()).unwrap(), expected);
    apply(
        index,
        &[
            record("did:gun:f", "post", "x", &[]),
            upsert("did:gun:g", json!({}), json!({})),
        ],
        2,
    );
    let expected = counted(&[
        ("post", 2),
        ("recipe", 2),
        ("Post", 1),
        ("conversationSession", 1),
    ]);
    assert_eq!(index.record_types(&Access::public()).unwrap(), expected);
}
