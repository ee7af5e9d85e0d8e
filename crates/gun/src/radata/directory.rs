//! The list of a folder's files, and how a file is named on disk.

use super::record::Given;
use super::tree::Leaf;
use super::{Damage, FIRST_FILE, walk};
use crate::graph::{Key, Soul};
use crate::text::compare_utf16;

/// The files that a folder says it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    /// Decoded, in the order of UTF-16 units, each once.
    listed: Vec<String>,
    /// Why the rest of the list is lost.
    pub damage: Option<Damage>,
}

impl Directory {
    /// Reads the content of the file [`super::DIRECTORY_FILE`].
    #[must_use]
    pub fn read(file: &[u8]) -> Self {
        let mut listed = Vec::new();
        let outcome = walk(file, &mut |trail, leaf| {
            // Files that gun.js dropped are marked with 0.
            if let Leaf::Plain(Given::Number(mark)) = leaf
                && mark != 0.0
            {
                listed.extend(trail.text());
            }
        });
        listed.sort_by(|left, right| compare_utf16(left, right));
        listed.dedup();
        Self {
            listed,
            damage: outcome.err(),
        }
    }

    /// The names of the files in use, decoded.
    #[must_use]
    pub fn listed(&self) -> &[String] {
        &self.listed
    }

    /// Whether it lists a file of this (decoded) name.
    #[must_use]
    pub fn lists(&self, name: &str) -> bool {
        self.listed
            .binary_search_by(|listed| compare_utf16(listed, name))
            .is_ok()
    }

    /// The name of the file in which gun.js looks for a record: the greatest not above its key.
    #[must_use]
    pub fn file_of(&self, soul: &Soul, key: &Key) -> &str {
        let record = format!("{soul}\u{1b}{key}");
        let above = self
            .listed
            .partition_point(|listed| compare_utf16(listed, &record).is_le());
        above
            .checked_sub(1)
            .map_or(FIRST_FILE, |at| &self.listed[at])
    }
}

/// The name that a file's name on disk stands for; `None` if gun.js names no file so. It writes
/// names as `encodeURIComponent` does, and `*` as `%2A`.
#[must_use]
pub fn file_name(on_disk: &str) -> Option<String> {
    let mut name = Vec::with_capacity(on_disk.len());
    let mut bytes = on_disk.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        name.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(name).ok()
}
