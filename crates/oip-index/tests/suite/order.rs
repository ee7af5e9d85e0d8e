//! Sorting and paging.

use oip_index::condition::{CONDITION_DEPTH_MAX, CONDITIONS_MAX, LOOKUPS_MAX, VALUES_MAX};
use oip_index::query::{PAGE_HITS_MAX, RESULT_WINDOW_MAX, SORT_KEYS_MAX};
use oip_index::{
    Condition, Direction, FieldPath, Index, IndexError, IndexOp, LastWord, MatchMode, Position,
    Query, QueryError, SortBy, SortKey, Spelling, Text,
};
use serde_json::json;

use super::corpus::{named, upsert};
use super::{apply, dids};

fn orders() -> Vec<SortBy> {
    let fields = [
        FieldPath::indexed_at(),
        FieldPath::date(),
        FieldPath::record_type(),
        FieldPath::name(),
        FieldPath::did(),
    ];
    std::iter::once(SortBy::Relevance)
        .chain(fields.into_iter().map(SortBy::Field))
        .collect()
}

const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

fn by(field: FieldPath, direction: Direction) -> SortKey {
    SortKey::field(field, direction)
}

/// A thousand documents with many equal values, put in as a few batches and many small ones.
fn thousand(index: &dyn Index) -> Vec<String> {
    let batch: Vec<IndexOp> = (0..1_000_u64)
        .map(|number| {
            let shuffled = number * 7_919 % 1_000;
            upsert(
                &format!("did:gun:{shuffled:04}"),
                json!({"name": format!("Name {}", number % 13), "date": number % 7}),
                json!({"recordType": format!("type{}", number % 3), "indexedAt": 1_000 + number % 11}),
            )
        })
        .collect();
    let (large, small) = batch.split_at(900);
    for (cursor, part) in large.chunks(300).chain(small.chunks(10)).enumerate() {
        apply(index, part, cursor as u64);
    }
    (0..1_000)
        .map(|number| format!("did:gun:{number:04}"))
        .collect()
}

pub(crate) fn pages_have_no_gaps_and_no_repeats_under_any_order(index: &dyn Index) {
    let all = thousand(index);
    for by in orders() {
        for direction in DIRECTIONS {
            let mut seen = Vec::new();
            for page in 0..8 {
                let query = Query {
                    sort: vec![SortKey {
                        by: by.clone(),
                        direction,
                    }],
                    limit: 137,
                    position: Position::Offset(page * 137),
                    ..Query::by_text("name")
                };
                let page = index.search(&query).unwrap();
                assert_eq!(page.total, 1_000);
                seen.extend(page.hits.into_iter().map(|hit| hit.did));
            }
            let whole = Query {
                sort: vec![SortKey {
                    by: by.clone(),
                    direction,
                }],
                limit: 1_000,
                ..Query::by_text("name")
            };
            assert_eq!(seen, dids(index, &whole), "{by:?} {direction:?}");
            seen.sort();
            assert_eq!(seen, all, "{by:?} {direction:?}");
        }
    }
}

pub(crate) fn missing_values_come_last_in_both_directions(index: &dyn Index) {
    let batch = [
        upsert(
            "did:gun:1",
            json!({"name": "b", "date": 1}),
            json!({"indexedAt": -5, "recordType": "t"}),
        ),
        upsert(
            "did:gun:2",
            json!({"name": "a", "date": -7}),
            json!({"indexedAt": 0, "recordType": "u"}),
        ),
        upsert("did:gun:3", json!({}), json!({})),
        upsert(
            "did:gun:4",
            json!({"name": 1, "date": "x"}),
            json!({"indexedAt": "x", "recordType": 3}),
        ),
    ];
    for (cursor, op) in batch.iter().enumerate() {
        apply(index, std::slice::from_ref(op), cursor as u64);
    }
    for (field, ascending) in [
        (FieldPath::indexed_at(), ["did:gun:1", "did:gun:2"]),
        (FieldPath::date(), ["did:gun:2", "did:gun:1"]),
        (FieldPath::record_type(), ["did:gun:1", "did:gun:2"]),
        (FieldPath::name(), ["did:gun:2", "did:gun:1"]),
    ] {
        let [first, second] = ascending;
        for (direction, head) in DIRECTIONS
            .into_iter()
            .zip([[first, second], [second, first]])
        {
            let query = Query {
                sort: vec![by(field.clone(), direction)],
                ..Query::default()
            };
            let expected = [head[0], head[1], "did:gun:3", "did:gun:4"];
            assert_eq!(dids(index, &query), expected, "{field:?} {direction:?}");
        }
    }
}

