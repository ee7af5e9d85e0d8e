//! Judging records: ours, deployed ones, and every way in which either is refused.

use serde_json::json;

use super::*;
use crate::fixtures::{
    NOW_MS, accept as accept_built, built, context, every_key, node_of, post, raw_of, sample, whole,
};
use crate::keys::CreatorKey;
use crate::publish::{self, Built, Context};
use crate::read;

/// After every captured record.
const LATER_MS: i64 = 1_795_500_000_000;

fn end_to_end() -> Map<String, Value> {
    let file = include_str!("../../../../testdata/vectors/oip/records-end-to-end.json");
    serde_json::from_str(file).unwrap()
}

fn captured(record: &Value) -> (Soul, Raw) {
    let node = node_of(&record["gunNode"]);
    (
        node.soul.clone(),
        whole(read::candidate(&node, |_| None).unwrap()),
    )
}

fn ours() -> Built {
    built(&CreatorKey::ed25519([1; 32]).unwrap())
}

fn judge(built: &Built, raw: Raw, policy: SignaturePolicy) -> Result<Accepted, Reject> {
    accept(&built.soul, raw, policy, NOW_MS)
}

/// One of our records with a member of `oip` changed.
fn with_oip(name: &str, member: Value) -> Reject {
    let built = ours();
    let mut raw = raw_of(&built);
    let mut oip: Value = serde_json::from_str(&raw.oip_text).unwrap();
    match member {
        Value::Null => drop(oip.as_object_mut().unwrap().shift_remove(name)),
        member => oip[name] = member,
    }
    raw.oip_text = oip.to_string();
    judge(&built, raw, SignaturePolicy::Prefer).unwrap_err()
}

fn with_data(text: &str) -> Reject {
    let built = ours();
    let raw = Raw {
        data_text: Some(text.into()),
        ..raw_of(&built)
    };
    judge(&built, raw, SignaturePolicy::Prefer).unwrap_err()
}

mod deployed;

#[test]
fn an_owner_that_was_added_after_signing_does_not_break_the_signature() {
    let record = &end_to_end()["post.json"];
    let creator = serde_json::from_str::<Value>(record["gunNode"]["oip"].as_str().unwrap())
        .unwrap()["creator"]["publicKey"]
        .clone();
    // The wallet of the vectors is not at hand: sign with one of our own in the deployed way.
    let key = crate::fixtures::wallet();
    let own = key.creator().public_key.as_str();
    let deployed = |signed: &Value, stored: &Value| {
        let signature = key.sign(signed.to_string().as_bytes()).unwrap();
        let soul = publish::soul_for(&key, Some("x"), [0; 16]).unwrap();
        let oip = json!({
            "ver": "0.8.0", "recordType": "post", "indexedAt": "2026-01-20T10:00:00.000Z",
            "creator": key.creator().to_value(), "signature": signature
        });
        let raw = Raw {
            data_text: Some(stored.to_string()),
            oip_text: oip.to_string(),
            ..raw_of(&ours())
        };
        accept(&soul, raw, SignaturePolicy::Prefer, NOW_MS)
    };
    let signed = json!({"basic": {"a": 1}, "accessControl": {"access_level": "public"}});
    let stored = |owner: &Value, by: &Value| {
        let mut data = signed.clone();
        for (name, key) in [("owner_public_key", owner), ("created_by", by)] {
            if !key.is_null() {
                data["accessControl"][name] = key.clone();
            }
        }
        data
    };
    let (own, none) = (json!(own), Value::Null);
    for (owner, by) in [(&none, &none), (&own, &none), (&none, &own), (&own, &own)] {
        let accepted = deployed(&signed, &stored(owner, by)).unwrap();
        assert_eq!(accepted.class, SignatureClass::Deployed);
    }
    let with_owner = stored(&own, &none);
    assert!(deployed(&with_owner, &stored(&own, &own)).is_ok());
    // Only the publisher's own key is taken away again.
    assert_eq!(
        deployed(&signed, &stored(&creator, &none)).unwrap_err(),
        Reject::BadSignature
    );
}

