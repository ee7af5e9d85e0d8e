//! The sealed form read and written by `interop/sealed.js`, which knows it from its description alone.

#![expect(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use gun::Soul;
use oip_record::read::{TextOrigin, Unity};
use oip_record::verify::{self, SignaturePolicy};
use oip_record::{Raw, Stamp};
use oip_vault::keys::{EncryptionKey, KeyRing};
use oip_vault::seal::{self, Place};
use serde_json::{Map, Value, json};

fn vectors() -> Value {
    let file = include_str!("../../../testdata/vectors/own/sealed.json");
    serde_json::from_str(file).unwrap()
}

fn run(interop: &testkit::Interop, verb: &str, input: &Value) -> Vec<Value> {
    let mut child = Command::new("node")
        .arg(interop.folder().join("sealed.js"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn another_implementation_opens_what_is_sealed_here() {
    let Some(interop) = testkit::interop() else {
        return;
    };
    let vectors = vectors();
    let answers = run(&interop, "open", &vectors);
    let records = vectors["records"].as_array().unwrap();
    assert_eq!(answers.len(), records.len() * 2);
    for (answer, record) in answers.iter().zip(records.iter().flat_map(|r| [r, r])) {
        assert_eq!(answer["content"], record["opened"]);
        // WebCrypto has no secp256k1.
        let known = record["creatorKind"] != "secp256k1";
        for signature in ["outer", "inner"] {
            assert_eq!(
                answer[signature].as_bool(),
                known.then_some(true),
                "{answer}"
            );
        }
    }
}

#[test]
fn what_another_implementation_seals_is_opened_here() {
    let Some(interop) = testkit::interop() else {
        return;
    };
    let readers = &vectors()["readers"];
    let content = json!({"basic": {"name": "Né \u{1f600}", "n": [1.5, null, "[1]"]}});
    let asked = json!({
        "creator": readers[0], "readers": readers, "local": "from-elsewhere", "recordType": "post",
        "indexedAt": "2026-01-20T10:00:00.000Z", "level": "private", "content": content,
    });
    // A signature is in low-S form by chance half of the time.
    for _ in 0..8 {
        let made = run(&interop, "seal", &asked).remove(0);
        let soul = Soul::new(made["soul"].as_str().unwrap()).unwrap();
        let raw = Raw {
            data_text: made["data"].as_str().map(str::to_owned),
            oip_text: made["oip"].as_str().unwrap().to_owned(),
            origin: TextOrigin::Stored,
            unity: Unity::SamePut,
            meta: Map::new(),
        };
        let now_ms = Stamp::parse("2026-01-20T10:00:00.000Z").unwrap().ms();
        let accepted = verify::accept(&soul, raw, SignaturePolicy::Require, now_ms).unwrap();
        for jwk in readers.as_array().unwrap() {
            let ring = KeyRing::new(EncryptionKey::from_text(&jwk.to_string()).unwrap());
            let place = Place {
                soul: &soul,
                record_type: &accepted.record_type,
                indexed_at: accepted.indexed_at.as_ref().unwrap(),
                creator: &accepted.creator,
            };
            let opened = seal::open(place, accepted.sealed().unwrap(), &ring).unwrap();
            assert_eq!(opened.data, content);
        }
    }
}
