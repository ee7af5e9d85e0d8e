//! The files of a gun.js relay's disk (`radata`), read for import (`gun-protocol` 13).
//!
//! Owns the form of the files: radix trees as JSON, the older text form, the directory, and the
//! names of the files. Repairs what gun.js's own reader is known to garble and what is plain to
//! put right; all else that is no sound value is left out and counted by [`Reason`]. Bytes in,
//! values out: total on any bytes, in time linear in their number, without IO. It decides
//! nothing about a value beyond its form: signatures, states of the future and merging are the
//! caller's.
//!
//! A tree's member names are pieces of a record key, cut between UTF-16 units, and the member
//! `""` holds the record at that point. A record key is soul, U+001B, key.

mod directory;
mod legacy;
mod record;
mod scan;
mod trail;
mod tree;

use std::collections::BTreeMap;

use crate::graph::{Entry, Soul};

pub use directory::{Directory, file_name};
use record::{Form, Record};
use trail::Trail;
use tree::Leaf;

/// The file that lists the others, as it is named on disk: U+001C.
pub const DIRECTORY_FILE: &str = "%1C";

/// The first file, which holds what sorts before every other file's name.
pub const FIRST_FILE: &str = "!";

/// Bytes of the largest file that is read. gun.js splits files over 1 MiB and with its defaults
/// reads none over 90 MB; only one huge value can make a file grow beyond the first bound. A file
/// is read as a whole, so this bounds memory too.
pub const FILE_BYTES_MAX: usize = 128 << 20;

/// Why something in a file is no value that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A record key that is not soul, U+001B, key.
    #[error("its name is not soul and key: the tree lost a piece")]
    BogusSoul,
    /// A soul, key or link that no peer may store ([`crate::graph::NameError`]).
    #[error("its soul, key or link is a name that no peer may store")]
    BadName,
    /// The record has no value, and nothing in it can be one.
    #[error("its value is lost")]
    MissingValue,
    /// The record has no state, and nothing in it can be one.
    #[error("its state is lost")]
    MissingState,
    /// The value is neither null, boolean, finite number, text nor link.
    #[error("its value is of no kind that GUN has")]
    BadValue,
    /// The state is no finite number.
    #[error("its state is not a number")]
    BadState,
    /// A name or value holds half a surrogate pair, which is no Unicode text.
    #[error("a text holds half a surrogate pair")]
    LoneSurrogate,
    /// A name or value is not valid UTF-8, or has an escape that JSON does not know.
    #[error("a text is damaged")]
    BadText,
    /// A value of another kind stands where a record or a branch of the tree should.
    #[error("something else stands in its place")]
    NotARecord,
    /// The tree is nested deeper than names can be long.
    #[error("a branch is nested deeper than names can be long")]
    TooDeep,
}

impl Reason {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BogusSoul => "bogus-soul",
            Self::BadName => "bad-name",
            Self::MissingValue => "missing-value",
            Self::MissingState => "missing-state",
            Self::BadValue => "bad-value",
            Self::BadState => "bad-state",
            Self::LoneSurrogate => "lone-surrogate",
            Self::BadText => "bad-text",
            Self::NotARecord => "not-a-record",
            Self::TooDeep => "too-deep",
        }
    }
}

/// Why a file could not be read to its end. What stands before is given out all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The file ends within its tree; an empty file is one cut off at its start.
    #[error("cut off")]
    Cut,
    /// From this byte on it is neither JSON nor the older text form.
    #[error("garbled from byte {at} on")]
    Garbled {
        /// Offset of the first byte that fits nowhere.
        at: usize,
    },
    /// Over [`FILE_BYTES_MAX`]; nothing of it is read.
    #[error("over {FILE_BYTES_MAX} bytes")]
    TooLarge,
}

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Values given out, repaired ones among them.
    pub values: u64,
    /// Values that were garbled and could be put right.
    pub repaired: u64,
    /// What could not be taken, by reason. A branch nested too deep counts once.
    pub refused: BTreeMap<Reason, u64>,
    /// Why the rest of the file is lost.
    pub damage: Option<Damage>,
}

/// Reads a data file and gives each sound value to `take`, in the order of the file. The same key
/// may come more than once: the merge rule decides.
pub fn read(file: &[u8], mut take: impl FnMut(Soul, Entry)) -> FileReport {
    let mut report = FileReport::default();
    let outcome = walk(file, &mut |trail, leaf| match leaf
        .into_record()
        .and_then(|record| named(trail, record))
    {
        Ok((soul, entry, form)) => {
            report.values += 1;
            report.repaired += u64::from(form == Form::Repaired);
            take(soul, entry);
        }
        Err(reason) => *report.refused.entry(reason).or_default() += 1,
    });
    report.damage = outcome.err();
    report
}

fn named(trail: &Trail, record: Record) -> Result<(Soul, Entry, Form), Reason> {
    let (soul, key) = trail.name()?;
    let Record { value, state, form } = record;
    Ok((soul, Entry { key, state, value }, form))
}

/// Visits the leaves of a file in either form.
fn walk(file: &[u8], visit: &mut impl FnMut(&Trail, Leaf)) -> Result<(), Damage> {
    if file.len() > FILE_BYTES_MAX {
        return Err(Damage::TooLarge);
    }
    match file.first() {
        None => Err(Damage::Cut),
        Some(b'{') => tree::walk(file, visit),
        Some(&legacy::FRAME) => legacy::walk(file, visit),
        Some(_) => Err(Damage::Garbled { at: 0 }),
    }
}
