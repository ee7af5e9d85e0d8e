//! Publishing: what is written, what is refused, and that every node indexes what was submitted.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Reject;
use crate::arrays::tests::{any_json, member_name};
use crate::fixtures::{NOW_MS, accept, built, context, every_key, post, raw_of, sample, wallet};
use crate::verify::{self, SignaturePolicy};

#[test]
fn what_is_published_is_what_every_node_indexes() {
    for key in every_key() {
        let built = built(&key);
        let accepted = accept(&built).unwrap();
        assert_eq!(accepted.document, built.document);
        assert_eq!(accepted.document["data"], sample());
        assert_eq!(accepted.order, built.order);
        assert_eq!(accepted.creator, *key.creator());
        assert_eq!((accepted.soul, accepted.did), (built.soul, built.did));
        assert_eq!(
            (accepted.data_text, accepted.oip_text),
            (built.data_text, built.oip_text)
        );
    }
}

#[test]
fn the_packed_form_is_that_of_deployed_nodes_with_a_marker() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let built = built(&key);
    let prefix = key.soul_prefix();
    assert_eq!(prefix.len(), 32);
    assert_eq!(built.soul.as_str(), format!("{prefix}:note-1"));
    assert_eq!(
        built.data_text.as_deref(),
        Some(
            "{\"basic\":{\"name\":\"Tide table\",\"tagItems\":\"[\\\"a\\\",\\\"[1]\\\"]\"},\"post\":{\"n\":\"[0.5,[]]\"}}"
        )
    );
    let oip: Value = serde_json::from_str(&built.oip_text).unwrap();
    let names: Vec<&String> = oip.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "did",
            "recordType",
            "indexedAt",
            "ver",
            "creator",
            "didTx",
            "revision",
            "level",
            "arrays",
            "scheme",
            "signature"
        ]
    );
    assert_eq!(oip["arrays"], json!(["/basic/tagItems", "/post/n"]));
    assert_eq!(oip["did"], oip["didTx"]);
    assert_eq!(oip["ver"], "0.8.0");
    assert_eq!(oip["indexedAt"], "2026-01-20T10:00:00.000Z");

    let [(record, entries), (meta, meta_entries)] = built.entries.as_slice() else {
        panic!("a record node and a meta node");
    };
    assert_eq!(record, &built.soul);
    assert_eq!(meta.as_str(), format!("{}/meta", built.soul));
    let value = |entries: &[(Key, GunValue)], name: &str| {
        entries
            .iter()
            .find(|(key, _)| key.as_str() == name)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(value(entries, "meta"), Some(GunValue::Link(meta.clone())));
    assert_eq!(
        value(entries, "oip"),
        Some(GunValue::text(built.oip_text.as_str()))
    );
    assert_eq!(
        value(meta_entries, "localId"),
        Some(GunValue::text("note-1"))
    );
    assert_eq!(
        value(meta_entries, "encrypted"),
        Some(GunValue::Bool(false))
    );
    assert_eq!(
        value(meta_entries, "created"),
        Some(GunValue::Number(NOW_MS as f64))
    );
}

#[test]
fn a_wallet_keeps_the_deployed_soul() {
    let key = wallet();
    let prefix = key.soul_prefix();
    assert_eq!(prefix.len(), 12);
    assert_eq!(built(&key).soul.as_str(), format!("{prefix}:note-1"));
}

#[test]
fn a_record_without_local_id_gets_one_from_the_random_argument() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let submission = Submission {
        local_id: None,
        ..post(sample())
    };
    let one = build(&submission, &context(&key)).unwrap();
    let other = build(
        &submission,
        &Context {
            random: [8; 16],
            ..context(&key)
        },
    )
    .unwrap();
    assert!(one.soul.as_str().contains(":h:"));
    assert_ne!(one.soul, other.soul);
    assert_eq!(soul_for(&key, None, [9; 16]).unwrap(), one.soul);
}

