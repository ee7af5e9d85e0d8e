//! Why a message could not be read: its id, and which rule it broke.
//!
//! Reads members as raw text, which steps over texts that are no Unicode and numbers that no
//! double holds; so only the message at fault is lost, and its sender hears why.

use std::fmt;

use serde::de::{DeserializeSeed as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Blame, Control, Parts, Scalar, ScalarSeed, TextSeed, more_of, pid_of, salvage};
use crate::wire::limits::{Limits, OnFault};
use crate::wire::message::{Message, MessageId};
use crate::wire::reject::{Refused, Reject};

/// The refusal of a message that did not parse. A control message is read all the same: the
/// other members of one mean nothing, whatever they hold.
pub(super) fn explain(
    text: &str,
    limits: &Limits,
    blame: &Blame,
    error: &serde_json::Error,
) -> Result<Message, Refused> {
    let Some(skeleton) = Skeleton::read(text) else {
        return Err(Refused {
            id: None,
            reject: Reject::NotJson,
        });
    };
    if skeleton.dam.is_some() {
        return skeleton.into_parts().into_message(limits);
    }
    let id = skeleton
        .id
        .and_then(text_of)
        .and_then(|text| MessageId::new(&text));
    let reject = match &blame.fault {
        Some(fault) => fault.clone(),
        None if error.is_data() => blame.place.clone(),
        // The text is JSON, and every type was right.
        None if has_lone_surrogate(text) => Reject::LoneSurrogate,
        None => Reject::BadNumber,
    };
    if limits.on_fault == OnFault::DropValue
        && let Some(put) = skeleton.put
        && let Some((graph, dropped)) = salvage::graph(put, limits)
    {
        let parts = skeleton.into_parts();
        return Parts {
            put: Some(Some(graph)),
            dropped,
            ..parts
        }
        .into_message(limits);
    }
    Err(Refused { id, reject })
}

/// The members that a refusal or a control message needs; for repeated ones, the last.
#[derive(Default)]
struct Skeleton<'de> {
    id: Option<&'de RawValue>,
    reply_to: Option<&'de RawValue>,
    put: Option<&'de RawValue>,
    more: Option<&'de RawValue>,
    dam: Option<&'de RawValue>,
    pid: Option<&'de RawValue>,
    err: Option<&'de RawValue>,
    body: Option<&'de RawValue>,
}

impl<'de> Skeleton<'de> {
    fn read(text: &'de str) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let skeleton = serde::Deserializer::deserialize_map(&mut json, SkeletonVisitor).ok()?;
        json.end().ok()?;
        Some(skeleton)
    }

    fn into_parts(self) -> Parts<'de> {
        Parts {
            id: self
                .id
                .and_then(text_of)
                .and_then(|text| MessageId::new(&text)),
            reply_to: self
                .reply_to
                .map(|raw| text_of(raw).and_then(|text| MessageId::new(&text))),
            more: self.more.and_then(scalar_of).and_then(more_of),
            dam: self
                .dam
                .map(|raw| text_of(raw).map_or(Control::Other, |t| Control::Text(t.into()))),
            pid: self.pid.and_then(scalar_of).and_then(pid_of),
            err: self.err,
            body: self.body,
            ..Parts::default()
        }
    }
}

fn text_of(raw: &RawValue) -> Option<String> {
    scalar_of(raw)?.into_text().map(Into::into)
}

fn scalar_of(raw: &RawValue) -> Option<Scalar<'_>> {
    let mut json = serde_json::Deserializer::from_str(raw.get());
    ScalarSeed.deserialize(&mut json).ok()
}

struct SkeletonVisitor;

impl<'de> Visitor<'de> for SkeletonVisitor {
    type Value = Skeleton<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut skeleton = Skeleton::default();
        while let Some(name) = map.next_key::<&RawValue>()? {
            let mut json = serde_json::Deserializer::from_str(name.get());
            let place = match TextSeed.deserialize(&mut json).as_deref() {
                Ok("#") => &mut skeleton.id,
                Ok("@") => &mut skeleton.reply_to,
                Ok("put") => &mut skeleton.put,
                Ok("%") => &mut skeleton.more,
                Ok("dam") => &mut skeleton.dam,
                Ok("pid") => &mut skeleton.pid,
                Ok("err") => &mut skeleton.err,
                Ok("body") => &mut skeleton.body,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = Some(map.next_value()?);
        }
        Ok(skeleton)
    }
}

/// Whether JSON text writes half a surrogate pair as `\uXXXX`.
fn has_lone_surrogate(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    let mut high_pending = false;
    while at < bytes.len() {
        let unit = match bytes[at] {
            b'\\' if bytes.get(at + 1) == Some(&b'u') => {
                let digits = json.get(at + 2..at + 6);
                at += 6;
                digits.and_then(|digits| u16::from_str_radix(digits, 16).ok())
            }
            b'\\' => {
                at += 2;
                None
            }
            _ => {
                at += 1;
                None
            }
        };
        let is_low = unit.is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
        if high_pending != is_low {
            return true;
        }
        high_pending = unit.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
    }
    false
}
