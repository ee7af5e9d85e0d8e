//! `get`: which souls and keys are asked for.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Blame, Scalar, ScalarSeed, TextSeed};
use crate::graph::{Key, Soul};
use crate::wire::query::{Get, Interest, KeyQuery, Lex, Order, SoulQuery};
use crate::wire::reject::Reject;

/// Reads the value of `get`.
pub(super) struct GetSeed<'b>(pub(super) &'b mut Blame);

impl<'de> DeserializeSeed<'de> for GetSeed<'_> {
    type Value = Get;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for GetSeed<'_> {
    type Value = Get;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a get")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let blame = self.0;
        let (mut souls, mut keys) = (None, None);
        let mut bytes_max = None;
        let mut order = Order::Ascending;
        let mut interest = Interest::Subscribe;
        while let Some(name) = map.next_key_seed(TextSeed)? {
            match &*name {
                "#" if souls.is_some() => return Err(blame.fail(Reject::DuplicateMember)),
                "#" => {
                    let names = map.next_value_seed(NamesSeed {
                        blame,
                        order: &mut order,
                    })?;
                    souls = Some(match names {
                        Names::All => return Err(blame.fail(Reject::BadGet)),
                        Names::One(name) => SoulQuery::One(
                            Soul::new(name).map_err(|e| blame.fail(Reject::BadSoul(e)))?,
                        ),
                        Names::Range(lex) => SoulQuery::Lex(lex),
                    });
                }
                "." if keys.is_some() => return Err(blame.fail(Reject::DuplicateMember)),
                "." => {
                    let names = map.next_value_seed(NamesSeed {
                        blame,
                        order: &mut order,
                    })?;
                    keys = Some(match names {
                        Names::All => KeyQuery::All,
                        // As gun.js: the empty key means all of them.
                        Names::One(name) if name.is_empty() => KeyQuery::All,
                        Names::One(name) => KeyQuery::One(
                            Key::new(name).map_err(|e| blame.fail(Reject::BadKey(e)))?,
                        ),
                        Names::Range(lex) => KeyQuery::Lex(lex),
                    });
                }
                "%" => {
                    let number = map.next_value_seed(ScalarSeed)?.into_number();
                    // Conversion saturates, so a negative number is 0 and a huge one the most.
                    bytes_max = number.map(|bytes| bytes as u64);
                }
                "-" if map.next_value_seed(TruthSeed)? => order = Order::Descending,
                "once" if map.next_value_seed(TruthSeed)? => interest = Interest::Once,
                "-" | "once" => {}
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let souls = souls.ok_or_else(|| blame.fail(Reject::BadGet))?;
        let keys = keys.unwrap_or(KeyQuery::All);
        Ok(Get {
            souls,
            keys,
            bytes_max,
            order,
            interest,
        })
    }
}

enum Names {
    All,
    One(String),
    Range(Lex),
}

struct NamesSeed<'b> {
    blame: &'b mut Blame,
    order: &'b mut Order,
}

impl<'de> DeserializeSeed<'de> for NamesSeed<'_> {
    type Value = Names;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NamesSeed<'_> {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a range of names")
    }

    fn visit_unit<E>(self) -> Result<Names, E> {
        Ok(Names::All)
    }

    fn visit_str<E>(self, name: &str) -> Result<Names, E> {
        Ok(Names::One(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut lex = Lex::default();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            let part = match &*name {
                "=" => &mut lex.exact,
                "*" => &mut lex.prefix,
                ">" => &mut lex.from,
                "<" => &mut lex.to,
                "-" => {
                    if map.next_value_seed(TruthSeed)? {
                        *self.order = Order::Descending;
                    }
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if part.is_some() {
                return Err(self.blame.fail(Reject::DuplicateMember));
            }
            *part = Some(map.next_value_seed(TextSeed)?.into());
        }
        Ok(Names::Range(lex))
    }
}

/// Reads a flag as JavaScript would: `false`, `null`, 0 and the empty text are "no".
struct TruthSeed;

impl<'de> DeserializeSeed<'de> for TruthSeed {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        let raw: &serde_json::value::RawValue = serde::Deserialize::deserialize(json)?;
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        Ok(match ScalarSeed.deserialize(&mut inner) {
            Ok(Scalar::Number(number)) => number != 0.0,
            _ => !matches!(raw.get(), "false" | "null" | "\"\""),
        })
    }
}
