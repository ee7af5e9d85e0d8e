//! The exact bytes that are signed and digested: a domain, a zero byte, canonical JSON (RFC 8785).

use aws_lc_rs::digest::{SHA256, digest};
use gun::Soul;
use serde::Serialize;
use serde_json::Value;

use crate::creator::Creator;

/// The scheme of public records: the domain of their signature, and what `oip.scheme` says.
pub const SCHEME_PUBLIC: &str = "oip-record-1/public";

/// The domain of the signature inside the ciphertext of a private record. Never an `oip.scheme`.
pub const SCHEME_PRIVATE: &str = "oip-record-1/private";

/// The scheme of sealed records: the domain of the signature over the sealed form.
pub const SCHEME_SEALED: &str = "oip-record-1/sealed";

/// The scheme of a tombstone that the record's owner signs in its creator's place.
pub const SCHEME_OWNER: &str = "oip-record-1/owner";

/// What all schemes of this family start with.
pub const SCHEME_FAMILY: &str = "oip-record-1/";

/// The level of records that everyone may read.
pub const LEVEL_PUBLIC: &str = "public";

/// The domain of the digest that orders records of other schemes. Nothing is signed in it.
const DOMAIN_FOREIGN: &str = "oip-record-1/foreign-digest";

/// What our signature covers. Serialized as canonical JSON, so that the order of fields here
/// does not matter.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedBody<'a> {
    /// Where the record lies.
    pub soul: &'a str,
    /// `oip.recordType`.
    pub record_type: &'a str,
    /// `oip.indexedAt`, the text.
    pub indexed_at: &'a str,
    /// `oip.revision`.
    pub revision: u64,
    /// `oip.creator`.
    pub creator: &'a Creator,
    /// `oip.level`.
    pub level: &'a str,
    /// `oip.arrays`.
    pub arrays: &'a [String],
    /// Only in a tombstone, and then `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<True>,
    /// Only in a tombstone that the owner signs in the creator's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<&'a Creator>,
    /// The data as typed values, arrays restored; null in a tombstone.
    pub data: &'a Value,
}

/// The one value that `deleted` may have.
#[derive(Debug, Clone, Copy)]
pub struct True;

impl Serialize for True {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

/// The role of a signature: none can be used in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A record that everyone may read.
    Public,
    /// The content of a private record, inside its ciphertext.
    Private,
    /// A sealed record as it lies in the graph.
    Sealed,
    /// An owner's tombstone.
    Owner,
}

impl Domain {
    /// What stands before the signed text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => SCHEME_PUBLIC,
            Self::Private => SCHEME_PRIVATE,
            Self::Sealed => SCHEME_SEALED,
            Self::Owner => SCHEME_OWNER,
        }
    }
}

impl SignedBody<'_> {
    /// The bytes that are signed, in the domain of public records.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.signed_bytes_in(Domain::Public)
    }

    /// The bytes that are signed in a domain.
    #[must_use]
    pub fn signed_bytes_in(&self, domain: Domain) -> Vec<u8> {
        in_domain(domain.name(), self)
    }
}

/// The digest that orders a version of our scheme: SHA-256 of the signed bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// The digest that orders a version of any other scheme: over soul, data and `oip` without its
/// signature, as parsed, so that a copy that a relay has re-serialized counts as the same.
#[must_use]
pub fn foreign_digest(soul: &Soul, data: &Value, oip: &Value) -> [u8; 32] {
    #[derive(Serialize)]
    struct Body<'a> {
        soul: &'a str,
        data: &'a Value,
        oip: Value,
    }
    let mut oip = oip.clone();
    if let Value::Object(members) = &mut oip {
        members.shift_remove("signature");
    }
    digest_of(&in_domain(
        DOMAIN_FOREIGN,
        &Body {
            soul: soul.as_str(),
            data,
            oip,
        },
    ))
}

/// SHA-256 of the canonical data alone, as packed.
#[must_use]
pub fn data_digest(data: &Value) -> [u8; 32] {
    digest_of(&canonical(data))
}

