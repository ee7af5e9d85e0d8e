//! Records of deployed nodes, captured from them, and what unsigned marks may do.

use super::*;

#[test]
fn deployed_records_are_indexed_as_deployed_replicas_index_them() {
    let (mut public, mut exposed) = (0, 0);
    for (name, record) in end_to_end() {
        if record["gunNode"].is_null() {
            continue;
        }
        let (soul, raw) = captured(&record);
        let accepted = accept(&soul, raw, SignaturePolicy::Require, LATER_MS).unwrap();
        assert_eq!(accepted.class, SignatureClass::Deployed, "{name}");
        assert_eq!(accepted.verification, Verification::Verified, "{name}");
        assert_eq!(
            accepted.document["oip"], record["indexedOnPeer"]["oip"],
            "{name}"
        );
        // The origin read once, replicas twice: the origin is right.
        assert_eq!(
            accepted.document["data"], record["indexedOnOrigin"]["data"],
            "{name}"
        );
        match accepted.guard {
            Guard::Public => public += 1,
            Guard::Exposed(_) => {
                assert!(record["input"]["accessControl"].is_object(), "{name}");
                exposed += 1;
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!((public, exposed), (8, 9));
}

#[test]
fn cleartext_that_asks_for_privacy_is_told_with_what_asks_for_it() {
    let record = &end_to_end()["conversationSession.json"];
    let (soul, raw) = captured(record);
    let accepted = accept(&soul, raw, SignaturePolicy::Prefer, LATER_MS).unwrap();
    let Guard::Exposed(reason) = &accepted.guard else {
        panic!("{:?}", accepted.guard);
    };
    assert!(!accepted.is_public() && !reason.member().is_empty());
    let reject = Reject::ExposedPrivate(reason.clone());
    assert_eq!(reject.label(), "exposed-private");
    assert!(
        reject
            .to_string()
            .starts_with("the record lies in clear but asks for privacy: `"),
        "{reject}"
    );
}

#[test]
fn a_meta_that_says_encrypted_hides_only_what_nobody_vouches_for() {
    let encrypted = json!({"encrypted": true}).as_object().cloned().unwrap();
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let mut oip: Value = serde_json::from_str(&raw.oip_text).unwrap();
    oip.as_object_mut().unwrap().shift_remove("signature");
    let unsigned = Raw {
        oip_text: oip.to_string(),
        meta: encrypted.clone(),
        ..raw.clone()
    };
    let reject = accept(&soul, unsigned, SignaturePolicy::Prefer, LATER_MS).unwrap_err();
    assert_eq!(
        reject.to_string(),
        "the record lies in clear but asks for privacy: `meta.encrypted`"
    );
    // Anyone can write a meta node: it must not hide signed records.
    let signed = Raw {
        meta: encrypted.clone(),
        ..raw
    };
    assert!(accept(&soul, signed, SignaturePolicy::Prefer, LATER_MS).is_ok());
    let built = ours();
    let raw = Raw {
        meta: encrypted,
        ..raw_of(&built)
    };
    assert!(judge(&built, raw, SignaturePolicy::Require).is_ok());
}

#[test]
fn a_deployed_signature_over_changed_data_is_bad_and_over_a_parsed_copy_unverifiable() {
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let changed = Raw {
        data_text: raw
            .data_text
            .clone()
            .map(|text| text.replace("Tidal", "Total")),
        ..raw.clone()
    };
    let judge = |raw: &Raw, policy| accept(&soul, raw.clone(), policy, LATER_MS);
    assert_eq!(
        judge(&changed, SignaturePolicy::Prefer).unwrap_err(),
        Reject::BadSignature
    );
    let off = judge(&changed, SignaturePolicy::Off).unwrap();
    assert_eq!(
        (off.class, off.verification),
        (SignatureClass::None, Verification::Unverified)
    );

    let parsed = |raw: &Raw| Raw {
        origin: TextOrigin::Rebuilt,
        ..raw.clone()
    };
    assert_eq!(
        judge(&parsed(&raw), SignaturePolicy::Require)
            .unwrap()
            .verification,
        Verification::Verified
    );
    let copy = judge(&parsed(&changed), SignaturePolicy::Prefer).unwrap();
    assert_eq!(
        (copy.class, copy.verification),
        (SignatureClass::None, Verification::Unverifiable)
    );
    assert_eq!(copy.document["oip"]["verification"], "unverifiable");
    assert_eq!(
        judge(&parsed(&changed), SignaturePolicy::Require).unwrap_err(),
        Reject::Unverifiable
    );
}

#[test]
fn an_unsigned_record_is_marked_or_refused_by_policy() {
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let mut oip: Value = serde_json::from_str(&raw.oip_text).unwrap();
    oip.as_object_mut().unwrap().shift_remove("signature");
    let raw = Raw {
        oip_text: oip.to_string(),
        ..raw
    };
    let accepted = accept(&soul, raw.clone(), SignaturePolicy::Prefer, LATER_MS).unwrap();
    assert_eq!(accepted.class, SignatureClass::None);
    assert_eq!(accepted.document["oip"]["verification"], "unverified");
    let reject = accept(&soul, raw, SignaturePolicy::Require, LATER_MS).unwrap_err();
    assert_eq!(reject.label(), "unsigned");
    assert_eq!(
        reject.to_string(),
        "the record has no signature that can be checked, and signatures are required"
    );
}

#[test]
fn a_deployed_record_that_names_another_did_is_keyed_by_its_soul() {
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let renamed = Raw {
        oip_text: raw
            .oip_text
            .replace("did:gun:92d7138abcac:post", "did:gun:92d7138abcac:past"),
        ..raw
    };
    let accepted = accept(&soul, renamed, SignaturePolicy::Require, LATER_MS).unwrap();
    assert_eq!(accepted.document["oip"]["did"], format!("did:gun:{soul}"));
    assert_eq!(accepted.document["oip"]["didTx"], format!("did:gun:{soul}"));
}

#[test]
fn a_deletion_that_nobody_signed_deletes_nothing() {
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let mut oip: Value = serde_json::from_str(&raw.oip_text).unwrap();
    oip["deleted"] = true.into();
    let marked = Raw {
        oip_text: oip.to_string(),
        ..raw.clone()
    };
    let emptied = Raw {
        data_text: None,
        ..marked.clone()
    };
    for raw in [marked, emptied] {
        assert_eq!(
            accept(&soul, raw, SignaturePolicy::Prefer, LATER_MS),
            Err(Reject::Unsigned)
        );
    }
    let nulled = Raw {
        data_text: None,
        ..raw
    };
    assert_eq!(
        accept(&soul, nulled, SignaturePolicy::Prefer, LATER_MS),
        Err(Reject::Torn)
    );
}

#[test]
fn the_data_digest_tells_old_data_under_a_new_date() {
    let (soul, raw) = captured(&end_to_end()["post.json"]);
    let redated = Raw {
        oip_text: raw.oip_text.replace("2026-11-22T15", "2026-11-22T16"),
        ..raw.clone()
    };
    let judge = |raw| accept(&soul, raw, SignaturePolicy::Require, LATER_MS).unwrap();
    let (old, new) = (judge(raw), judge(redated));
    assert!(new.order > old.order);
    assert_eq!(new.data_digest, old.data_digest);
    assert_eq!(new.claim().creator, old.creator.did_address);
}
