//! Frames as messages. Total: whatever the text, the result is a list of messages and named
//! refusals; one bad message of a batch leaves the others alone.
//!
//! A message is read in one pass, straight into association lists. Only when that fails is it
//! read a second time, for its id and for what exactly is wrong.

mod graph;
mod query;
mod salvage;
mod scalar;
mod second_look;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use self::graph::GraphSeed;
use self::query::GetSeed;
use self::scalar::{Scalar, ScalarSeed, TextSeed};
use super::limits::Limits;
use super::message::{Ack, AckWish, Body, Dam, Message, MessageId, Put};
use super::query::Get;
use super::reject::{Refused, Reject};
use crate::graph::Graph;

/// Reads a text frame. The empty batch (a keepalive) gives an empty list.
#[must_use]
pub fn parse_frame(text: &str, limits: &Limits) -> Vec<Result<Message, Refused>> {
    if text.len() > limits.frame_bytes_max {
        return vec![refuse(Reject::FrameTooLarge {
            max: limits.frame_bytes_max,
        })];
    }
    // As gun.js: the first character decides, so a leading space or byte order mark is noise.
    match text.as_bytes().first() {
        Some(b'{') => vec![parse_message(text, limits)],
        Some(b'[') => parse_batch(text, limits),
        _ => vec![refuse(Reject::NotAMessage)],
    }
}

fn refuse<T>(reject: Reject) -> Result<T, Refused> {
    Err(Refused { id: None, reject })
}

fn parse_batch(text: &str, limits: &Limits) -> Vec<Result<Message, Refused>> {
    let mut blame = Blame::new(limits, Reject::NotJson);
    let mut json = serde_json::Deserializer::from_str(text);
    let elements = BatchSeed(&mut blame)
        .deserialize(&mut json)
        .and_then(|elements| json.end().map(|()| elements));
    match elements {
        Ok(elements) => elements
            .iter()
            .map(|raw| parse_element(raw.get(), limits))
            .collect(),
        Err(_) => vec![refuse(blame.fault.unwrap_or(Reject::NotJson))],
    }
}

fn parse_element(text: &str, limits: &Limits) -> Result<Message, Refused> {
    match text.as_bytes().first() {
        Some(b'{') => parse_message(text, limits),
        // A message as text inside a batch, as gun.js may send it.
        Some(b'"') => match serde_json::from_str::<Cow<'_, str>>(text) {
            Ok(inner) if inner.starts_with('{') => parse_message(&inner, limits),
            _ => refuse(Reject::NotAMessage),
        },
        _ => refuse(Reject::NotAMessage),
    }
}

fn parse_message(text: &str, limits: &Limits) -> Result<Message, Refused> {
    let mut blame = Blame::new(limits, Reject::NotJson);
    let mut json = serde_json::Deserializer::from_str(text);
    let parts = MessageSeed(&mut blame)
        .deserialize(&mut json)
        .and_then(|parts| json.end().map(|()| parts));
    match parts {
        Ok(parts) => parts.into_message(limits),
        Err(error) => second_look::explain(text, limits, &blame, &error),
    }
}

/// What is at fault if the parser stops here. Seeds share it, since serde's errors carry
/// text only.
struct Blame {
    limits: Limits,
    /// Found by a seed.
    fault: Option<Reject>,
    /// What it means if the JSON at this place has the wrong type.
    place: Reject,
    /// Keys of the message so far.
    keys: usize,
}

impl Blame {
    fn new(limits: &Limits, place: Reject) -> Self {
        Self {
            limits: *limits,
            fault: None,
            place,
            keys: 0,
        }
    }

    /// Records a fault and gives the error that ends the parse.
    fn fail<E: serde::de::Error>(&mut self, reject: Reject) -> E {
        self.fault = Some(reject);
        E::custom("refused")
    }
}

struct BatchSeed<'b>(&'b mut Blame);

impl<'de> DeserializeSeed<'de> for BatchSeed<'_> {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.0.limits.messages_max {
                let max = self.0.limits.messages_max;
                return Err(self.0.fail(Reject::TooManyMessages { max }));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

