//! The `oip` member of a record: what it says of itself, in every form that was ever written.
//!
//! Refuses wrong kinds of the members that have a meaning; carries all others untouched.

use serde_json::{Map, Value};

use crate::creator::Creator;
use crate::did::Did;
use crate::reject::Reject;
use crate::stamp::Stamp;
use crate::template::is_record_type;

/// The version that is written: what deployed nodes accept.
pub const VERSION: &str = "0.8.0";

/// Longest version text that is carried.
const VERSION_BYTES_MAX: usize = 32;

/// Oldest minor version of the record form that is read.
const MINOR_MIN: u32 = 8;

/// Greatest revision: canonical JSON knows only doubles.
pub const REVISION_MAX: u64 = 1 << 53;

/// Characters of a faulty member that are repeated in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// The members of `oip` that have a meaning here; all others are carried in `extra`.
#[derive(Debug, Clone, PartialEq)]
pub struct Oip {
    /// `ver`, such as `0.8.0`.
    pub ver: String,
    /// `recordType`.
    pub record_type: String,
    /// `indexedAt`; old nested records may lack it.
    pub indexed_at: Option<Stamp>,
    /// `creator`.
    pub creator: Creator,
    /// `did`, which deployed nodes sometimes write for another soul.
    pub did: Option<String>,
    /// `revision`, at most [`REVISION_MAX`].
    pub revision: Option<u64>,
    /// `level`, such as `public`.
    pub level: Option<String>,
    /// `arrays`: JSON Pointers of the arrays packed as texts.
    pub arrays: Option<Vec<String>>,
    /// `deleted`: a tombstone.
    pub deleted: bool,
    /// `deletedBy`: the owner who signed a tombstone in the creator's place. Read in our scheme alone.
    pub deleted_by: Option<Creator>,
    /// `scheme`: the name of our signature scheme.
    pub scheme: Option<String>,
    /// `signature`, base64.
    pub signature: Option<String>,
    /// Members of `creator` beside its address and key, such as `creatorHandle`: unsigned, hints only.
    pub creator_extra: Map<String, Value>,
    /// Every other member, untouched; `did`, `didTx` and `storage` are made anew.
    pub extra: Map<String, Value>,
}

/// Members that are read into fields or made anew, so that they are not `extra`.
const KNOWN: [&str; 15] = [
    "ver",
    "recordType",
    "indexedAt",
    "creator",
    "creator_didAddress",
    "creator_publicKey",
    "did",
    "didTx",
    "storage",
    "revision",
    "level",
    "arrays",
    "deleted",
    "scheme",
    "signature",
];