#[test]
fn a_soul_belongs_to_the_key_whose_hash_is_its_prefix() {
    let built = ours();
    let other = Soul::new("0123456789ab:note-1").unwrap();
    let move_to = |soul: &Soul| accept(soul, raw_of(&built), SignaturePolicy::Prefer, NOW_MS);
    let reject = move_to(&other).unwrap_err();
    assert_eq!(reject.label(), "prefix-mismatch");
    assert_eq!(
        reject.to_string(),
        "the soul's prefix is not the hash of the creator's `publicKey`"
    );
    // Another soul of the same key: the soul is signed.
    let prefix = built.soul.as_str().split_once(':').unwrap().0.to_owned();
    let sibling = Soul::new(format!("{prefix}:note-2")).unwrap();
    assert_eq!(move_to(&sibling).unwrap_err().label(), "did-mismatch");
    let mut raw = raw_of(&built);
    raw.oip_text = raw.oip_text.replace("note-1", "note-2");
    let reject = accept(&sibling, raw, SignaturePolicy::Prefer, NOW_MS).unwrap_err();
    assert_eq!(reject, Reject::BadSignature);
}

#[test]
fn every_signed_member_is_covered_by_our_signature() {
    for key in every_key() {
        let built = built(&key);
        let change = |from: &str, to: &str| {
            let mut raw = raw_of(&built);
            assert!(raw.oip_text.contains(from), "{from}");
            raw.oip_text = raw.oip_text.replacen(from, to, 1);
            judge(&built, raw, SignaturePolicy::Prefer).unwrap_err()
        };
        for (from, to) in [
            ("\"recordType\":\"post\"", "\"recordType\":\"text\""),
            ("10:00:00.000Z", "10:00:00.001Z"),
            ("\"revision\":0", "\"revision\":1"),
            (
                "\"arrays\":[\"/basic/tagItems\",\"/post/n\"]",
                "\"arrays\":[\"/post/n\",\"/basic/tagItems\"]",
            ),
            ("\"arrays\":[\"/basic/tagItems\",", "\"arrays\":["),
        ] {
            assert_eq!(change(from, to), Reject::BadSignature, "{from}");
        }
        let data = built.data_text.as_deref().unwrap().replace("Tide", "Time");
        let raw = Raw {
            data_text: Some(data),
            ..raw_of(&built)
        };
        let reject = judge(&built, raw, SignaturePolicy::Require).unwrap_err();
        assert_eq!(reject.to_string(), "the record's signature does not verify");
        assert_eq!(reject.label(), "bad-signature");
    }
}

#[test]
fn members_that_the_scheme_needs_must_be_there_in_their_one_form() {
    for (name, member) in [
        ("indexedAt", Value::Null),
        ("indexedAt", json!("2026-01-20T10:00:00Z")),
        ("revision", Value::Null),
        ("arrays", Value::Null),
        ("signature", Value::Null),
        ("level", Value::Null),
        ("level", json!("private")),
    ] {
        let reject = with_oip(name, member);
        assert_eq!(reject, Reject::BadMember(name));
        assert_eq!(
            reject.to_string(),
            format!("the record's `oip.{name}` is missing or malformed")
        );
    }
    assert_eq!(
        with_oip("did", json!("did:gun:x")).to_string(),
        "the record names another DID than the soul it lies at"
    );
    assert_eq!(with_oip("did", Value::Null).label(), "did-mismatch");
    assert_eq!(with_oip("ver", json!("0.7.9")).label(), "bad-version");
    assert_eq!(
        with_oip("recordType", json!("a b")).label(),
        "bad-record-type"
    );
    assert_eq!(with_oip("creator", Value::Null).label(), "no-creator");
    assert_eq!(
        with_oip("signature", json!("AAAA")).label(),
        "bad-signature"
    );
}

#[test]
fn removing_the_scheme_does_not_turn_a_record_into_an_unsigned_one() {
    // Without its scheme the signature is judged as a deployed one, which it is not.
    assert_eq!(with_oip("scheme", Value::Null), Reject::BadSignature);
}

#[test]
fn unknown_and_sealed_schemes_are_named() {
    let reject = with_oip("scheme", json!("oip-record-9/public"));
    assert_eq!(reject.label(), "unknown-scheme");
    assert_eq!(
        reject.to_string(),
        "the record's signature scheme `oip-record-9/public` is not known: upgrade this node"
    );
    // The domain of what is inside a ciphertext is nobody's scheme.
    let inner = with_oip("scheme", json!("oip-record-1/private"));
    assert_eq!(inner.label(), "unknown-scheme");
    // A public record can't be passed off as a sealed one.
    let sealed = with_oip("scheme", json!("oip-record-1/sealed"));
    assert_eq!(sealed, Reject::BadMember("revision"));
    let ciphertext = "{\"encrypted\":\"AA==\",\"iv\":\"AA==\",\"tag\":\"AA==\"}";
    assert_eq!(with_data(ciphertext), Reject::Sealed);
}