/// The members of a message, before it is clear what kind of message they make.
#[derive(Default)]
struct Parts<'de> {
    id: Option<MessageId>,
    reply_to: Option<Option<MessageId>>,
    hash: Option<i32>,
    seen_by: Vec<Arc<str>>,
    more: Option<MessageId>,
    put: Option<Option<Graph>>,
    dropped: usize,
    get: Option<Get>,
    ok: Option<&'de RawValue>,
    err: Option<&'de RawValue>,
    dam: Option<Control>,
    pid: Option<Arc<str>>,
    body: Option<&'de RawValue>,
}

/// The value of `dam`; not a text is as good as unknown.
enum Control {
    Text(Arc<str>),
    Other,
}

impl Parts<'_> {
    fn into_message(mut self, limits: &Limits) -> Result<Message, Refused> {
        let body = match self.body(limits) {
            Ok(body) => body,
            Err(reject) => {
                return Err(Refused {
                    id: self.id,
                    reject,
                });
            }
        };
        Ok(Message {
            id: self.id,
            reply_to: self.reply_to.flatten(),
            hash: self.hash,
            seen_by: self.seen_by,
            body,
        })
    }

    fn body(&mut self, limits: &Limits) -> Result<Body, Reject> {
        if let Some(dam) = self.dam.take() {
            return Ok(Body::Dam(self.control(&dam, limits)));
        }
        match (self.put.take(), self.get.take()) {
            (Some(_), Some(_)) => Err(Reject::PutAndGet),
            (Some(Some(graph)), None) => Ok(Body::Put(Put {
                graph,
                more: self.more.take(),
                wants: self.wish(),
                dropped: self.dropped,
            })),
            // `null` in an answer: how older peers say "not found".
            (Some(None), None) if self.reply_to.is_none() => Err(Reject::BadPut),
            (None, Some(get)) => Ok(Body::Get(get)),
            (_, None) if self.reply_to.is_some() => Ok(Body::Ack(self.ack(limits)?)),
            (_, None) => Err(Reject::Empty),
        }
    }

    fn control(&self, dam: &Control, limits: &Limits) -> Dam {
        let Control::Text(name) = dam else {
            return Dam::Unknown;
        };
        match &**name {
            "?" => Dam::Hello {
                pid: self.pid.clone(),
            },
            "!" => Dam::Error {
                err: raw_text(self.err).unwrap_or_else(|| "".into()),
            },
            "hi" => Dam::Hi,
            _ if name.contains(':') && name.len() <= EXTENSION_BYTES_MAX => {
                let body = self.body.map_or("null", RawValue::get);
                if within_depth(body, limits.nesting_max) {
                    Dam::Extension {
                        name: name.clone(),
                        body: body.into(),
                    }
                } else {
                    Dam::Unknown
                }
            }
            _ => Dam::Unknown,
        }
    }

    fn ack(&self, limits: &Limits) -> Result<Ack, Reject> {
        let ok = self.ok.map(RawValue::get).filter(|ok| *ok != "null");
        if ok.is_some_and(|ok| !within_depth(ok, limits.nesting_max)) {
            return Err(Reject::TooDeep {
                max: limits.nesting_max,
            });
        }
        Ok(Ack {
            ok: ok.map(Into::into),
            err: raw_text(self.err),
        })
    }

    fn wish(&self) -> Option<AckWish> {
        #[derive(Deserialize)]
        struct Wish {
            #[serde(rename = "@", default)]
            acks: f64,
            #[serde(rename = "/", default)]
            peers: f64,
        }
        // An `ok` of any other form in a put means nothing to anybody.
        let wish: Wish = serde_json::from_str(self.ok?.get()).ok()?;
        Some(AckWish {
            acks: wish.acks as i64,
            peers: wish.peers as i64,
        })
    }
}

/// Longest name of an extension, in bytes.
const EXTENSION_BYTES_MAX: usize = 64;

/// The text of a member that should be one; any other JSON stays as it is written.
fn raw_text(raw: Option<&RawValue>) -> Option<Arc<str>> {
    let text = raw?.get();
    match serde_json::from_str::<Cow<'_, str>>(text) {
        Ok(inner) => Some(inner.into()),
        Err(_) if text == "null" => None,
        Err(_) => Some(text.into()),
    }
}