impl Oip {
    /// Reads the member.
    ///
    /// # Errors
    /// [`Reject`] with the first fault.
    pub fn parse(value: &Value) -> Result<Self, Reject> {
        let members = value.as_object().ok_or(Reject::NotOip)?;
        let ver = match members.get("ver") {
            Some(Value::String(ver)) if is_carried_version(ver) => ver.clone(),
            other => return Err(Reject::BadVersion(shown(other))),
        };
        let record_type = match members.get("recordType") {
            Some(Value::String(name)) if is_record_type(name) => name.clone(),
            other => return Err(Reject::BadRecordType(shown(other))),
        };
        let indexed_at = match members.get("indexedAt") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                Some(Stamp::parse(text).ok_or(Reject::BadMember("indexedAt"))?)
            }
            Some(_) => return Err(Reject::BadMember("indexedAt")),
        };
        let revision = match members.get("revision") {
            None | Some(Value::Null) => None,
            Some(number) => Some(
                number
                    .as_u64()
                    .filter(|&number| number <= REVISION_MAX)
                    .ok_or(Reject::BadMember("revision"))?,
            ),
        };
        let deleted = match members.get("deleted") {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(Reject::BadMember("deleted")),
        };
        let scheme = text(members, "scheme")?;
        let deleted_by = match members.get("deletedBy") {
            None | Some(Value::Null) => None,
            // What another scheme means by it is not known.
            Some(_) if scheme.is_none() => None,
            Some(owner) => match (&owner["didAddress"], &owner["publicKey"]) {
                (Value::String(did_address), Value::String(public_key)) => Some(Creator {
                    did_address: did_address.clone(),
                    public_key: public_key.clone(),
                }),
                _ => return Err(Reject::BadMember("deletedBy")),
            },
        };
        Ok(Self {
            ver,
            record_type,
            indexed_at,
            creator: read_creator(members)?,
            did: text(members, "did")?,
            revision,
            level: text(members, "level")?,
            arrays: read_pointers(members)?,
            deleted,
            deleted_by,
            scheme,
            signature: text(members, "signature")?,
            creator_extra: match members.get("creator") {
                Some(Value::Object(creator)) => creator
                    .iter()
                    .filter(|(name, _)| !matches!(name.as_str(), "didAddress" | "publicKey"))
                    .map(|(name, member)| (name.clone(), member.clone()))
                    .collect(),
                _ => Map::new(),
            },
            extra: members
                .iter()
                .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
                .map(|(name, member)| (name.clone(), member.clone()))
                .collect(),
        })
    }

    /// The members in the order in which deployed nodes write theirs, ours after them.
    #[must_use]
    pub fn to_members(&self, did: &Did) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, member: Value| members.insert(name.to_owned(), member);
        put("did", did.to_string().into());
        put("recordType", self.record_type.as_str().into());
        if let Some(stamp) = &self.indexed_at {
            put("indexedAt", stamp.as_str().into());
        }
        put("ver", self.ver.as_str().into());
        put("creator", self.creator.to_value());
        put("didTx", did.to_string().into());
        if let Some(revision) = self.revision {
            put("revision", revision.into());
        }
        if let Some(level) = &self.level {
            put("level", level.as_str().into());
        }
        if let Some(arrays) = &self.arrays {
            put("arrays", arrays.as_slice().into());
        }
        if self.deleted {
            put("deleted", true.into());
        }
        if let Some(owner) = &self.deleted_by {
            put("deletedBy", owner.to_value());
        }
        if let Some(scheme) = &self.scheme {
            put("scheme", scheme.as_str().into());
        }
        if let Some(signature) = &self.signature {
            put("signature", signature.as_str().into());
        }
        members
    }
}

/// 0.8 and every later minor version, whatever follows; never another major one.
fn is_carried_version(ver: &str) -> bool {
    let mut parts = ver.split('.');
    let major = parts.next();
    let minor = parts
        .next()
        .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    ver.len() <= VERSION_BYTES_MAX
        && major == Some("0")
        && minor
            .and_then(|part| part.parse().ok())
            .is_some_and(|minor: u32| minor >= MINOR_MIN)
}

/// The creator as an object, as the JSON text of one, or as two flat members.
fn read_creator(members: &Map<String, Value>) -> Result<Creator, Reject> {
    let from = |did_address: Option<&Value>, public_key: Option<&Value>| match (
        did_address.and_then(Value::as_str),
        public_key.and_then(Value::as_str),
    ) {
        (Some(did_address), Some(public_key))
            if !did_address.is_empty() && !public_key.is_empty() =>
        {
            Ok(Creator {
                did_address: did_address.to_owned(),
                public_key: public_key.to_owned(),
            })
        }
        _ => Err(Reject::NoCreator),
    };
    match members.get("creator") {
        Some(Value::Object(creator)) => from(creator.get("didAddress"), creator.get("publicKey")),
        Some(Value::String(text)) => {
            let creator: Value = serde_json::from_str(text).map_err(|_| Reject::NoCreator)?;
            from(creator.get("didAddress"), creator.get("publicKey"))
        }
        None | Some(Value::Null) => from(
            members.get("creator_didAddress"),
            members.get("creator_publicKey"),
        ),
        Some(_) => Err(Reject::NoCreator),
    }
}

fn read_pointers(members: &Map<String, Value>) -> Result<Option<Vec<String>>, Reject> {
    let fault = || Reject::BadMember("arrays");
    match members.get("arrays") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(pointers)) if pointers.len() <= crate::limits::ARRAYS_MAX => pointers
            .iter()
            .map(|pointer| pointer.as_str().map(str::to_owned).ok_or_else(fault))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(fault()),
    }
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Reject> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reject::BadMember(name)),
    }
}

