//! Certificates (`gun-protocol` 12.5): by what right another than its owner writes in a space.
//!
//! Owns every rule on them, and fails closed: a certificate that is missing, of another owner,
//! expired, or in any part not understood allows nothing. The owner's signature covers the
//! policy; what it allows is decided here and not taken from whoever passed the value on.

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::envelope::Envelope;
use super::json::{self, Members};
use super::keys::verify_text;
use super::space::owner;
use crate::graph::{Key, Soul, State, Value};
use crate::wire::{Lex, Reject};

/// What a block list is read from: the stored value of a key, as it was put; `Ok(None)` if there
/// is none.
pub type LookUp<'l> = dyn Fn(&Soul, &Key) -> Result<Option<Value>, Unavailable> + 'l;

/// The graph can't be read here or now: who is blocked is not known, and nobody passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the graph can't be read to see who is blocked")]
pub struct Unavailable;

/// A write into another's space.
pub(super) struct Delegated<'a> {
    pub(super) soul: &'a Soul,
    pub(super) key: &'a Key,
    pub(super) state: State,
    /// The value without its envelope.
    pub(super) value: &'a Value,
    pub(super) owner: &'a str,
    pub(super) writer: &'a str,
}

/// A certificate: the policy `m` and the owner's signature over it.
#[derive(serde::Deserialize)]
pub(super) struct Certificate {
    m: Map<String, Json>,
    s: String,
}

impl Certificate {
    /// Reads one, and checks by its words alone that it allows this write.
    pub(super) fn allowing(raw: Option<&RawValue>, write: &Delegated<'_>) -> Result<Self, Reject> {
        let raw = raw.ok_or(Reject::BadCertificate)?;
        let certificate: Self =
            serde_json::from_str(raw.get()).map_err(|_| Reject::BadCertificate)?;
        let policy = &certificate.m;
        if !policy.get("c").is_some_and(|c| names(c, write.writer)) {
            return Err(Reject::BadCertificate);
        }
        if let Some(expiry) = policy.get("e") {
            let expiry_ms = expiry.as_f64().ok_or(Reject::BadCertificate)?;
            if write.state.as_f64() > expiry_ms {
                return Err(Reject::CertificateExpired);
            }
        }
        let grants = match policy.get("w") {
            Some(Json::Array(grants)) => grants.as_slice(),
            Some(grant) => std::slice::from_ref(grant),
            None => &[],
        };
        if !grants.iter().any(|grant| allows(grant, write)) {
            return Err(Reject::BadCertificate);
        }
        Ok(certificate)
    }

    /// Whether the owner signed the policy. gun.js on node sorts its members, also those of a
    /// policy that a browser signed in the order in which `SEA.certify` sets them.
    pub(super) fn is_signed(&self, owner: &str) -> bool {
        const AS_CERTIFIED: [&str; 6] = ["c", "e", "r", "w", "rb", "wb"];
        let mut certified = Map::new();
        for name in AS_CERTIFIED {
            if let Some(value) = self.m.get(name) {
                certified.insert(name.to_owned(), value.clone());
            }
        }
        certified.extend(self.m.clone());
        let (as_read, certified) = (Json::from(self.m.clone()), Json::from(certified));
        let texts = [
            json::text(&as_read, Members::AsRead),
            json::text(&as_read, Members::Sorted),
            json::text(&certified, Members::AsRead),
        ];
        texts
            .iter()
            .enumerate()
            .any(|(at, text)| !texts[..at].contains(text) && verify_text(text, &self.s, owner))
    }

    /// Whether the certificate's block list, if it names one, has the writer. Everything that
    /// stands for him there blocks him, but for null, `false` and 0.
    pub(super) fn check_block(
        &self,
        write: &Delegated<'_>,
        look_up: &LookUp<'_>,
    ) -> Result<(), Reject> {
        let Some(named) = self.m.get("wb") else {
            return Ok(());
        };
        let list = block_list(named, write.owner, look_up).ok_or(Reject::BadCertificate)?;
        let key = Key::new(write.writer).map_err(|_| Reject::BadCertificate)?;
        let stored = look_up(&list, &key).map_err(|Unavailable| Reject::BadCertificate)?;
        let blocks = stored.is_some_and(|stored| match plain(&list, stored) {
            Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Number(number)) => number != 0.0,
            _ => true,
        });
        if blocks {
            Err(Reject::WriterBlocked)
        } else {
            Ok(())
        }
    }
}

