//! What an import found and did, as plain data for people and programs.

use std::collections::BTreeMap;
use std::fmt::Display;

use gun::radata::Reason;
use serde::{Serialize, Serializer};

/// Names kept of a kind of file; the others are only counted.
const NAMES_MAX: usize = 100;

/// What was found in a folder, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The files.
    pub files: Files,
    /// The values in them.
    pub values: Values,
    /// What the store did with the sound ones; `None` if nothing was to be stored.
    pub stored: Option<Stored>,
}

/// The files of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Data files read.
    pub read: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those among them that the directory does not list.
    pub unlisted: u64,
    /// Listed, but not there: their values are lost.
    pub missing: Noted<String>,
    /// Read in part or not at all.
    pub damaged: Noted<DamagedFile>,
    /// Left behind by writes that did not end (`.tmp`), in the folder or beside it; not read.
    pub temporary: u64,
    /// Changed, added or removed while they were read: a gun.js process seems to run.
    pub changed: u64,
}

/// Files of a kind: how many, and the names of the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted<T> {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<T>,
}

/// A file that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// Its name on disk.
    pub file: String,
    /// What is wrong with it.
    pub damage: String,
}

/// The values of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Values {
    /// Places where a value stands or should stand.
    pub found: u64,
    /// Values that can be taken.
    pub sound: u64,
    /// Those among the readable ones that were garbled and were put right.
    pub repaired: u64,
    /// Sound values in another file than the one in which gun.js looks for them, so that it finds
    /// them no more. They are taken.
    pub misplaced: u64,
    /// Values that were not taken, by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

/// Why a value was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It can't be a value.
    #[error(transparent)]
    Form(#[from] Reason),
    /// Its state lies more than ten minutes ahead of this machine's clock.
    #[error("its state lies over ten minutes ahead of the clock")]
    FutureState,
    /// Its text is larger than the store takes.
    #[error("its text is larger than the store takes")]
    TooLarge,
    /// It lies in a user's space and bears no signature of that user.
    #[error("it lies in a user's space and is not signed by that user")]
    Unverified,
}

impl Refusal {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Form(reason) => reason.name(),
            Self::FutureState => "future-state",
            Self::TooLarge => "too-large",
            Self::Unverified => "unverified",
        }
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.name())
    }
}

/// What the store did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Values that are new, or newer than what was stored.
    pub taken: u64,
    /// Values that were stored already.
    pub same: u64,
    /// Values older than what is stored.
    pub older: u64,
    /// Values of the next ten minutes, kept aside until then.
    pub deferred: u64,
    /// Values of the next ten minutes and announced records for which the store's lists had no
    /// more room.
    pub over_limit: u64,
    /// Records that the node judges at its next start.
    pub wanted: u64,
    /// Records that the folder's deletion registry marks: they are hidden.
    pub marked: u64,
    /// Records that were verified at once: those that no index announced, which is made good, and the node's own.
    pub registered: u64,
    /// Of these, those that this node's creator key made.
    pub own: u64,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self {
            count: 0,
            first: Vec::new(),
        }
    }
}

impl<T> Noted<T> {
    pub(super) fn note(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < NAMES_MAX {
            self.first.push(item);
        }
    }
}

impl Files {
    pub(super) fn note_damage(&mut self, file: &str, why: &dyn Display) {
        self.damaged.note(DamagedFile {
            file: file.to_owned(),
            damage: why.to_string(),
        });
    }
}

impl Values {
    /// All that was not taken.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(super) fn refuse(&mut self, reason: Refusal, count: u64) {
        *self.refused.entry(reason).or_default() += count;
    }
}