fn shown(member: Option<&Value>) -> String {
    match member {
        None => "(missing)".into(),
        Some(member) => member.to_string().chars().take(SHOWN_CHARS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({
            "ver": "0.8.0", "recordType": "post",
            "creator": {"didAddress": "did:arweave:A", "publicKey": "K"}
        })
    }

    fn with(name: &str, member: Value) -> Result<Oip, Reject> {
        let mut oip = minimal();
        oip[name] = member;
        Oip::parse(&oip)
    }

    #[test]
    fn later_minor_versions_are_carried_and_others_refused() {
        for ver in [
            "0.8",
            "0.8.0",
            "0.8.17",
            "0.9",
            "0.9.0",
            "0.12",
            "0.12.1-beta",
        ] {
            assert_eq!(with("ver", json!(ver)).unwrap().ver, ver);
        }
        for ver in [
            "0.7", "0.7.9", "1.0", "1.8", "", "0", "0.", "0.x", "0.08x", "v0.8", "00.8", " 0.8",
            "0.-8", "0.+8",
        ] {
            let error = with("ver", json!(ver)).unwrap_err();
            assert_eq!(error, Reject::BadVersion(format!("{ver:?}")), "{ver}");
        }
        for ver in [json!(0.8), json!(null), json!(["0.8"]), json!({"v": "0.8"})] {
            assert_eq!(with("ver", ver).unwrap_err().label(), "bad-version");
        }
        let error = with("ver", json!("0.7")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the record's version \"0.7\" is not carried: write `\"ver\": \"0.8.0\"` or a later minor version"
        );
    }

    #[test]
    fn a_creator_is_read_from_all_three_forms() {
        let expected = Creator {
            did_address: "did:arweave:A".into(),
            public_key: "K".into(),
        };
        assert_eq!(Oip::parse(&minimal()).unwrap().creator, expected);
        let text = with(
            "creator",
            json!("{\"didAddress\":\"did:arweave:A\",\"publicKey\":\"K\"}"),
        );
        assert_eq!(text.unwrap().creator, expected);
        let flat = json!({
            "ver": "0.8.0", "recordType": "post",
            "creator_didAddress": "did:arweave:A", "creator_publicKey": "K"
        });
        let flat = Oip::parse(&flat).unwrap();
        assert_eq!((flat.creator, flat.extra.len()), (expected, 0));
    }

    #[test]
    fn a_record_without_creator_is_refused() {
        for creator in [
            json!(null),
            json!("x"),
            json!("{}"),
            json!(1),
            json!({}),
            json!({"didAddress": "a"}),
            json!({"didAddress": "", "publicKey": ""}),
            json!({"didAddress": 1, "publicKey": 2}),
        ] {
            let error = with("creator", creator).unwrap_err();
            assert_eq!(error.label(), "no-creator");
            assert_eq!(
                error.to_string(),
                "the record has no creator: `oip.creator` needs `didAddress` and `publicKey`"
            );
        }
    }

    #[test]
    fn wrong_kinds_of_members_are_named() {
        for (name, member) in [
            ("indexedAt", json!("yesterday")),
            ("indexedAt", json!(1)),
            ("did", json!(1)),
            ("revision", json!(-1)),
            ("revision", json!(1.5)),
            ("revision", json!(REVISION_MAX + 1)),
            ("level", json!({})),
            ("arrays", json!("/a")),
            ("arrays", json!(["/a", 1])),
            ("deleted", json!("true")),
            ("deleted", json!(1)),
            ("scheme", json!([])),
            ("signature", json!(1)),
        ] {
            let error = with(name, member).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the record's `oip.{name}` is missing or malformed")
            );
            assert_eq!(error.label(), "bad-member");
        }
        for owner in [json!("k"), json!({"publicKey": "k"}), json!([])] {
            let mut oip = minimal();
            oip["deletedBy"] = owner;
            assert_eq!(Oip::parse(&oip).unwrap().deleted_by, None);
            oip["scheme"] = json!("oip-record-1/public");
            assert_eq!(Oip::parse(&oip), Err(Reject::BadMember("deletedBy")));
        }
        let error = with("recordType", json!("a b")).unwrap_err();
        assert_eq!(error.label(), "bad-record-type");
        assert!(error.to_string().contains("\"a b\""), "{error}");
        assert_eq!(Oip::parse(&json!("text")), Err(Reject::NotOip));
    }

    #[test]
    fn unknown_members_are_carried() {
        let oip = with("organization", json!({"a": [1]})).unwrap();
        assert_eq!(
            oip.extra,
            *json!({"organization": {"a": [1]}}).as_object().unwrap()
        );
    }
}
