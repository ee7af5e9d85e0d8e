//! The form of a backup: lines of JSON, each with the digest of everything up to it. Owns the version; refuses lines that
//! are torn, changed, missing or too many, and names the first.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::BackupError;

/// The version of the form. A program reads its own and older ones.
pub(super) const VERSION: u32 = 1;

/// What the chain of digests begins with.
const START: &[u8] = b"oip-gun backup 1\n";

/// Bytes of a digest that a line shows: enough to tell any damage. Who made a record is told by its signature.
const DIGEST_BYTES: usize = 16;

/// Bytes of a line: a record of the largest size, of which JSON may write each byte as six.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a line says. Written as an object with one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Line {
    /// The first line.
    #[serde(rename = "oipGunBackup")]
    Header(Header),
    Record(Record),
    Mark(Mark),
    /// The last line.
    End(End),
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of the form.
    pub version: u32,
    /// The node it is of.
    pub node_id: String,
    /// `didAddress` of that node's creator key.
    pub creator: String,
    /// When it was begun, ms since 1970.
    pub at_ms: u64,
    /// Records that were held when it was begun.
    pub held: u64,
}

/// A record as it was signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) soul: String,
    pub(super) oip: Arc<str>,
    /// Null in tombstones.
    pub(super) data: Option<Arc<str>>,
    /// Whether that node published it.
    pub(super) own: bool,
    pub(super) first_seen_ms: u64,
    pub(super) source: Option<String>,
}

/// Something a node has learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) name: String,
    /// In base64.
    pub(super) value: String,
}

/// How many lines of which kind there are. A record that changed while the backup was made stands in it twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Records.
    pub records: u64,
    /// Marks, entries of the audit trail among them.
    pub marks: u64,
}

/// Why a text is no whole backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The first line is none of a backup.
    #[error(
        "it does not begin as a backup of oip-gun does; a deployed node's backup is taken over by `oip-gun migrate backup`"
    )]
    NotABackup,
    /// A newer program made it.
    #[error(
        "it has version {0} of the form, and this program reads up to {VERSION}: restore it with the program that made it, or a newer one"
    )]
    Newer(u32),
    /// It ends too early.
    #[error("it breaks off in or after line {line}: copy it again, or take another backup")]
    Torn {
        /// The last line that is there.
        line: u64,
    },
    /// Something is not as it was written.
    #[error(
        "line {line} is not as it was written, or one before it is missing: copy it again, or take another backup"
    )]
    Changed {
        /// The first line that doesn't fit.
        line: u64,
    },
    /// Something follows its last line.
    #[error("line {line} stands behind its end: it was written into by something else")]
    Behind {
        /// The line.
        line: u64,
    },
}

/// The digest of everything so far.
struct Chain([u8; 32]);

impl Chain {
    fn new() -> Self {
        Self::of(START)
    }

    fn of(bytes: &[u8]) -> Self {
        let mut all = [0; 32];
        all.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(all)
    }

    /// Goes on by a line, and gives what the line shows.
    fn follow(&mut self, text: &[u8]) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(digest(&SHA256, text).as_ref());
        *self = Self::of(&bytes);
        oip_record::soul::hex(&self.0[..DIGEST_BYTES])
    }
}

/// Writes lines.
pub(super) struct Writer<W> {
    chain: Chain,
    out: W,
}

impl<W: FnMut(String) -> bool> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            chain: Chain::new(),
            out,
        }
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<(), BackupError> {
        // No line holds what JSON can't write: members have texts and numbers.
        let mut text = serde_json::to_string(line).unwrap_or_default();
        let shown = self.chain.follow(text.as_bytes());
        // JSON texts hold no tabs.
        text.push('\t');
        text.push_str(&shown);
        text.push('\n');
        match (self.out)(text) {
            true => Ok(()),
            false => Err(BackupError::Gone),
        }
    }
}

