//! Applying, replacing, deleting, and what is returned.

use oip_index::index::{DID_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_NESTING_MAX};
use oip_index::{Access, Condition, Index, IndexOp, Query, Readers, RefusalReason, Refused};
use serde_json::{Value, json};

use super::corpus::{delete, document, named, records, upsert, whole, with_data};
use super::{apply, dids, found};

pub(crate) fn an_empty_index_answers(index: &dyn Index) {
    assert_eq!(index.cursor().unwrap(), 0);
    assert_eq!(index.search(&Query::default()).unwrap(), Default::default());
    assert_eq!(index.count(&Query::by_text("x")).unwrap(), 0);
    assert_eq!(index.record_types(&Access::public()).unwrap(), []);
    apply(index, &[delete("did:gun:none")], 1);
    apply(index, &[], 2);
    assert_eq!(index.cursor().unwrap(), 2);
}

pub(crate) fn what_is_applied_is_found_and_returned_exactly(index: &dyn Index) {
    let mut batch = records();
    // Text compared, not values: member order and number text count.
    let edges = r#"{"data":{"z":1,"a":[[],{},[{"k":null}]],"0":0.0,"n":[1e21,-0.0,0.1,5e-324,1.7976931348623157e308,9007199254740993,18446744073709551615],"s":"\u0000\n\"\\ 𐀀 \uffff","":"empty key","a/b~c.d":true},"oip":{},"meta":{}}"#;
    batch.push(whole("did:gun:edges", serde_json::from_str(edges).unwrap()));
    apply(index, &batch, 7);
    assert_eq!(index.count(&Query::default()).unwrap(), batch.len() as u64);
    for op in &batch {
        let page = index.search(&Query::by_did(op.did())).unwrap();
        assert_eq!(page.total, 1, "{}", op.did());
        assert_eq!(page.hits[0].did, op.did());
        assert_eq!(page.hits[0].document.to_string(), document(op).to_string());
    }
}

pub(crate) fn an_upsert_replaces(index: &dyn Index) {
    apply(
        index,
        &[named("did:gun:a", "first"), named("did:gun:b", "other")],
        1,
    );
    apply(
        index,
        &[upsert(
            "did:gun:a",
            json!({"name": "second"}),
            json!({"recordType": "note"}),
        )],
        2,
    );
    assert_eq!(found(index, "first"), [""; 0]);
    assert_eq!(found(index, "second"), ["did:gun:a"]);
    assert_eq!(index.count(&Query::default()).unwrap(), 2);
    assert_eq!(
        index.record_types(&Access::public()).unwrap(),
        [("note".into(), 1), ("post".into(), 1)]
    );
}

pub(crate) fn a_delete_removes_and_may_be_repeated(index: &dyn Index) {
    apply(
        index,
        &[named("did:gun:a", "word"), named("did:gun:b", "word")],
        1,
    );
    for cursor in 2..4 {
        apply(index, &[delete("did:gun:a")], cursor);
        assert_eq!(found(index, "word"), ["did:gun:b"]);
        assert_eq!(index.count(&Query::by_did("did:gun:a")).unwrap(), 0);
        assert_eq!(
            index.record_types(&Access::public()).unwrap(),
            [("post".into(), 1)]
        );
    }
    apply(index, &[named("did:gun:a", "word again")], 4);
    assert_eq!(found(index, "word"), ["did:gun:a", "did:gun:b"]);
}

pub(crate) fn a_batch_applied_twice_changes_nothing(index: &dyn Index) {
    let mut batch = records();
    batch.push(delete(batch[0].did()));
    apply(index, &batch, 5);
    let before = index.search(&everything()).unwrap();
    apply(index, &batch, 5);
    assert_eq!(index.search(&everything()).unwrap(), before);
    assert_eq!(before.total, batch.len() as u64 - 2);
}

pub(crate) fn operations_of_one_batch_happen_in_order(index: &dyn Index) {
    let batch = [
        named("did:gun:a", "one"),
        named("did:gun:b", "one"),
        named("did:gun:a", "two"),
        delete("did:gun:b"),
        named("did:gun:c", "one"),
        delete("did:gun:c"),
        named("did:gun:c", "three"),
    ];
    apply(index, &batch, 1);
    assert_eq!(found(index, "one"), [""; 0]);
    assert_eq!(found(index, "two"), ["did:gun:a"]);
    assert_eq!(found(index, "three"), ["did:gun:c"]);
    assert_eq!(index.count(&Query::default()).unwrap(), 2);
}