#[test]
fn a_new_version_is_stamped_after_the_newest_known() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let newest = |at_ms| {
        Some(Order {
            at_ms,
            revision: 7,
            digest: [255; 32],
        })
    };
    for (known, stamped) in [
        (None, NOW_MS),
        (newest(NOW_MS - 5), NOW_MS),
        (newest(NOW_MS), NOW_MS + 1),
        (newest(NOW_MS + 10), NOW_MS + 11),
        (newest(NOW_MS + FUTURE_MS_MAX - 1), NOW_MS + FUTURE_MS_MAX),
    ] {
        let context = Context {
            newest_known: known,
            ..context(&key)
        };
        let built = build(&post(sample()), &context).unwrap();
        assert_eq!(built.order.at_ms, stamped);
        assert_eq!(accept(&built).unwrap().order, built.order);
    }
    let context = Context {
        newest_known: newest(NOW_MS + FUTURE_MS_MAX),
        ..context(&key)
    };
    let refusal = build(&post(sample()), &context).unwrap_err();
    assert_eq!(refusal.label(), "clock-behind");
    assert_eq!(
        refusal.to_string(),
        "the newest version is stamped more than 10 minutes ahead of this node's clock: set the clock, or wait"
    );
}

#[test]
fn an_edit_keeps_its_soul_whatever_the_width_of_the_prefix() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let short = soul::prefix(&key.creator().public_key, soul::PrefixWidth::Deployed);
    let existing = soul::with_local_id(&short, "old").unwrap();
    let edit = build(
        &post(sample()),
        &Context {
            existing: Some(&existing),
            ..context(&key)
        },
    );
    let edit = edit.unwrap();
    assert_eq!(edit.soul, existing);
    assert!(accept(&edit).is_ok());
}

#[test]
fn another_keys_record_is_not_changed_or_deleted() {
    let (key, other) = (
        CreatorKey::ed25519([1; 32]).unwrap(),
        CreatorKey::ed25519([2; 32]).unwrap(),
    );
    let theirs = built(&other).soul;
    let edit = build(
        &post(sample()),
        &Context {
            existing: Some(&theirs),
            ..context(&key)
        },
    );
    let deletion = tombstone(&theirs, "post", &context(&key));
    for refusal in [edit.unwrap_err(), deletion.unwrap_err()] {
        assert_eq!(refusal.label(), "not-yours");
        assert_eq!(
            refusal.to_string(),
            "the record belongs to another key: only its creator can change or delete it"
        );
    }
}

#[test]
fn a_tombstone_is_signed_and_later_than_what_it_deletes() {
    for key in every_key() {
        let record = built(&key);
        let context = Context {
            newest_known: Some(record.order),
            ..context(&key)
        };
        let stone = tombstone(&record.soul, "post", &context).unwrap();
        assert!(stone.deleted && stone.data_text.is_none());
        assert_eq!(stone.entries.len(), 1);
        assert!(stone.oip_text.contains("\"deleted\":true"));
        let accepted = accept(&stone).unwrap();
        assert!(accepted.deleted && accepted.order > record.order);
        assert_eq!(accepted.document["data"], Value::Null);
        assert_eq!(accepted.document["oip"]["deleted"], true);
    }
}

#[test]
fn each_refusal_says_what_is_wrong_and_the_cure() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let refuse = |submission: Submission| {
        let refusal = build(&submission, &context(&key)).unwrap_err();
        (refusal.label(), refusal.to_string())
    };
    let with = |data: Value| refuse(post(data));
    assert_eq!(
        with(json!([1])),
        (
            "top-level-array",
            "the record is an array: send one object such as {\"basic\": {...}} per record".into()
        )
    );
    assert_eq!(
        with(json!({})),
        (
            "no-template",
            "the record has no template: send an object such as {\"basic\": {...}}".into()
        )
    );
    assert_eq!(
        with(json!({"basic": {"n": u64::MAX}})),
        ("inexact-number", "the number 18446744073709551615 can't be held exactly by a 64-bit float: send it as a string".into())
    );
    assert_eq!(
        with(json!({"basic": {}, "accessControl": {"access_level": "private"}})),
        ("private", "the record asks for privacy by `accessControl.access_level`, and is never published in clear: nothing of it was written".into())
    );
    let params = json!({"access_level": "shared"})
        .as_object()
        .cloned()
        .unwrap();
    assert_eq!(
        refuse(Submission {
            params,
            ..post(sample())
        })
        .0,
        "private"
    );
    assert_eq!(
        refuse(Submission {
            record_type: "a b".into(),
            ..post(sample())
        }),
        (
            "bad-record-type",
            "the record type `a b` is refused: use up to 64 letters, digits, `_` or `-`".into()
        )
    );
    assert_eq!(
        refuse(Submission {
            local_id: Some(String::new()),
            ..post(sample())
        }),
        (
            "bad-local-id",
            "the local id is empty: leave it out, then one is made".into()
        )
    );
}