pub(crate) fn later_keys_break_ties(index: &dyn Index) {
    thousand(index);
    let query = Query {
        sort: vec![
            by(FieldPath::record_type(), Direction::Descending),
            by(FieldPath::date(), Direction::Ascending),
            by(FieldPath::indexed_at(), Direction::Descending),
        ],
        limit: 1_000,
        ..Query::default()
    };
    let page = index.search(&query).unwrap();
    let keys: Vec<_> = page
        .hits
        .iter()
        .map(|hit| {
            let record_type = hit.document["oip"]["recordType"]
                .as_str()
                .unwrap()
                .to_owned();
            let date = hit.document["data"]["basic"]["date"].as_i64().unwrap();
            let indexed_at = hit.document["oip"]["indexedAt"].as_i64().unwrap();
            (
                std::cmp::Reverse(record_type),
                date,
                -indexed_at,
                hit.did.clone(),
            )
        })
        .collect();
    assert_eq!(keys.len(), 1_000);
    assert!(keys.is_sorted());
}

pub(crate) fn names_sort_without_case(index: &dyn Index) {
    let names = [
        "alpha",
        "Beta",
        "gamma",
        "ÄPFEL",
        "äpfel 2",
        "Žito",
        "Яблоко",
    ];
    for (number, name) in names.iter().enumerate().rev() {
        apply(
            index,
            &[named(&format!("did:gun:{number}"), name)],
            number as u64,
        );
    }
    let query = Query {
        sort: vec![by(FieldPath::name(), Direction::Ascending)],
        ..Query::default()
    };
    let expected: Vec<_> = (0..names.len())
        .map(|number| format!("did:gun:{number}"))
        .collect();
    assert_eq!(dids(index, &query), expected);
}

pub(crate) fn the_default_order_is_newest_first_or_best_first(index: &dyn Index) {
    let batch = [
        upsert(
            "did:gun:old",
            json!({"name": "kite"}),
            json!({"indexedAt": "2026-01-20T10:00:00.000Z"}),
        ),
        upsert(
            "did:gun:new",
            json!({"name": "a kite among many other words"}),
            json!({"indexedAt": "2026-01-20T10:00:00.001Z"}),
        ),
    ];
    apply(index, &batch, 1);
    assert_eq!(
        dids(index, &Query::default()),
        ["did:gun:new", "did:gun:old"]
    );
    assert_eq!(
        dids(index, &Query::by_text("kite")),
        ["did:gun:old", "did:gun:new"]
    );
    let newest = index.search(&Query::default()).unwrap();
    assert!(newest.hits.iter().all(|hit| hit.score.is_none()));
    let worst_first = Query {
        sort: vec![SortKey {
            by: SortBy::Relevance,
            direction: Direction::Ascending,
        }],
        ..Query::by_text("kite")
    };
    let page = index.search(&worst_first).unwrap();
    assert_eq!(page.hits[0].did, "did:gun:new");
    assert!(page.hits[0].score < page.hits[1].score);
}

pub(crate) fn a_page_past_the_end_is_empty_and_still_counts(index: &dyn Index) {
    thousand(index);
    for (offset, expected) in [(995, 5), (1_000, 0), (50_000, 0)] {
        let query = Query {
            position: Position::Offset(offset),
            ..Query::default()
        };
        let page = index.search(&query).unwrap();
        assert_eq!((page.total, page.hits.len()), (1_000, expected));
    }
}

fn text(words: usize, spelling: Spelling, last_word: LastWord) -> Condition {
    let words: Vec<String> = (0..words)
        .map(|number| format!("word{number:03}"))
        .collect();
    Condition::Text(Text {
        mode: MatchMode::Any,
        spelling,
        last_word,
        ..Text::new(words.join(" "))
    })
}