pub(crate) fn the_cursor_is_the_last_batch_s(index: &dyn Index) {
    for cursor in [3, 4, 1 << 40, u64::MAX, 2] {
        apply(index, &[named("did:gun:a", "x")], cursor);
        assert_eq!(index.cursor().unwrap(), cursor);
    }
}

pub(crate) fn many_small_batches_leave_every_document(index: &dyn Index) {
    for number in 0..60_u64 {
        let did = |number: u64| format!("did:gun:{}", number % 20);
        apply(index, &[named(&did(number), &format!("v{number}"))], number);
        assert_eq!(found(index, &format!("v{number}")), [did(number)]);
    }
    assert_eq!(index.count(&Query::default()).unwrap(), 20);
    for number in 0..40 {
        assert_eq!(found(index, &format!("v{number}")), [""; 0]);
    }
    assert_eq!(index.cursor().unwrap(), 59);
}

pub(crate) fn odd_documents_are_taken(index: &dyn Index) {
    let odd = [
        json!(null),
        json!("text only"),
        json!([1, "two"]),
        json!({}),
        json!({"data": null}),
        json!({"data": "found me"}),
        json!({"data": {"basic": ["found me"]}}),
        json!({"data": {"basic": {"name": {"en": "found me"}}}}),
        json!({"data": {"basic": {"name": 7, "tagItems": "found me", "date": 1.5}}}),
        json!({"data": {"basic": {"tagItems": [1, null, "found", "me"], "date": "found"}}}),
        json!({"oip": {"recordType": ["post"], "creator": "x", "indexedAt": {}}}),
        json!({"oip": {"recordType": "x".repeat(100_000), "indexedAt": "32nd of May"}}),
    ];
    let batch: Vec<_> = odd
        .iter()
        .enumerate()
        .map(|(number, document)| whole(&format!("did:gun:{number:02}"), document.clone()))
        .collect();
    apply(index, &batch, 1);
    let expected: Vec<_> = (5..=9)
        .map(|number| format!("did:gun:{number:02}"))
        .collect();
    assert_eq!(found(index, "found me"), expected);
    let page = index.search(&everything()).unwrap();
    let documents: Vec<&Value> = page.hits.iter().map(|hit| &*hit.document).collect();
    assert_eq!(documents, odd.iter().collect::<Vec<_>>());
}

pub(crate) fn a_refusal_is_kept_before_the_cursor_moves(index: &dyn Index) {
    apply(index, &[named("did:gun:a", "before")], 1);
    let batch = [named("did:gun:a", "after"), named("", "no did")];
    let mut kept_at = Vec::new();
    let mut full = |refused: &[Refused]| {
        kept_at.push((refused.len(), index.cursor().unwrap()));
        Err("no room".into())
    };
    let error = index.apply_keeping(&batch, 2, &mut full);
    assert!(error.is_err(), "{error:?}");
    assert_eq!((kept_at, index.cursor().unwrap()), (vec![(1, 1)], 1));
    let applied = index.apply_keeping(&batch, 2, &mut |_| Ok(())).unwrap();
    assert_eq!((applied.refused.len(), index.cursor().unwrap()), (1, 2));
    assert_eq!(found(index, "after"), ["did:gun:a"]);
    let unasked = index.apply_keeping(&batch[..1], 3, &mut |_| Err("asked for nothing".into()));
    assert_eq!(unasked.unwrap().refused, []);
}