/// Whether `c` names a writer: his key, a list with it, or `*` for everybody.
fn names(c: &Json, writer: &str) -> bool {
    let is_he = |name: &Json| {
        name.as_str()
            .is_some_and(|name| name == "*" || name == writer)
    };
    match c {
        Json::Array(names) => names.iter().any(is_he),
        name => is_he(name),
    }
}

/// Whether one entry of `w` allows a write. Every condition in it must hold: a text or range
/// against path and key joined by `/`; `#` against the path, or, if it stands alone, against
/// both joined; `.` against the key; with `+`, the writer's key in the path or the key. An
/// entry without a condition allows nothing.
///
/// The path is what follows the first `/` of the soul. Clients that write at `inbox/a` of `~pub`
/// put the link `inbox` to `~pub/inbox` first. A link that leads where its own place says tells
/// nothing but that there is something below, so `#` alone decides on it, and no key need be in
/// it at the top of the space.
fn allows(grant: &Json, write: &Delegated<'_>) -> bool {
    let soul = write.soul.as_str();
    let path = soul.split_once('/').map_or("", |(_, path)| path);
    let key = write.key.as_str();
    let joined = match path {
        "" => key.to_owned(),
        path => format!("{path}/{key}"),
    };
    let holds = |condition: &Json, name: &str| range(condition).is_some_and(|r| r.matches(name));
    let Json::Object(entry) = grant else {
        return holds(grant, &joined);
    };
    let is_path = matches!(write.value, Value::Link(to) if to.as_str() == format!("{soul}/{key}"));
    let on_joined = RANGE.iter().any(|name| entry.contains_key(*name));
    let in_place = match (entry.get("#"), entry.get(".")) {
        (Some(on_path), Some(on_key)) => {
            holds(on_path, path) && holds(on_key, key) || is_path && holds(on_path, &joined)
        }
        (Some(on_path), None) => holds(on_path, path) || holds(on_path, &joined),
        (None, Some(on_key)) => holds(on_key, key),
        (None, None) => on_joined,
    };
    let names_writer = path.contains(write.writer) || key.contains(write.writer);
    in_place
        && (!on_joined || holds(grant, &joined))
        && (!entry.contains_key("+") || names_writer || is_path && path.is_empty())
}

/// The members that make a range of names.
const RANGE: [&str; 4] = ["=", "*", ">", "<"];

/// A range of names, or one name given as text. `None`, which matches nothing, for one that
/// bounds nothing, or whose bounds are not texts: it must not grant all.
fn range(condition: &Json) -> Option<Lex> {
    let bound = |name: &str| match condition.get(name) {
        None => Some(None),
        Some(Json::String(bound)) if !bound.is_empty() => Some(Some(bound.as_str().into())),
        Some(_) => None,
    };
    let range = match condition {
        Json::String(exact) => Lex {
            exact: Some(exact.as_str().into()),
            ..Lex::default()
        },
        _ => Lex {
            exact: bound("=")?,
            prefix: bound("*")?,
            from: bound(">")?,
            to: bound("<")?,
        },
    };
    (range != Lex::default()).then_some(range)
}

/// The node that a certificate's `wb` names: a soul as link or text that starts with `~`, or
/// else a path in the owner's space, where a link may stand. `None` if it can't be told.
fn block_list(named: &Json, owner: &str, look_up: &LookUp<'_>) -> Option<Soul> {
    let path = match named {
        Json::String(path) if !path.starts_with('~') => path,
        Json::String(soul) => return Soul::new(soul.as_str()).ok(),
        link => return Soul::new(link.get("#")?.as_str()?).ok(),
    };
    let account = Soul::new(format!("~{owner}")).ok()?;
    let stored = look_up(&account, &Key::new(path.as_str()).ok()?).ok()?;
    match stored {
        None => Soul::new(format!("{account}/{path}")).ok(),
        Some(stored) => match plain(&account, stored)? {
            Value::Link(list) => Some(list),
            _ => None,
        },
    }
}

/// A stored value without its envelope, if its soul lies in a user's space.
fn plain(soul: &Soul, stored: Value) -> Option<Value> {
    match owner(soul.as_str()) {
        Some(_) => Envelope::parse(stored.as_text()?).map(|envelope| envelope.value),
        None => Some(stored),
    }
}
