//! What stands at one point of a tree, as a value with its state.
//!
//! Owns the repairs. gun.js's reader forgets the name of a member when a slice of its work ends
//! between name and value: the value then stands under `undefined`, or an object's members stand
//! in the object around it, and the next write makes it so on disk (`gun-protocol` 15.1).

use std::sync::Arc;

use super::scan::{Scalar, Scanner, Text};
use super::{Damage, Reason};
use crate::graph::{Soul, State, Value};

/// The name under which a value stands whose own name was forgotten.
pub(super) const FORGOTTEN: &str = "undefined";

/// Least number that is taken for a state although nothing names it one, in ms since 1970: a date
/// in 2001, long before the first version of GUN and far above most numbers that people store.
const PLAUSIBLE_STATE_MS: f64 = 1e12;

/// A sound record.
pub(super) struct Record {
    pub(super) value: Value,
    pub(super) state: State,
    pub(super) form: Form,
}

/// How a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Repaired,
}

/// One member of a record, as it is given.
pub(super) enum Given {
    Null,
    Bool(bool),
    Number(f64),
    Text(Result<Arc<str>, Reason>),
    Link(Result<Soul, Reason>, Form),
    Other,
}

/// The members of a record that mean something; of repeated ones the last.
#[derive(Default)]
pub(super) struct Fields {
    value: Option<Given>,
    state: Option<Given>,
    forgotten: Option<Given>,
    /// The member of a link whose braces were forgotten.
    link: Option<Given>,
}

impl Given {
    /// Reads a value; an object can only be a link.
    pub(super) fn read(scan: &mut Scanner<'_>) -> Result<Self, Damage> {
        if scan.peek()? == b'{' {
            return Self::read_link(scan);
        }
        Ok(match scan.scalar()? {
            Scalar::Null => Self::Null,
            Scalar::Bool(flag) => Self::Bool(flag),
            Scalar::Number(number) => Self::Number(number),
            Scalar::Text(text) => Self::Text(text.decode().map(Into::into)),
            Scalar::Other => Self::Other,
        })
    }

    fn read_link(scan: &mut Scanner<'_>) -> Result<Self, Damage> {
        scan.open()?;
        let mut link = None;
        let mut members = 0_usize;
        while let Some(name) = scan.member()? {
            members += 1;
            link = match scan.scalar()? {
                Scalar::Text(soul) if name.is("#") => Some((soul, Form::Whole)),
                Scalar::Text(soul) if name.is(FORGOTTEN) => Some((soul, Form::Repaired)),
                _ => None,
            };
        }
        Ok(match link.filter(|_| members == 1) {
            Some((soul, form)) => Self::Link(soul.decode().and_then(soul_of), form),
            None => Self::Other,
        })
    }

    /// Whether an object is a link, and not a branch of the tree, whose members are all objects.
    pub(super) fn is_link(mut scan: Scanner<'_>) -> Result<bool, Damage> {
        scan.open()?;
        match scan.member()? {
            Some(name) if name.is("#") || name.is(FORGOTTEN) => Ok(scan.peek()? == b'"'),
            _ => Ok(false),
        }
    }

    fn into_value(self) -> Result<(Value, Form), Reason> {
        let value = match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(text?),
            Self::Link(soul, form) => return Ok((Value::Link(soul?), form)),
            Self::Other => return Err(Reason::BadValue),
        };
        Ok((value, Form::Whole))
    }

    fn into_state(self) -> Result<State, Reason> {
        match self {
            Self::Number(number) => State::new(number).ok_or(Reason::BadState),
            _ => Err(Reason::BadState),
        }
    }

    fn is_plausible_state(&self) -> bool {
        matches!(self, Self::Number(number) if *number >= PLAUSIBLE_STATE_MS)
    }
}

pub(super) fn soul_of(name: String) -> Result<Soul, Reason> {
    Soul::new(name).map_err(|_| Reason::BadName)
}

impl Fields {
    /// Reads a record whose object is next.
    pub(super) fn read(scan: &mut Scanner<'_>) -> Result<Self, Damage> {
        let mut fields = Self::default();
        scan.open()?;
        while let Some(name) = scan.member()? {
            let given = Given::read(scan)?;
            // Members of other names mean nothing to gun.js either.
            fields.set(name, given);
        }
        Ok(fields)
    }

    /// Puts a member where it belongs; `false` if a record has none of that name.
    pub(super) fn set(&mut self, name: Text<'_>, given: Given) -> bool {
        if name.is(":") {
            self.value = Some(given);
        } else if name.is(">") {
            self.state = Some(given);
        } else if name.is(FORGOTTEN) {
            self.forgotten = Some(given);
        } else if name.is("#") {
            self.link = Some(match given {
                Given::Text(soul) => Given::Link(
                    soul.and_then(|soul| soul_of((*soul).into())),
                    Form::Repaired,
                ),
                _ => Given::Other,
            });
        } else {
            return false;
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.value.is_none()
            && self.state.is_none()
            && self.forgotten.is_none()
            && self.link.is_none()
    }

    /// Whether value and state are there under their own names.
    pub(super) fn is_whole(&self) -> bool {
        self.value.is_some() && self.state.is_some()
    }

    /// The record they make.
    pub(super) fn join(self) -> Result<Record, Reason> {
        let (value, state, form) = match (self.value.or(self.link), self.state, self.forgotten) {
            (Some(value), Some(state), _) => (value, state, Form::Whole),
            (Some(value), None, Some(state)) if state.is_plausible_state() => {
                (value, state, Form::Repaired)
            }
            (None, Some(state), Some(value)) => (value, state, Form::Repaired),
            (Some(_), None, _) => return Err(Reason::MissingState),
            (None, _, _) => return Err(Reason::MissingValue),
        };
        let (value, link_form) = value.into_value()?;
        Ok(Record {
            value,
            state: state.into_state()?,
            form: if link_form == Form::Repaired {
                link_form
            } else {
                form
            },
        })
    }
}
