//! Writes the vectors of our signature scheme to standard output:
//! `cargo run -p oip-record --example record_signatures > testdata/vectors/own/record-signatures.json`
//!
//! Keys, clock and content are fixed. Ed25519 and ECDSA over secp256k1 come out the same each
//! time; P-256 and RSA-PSS signatures hold a random part and differ.

use std::error::Error;

use oip_record::canonical::{Domain, LEVEL_PUBLIC, SignedBody, True};
use oip_record::publish::{self, Built, Context, Submission};
use oip_record::{Creator, CreatorKey, arrays};
use serde_json::{Map, Value, json};

/// 2026-01-20T10:00:00.000Z
const NOW_MS: i64 = 1_768_903_200_000;

const WALLET: &str = include_str!("../../../testdata/vectors/own/throw-away-wallet.json");

fn main() -> Result<(), Box<dyn Error>> {
    let keys = [
        ("Ed25519", CreatorKey::ed25519([1; 32])?),
        ("ES256", CreatorKey::p256([2; 32])?),
        ("ES256K", CreatorKey::secp256k1([3; 32])?),
        ("RSA-PSS", CreatorKey::from_file_json(WALLET)?),
    ];
    let owner = CreatorKey::ed25519([9; 32])?;
    let data = json!({
        "basic": {
            "name": "Tide table",
            "date": 1_768_903_200,
            "tagItems": ["tides", "[\"looks like an array\"]", "日本", "😀"],
            "empty": []
        },
        "post": {
            "a/b~c": [[1, 2.5, -0.0], { "deep": [null, true] }],
            "message": "[\"a text, not an array\"]",
            "large": 1e21,
            "small": 5e-324,
            "zero": 0.0
        }
    });
    let mut vectors = Vec::new();
    for (algorithm, key) in keys {
        let context = Context {
            key: &key,
            now_ms: NOW_MS,
            newest_known: None,
            random: [0; 16],
            existing: None,
        };
        let submission = Submission {
            record_type: "post".into(),
            local_id: Some("tide-table".into()),
            data: data.clone(),
            params: Map::new(),
        };
        let record = publish::build(&submission, &context)?;
        let context = Context {
            newest_known: Some(record.order),
            ..context
        };
        let tombstone = publish::tombstone(&record.soul, "post", &context)?;
        let as_owner = Context {
            key: &owner,
            ..context
        };
        let creator = key.creator();
        let by_owner = publish::tombstone_by_owner(&record.soul, "post", creator, &as_owner)?;
        let jwk: Value = serde_json::from_str(&key.to_file_json())?;
        vectors.push(json!({
            "algorithm": algorithm,
            "jwk": jwk,
            "creator": key.creator().to_value(),
            "soulPrefix": key.soul_prefix(),
            "record": vector(&record, &data, None)?,
            "tombstone": vector(&tombstone, &Value::Null, None)?,
            "tombstoneByOwner": vector(&by_owner, &Value::Null, Some(owner.creator()))?
        }));
    }
    let file = json!({
        "note": "throw-away keys. signedText is UTF-8; data and oip are the texts in the graph; \
                 data null is a tombstone, which the creator signs, or the owner",
        "owner": {
            "jwk": serde_json::from_str::<Value>(&owner.to_file_json())?,
            "creator": owner.creator().to_value()
        },
        "submitted": data,
        "vectors": vectors
    });
    println!("{}", serde_json::to_string_pretty(&file)?);
    Ok(())
}

fn vector(
    built: &Built,
    data: &Value,
    deleted_by: Option<&Creator>,
) -> Result<Value, Box<dyn Error>> {
    let oip: Value = serde_json::from_str(&built.oip_text)?;
    let (_, pointers) = arrays::pack(data);
    let signed = SignedBody {
        soul: built.soul.as_str(),
        record_type: &built.record_type,
        indexed_at: oip["indexedAt"].as_str().ok_or("no time")?,
        revision: built.order.revision,
        creator: &built.creator,
        level: LEVEL_PUBLIC,
        arrays: &pointers,
        deleted: built.deleted.then_some(True),
        deleted_by,
        data,
    }
    .signed_bytes_in(match deleted_by {
        Some(_) => Domain::Owner,
        None => Domain::Public,
    });
    Ok(json!({
        "soul": built.soul.as_str(),
        "signedText": String::from_utf8(signed)?,
        "signature": oip["signature"],
        "digest": oip_record::soul::hex(&built.order.digest),
        "data": built.data_text,
        "oip": built.oip_text
    }))
}