#[test]
fn an_address_that_does_not_derive_from_the_key_is_refused() {
    let built = ours();
    let other = CreatorKey::ed25519([2; 32]).unwrap();
    let mut raw = raw_of(&built);
    raw.oip_text = raw
        .oip_text
        .replace(&built.creator.did_address, &other.creator().did_address);
    let reject = judge(&built, raw, SignaturePolicy::Prefer).unwrap_err();
    assert_eq!(reject.label(), "creator-mismatch");
    assert_eq!(
        reject.to_string(),
        "the creator's `didAddress` does not derive from its `publicKey`"
    );
}

#[test]
fn data_that_is_no_record_is_refused() {
    for (text, label) in [
        ("", "not-json"),
        ("{", "not-json"),
        ("[]", "top-level-array"),
        ("1", "not-an-object"),
        ("{}", "bad-arrays"),
        (
            "{\"basic\":{\"tagItems\":\"x\"},\"post\":{\"n\":\"[]\"}}",
            "bad-arrays",
        ),
        ("{\"basic\":{\"a\":1,\"a\":2}}", "duplicate-member"),
        ("{\"basic\":{\"a\":9007199254740993}}", "inexact-number"),
    ] {
        let reject = with_data(text);
        // An array has no member to which the signed pointers could lead.
        let expected = if text == "[]" || text == "1" {
            "bad-arrays"
        } else {
            label
        };
        assert_eq!(reject.label(), expected, "{text}");
    }
    assert_eq!(
        with_data("{").to_string(),
        "the record's data can't be read"
    );
    assert_eq!(
        with_data("{}").to_string(),
        "the record's `oip.arrays` does not fit its data"
    );
    let foreign = |data: &str| {
        let (soul, raw) = captured(&end_to_end()["post.json"]);
        let raw = Raw {
            data_text: Some(data.into()),
            ..raw
        };
        accept(&soul, raw, SignaturePolicy::Prefer, LATER_MS)
            .unwrap_err()
            .label()
    };
    for (text, label) in [
        ("{", "not-json"),
        ("[{\"basic\":{}}]", "top-level-array"),
        ("\"text\"", "not-an-object"),
        ("{}", "no-template"),
        ("{\"#\":\"a/data\"}", "template-not-an-object"),
        (
            "{\"encrypted\":\"AA\",\"iv\":\"AA\",\"encryptionType\":\"oip-sealed-1\"}",
            "sealed",
        ),
    ] {
        assert_eq!(foreign(text), label, "{text}");
    }
}

#[test]
fn texts_over_their_limits_are_refused_before_they_are_parsed() {
    assert_eq!(
        with_data(&" ".repeat(DATA_BYTES_MAX + 1)).label(),
        "too-large"
    );
    assert_eq!(with_data(&" ".repeat(DATA_BYTES_MAX)).label(), "not-json");
    let built = ours();
    let sized = |bytes: usize| {
        let raw = Raw {
            oip_text: " ".repeat(bytes),
            ..raw_of(&built)
        };
        judge(&built, raw, SignaturePolicy::Prefer).unwrap_err()
    };
    assert_eq!(sized(OIP_BYTES_MAX + 1).label(), "oip-too-large");
    assert_eq!(
        sized(OIP_BYTES_MAX + 1).to_string(),
        "the record's `oip` is longer than 1048576 bytes"
    );
    assert_eq!(sized(OIP_BYTES_MAX), Reject::NotOip);
    assert_eq!(
        Reject::NotOip.to_string(),
        "the node is not an OIP record: it has no `oip` object"
    );
}

#[test]
fn a_stamp_more_than_ten_minutes_ahead_waits() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let at = |now_ms| {
        publish::build(
            &post(sample()),
            &Context {
                now_ms,
                ..context(&key)
            },
        )
        .unwrap()
    };
    assert!(accept_built(&at(NOW_MS + FUTURE_MS_MAX)).is_ok());
    let at_ms = NOW_MS + FUTURE_MS_MAX + 1;
    let reject = accept_built(&at(at_ms)).unwrap_err();
    assert_eq!(reject, Reject::FutureStamp { at_ms });
    assert_eq!(reject.label(), "future-stamp");
    assert_eq!(
        reject.to_string(),
        "the record's time lies more than 10 minutes ahead: it waits until then"
    );
}