/// Reads lines and holds them against their digests.
struct Reader {
    chain: Chain,
    lines: u64,
    found: End,
    ended: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            chain: Chain::new(),
            lines: 0,
            found: End::default(),
            ended: false,
        }
    }

    /// Reads a line without its end.
    fn line(&mut self, bytes: &[u8]) -> Result<Line, FormatError> {
        self.lines += 1;
        let line = self.lines;
        if self.ended {
            return Err(FormatError::Behind { line });
        }
        let wrong = || match line {
            1 => FormatError::NotABackup,
            _ => FormatError::Changed { line },
        };
        let tab = bytes.iter().rposition(|byte| *byte == b'\t');
        let (text, shown) = bytes.split_at(tab.ok_or_else(wrong)?);
        if self.chain.follow(text).as_bytes() != &shown[1..] {
            // A newer form may have other digests: its first line says so.
            return Err(match (line, serde_json::from_slice(text)) {
                (1, Ok(Line::Header(header))) if header.version > VERSION => {
                    FormatError::Newer(header.version)
                }
                _ => wrong(),
            });
        }
        let read: Line = serde_json::from_slice(text).map_err(|_| wrong())?;
        match &read {
            Line::Header(header) if line == 1 => {
                if header.version > VERSION {
                    return Err(FormatError::Newer(header.version));
                }
            }
            Line::Header(_) => return Err(FormatError::Changed { line }),
            _ if line == 1 => return Err(FormatError::NotABackup),
            Line::Record(_) => self.found.records += 1,
            Line::Mark(_) => self.found.marks += 1,
            Line::End(end) if *end != self.found => return Err(FormatError::Changed { line }),
            Line::End(_) => self.ended = true,
        }
        Ok(read)
    }

    fn end(&self) -> Result<End, FormatError> {
        match (self.ended, self.lines) {
            (true, _) => Ok(self.found),
            (false, 0) => Err(FormatError::NotABackup),
            (false, line) => Err(FormatError::Torn { line }),
        }
    }
}

/// What a backup holds, once it is known to be whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What it says of itself.
    #[serde(flatten)]
    pub header: Header,
    /// What is in it.
    #[serde(flatten)]
    pub end: End,
}

/// Checks a backup as it comes, in parts of any size, and gives what its lines say.
pub struct Checker {
    reader: Reader,
    header: Option<Header>,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            header: None,
            begun: Vec::new(),
        }
    }
}

impl Checker {
    /// The next part.
    ///
    /// # Errors
    /// [`FormatError`] where it is no part of a whole backup.
    pub fn push(&mut self, part: &[u8]) -> Result<(), FormatError> {
        self.read(part, |_| Ok(()))
    }