pub(crate) fn what_can_t_be_taken_is_named_and_holds_up_nothing(index: &dyn Index) {
    let long_did = "x".repeat(DID_BYTES_MAX + 1);
    let nested = |levels: usize| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let deep = |did: &str, levels: usize| whole(did, nested(levels));
    let huge = |bytes: usize| {
        let frame = document(&with_data("", json!(""), json!({})))
            .to_string()
            .len();
        with_data("did:gun:huge", json!("x".repeat(bytes - frame)), json!({}))
    };
    apply(index, &[named("did:gun:deep", "held before")], 1);
    let batch = [
        named("", "no did"),
        named(&long_did, "long did"),
        named(&long_did[1..], "longest did"),
        deep("did:gun:deep", DOCUMENT_NESTING_MAX + 1),
        deep("did:gun:fits", DOCUMENT_NESTING_MAX),
        huge(DOCUMENT_BYTES_MAX + 1),
        named("did:gun:last", "last"),
    ];
    let applied = index.apply(&batch, 2).unwrap();
    let refused: Vec<_> = applied
        .refused
        .into_iter()
        .map(|refused| (refused.did, refused.reason))
        .collect();
    assert_eq!(
        refused,
        [
            (String::new(), RefusalReason::DidLength { bytes: 0 }),
            (
                long_did.clone(),
                RefusalReason::DidLength {
                    bytes: DID_BYTES_MAX + 1
                }
            ),
            (
                "did:gun:deep".into(),
                RefusalReason::DocumentTooDeep {
                    nesting: DOCUMENT_NESTING_MAX + 1
                }
            ),
            (
                "did:gun:huge".into(),
                RefusalReason::DocumentTooLarge {
                    bytes: DOCUMENT_BYTES_MAX + 1
                }
            ),
        ]
    );
    assert_eq!(index.cursor().unwrap(), 2);
    assert_eq!(
        dids(index, &everything()),
        [
            "did:gun:deep",
            "did:gun:fits",
            "did:gun:last",
            &long_did[1..]
        ]
    );
    assert_eq!(found(index, "held before"), ["did:gun:deep"]);
    apply(index, &[huge(DOCUMENT_BYTES_MAX)], 3);
    assert_eq!(index.count(&Query::by_did("did:gun:huge")).unwrap(), 1);
}

pub(crate) fn clear_forgets_everything(index: &dyn Index) {
    apply(index, &records(), 9);
    index.clear().unwrap();
    an_empty_index_answers(index);
    apply(index, &records(), 9);
    assert_eq!(
        index.count(&Query::default()).unwrap(),
        records().len() as u64
    );
}

/// Every document, by DID.
fn everything() -> Query {
    use oip_index::{Direction, FieldPath, SortKey};
    Query {
        sort: vec![SortKey::field(FieldPath::did(), Direction::Ascending)],
        limit: 1_000,
        ..Query::default()
    }
}

pub(crate) fn a_record_of_many_values_is_found_by_any_of_them(index: &dyn Index) {
    let did = "did:gun:many";
    let items: Vec<String> = (0..12_000)
        .map(|number| format!("item{number:05}"))
        .collect();
    let mut op = with_data(
        did,
        json!({"basic": {"name": "heap"}, "own": {"items": items}, "zz": {"last": "z"}}),
        json!({"recordType": "post", "creator": {"didAddress": "did:key:z"}}),
    );
    if let IndexOp::Upsert { envelope, .. } = &mut op {
        envelope.readers = Readers::Only(["ann".to_owned()].into());
    }
    apply(index, &[op, named("did:gun:other", "other")], 1);
    let as_ann = |condition| Query {
        access: Access::Readers(["ann".to_owned()].into()),
        ..Query::of(condition)
    };
    let exact = |field: &str, value: &str| Condition::exact(field.parse().unwrap(), [value]);
    for condition in [
        Condition::did(did),
        Condition::text("heap"),
        Condition::text("item11999"),
        exact("own.items", "item00000"),
        exact("own.items", "item11999"),
        exact("zz.last", "z"),
        exact("oip.creator.didAddress", "did:key:z"),
        Condition::Exists {
            field: "zz".parse().unwrap(),
        },
    ] {
        assert_eq!(
            dids(index, &as_ann(condition.clone())),
            [did],
            "{condition:?}"
        );
        assert_eq!(
            dids(index, &Query::of(condition)),
            [""; 0],
            "not for others"
        );
    }
    let storage = as_ann(Condition::Storage("gun".into()));
    assert_eq!(index.count(&storage).unwrap(), 2);
    let held = index.holdings(None, 10).unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!(
        (held[0].did.as_str(), held[0].record_type.as_str()),
        (did, "post")
    );
}