#[test]
fn parts_of_two_versions_are_torn() {
    let key = CreatorKey::ed25519([1; 32]).unwrap();
    let (old, new) = (built(&key), {
        let edited = json!({"basic": {"name": "edited"}});
        publish::build(
            &post(edited),
            &Context {
                now_ms: NOW_MS + 5,
                ..context(&key)
            },
        )
        .unwrap()
    });
    let mixed = |data: &Built, oip: &Built, unity| {
        let raw = Raw {
            data_text: data.data_text.clone(),
            unity,
            ..raw_of(oip)
        };
        judge(oip, raw, SignaturePolicy::Require).unwrap_err()
    };
    assert_eq!(mixed(&old, &new, Unity::Mixed), Reject::Torn);
    assert_eq!(mixed(&old, &new, Unity::SamePut), Reject::BadSignature);
    let stone = publish::tombstone(&old.soul, "post", &context(&key)).unwrap();
    let reject = mixed(&stone, &old, Unity::Mixed);
    assert_eq!(
        (reject.label(), reject),
        ("torn", mixed(&old, &stone, Unity::Mixed))
    );
    assert_eq!(
        Reject::Torn.to_string(),
        "the record's data and oip come from two versions: fetch it again"
    );
}

#[test]
fn unsigned_additions_to_our_oip_are_not_indexed() {
    let built = ours();
    let mut raw = raw_of(&built);
    raw.oip_text = raw
        .oip_text
        .replacen('{', "{\"organization\":{\"did\":\"x\"},", 1);
    let accepted = judge(&built, raw, SignaturePolicy::Require).unwrap();
    assert_eq!(accepted.document, built.document);
    let doubled = Raw {
        oip_text: raw_of(&built)
            .oip_text
            .replacen('{', "{\"recordType\":\"text\",", 1),
        ..raw_of(&built)
    };
    assert_eq!(
        judge(&built, doubled, SignaturePolicy::Off)
            .unwrap_err()
            .label(),
        "duplicate-member"
    );
}

#[test]
fn with_signatures_off_a_bad_one_only_lowers_the_precedence() {
    let built = ours();
    let data = built.data_text.as_deref().unwrap().replace("Tide", "Time");
    let raw = Raw {
        data_text: Some(data),
        ..raw_of(&built)
    };
    let accepted = judge(&built, raw, SignaturePolicy::Off).unwrap();
    assert_eq!(
        (accepted.class, accepted.verification),
        (SignatureClass::None, Verification::Unverified)
    );
    let good = judge(&built, raw_of(&built), SignaturePolicy::Off).unwrap();
    assert_eq!(
        (good.class, good.verification),
        (SignatureClass::Ours, Verification::Verified)
    );
}

#[test]
fn verifications_survive_the_store() {
    for known in [
        Verification::Verified,
        Verification::Unverified,
        Verification::Unverifiable,
    ] {
        assert_eq!(Verification::from_u8(known.to_u8()), Some(known));
    }
    assert_eq!(Verification::from_u8(3), None);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_judge_panic(oip in ".{0,200}", data in ".{0,200}") {
        let soul = Soul::new("a:b").unwrap();
        let raw = Raw { oip_text: oip, data_text: Some(data), ..raw_of(&ours()) };
        proptest::prop_assert!(accept(&soul, raw, SignaturePolicy::Off, NOW_MS).is_err());
    }

    #[test]
    fn no_flipped_byte_of_a_record_is_taken(at in 0_usize..2_000, flip in 1_u8..128) {
        let built = ours();
        let mut raw = raw_of(&built);
        let mut texts = [raw.oip_text.clone(), raw.data_text.clone().unwrap()].concat().into_bytes();
        let at = at % texts.len();
        texts[at] ^= flip;
        let (oip, data) = texts.split_at(raw.oip_text.len());
        let (Ok(oip), Ok(data)) = (std::str::from_utf8(oip), std::str::from_utf8(data)) else {
            return Ok(());
        };
        (raw.oip_text, raw.data_text) = (oip.to_owned(), Some(data.to_owned()));
        // What is not signed (`ver`, `didTx`, white space) may change, the content may not.
        if let Ok(accepted) = judge(&built, raw, SignaturePolicy::Require) {
            proptest::prop_assert_eq!(accepted.order, built.order);
            proptest::prop_assert_eq!(&accepted.document["data"], &built.document["data"]);
        }
    }
}
