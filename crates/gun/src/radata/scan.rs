//! JSON byte by byte, so that what stands before a cut is read and half surrogate pairs survive.
//!
//! Strict where gun.js's writer (`JSON.stringify`) is: a raw control character in a text means
//! that the file was overwritten, by zeros after a loss of power for instance.

use super::{Damage, Reason};

/// A place in a file.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// An object was opened and none of its members read yet.
    fresh: bool,
}

/// Any JSON; objects and arrays are stepped over.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// Finite.
    Number(f64),
    Text(Text<'a>),
    Other,
}

/// What stands between the quotes of a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            fresh: false,
        }
    }

    /// The next byte that is no blank; it stays.
    pub(super) fn peek(&mut self) -> Result<u8, Damage> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().ok_or(Damage::Cut)
    }

    fn take(&mut self, byte: u8) -> Result<(), Damage> {
        if self.peek()? != byte {
            return Err(self.garbled());
        }
        self.at += 1;
        Ok(())
    }

    fn garbled(&self) -> Damage {
        Damage::Garbled { at: self.at }
    }

    /// Enters an object.
    pub(super) fn open(&mut self) -> Result<(), Damage> {
        self.take(b'{')?;
        self.fresh = true;
        Ok(())
    }

    /// The name of the next member of the object that is open; `None` leaves the object.
    pub(super) fn member(&mut self) -> Result<Option<Text<'a>>, Damage> {
        let is_first = std::mem::take(&mut self.fresh);
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !is_first {
            self.take(b',')?;
        }
        let name = self.text()?;
        self.take(b':')?;
        Ok(Some(name))
    }

    /// Whether only blanks follow.
    pub(super) fn end(&mut self) -> Result<(), Damage> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(self.garbled()),
        }
    }

    /// Reads a value.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, Damage> {
        match self.peek()? {
            b'"' => Ok(Scalar::Text(self.text()?)),
            b'{' | b'[' => {
                self.skip_nested()?;
                Ok(Scalar::Other)
            }
            b'n' => self.word(b"null", Scalar::Null),
            b't' => self.word(b"true", Scalar::Bool(true)),
            b'f' => self.word(b"false", Scalar::Bool(false)),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.garbled()),
        }
    }

    fn word(&mut self, word: &[u8], meaning: Scalar<'a>) -> Result<Scalar<'a>, Damage> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(meaning)
        } else if word.starts_with(rest) {
            Err(Damage::Cut)
        } else {
            Err(self.garbled())
        }
    }

    fn number(&mut self) -> Result<Scalar<'a>, Damage> {
        let rest = &self.bytes[self.at..];
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        // Digits at the very end of a file may be the beginning of more.
        let length = rest.iter().position(|b| !is_part(b)).ok_or(Damage::Cut)?;
        let number = std::str::from_utf8(&rest[..length])
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .ok_or_else(|| self.garbled())?;
        self.at += length;
        Ok(if number.is_finite() {
            // `-0` and `0` are one value to JavaScript's JSON.
            Scalar::Number(number + 0.0)
        } else {
            Scalar::Other
        })
    }

    /// Steps over an object or array however deep it is, without memory for its levels.
    pub(super) fn skip_nested(&mut self) -> Result<(), Damage> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    pub(super) fn text(&mut self) -> Result<Text<'a>, Damage> {
        self.take(b'"')?;
        let from = self.at;
        let mut escaped = false;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(Damage::Cut),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..=0x1f) => return Err(self.garbled()),
                Some(_) => self.at += 1,
            }
        }
        let raw = &self.bytes[from..self.at];
        self.at += 1;
        Ok(Text { raw, escaped })
    }
}

impl<'a> Text<'a> {
    /// A text that knows no escapes.
    pub(super) fn plain(raw: &'a [u8]) -> Self {
        Self {
            raw,
            escaped: false,
        }
    }

    /// Whether it is this name, as `JSON.stringify` writes names that need no escape.
    pub(super) fn is(&self, name: &str) -> bool {
        !self.escaped && self.raw == name.as_bytes()
    }

    /// Appends its UTF-16 units; half a surrogate pair is one of them.
    pub(super) fn push_units(&self, out: &mut Vec<u16>) -> Result<(), Reason> {
        let mut rest = self.raw;
        loop {
            let plain = match rest.iter().position(|b| *b == b'\\') {
                Some(at) if self.escaped => at,
                _ => rest.len(),
            };
            let text = std::str::from_utf8(&rest[..plain]).map_err(|_| Reason::BadText)?;
            out.extend(text.encode_utf16());
            if plain == rest.len() {
                return Ok(());
            }
            let (unit, length) = unescape(&rest[plain + 1..]).ok_or(Reason::BadText)?;
            out.push(unit);
            rest = &rest[plain + 1 + length..];
        }
    }

    /// It as Unicode.
    pub(super) fn decode(&self) -> Result<String, Reason> {
        if !self.escaped {
            let text = std::str::from_utf8(self.raw).map_err(|_| Reason::BadText)?;
            return Ok(text.to_owned());
        }
        let mut units = Vec::with_capacity(self.raw.len());
        self.push_units(&mut units)?;
        String::from_utf16(&units).map_err(|_| Reason::LoneSurrogate)
    }
}

/// The unit that an escape stands for, and how many bytes follow its backslash.
fn unescape(escape: &[u8]) -> Option<(u16, usize)> {
    let unit = match escape.first()? {
        byte @ (b'"' | b'\\' | b'/') => u16::from(*byte),
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => 0x0a,
        b'r' => 0x0d,
        b't' => 0x09,
        b'u' => {
            let mut digits = escape.get(1..5)?.iter();
            let unit = digits.try_fold(0_u32, |unit, digit| {
                Some(unit * 16 + char::from(*digit).to_digit(16)?)
            })?;
            return Some((u16::try_from(unit).ok()?, 5));
        }
        _ => return None,
    };
    Some((unit, 1))
}
