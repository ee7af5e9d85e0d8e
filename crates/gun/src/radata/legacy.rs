//! The text form that older gun.js versions wrote: fields framed by U+001F, one line for each
//! point of the tree. This reader follows `lib/radisk.js` of 0.2020.1241, which still reads it.
//!
//! A line is depth, `#`, piece, and where a record stands `:` and the record; then a line end. The
//! record is itself a text: value, `>`, state, each framed by U+001B. A frame is its separator,
//! repeated once more for every time that the separator occurs inside, a letter for the kind, the
//! content, and the separator.

use super::record::{Form, Given, Record, soul_of};
use super::scan::Text;
use super::trail::{DEPTH_MAX, Trail};
use super::tree::Leaf;
use super::{Damage, Reason};
use crate::graph::{State, Value};

/// Frames the fields of a file; a file in this form begins with it.
pub(super) const FRAME: u8 = 0x1f;

/// Frames value and state within a record.
const INNER_FRAME: u8 = 0x1b;

/// Visits every record; what stands before damage is visited.
pub(super) fn walk(file: &[u8], visit: &mut impl FnMut(&Trail, Leaf)) -> Result<(), Damage> {
    let mut lines = Lines { file, at: 0 };
    let mut trail = Trail::new();
    while lines.at < file.len() {
        let line = lines.next()?;
        let mut leaf = line.record.map(|record| match record.value() {
            Ok(Value::Text(text)) => Leaf::Plain(Given::Text(Ok(text))),
            Ok(Value::Number(number)) => Leaf::Plain(Given::Number(number)),
            Ok(_) => Leaf::Plain(Given::Other),
            Err(reason) => Leaf::Lost(reason),
        });
        if line.depth > trail.depth() || line.depth >= DEPTH_MAX {
            // A line is missing above this one, or it is deeper than names are long.
            let reason = if line.depth < DEPTH_MAX {
                Reason::BogusSoul
            } else {
                Reason::TooDeep
            };
            leaf = leaf.map(|_| Leaf::Lost(reason));
        } else {
            trail.truncate(line.depth);
            trail.push(Text::plain(line.piece.content));
        }
        if let Some(leaf) = leaf {
            visit(&trail, leaf);
        }
    }
    Ok(())
}

/// A record from its text.
pub(super) fn record(text: &[u8]) -> Result<Record, Reason> {
    // The state is a number, so the last `>` is the one between them.
    let split = text.iter().rposition(|b| *b == b'>');
    let (value, state) = text.split_at(split.ok_or(Reason::MissingState)?);
    let (value, _) = Framed::read(value, INNER_FRAME).ok_or(Reason::MissingValue)?;
    let (state, _) = Framed::read(&state[1..], INNER_FRAME).ok_or(Reason::MissingState)?;
    let state = match state.value()? {
        Value::Number(number) => State::new(number),
        _ => None,
    };
    Ok(Record {
        value: value.value()?,
        state: state.ok_or(Reason::BadState)?,
        form: Form::Whole,
    })
}

struct Line<'a> {
    depth: usize,
    piece: Framed<'a>,
    record: Option<Framed<'a>>,
}

struct Lines<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Line<'a>, Damage> {
        let garbled = Damage::Garbled { at: self.at };
        let depth = match self.framed()?.value() {
            Ok(Value::Number(depth)) if depth >= 0.0 && depth.fract() == 0.0 => depth as usize,
            _ => return Err(garbled),
        };
        self.mark(b"#")?;
        let piece = self.framed()?;
        let record = match self.mark(b":=\n")? {
            b'\n' => None,
            _ => {
                let record = self.framed()?;
                self.mark(b"\n")?;
                Some(record)
            }
        };
        Ok(Line {
            depth,
            piece,
            record,
        })
    }

    fn mark(&mut self, expected: &[u8]) -> Result<u8, Damage> {
        let mark = *self.file.get(self.at).ok_or(Damage::Cut)?;
        if !expected.contains(&mark) {
            return Err(Damage::Garbled { at: self.at });
        }
        self.at += 1;
        Ok(mark)
    }

    fn framed(&mut self) -> Result<Framed<'a>, Damage> {
        let rest = &self.file[self.at..];
        if rest.first().is_some_and(|first| *first != FRAME) {
            return Err(Damage::Garbled { at: self.at });
        }
        let (framed, length) = Framed::read(rest, FRAME).ok_or(Damage::Cut)?;
        self.at += length;
        Ok(framed)
    }
}

/// A field without its frame.
struct Framed<'a> {
    kind: u8,
    content: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Reads a field, and how many bytes it takes with its frame.
    fn read(bytes: &'a [u8], frame: u8) -> Option<(Self, usize)> {
        let count = bytes.iter().take_while(|b| **b == frame).count();
        let kind = *bytes.get(count)?;
        let from = count + 1;
        let rest = bytes[from..].iter().enumerate();
        let (length, _) = rest
            .filter(|(_, b)| **b == frame)
            .nth(count.checked_sub(1)?)?;
        let content = &bytes[from..from + length];
        Some((Self { kind, content }, from + length + 1))
    }

    fn text(&self) -> Result<String, Reason> {
        Text::plain(self.content).decode()
    }

    fn value(&self) -> Result<Value, Reason> {
        match (self.kind, self.content) {
            (b'"', _) => Ok(Value::text(self.text()?)),
            (b' ', _) => Ok(Value::Null),
            (b'-', _) => Ok(Value::Bool(false)),
            (b'+', []) => Ok(Value::Bool(true)),
            (b'+', _) => {
                let number = self.text()?.parse::<f64>().ok();
                let number = number.filter(|number| number.is_finite());
                Ok(Value::Number(number.ok_or(Reason::BadValue)? + 0.0))
            }
            // What some versions wrote for every link.
            (b'#', b"undefined") => Err(Reason::BadValue),
            (b'#', _) => soul_of(self.text()?).map(Value::Link),
            _ => Err(Reason::BadValue),
        }
    }
}