#[test]
fn the_size_limit_holds_at_the_bound_and_one_beyond() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let frame = "{\"t\":{\"a\":\"\"}}".len();
    let sized = |bytes: usize| post(json!({"t": {"a": "x".repeat(bytes - frame)}}));
    let largest = build(&sized(DATA_BYTES_MAX), &context(&key)).unwrap();
    assert_eq!(
        largest.data_text.as_ref().map(String::len),
        Some(DATA_BYTES_MAX)
    );
    assert!(accept(&largest).is_ok());
    let refusal = build(&sized(DATA_BYTES_MAX + 1), &context(&key)).unwrap_err();
    assert_eq!(refusal.label(), "too-large");
    assert_eq!(
        refusal.to_string(),
        "the record is larger than 8 MiB: split it, or publish large content as media"
    );
}

#[test]
fn the_number_of_arrays_is_limited() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let with = |count: usize| {
        let fields: Map<String, Value> = (0..count).map(|n| (format!("a{n}"), json!([]))).collect();
        build(&post(json!({ "t": fields })), &context(&key))
    };
    assert!(accept(&with(ARRAYS_MAX).unwrap()).is_ok());
    let refusal = with(ARRAYS_MAX + 1).unwrap_err();
    assert_eq!(refusal.label(), "too-many-arrays");
    assert_eq!(
        refusal.to_string(),
        "the record has more than 8192 arrays: split it"
    );
}

#[test]
fn pointers_beyond_the_size_of_oip_are_refused() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let long = "k".repeat(OIP_BYTES_MAX);
    let refusal = build(&post(json!({ "t": { long: [] } })), &context(&key)).unwrap_err();
    assert_eq!(refusal.label(), "too-many-arrays");
}

#[test]
fn a_failing_key_is_named() {
    let refusal = Refusal::Key(KeyError::Signing);
    assert_eq!(
        (refusal.label(), refusal.to_string().as_str()),
        ("key", "the creator key failed")
    );
}

#[test]
fn all_records_that_ship_with_the_project_keep_every_field() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/records");
    let read = |name: &str| {
        json::parse(&std::fs::read_to_string(format!("{folder}/{name}")).unwrap()).unwrap()
    };
    let mut private = Vec::new();
    let index = read("index.json");
    for entry in index.as_array().unwrap() {
        let name = entry["file"].as_str().unwrap();
        let submission = Submission {
            record_type: entry["recordType"].as_str().unwrap().into(),
            local_id: entry["localId"].as_str().map(str::to_owned),
            data: read(name),
            params: Map::new(),
        };
        match build(&submission, &context(&key)) {
            Ok(built) => assert_eq!(accept(&built).unwrap().document["data"], submission.data),
            Err(Refusal::Private(_)) => private.push(name),
            Err(other) => panic!("{name}: {other}"),
        }
    }
    let expected = [
        "workout.json",
        "conversationSession.json",
        "image.json",
        "video.json",
        "text.json",
        "notes.json",
        "shoppingList.json",
        "userFitnessProfile.json",
        "calendarEvent.json",
        "accessControl-shared.json",
    ];
    assert_eq!(private, expected);
}

