//! Documents for the cases: small ones made here, and the records that ship with the project.

use std::fs;
use std::path::Path;

use oip_index::{Envelope, IndexOp, Readers, Version};
use serde_json::{Value, json};

/// A document with this `data.basic` and `oip`.
pub(crate) fn upsert(did: &str, basic: Value, oip: Value) -> IndexOp {
    with_data(did, json!({ "basic": basic }), oip)
}

/// A document with this `data` and `oip`.
pub(crate) fn with_data(did: &str, data: Value, oip: Value) -> IndexOp {
    whole(did, json!({ "data": data, "oip": oip, "meta": null }))
}

/// This very document, for everybody to see.
pub(crate) fn whole(did: &str, document: Value) -> IndexOp {
    IndexOp::Upsert {
        did: did.to_owned(),
        document,
        envelope: public(),
    }
}

/// What is known of a document that everybody may see.
pub(crate) fn public() -> Envelope {
    Envelope {
        readers: Readers::Public,
        version: VERSION,
        node: None,
    }
}

/// The version of documents of which no case looks at the version.
pub(crate) const VERSION: Version = Version {
    class: 2,
    indexed_at_ms: 1_768_903_200_000,
    revision: 0,
    digest: [7; 32],
};

/// A document that is only a name.
pub(crate) fn named(did: &str, name: &str) -> IndexOp {
    upsert(
        did,
        json!({ "name": name }),
        json!({ "recordType": "post" }),
    )
}

/// The deletion of a document.
pub(crate) fn delete(did: &str) -> IndexOp {
    IndexOp::Delete {
        did: did.to_owned(),
        version: VERSION,
    }
}

/// The document inside an upsert.
pub(crate) fn document(op: &IndexOp) -> &Value {
    match op {
        IndexOp::Upsert { document, .. } => document,
        IndexOp::Delete { did, .. } => panic!("{did} is a deletion"),
    }
}

/// Every record in `testdata/records`, as its publisher's index holds it.
pub(crate) fn records() -> Vec<IndexOp> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/records");
    let read = |name: &str| -> Value {
        let text = fs::read(folder.join(name)).expect("the record can be read");
        serde_json::from_slice(&text).expect("the record is JSON")
    };
    let index = read("index.json");
    let entries = index.as_array().expect("index.json is an array");
    assert!(entries.len() >= 15, "the records are all there");
    entries
        .iter()
        .enumerate()
        .map(|(number, entry)| {
            let text = |key: &str| entry[key].as_str().unwrap_or("none");
            let did = format!("did:gun:5b1fd0c7a9e2:{}", text("localId"));
            let oip = json!({
                "did": did,
                "recordType": text("recordType"),
                "indexedAt": format!("2026-01-20T10:00:{number:02}.000Z"),
                "ver": "0.8.0",
                "creator": { "didAddress": "did:arweave:records", "publicKey": "n" },
            });
            with_data(&did, read(text("file")), oip)
        })
        .collect()
}
