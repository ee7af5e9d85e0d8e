//! What comes with the hits: cursors, facets, highlights; and who may see what.

use std::collections::BTreeSet;

use oip_index::{
    Access, Condition, Direction, Envelope, Facet, FacetRequest, FieldPath, Highlight, Holding,
    Index, IndexError, IndexOp, Position, Query, QueryError, Readers, SortBy, SortKey, Version,
};
use serde_json::json;

use super::corpus::{delete, named, upsert};
use super::{apply, dids};

fn tagged(number: u64) -> IndexOp {
    upsert(
        &format!("did:gun:{:03}", number * 7 % 100),
        json!({"name": format!("Thing {}", number % 9), "date": number % 5, "tagItems": [format!("t{}", number % 4), "all", "all"]}),
        json!({"recordType": format!("type{}", number % 3), "indexedAt": 1_000 + number % 11, "creator": {"didAddress": format!("did:key:{}", number % 2)}}),
    )
}

/// A facet's name, and its values with their documents.
type Counted<'a> = (&'a str, Vec<(Option<&'a str>, u64)>);

fn hundred(index: &dyn Index) {
    let batch: Vec<_> = (0..100).map(tagged).collect();
    for (cursor, part) in batch.chunks(30).enumerate() {
        apply(index, part, cursor as u64);
    }
}

pub(crate) fn cursors_visit_every_hit_once_under_any_order(index: &dyn Index) {
    hundred(index);
    let fields = [
        FieldPath::indexed_at(),
        FieldPath::date(),
        FieldPath::name(),
        FieldPath::record_type(),
        FieldPath::did(),
        // Of a known type, and without a value anywhere.
        "basic.language".parse().expect("a field"),
    ];
    let orders = std::iter::once(SortBy::Relevance).chain(fields.into_iter().map(SortBy::Field));
    for by in orders {
        for direction in [Direction::Ascending, Direction::Descending] {
            let whole = Query {
                sort: vec![SortKey {
                    by: by.clone(),
                    direction,
                }],
                limit: 1_000,
                ..Query::by_text("thing")
            };
            let expected = dids(index, &whole);
            let mut query = Query { limit: 13, ..whole };
            let mut seen = Vec::new();
            loop {
                let page = index.search(&query).expect("a page");
                assert_eq!(page.total, 100, "the total is that of all pages");
                seen.extend(page.hits.into_iter().map(|hit| hit.did));
                let Some(next) = page.next else { break };
                // As a client brings it back.
                query.position = Position::After(next.to_string().parse().expect("a cursor"));
            }
            assert_eq!(seen, expected, "{by:?} {direction:?}");
        }
    }
}

pub(crate) fn a_cursor_keeps_its_place_though_documents_come_and_go(index: &dyn Index) {
    let dated = |did: &str, date: u64| upsert(did, json!({"date": date}), json!({}));
    let batch = [
        dated("did:gun:a", 1),
        dated("did:gun:b", 3),
        dated("did:gun:c", 5),
        dated("did:gun:d", 7),
    ];
    apply(index, &batch, 1);
    let mut query = Query {
        sort: vec![SortKey::field(FieldPath::date(), Direction::Ascending)],
        limit: 2,
        ..Query::default()
    };
    let first = index.search(&query).expect("a page");
    query.position = Position::After(first.next.expect("more"));
    // The hit the cursor stands at goes, one comes before it, one after it.
    apply(
        index,
        &[
            delete("did:gun:b"),
            dated("did:gun:x", 2),
            dated("did:gun:y", 4),
        ],
        2,
    );
    assert_eq!(dids(index, &query), ["did:gun:y", "did:gun:c"]);
    let other = Query {
        sort: Vec::new(),
        ..query
    };
    assert!(matches!(
        index.search(&other),
        Err(IndexError::Query(QueryError::ForeignCursor))
    ));
}

pub(crate) fn facets_count_all_that_fit_on_all_pages(index: &dyn Index) {
    hundred(index);
    let mut from = named("did:gun:other", "thing of others");
    if let IndexOp::Upsert { envelope, .. } = &mut from {
        envelope.node = Some("node-b".into());
    }
    apply(index, &[from, named("did:gun:unfit", "unfit")], 9);
    let query = Query {
        limit: 1,
        facets: Facet::ALL.map(FacetRequest::new).into(),
        ..Query::by_text("thing")
    };
    let page = index.search(&query).expect("a page");
    let counts: Vec<Counted<'_>> = page
        .facets
        .iter()
        .map(|counts| {
            let values = counts.values.iter();
            let values = values.map(|one| (one.value.as_deref(), one.documents));
            (counts.facet.label(), values.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        counts,
        [
            (
                "type",
                vec![
                    (Some("type0"), 34),
                    (Some("type1"), 33),
                    (Some("type2"), 33),
                    (Some("post"), 1)
                ]
            ),
            (
                "creator",
                vec![(Some("did:key:0"), 50), (Some("did:key:1"), 50)]
            ),
            ("node", vec![(None, 100), (Some("node-b"), 1)]),
            (
                "tag",
                vec![
                    (Some("all"), 100),
                    (Some("t0"), 25),
                    (Some("t1"), 25),
                    (Some("t2"), 25),
                    (Some("t3"), 25)
                ]
            ),
        ]
    );
    let narrow = Query {
        limit: 0,
        facets: vec![FacetRequest {
            facet: Facet::Tag,
            values_max: 2,
        }],
        ..Query::of(Condition::record_types(["type1"]))
    };
    let page = index.search(&narrow).expect("a page");
    assert_eq!((page.total, page.hits.len()), (33, 0));
    let values: Vec<_> = page.facets[0]
        .values
        .iter()
        .map(|one| (one.value.as_deref(), one.documents))
        .collect();
    assert_eq!(values, [(Some("all"), 33), (Some("t1"), 9)]);
    let node = Query::of(Condition::exact(FieldPath::node(), ["node-b"]));
    assert_eq!(dids(index, &node), ["did:gun:other"]);
}

pub(crate) fn highlights_show_what_was_found(index: &dyn Index) {
    let op = upsert(
        "did:gun:a",
        json!({"name": "Lemon barley", "description": "a pot", "tagItems": ["lemon"]}),
        json!({}),
    );
    apply(index, &[op], 1);
    let query = Query {
        highlight: Some(Highlight::default()),
        ..Query::by_text("lemon")
    };
    let page = index.search(&query).expect("a page");
    let shown: Vec<_> = page.hits[0]
        .highlights
        .iter()
        .map(|one| {
            let fragment = &one.fragments[0];
            let marked = &fragment.text[fragment.marks[0].clone()];
            (one.field.to_string(), fragment.text.as_str(), marked)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("data.basic.name".to_owned(), "Lemon barley", "Lemon"),
            ("data.basic.tagItems".to_owned(), "lemon", "lemon"),
        ]
    );
    let plain = index.search(&Query::by_text("lemon")).expect("a page");
    assert!(plain.hits[0].highlights.is_empty());
}

fn readable(did: &str, readers: Readers) -> IndexOp {
    let mut op = named(did, "word");
    if let IndexOp::Upsert { envelope, .. } = &mut op {
        envelope.readers = readers;
    }
    op
}

fn tokens(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) fn nobody_finds_or_counts_what_he_may_not_read(index: &dyn Index) {
    let batch = [
        readable("did:gun:all", Readers::Public),
        readable("did:gun:ab", Readers::Only(tokens(&["alice", "bob"]))),
        readable("did:gun:b", Readers::Only(tokens(&["bob"]))),
        readable("did:gun:none", Readers::Only(tokens(&[]))),
        readable(
            "did:gun:tricky",
            Readers::Only(tokens(&["public", "Alice", "reader alice"])),
        ),
    ];
    apply(index, &batch, 1);
    for (access, expected) in [
        (Access::public(), vec!["did:gun:all"]),
        (Access::default(), vec!["did:gun:all"]),
        (
            Access::Readers(tokens(&["alice"])),
            vec!["did:gun:ab", "did:gun:all"],
        ),
        (
            Access::Readers(tokens(&["bob"])),
            vec!["did:gun:ab", "did:gun:all", "did:gun:b"],
        ),
        (
            Access::Readers(tokens(&["stranger", "ali"])),
            vec!["did:gun:all"],
        ),
        (
            Access::Everything,
            vec![
                "did:gun:ab",
                "did:gun:all",
                "did:gun:b",
                "did:gun:none",
                "did:gun:tricky",
            ],
        ),
    ] {
        for condition in [
            Condition::text("word"),
            Condition::Everything,
            Condition::Not(Box::new(Condition::text("nothing"))),
            Condition::Any(vec![Condition::did("did:gun:b"), Condition::Everything]),
        ] {
            let query = Query {
                access: access.clone(),
                facets: vec![FacetRequest::new(Facet::RecordType)],
                ..Query::of(condition)
            };
            let page = index.search(&query).expect("a page");
            let mut found: Vec<_> = page.hits.iter().map(|hit| hit.did.as_str()).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{access:?}");
            assert_eq!(page.total, expected.len() as u64);
            assert_eq!(page.facets[0].values[0].documents, expected.len() as u64);
            assert_eq!(index.count(&query).expect("a count"), expected.len() as u64);
        }
        let types = index.record_types(&access).expect("types");
        assert_eq!(types, [("post".to_owned(), expected.len() as u64)]);
    }
    // A new version may have other readers.
    apply(
        index,
        &[readable("did:gun:all", Readers::Only(tokens(&["bob"])))],
        2,
    );
    assert_eq!(dids(index, &Query::default()), [""; 0]);
}

fn versioned(did: &str, record_type: &str, version: Version) -> IndexOp {
    IndexOp::Upsert {
        did: did.to_owned(),
        document: json!({"oip": {"recordType": record_type}}),
        envelope: Envelope {
            readers: Readers::Only(tokens(&["someone"])),
            version,
            node: None,
        },
    }
}

pub(crate) fn holdings_are_listed_whole_in_order_with_their_versions(index: &dyn Index) {
    let version = |number: u64| Version {
        class: (number / 50) as u8,
        indexed_at_ms: 1_768_903_200_000 + number as i64,
        revision: number,
        digest: [number as u8; 32],
    };
    let batch: Vec<_> = (0..50_u64)
        .map(|number| {
            versioned(
                &format!("did:gun:{:02}", number * 7 % 50),
                "post",
                version(number),
            )
        })
        .collect();
    for (cursor, part) in batch.chunks(9).enumerate() {
        apply(index, part, cursor as u64);
    }
    apply(index, &[versioned("did:gun:07", "note", version(99))], 20);
    let gone = IndexOp::Delete {
        did: "did:gun:49".into(),
        version: version(100),
    };
    apply(index, &[gone], 21);
    let mut held: Vec<Holding> = Vec::new();
    loop {
        let after = held.last().map(|one| one.did.clone());
        let page = index.holdings(after.as_deref(), 7).expect("a page");
        if page.is_empty() {
            break;
        }
        held.extend(page);
    }
    let expected: Vec<String> = (0..49)
        .map(|number| format!("did:gun:{number:02}"))
        .collect();
    assert_eq!(
        held.iter().map(|one| one.did.clone()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(held[0].version, Some(version(0)));
    assert_eq!(
        (held[7].record_type.as_str(), held[7].version),
        ("note", Some(version(99)))
    );
}

pub(crate) fn a_rebuild_takes_the_place_of_the_old_index_at_once(index: &dyn Index) {
    apply(
        index,
        &[named("did:gun:old", "word"), named("did:gun:gone", "word")],
        5,
    );
    let mut rebuild = index.begin_rebuild().expect("a rebuild");
    rebuild
        .apply(&[named("did:gun:old", "word")], 3)
        .expect("a batch");
    assert_eq!(
        index.cursor().expect("a cursor"),
        5,
        "the old one counts until then"
    );
    apply(index, &[named("did:gun:new", "word")], 6);
    assert_eq!(
        super::found(index, "word"),
        ["did:gun:gone", "did:gun:new", "did:gun:old"]
    );
    rebuild
        .apply(&[named("did:gun:new", "word")], 6)
        .expect("a batch");
    rebuild.finish().expect("in place");
    assert_eq!(super::found(index, "word"), ["did:gun:new", "did:gun:old"]);
    assert_eq!(index.cursor().expect("a cursor"), 6);
    let mut given_up = index.begin_rebuild().expect("a rebuild");
    given_up
        .apply(&[named("did:gun:never", "word")], 1)
        .expect("a batch");
    drop(given_up);
    assert_eq!(index.cursor().expect("a cursor"), 6);
    apply(index, &[named("did:gun:more", "word")], 7);
    assert_eq!(
        super::found(index, "word"),
        ["did:gun:more", "did:gun:new", "did:gun:old"]
    );
}