fn in_domain(domain: &str, body: &impl Serialize) -> Vec<u8> {
    let mut bytes = domain.as_bytes().to_vec();
    bytes.push(0);
    bytes.extend(canonical(body));
    bytes
}

/// Canonical JSON (RFC 8785).
#[must_use]
pub fn canonical(body: &impl Serialize) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(body)
        .expect("JSON values have finite numbers and text names, so that they always serialize")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_signed_text_is_domain_zero_and_canonical_json() {
        let creator = Creator {
            did_address: "did:key:z1".into(),
            public_key: "AQ".into(),
        };
        let data = json!({"b": 1.0, "a": [true, "\u{20ac}\n"], "\u{1f600}": 1, "\u{e000}": 1e21});
        let body = SignedBody {
            soul: "ab:c",
            record_type: "post",
            indexed_at: "2026-01-20T10:00:00.000Z",
            revision: 0,
            creator: &creator,
            level: LEVEL_PUBLIC,
            arrays: &["/a".to_owned()],
            deleted: None,
            deleted_by: None,
            data: &data,
        };
        let expected = "oip-record-1/public\u{0}{\"arrays\":[\"/a\"],\"creator\":{\"didAddress\":\"did:key:z1\",\
            \"publicKey\":\"AQ\"},\"data\":{\"a\":[true,\"€\\n\"],\"b\":1,\"\u{1f600}\":1,\"\u{e000}\":1e+21},\
            \"indexedAt\":\"2026-01-20T10:00:00.000Z\",\"level\":\"public\",\"recordType\":\"post\",\
            \"revision\":0,\"soul\":\"ab:c\"}";
        assert_eq!(String::from_utf8(body.signed_bytes()).unwrap(), expected);

        let tombstone = SignedBody {
            deleted: Some(True),
            data: &Value::Null,
            arrays: &[],
            ..body
        };
        let text = String::from_utf8(tombstone.signed_bytes()).unwrap();
        assert!(
            text.contains("\"data\":null,\"deleted\":true,\"indexedAt\""),
            "{text}"
        );

        let by_its_owner = SignedBody {
            deleted_by: Some(&creator),
            ..tombstone
        };
        let text = String::from_utf8(by_its_owner.signed_bytes_in(Domain::Owner)).unwrap();
        assert!(text.starts_with("oip-record-1/owner\u{0}{"), "{text}");
        let member =
            "\"deletedBy\":{\"didAddress\":\"did:key:z1\",\"publicKey\":\"AQ\"},\"indexedAt\"";
        assert!(text.contains(member), "{text}");
    }

    #[test]
    fn no_two_roles_sign_the_same_bytes() {
        let creator = Creator {
            did_address: "did:key:z1".into(),
            public_key: "AQ".into(),
        };
        let body = SignedBody {
            soul: "ab:c",
            record_type: "post",
            indexed_at: "2026-01-20T10:00:00.000Z",
            revision: 0,
            creator: &creator,
            level: "private",
            arrays: &[],
            deleted: None,
            deleted_by: None,
            data: &json!({"basic": {}}),
        };
        let domains = [
            Domain::Public,
            Domain::Private,
            Domain::Sealed,
            Domain::Owner,
        ];
        let texts = domains.map(|domain| body.signed_bytes_in(domain));
        let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(distinct.len(), domains.len());
    }

    #[test]
    fn a_foreign_digest_survives_re_serialization_and_ignores_the_signature() {
        let soul = Soul::new("ab:c").unwrap();
        let digest = |data: &str, oip: &str| {
            let parse = |text| serde_json::from_str::<Value>(text).unwrap();
            foreign_digest(&soul, &parse(data), &parse(oip))
        };
        let one = digest(
            "{\"a\":1.0,\"b\":2}",
            "{\"ver\":\"0.8.0\",\"signature\":\"x\"}",
        );
        assert_eq!(one, digest("{\"b\":2,\"a\":1}", "{\"ver\":\"0.8.0\"}"));
        assert_ne!(one, digest("{\"b\":2,\"a\":2}", "{\"ver\":\"0.8.0\"}"));
        assert_ne!(one, digest("{\"b\":2,\"a\":1}", "{\"ver\":\"0.8.1\"}"));
    }
}