/// As much as is allowed runs, whatever it is made of; more is refused by us, and not by a server.
pub(crate) fn heavy_and_deep_queries_run_up_to_the_limit(index: &dyn Index) {
    apply(index, &[named("did:gun:a", "word001")], 1);
    let found = |condition: Condition| dids(index, &Query::of(condition));
    let refused = |condition: Condition| match index.search(&Query::of(condition)) {
        Err(IndexError::Query(error)) => error,
        other => panic!("{other:?}"),
    };
    let fuzzy = |texts| Condition::Any(vec![text(60, Spelling::Fuzzy, LastWord::Whole); texts]);
    assert_eq!(found(fuzzy(2)), ["did:gun:a"]);
    let max = LOOKUPS_MAX;
    assert_eq!(refused(fuzzy(3)), QueryError::TooManyLookups { max });
    // As a stranger may ask: 200 words with slips.
    let typed = "word001~ OR ".repeat(199) + "word001~";
    let typed = oip_index::syntax::parse(&typed).unwrap();
    assert_eq!(refused(typed), QueryError::TooManyLookups { max });
    let part = |number: usize| Condition::exact("own.x".parse().unwrap(), [number.to_string()]);
    let tags = |tags: usize| Condition::Tags {
        tags: (0..tags).map(|number| number.to_string()).collect(),
        mode: MatchMode::All,
    };
    let parts = (0..20).map(part).chain([tags(VALUES_MAX)]).collect();
    assert_eq!(found(Condition::Any(parts)), [""; 0]);
    let parts = (0..21).map(part).chain([tags(VALUES_MAX)]).collect();
    assert_eq!(
        refused(Condition::Any(parts)),
        QueryError::TooManyLookups { max }
    );
    type Nest = fn(Condition) -> Condition;
    let nests: [(Nest, usize); 4] = [
        (|inner| Condition::All(vec![inner.clone(), inner]), 1),
        (|inner| Condition::Any(vec![Condition::did("x"), inner]), 1),
        (
            |inner| Condition::Not(Box::new(Condition::Not(Box::new(inner)))),
            2,
        ),
        (|inner| Condition::Most(vec![Condition::did("x"), inner]), 2),
    ];
    for (nest, levels) in nests {
        let innermost = || text(2, Spelling::Fuzzy, LastWord::Prefix);
        // Each level of All doubles the whole: a few are enough, the others go all the way.
        let most = (CONDITION_DEPTH_MAX - 1) / levels;
        let doubles = matches!(nest(Condition::Everything), Condition::All(_));
        let depth = if doubles { 5 } else { most };
        let whole = (0..depth).fold(innermost(), |inner, _| nest(inner));
        assert_eq!(found(whole.clone()), ["did:gun:a"], "{whole:?}");
    }
}

pub(crate) fn limits_are_errors_that_name_themselves(index: &dyn Index) {
    let refused = |query: Query| match index.search(&query) {
        Err(IndexError::Query(error)) => Some(error),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    let page = |limit, offset| {
        refused(Query {
            limit,
            position: Position::Offset(offset),
            ..Query::default()
        })
    };
    assert_eq!(page(PAGE_HITS_MAX, 0), None);
    assert_eq!(
        page(PAGE_HITS_MAX + 1, 0),
        Some(QueryError::PageTooLong {
            asked: PAGE_HITS_MAX + 1,
            max: PAGE_HITS_MAX
        })
    );
    assert_eq!(page(1, RESULT_WINDOW_MAX - 1), None);
    assert_eq!(
        page(1, RESULT_WINDOW_MAX),
        Some(QueryError::TooDeep {
            asked: RESULT_WINDOW_MAX + 1,
            max: RESULT_WINDOW_MAX
        })
    );
    assert!(matches!(
        page(1, usize::MAX),
        Some(QueryError::TooDeep { .. })
    ));
    let sorted = |keys| {
        refused(Query {
            sort: vec![by(FieldPath::name(), Direction::Ascending); keys],
            ..Query::default()
        })
    };
    assert_eq!(sorted(SORT_KEYS_MAX), None);
    assert_eq!(
        sorted(SORT_KEYS_MAX + 1),
        Some(QueryError::TooManySortKeys {
            asked: SORT_KEYS_MAX + 1,
            max: SORT_KEYS_MAX
        })
    );
    let tagged = |tags| {
        refused(Query::of(Condition::Tags {
            tags: vec!["x".into(); tags],
            mode: MatchMode::Any,
        }))
    };
    assert_eq!(tagged(VALUES_MAX), None);
    assert_eq!(
        tagged(VALUES_MAX + 1),
        Some(QueryError::TooManyValues {
            filter: "tags",
            asked: VALUES_MAX + 1,
            max: VALUES_MAX
        })
    );
    let nested = |levels| {
        let nest = |inner, _| Condition::Not(Box::new(inner));
        refused(Query::of((1..levels).fold(Condition::Everything, nest)))
    };
    assert_eq!(nested(CONDITION_DEPTH_MAX), None);
    assert_eq!(
        nested(CONDITION_DEPTH_MAX + 1),
        Some(QueryError::TooNested {
            max: CONDITION_DEPTH_MAX
        })
    );
    let many = |parts| refused(Query::of(Condition::All(vec![Condition::text("x"); parts])));
    assert_eq!(many(CONDITIONS_MAX - 1), None);
    assert_eq!(
        many(CONDITIONS_MAX),
        Some(QueryError::TooManyConditions {
            max: CONDITIONS_MAX
        })
    );
}
