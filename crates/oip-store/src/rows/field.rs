//! The fields that rows are made of: variable-length integers, texts, optional fields, flags.
//!
//! Integers are LEB128 (seven bits a byte, the lowest first); a text is its length and its
//! UTF-8 bytes. The reader never allocates more than the row holds.

use std::sync::Arc;

use super::Fault;

/// Appends an integer.
pub(crate) fn push_int(out: &mut Vec<u8>, mut int: u64) {
    while int >= 0x80 {
        // The low seven bits; the mask makes the cast exact.
        out.push((int & 0x7f) as u8 | 0x80);
        int >>= 7;
    }
    out.push(int as u8);
}

/// Appends a text.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    push_int(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends an optional text: one more than its length, or 0.
pub(crate) fn push_text_option(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => push_int(out, 0),
        Some(text) => {
            push_int(out, text.len() as u64 + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Appends an optional integer: a byte that tells whether it is there, then the integer.
pub(crate) fn push_int_option(out: &mut Vec<u8>, int: Option<u64>) {
    match int {
        None => out.push(0),
        Some(int) => {
            out.push(1);
            push_int(out, int);
        }
    }
}

/// Maps a signed integer to an unsigned one so that small ones stay short (zigzag).
pub(crate) fn zigzag(int: i64) -> u64 {
    ((int << 1) ^ (int >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
pub(crate) fn unzigzag(int: u64) -> i64 {
    (int >> 1).cast_signed() ^ -(int & 1).cast_signed()
}

/// Reads fields one after the other.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(row: &'a [u8]) -> Self {
        Self { rest: row }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Everything that is left, as text.
    pub(crate) fn rest_text(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.rest()).map_err(|_| Fault("text is not UTF-8"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(Fault("ends too early"))?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Fault("ends too early"))?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(Fault("ends too early"))?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn int(&mut self) -> Result<u64, Fault> {
        let mut int = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            int |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(int);
            }
        }
        Err(Fault("integer is too long"))
    }

    /// A length: an integer that can't exceed what is left.
    fn len(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.int()?).map_err(|_| Fault("ends too early"))
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        let len = self.len()?;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| Fault("text is not UTF-8"))
    }

    pub(crate) fn text_option(&mut self) -> Result<Option<&'a str>, Fault> {
        match self.len()?.checked_sub(1) {
            None => Ok(None),
            Some(len) => std::str::from_utf8(self.bytes(len)?)
                .map(Some)
                .map_err(|_| Fault("text is not UTF-8")),
        }
    }

    pub(crate) fn string_option(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.text_option()?.map(str::to_owned))
    }

    pub(crate) fn arc_option(&mut self) -> Result<Option<Arc<str>>, Fault> {
        Ok(self.text_option()?.map(Arc::from))
    }

    pub(crate) fn int_option(&mut self) -> Result<Option<u64>, Fault> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.int().map(Some),
            _ => Err(Fault("unknown mark of an optional integer")),
        }
    }

    pub(crate) fn int_u32(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.int()?).map_err(|_| Fault("integer is out of range"))
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Fault("bytes follow its end"))
        }
    }

    /// Checks the version byte that heads a row.
    pub(crate) fn version(&mut self, known: u8) -> Result<(), Fault> {
        if self.byte()? == known {
            Ok(())
        } else {
            Err(Fault("unknown row version"))
        }
    }
}