/// Any object of templates without members that are read as flags.
fn any_record() -> impl Strategy<Value = Value> {
    let template = prop::collection::vec((member_name(), any_json()), 0..5)
        .prop_map(|members| Value::Object(Map::from_iter(members)));
    prop::collection::vec((member_name(), template), 1..4)
        .prop_map(|members| Value::Object(Map::from_iter(members)))
        .prop_filter("no flag by chance", |data| {
            privacy::asks_for_privacy(data, &Map::new()).is_none()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn decoding_undoes_encoding(data in any_record()) {
        let key = CreatorKey::ed25519([1; 32]).unwrap();
        let built = build(&post(data.clone()), &context(&key)).unwrap();
        let accepted = accept(&built).unwrap();
        prop_assert_eq!(&accepted.document["data"], &data);
        prop_assert_eq!(accepted.document, built.document);
    }

    #[test]
    fn a_javascript_hop_breaks_neither_signature_nor_values(data in any_record()) {
        let key = CreatorKey::ed25519([1; 32]).unwrap();
        let built = build(&post(data), &context(&key)).unwrap();
        // A deployed node parses and re-serializes: other number texts, other member order.
        let mut raw = crate::fixtures::raw_of(&built);
        let parsed: Value = serde_json::from_str(raw.data_text.as_deref().unwrap()).unwrap();
        raw.data_text = Some(json::javascript_text(&parsed));
        let hopped = crate::verify::accept(
            &built.soul, raw, crate::SignaturePolicy::Require, NOW_MS,
        ).unwrap();
        prop_assert_eq!(hopped.order, built.order);
        prop_assert_eq!(
            json::javascript_text(&hopped.document["data"]),
            json::javascript_text(&built.document["data"])
        );
    }
}

#[test]
fn an_owner_signs_a_tombstone_in_the_creators_place() {
    let [creator, _, owner, _] = every_key();
    let mut data = sample();
    data["accessControl"] = json!({"owner_public_key": owner.creator().public_key});
    let version = build(&post(data), &context(&creator)).unwrap();
    let held = accept(&version).unwrap();
    assert!(held.owner.is_some() && held.deleted_by.is_none());
    let deletion = |key: &CreatorKey| {
        let later = Context {
            newest_known: Some(version.order),
            ..context(key)
        };
        tombstone_by_owner(&version.soul, "post", creator.creator(), &later).unwrap()
    };
    let built = deletion(&owner);
    assert_eq!((&built.creator, built.deleted), (creator.creator(), true));
    // The signed form is final.
    let digest = crate::soul::hex(&built.order.digest);
    assert_eq!(
        digest,
        "75a0465eb271dc7c38b0c9b3a4df913187634ba126f81bdfc5fe3aa292fa05d3"
    );
    let accepted = accept(&built).unwrap();
    assert_eq!(accepted.creator, *creator.creator());
    assert_eq!(accepted.deleted_by, held.owner);
    assert!(accepted.order > held.order);
    // Whose key it is, who holds the version tells; that it is nobody's cannot be hidden.
    assert_ne!(
        accept(&deletion(&every_key()[1])).unwrap().deleted_by,
        held.owner
    );
    for (name, member) in [
        ("deletedBy", every_key()[1].creator().to_value()),
        ("revision", json!(1)),
        ("indexedAt", json!("2026-01-20T10:00:09.000Z")),
    ] {
        let mut oip: Value = serde_json::from_str(&built.oip_text).unwrap();
        oip[name] = member;
        let raw = crate::Raw {
            oip_text: oip.to_string(),
            ..raw_of(&built)
        };
        let judged = verify::accept(&built.soul, raw, SignaturePolicy::Prefer, NOW_MS);
        assert_eq!(judged, Err(Reject::BadSignature), "{name}");
    }
    // A living version is its creator's to sign, and the scheme says who signs.
    let by_owner = owner.creator().to_value();
    for (of, name, member) in [
        (&version, "deletedBy", by_owner.clone()),
        (&built, "deletedBy", Value::Null),
        (&built, "deleted", json!(false)),
        (&built, "scheme", json!("oip-record-1/public")),
        (&version, "scheme", json!("oip-record-1/owner")),
    ] {
        let mut oip: Value = serde_json::from_str(&of.oip_text).unwrap();
        oip[name] = member;
        let raw = crate::Raw {
            oip_text: oip.to_string(),
            ..raw_of(of)
        };
        let judged = verify::accept(&of.soul, raw, SignaturePolicy::Prefer, NOW_MS);
        assert_eq!(judged, Err(Reject::BadMember("deletedBy")), "{name}");
    }
}