    /// The same, and hands over each line that is complete.
    pub(super) fn read<E: From<FormatError>>(
        &mut self,
        part: &[u8],
        mut each: impl FnMut(Line) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = part;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(at);
            rest = &tail[1..];
            let line = match self.begun.is_empty() {
                true => self.reader.line(head)?,
                false => {
                    self.begun.extend_from_slice(head);
                    let whole = std::mem::take(&mut self.begun);
                    self.reader.line(&whole)?
                }
            };
            if let Line::Header(header) = &line {
                self.header = Some(header.clone());
            }
            each(line)?;
        }
        self.begun.extend_from_slice(rest);
        match self.begun.len() > LINE_BYTES_MAX {
            true => Err(self.broken_off().into()),
            false => Ok(()),
        }
    }

    /// Everything has come.
    ///
    /// # Errors
    /// [`FormatError::Torn`] where its end is missing.
    pub fn finish(self) -> Result<Checked, FormatError> {
        if !self.begun.is_empty() {
            return Err(self.broken_off());
        }
        let end = self.reader.end()?;
        let header = self.header.ok_or(FormatError::NotABackup)?;
        Ok(Checked { header, end })
    }

    /// What a line without an end means.
    fn broken_off(&self) -> FormatError {
        let line = self.reader.lines + 1;
        match (self.reader.lines, self.reader.ended) {
            (0, _) => FormatError::NotABackup,
            (_, true) => FormatError::Behind { line },
            (_, false) => FormatError::Torn { line },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let record = |soul: &str| {
            Line::Record(Record {
                soul: soul.to_owned(),
                oip: "{\"ver\":\"0.8.0\"}\t".into(),
                data: None,
                own: true,
                first_seen_ms: 7,
                source: None,
            })
        };
        vec![
            Line::Header(Header {
                version: VERSION,
                node_id: "n".to_owned(),
                creator: "c".to_owned(),
                at_ms: 1,
                held: 2,
            }),
            record("a"),
            record("b"),
            Line::Mark(Mark {
                name: "signer:c".to_owned(),
                value: "AQ==".to_owned(),
            }),
            Line::End(End {
                records: 2,
                marks: 1,
            }),
        ]
    }

    fn written(lines: &[Line]) -> String {
        let mut text = String::new();
        let mut writer = Writer::new(|line: String| {
            text.push_str(&line);
            true
        });
        for line in lines {
            writer.line(line).unwrap();
        }
        text
    }

    fn checked(bytes: &[u8]) -> Result<Checked, FormatError> {
        let mut checker = Checker::default();
        checker.push(bytes)?;
        checker.finish()
    }

    #[test]
    fn what_is_written_is_read_in_parts_of_any_size() {
        let text = written(&lines());
        let expected = checked(text.as_bytes()).unwrap();
        assert_eq!((expected.end.records, expected.end.marks), (2, 1));
        for size in [1, 7, 100] {
            let (mut checker, mut read) = (Checker::default(), Vec::new());
            for part in text.as_bytes().chunks(size) {
                let each = |line| {
                    read.push(line);
                    Ok::<_, FormatError>(())
                };
                checker.read(part, each).unwrap();
            }
            assert_eq!(checker.finish().unwrap(), expected);
            assert_eq!(read, lines());
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_told_with_its_line() {
        let text = written(&lines());
        let line_at = |at: usize| text[..at].matches('\n').count() as u64 + 1;
        for at in 0..text.len() {
            match checked(&text.as_bytes()[..at]) {
                Err(FormatError::NotABackup) => assert_eq!(line_at(at), 1, "cut at {at}"),
                Err(FormatError::Torn { line }) => {
                    // After a line's end that line is the last one.
                    let ends = text.as_bytes()[at - 1] == b'\n';
                    assert_eq!(line, line_at(at) - u64::from(ends), "cut at {at}");
                }
                other => panic!("cut at {at}: {other:?}"),
            }
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            match checked(&changed) {
                Err(FormatError::NotABackup) => assert_eq!(line_at(at), 1, "changed at {at}"),
                Err(FormatError::Changed { line } | FormatError::Torn { line }) => {
                    assert_eq!(line, line_at(at), "changed at {at}");
                }
                other => panic!("changed at {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn lines_that_are_missing_doubled_or_swapped_are_told() {
        let text = written(&lines());
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        for (order, line) in [
            (vec![0, 2, 3, 4], 2),
            (vec![0, 1, 1, 2, 3, 4], 3),
            (vec![0, 2, 1, 3, 4], 2),
            (vec![0, 1, 2, 4], 4),
        ] {
            let text: String = order.iter().map(|at| all[*at]).collect();
            let error = checked(text.as_bytes()).unwrap_err();
            assert!(
                matches!(error, FormatError::Changed { line: told } if told == line),
                "{order:?}: {error}"
            );
        }
        let behind = format!("{text}{}", all[1]);
        assert!(matches!(
            checked(behind.as_bytes()),
            Err(FormatError::Behind { line: 6 })
        ));
        let begun = format!("{text}x");
        assert!(matches!(
            checked(begun.as_bytes()),
            Err(FormatError::Behind { line: 6 })
        ));
        let mut miscounted = lines();
        miscounted[4] = Line::End(End::default());
        let error = checked(written(&miscounted).as_bytes()).unwrap_err();
        assert!(matches!(error, FormatError::Changed { line: 5 }));
        for other in ["", "[]", "{\"oip\":1}\n", "\n"] {
            assert!(
                matches!(checked(other.as_bytes()), Err(FormatError::NotABackup)),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_newer_form_is_named_also_where_its_digests_differ() {
        let mut newer = lines();
        if let Line::Header(header) = &mut newer[0] {
            header.version = 2;
        }
        let text = written(&newer);
        assert!(matches!(
            checked(text.as_bytes()),
            Err(FormatError::Newer(2))
        ));
        let (json, _) = text.split_once('\t').unwrap();
        let other = format!("{json}\tblake3:1234\n");
        assert!(matches!(
            checked(other.as_bytes()),
            Err(FormatError::Newer(2))
        ));
    }
}