/// Whether valid JSON text is nested no deeper than `max`.
fn within_depth(json: &str, max: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return false;
        }
    }
    true
}

struct MessageSeed<'b>(&'b mut Blame);

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = Parts<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let blame = self.0;
        let mut parts = Parts::default();
        let mut seen = 0_u32;
        while let Some(name) = map.next_key_seed(TextSeed)? {
            let Some(member) = MEMBERS.iter().position(|known| *known == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << member) != 0 {
                return Err(blame.fail(Reject::DuplicateMember));
            }
            seen |= 1 << member;
            parts.read(&name, &mut map, blame)?;
        }
        Ok(parts)
    }
}

/// The members of a message that mean something; all others are ignored.
const MEMBERS: [&str; 12] = [
    "#", "put", "@", "get", "ok", "##", "%", "><", "err", "dam", "pid", "body",
];

impl<'de> Parts<'de> {
    fn read<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        map: &mut A,
        blame: &mut Blame,
    ) -> Result<(), A::Error> {
        match name {
            "#" => {
                blame.place = Reject::BadId;
                let text = map.next_value_seed(TextSeed)?;
                let id = MessageId::new(&text).ok_or_else(|| blame.fail(Reject::BadId))?;
                self.id = Some(id);
            }
            "@" => {
                let id = map.next_value_seed(ScalarSeed)?.into_text();
                self.reply_to = Some(id.and_then(|text| MessageId::new(&text)));
            }
            "put" => {
                blame.place = Reject::BadPut;
                self.put = Some(map.next_value_seed(GraphSeed(blame))?);
            }
            "get" => {
                blame.place = Reject::BadGet;
                self.get = Some(map.next_value_seed(GetSeed(blame))?);
            }
            "##" => {
                let number = map.next_value_seed(ScalarSeed)?.into_number();
                self.hash = number.filter(|n| n.fract() == 0.0).and_then(whole_i32);
            }
            "%" => self.more = more_of(map.next_value_seed(ScalarSeed)?),
            "><" => {
                let names = map
                    .next_value_seed(ScalarSeed)?
                    .into_text()
                    .unwrap_or_default();
                self.seen_by = seen_by(&names);
            }
            "ok" => self.ok = Some(map.next_value()?),
            "err" => self.err = Some(map.next_value()?),
            "dam" => {
                self.dam = Some(match map.next_value_seed(ScalarSeed)? {
                    Scalar::Text(text) => Control::Text(text.into()),
                    _ => Control::Other,
                });
            }
            "pid" => self.pid = pid_of(map.next_value_seed(ScalarSeed)?),
            _ => self.body = Some(map.next_value()?),
        }
        Ok(())
    }
}

/// `%` of an answer. gun.js sends the id of the next message, or 1 if it does not know it yet.
fn more_of(scalar: Scalar<'_>) -> Option<MessageId> {
    match scalar {
        Scalar::Text(text) => MessageId::new(&text),
        Scalar::Number(number) if number != 0.0 => MessageId::new("1"),
        _ => None,
    }
}

/// Longest name of a process taken, in bytes. gun.js has 9 letters.
const PID_BYTES_MAX: usize = 64;

/// The name of a process; one that nobody would have counts as none.
fn pid_of(scalar: Scalar<'_>) -> Option<Arc<str>> {
    let pid = scalar.into_text()?;
    (!pid.is_empty() && pid.len() <= PID_BYTES_MAX).then(|| pid.into())
}

/// What gun.js reads of `><`.
const SEEN_BY_CHARS_MAX: usize = 99;

fn seen_by(names: &str) -> Vec<Arc<str>> {
    let end = names
        .char_indices()
        .nth(SEEN_BY_CHARS_MAX)
        .map_or(names.len(), |(at, _)| at);
    names[..end]
        .split(',')
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect()
}

fn whole_i32(number: f64) -> Option<i32> {
    let in_range = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    in_range.then_some(number as i32)
}
