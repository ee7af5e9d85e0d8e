//! The vectors of our own signature scheme (`testdata/vectors/own/record-signatures.json`,
//! written by the example `record_signatures`): any change of the signed form fails here.

#![expect(
    clippy::unwrap_used,
    reason = "a test: a failing unwrap is the finding"
)]

use gun::Soul;
use oip_record::canonical::digest_of;
use oip_record::owner::OwnerKey;
use oip_record::publish::{self, Context, Submission};
use oip_record::read::{Raw, TextOrigin, Unity};
use oip_record::verify::accept;
use oip_record::{CreatorKey, SignatureClass, SignaturePolicy, keys};
use serde_json::{Map, Value};

const NOW_MS: i64 = 1_768_903_200_000;

fn file() -> Value {
    let text = include_str!("../../../testdata/vectors/own/record-signatures.json");
    serde_json::from_str(text).unwrap()
}

fn vectors() -> Vec<Value> {
    let vectors = file()["vectors"].as_array().unwrap().clone();
    let algorithms: Vec<&Value> = vectors.iter().map(|vector| &vector["algorithm"]).collect();
    assert_eq!(algorithms, ["Ed25519", "ES256", "ES256K", "RSA-PSS"]);
    vectors
}

fn raw(vector: &Value) -> (Soul, Raw) {
    let raw = Raw {
        data_text: vector["data"].as_str().map(str::to_owned),
        oip_text: vector["oip"].as_str().unwrap().to_owned(),
        origin: TextOrigin::Stored,
        unity: Unity::SamePut,
        meta: Map::new(),
    };
    (Soul::new(vector["soul"].as_str().unwrap()).unwrap(), raw)
}

#[test]
fn each_signature_verifies_over_the_signed_text_of_its_vector() {
    for vector in vectors() {
        let key = CreatorKey::from_jwk(&vector["jwk"]).unwrap();
        assert_eq!(key.creator().to_value(), vector["creator"]);
        assert_eq!(key.soul_prefix(), vector["soulPrefix"]);
        for version in [&vector["record"], &vector["tombstone"]] {
            let text = version["signedText"].as_str().unwrap();
            let signature = version["signature"].as_str().unwrap();
            keys::verify(key.creator(), text.as_bytes(), signature).unwrap();
            let other = text.replacen("tide-table", "tide-cable", 1);
            assert!(keys::verify(key.creator(), other.as_bytes(), signature).is_err());
            assert!(text.starts_with("oip-record-1/public\u{0}{\"arrays\":["));
        }
    }
}

#[test]
fn each_record_of_the_vectors_is_accepted_as_submitted() {
    let submitted = &file()["submitted"];
    for vector in vectors() {
        for (name, data) in [("record", submitted), ("tombstone", &Value::Null)] {
            let version = &vector[name];
            let (soul, raw) = raw(version);
            let accepted = accept(&soul, raw, SignaturePolicy::Require, NOW_MS).unwrap();
            assert_eq!(accepted.class, SignatureClass::Ours);
            assert_eq!(accepted.document["data"], *data);
            assert_eq!(accepted.deleted, data.is_null());
            assert_eq!(
                oip_record::soul::hex(&accepted.order.digest),
                version["digest"]
            );
            let text = version["signedText"].as_str().unwrap();
            assert_eq!(accepted.order.digest, digest_of(text.as_bytes()));
        }
    }
}

#[test]
fn a_tombstone_that_the_owner_signed_is_his_and_nobody_elses() {
    let file = file();
    let owner = CreatorKey::from_jwk(&file["owner"]["jwk"]).unwrap();
    for vector in vectors() {
        let version = &vector["tombstoneByOwner"];
        let text = version["signedText"].as_str().unwrap();
        let signature = version["signature"].as_str().unwrap();
        assert!(text.starts_with("oip-record-1/owner\u{0}{\"arrays\":["));
        keys::verify(owner.creator(), text.as_bytes(), signature).unwrap();
        let (soul, raw) = raw(version);
        let accepted = accept(&soul, raw, SignaturePolicy::Require, NOW_MS).unwrap();
        assert!(accepted.deleted);
        assert_eq!(accepted.creator.to_value(), vector["creator"]);
        assert_eq!(
            accepted.deleted_by,
            OwnerKey::read(&owner.creator().public_key)
        );
        assert!(accepted.deleted_by.is_some());
        assert_eq!(accepted.order.digest, digest_of(text.as_bytes()));
    }
}

#[test]
fn deterministic_schemes_publish_the_same_bytes_again() {
    let submitted = file()["submitted"].clone();
    for vector in vectors() {
        let key = CreatorKey::from_jwk(&vector["jwk"]).unwrap();
        let submission = Submission {
            record_type: "post".into(),
            local_id: Some("tide-table".into()),
            data: submitted.clone(),
            params: Map::new(),
        };
        let context = Context {
            key: &key,
            now_ms: NOW_MS,
            newest_known: None,
            random: [0; 16],
            existing: None,
        };
        let built = publish::build(&submission, &context).unwrap();
        assert_eq!(
            built.data_text.as_deref(),
            vector["record"]["data"].as_str()
        );
        assert_eq!(
            oip_record::soul::hex(&built.order.digest),
            vector["record"]["digest"]
        );
        if ["Ed25519", "ES256K"]
            .iter()
            .any(|name| vector["algorithm"] == *name)
        {
            assert_eq!(built.oip_text, vector["record"]["oip"]);
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_what_the_code_writes() {
    let page = include_str!("../../../docs/record-format.md");
    let record = &vectors()[0]["record"];
    let shown = |text: &str| assert!(page.contains(text), "docs/record-format.md lacks: {text}");
    shown(record["soul"].as_str().unwrap());
    shown(record["data"].as_str().unwrap());
    shown(record["oip"].as_str().unwrap());
    shown(record["digest"].as_str().unwrap());
    let signed = record["signedText"].as_str().unwrap();
    let (domain, body) = signed.split_once('\u{0}').unwrap();
    shown(domain);
    shown(body);
    shown(vectors()[0]["tombstone"]["oip"].as_str().unwrap());
}
