//! What a get asks for: souls, keys, ranges of them, and how much.
//!
//! Ranges (LEX) mean what a gun.js relay's disk means by them: bounds are compared with the
//! part *after* the prefix, and both ends belong to the range.

use std::sync::Arc;

use crate::graph::{Key, Soul};
use crate::text::compare_utf16;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Get {
    /// Which nodes.
    pub souls: SoulQuery,
    /// Which values of them.
    pub keys: KeyQuery,
    /// `%` as heard: stop after about so many bytes of values. See [`Get::budget`].
    pub bytes_max: Option<u64>,
    /// `-`: from which end.
    pub order: Order,
    /// Whether later changes are wanted too.
    pub interest: Interest,
}

impl Get {
    /// The whole node.
    #[must_use]
    pub fn node(soul: Soul) -> Self {
        Self {
            souls: SoulQuery::One(soul),
            keys: KeyQuery::All,
            bytes_max: None,
            order: Order::Ascending,
            interest: Interest::Subscribe,
        }
    }

    /// One value of a node.
    #[must_use]
    pub fn key(soul: Soul, key: Key) -> Self {
        Self {
            keys: KeyQuery::One(key),
            ..Self::node(soul)
        }
    }

    /// The values of a node in a range.
    #[must_use]
    pub fn range(soul: Soul, keys: Lex, bytes_max: u64) -> Self {
        Self {
            keys: KeyQuery::Lex(keys),
            bytes_max: Some(bytes_max),
            ..Self::node(soul)
        }
    }

    /// The same without a subscription, for reading many nodes once.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.interest = Interest::Once;
        self
    }

    /// Where an answer may stop (`gun-protocol` 8.4).
    #[must_use]
    pub fn budget(&self) -> Budget {
        let ranged = matches!(&self.keys, KeyQuery::Lex(lex) if lex.is_range())
            || matches!(&self.souls, SoulQuery::Lex(lex) if lex.is_range());
        match self.bytes_max {
            Some(0) => Budget::All,
            Some(bytes) if bytes > BUDGET_BYTES_MAX => Budget::Bytes(1),
            Some(bytes) => Budget::Bytes(bytes),
            None if ranged => Budget::Bytes(1),
            None => Budget::All,
        }
    }

    /// Whether a value lies in what is asked for, the budget apart.
    #[must_use]
    pub fn matches(&self, soul: &Soul, key: &Key) -> bool {
        let soul_matches = match &self.souls {
            SoulQuery::One(wanted) => wanted == soul,
            SoulQuery::Lex(lex) => lex.matches_soul(soul.as_str()),
        };
        soul_matches
            && match &self.keys {
                KeyQuery::All => true,
                KeyQuery::One(wanted) => wanted == key,
                KeyQuery::Lex(lex) => lex.matches(key.as_str()),
            }
    }
}

/// The largest `%` that gun.js takes as said; above it answers with one record.
const BUDGET_BYTES_MAX: u64 = 100_000;

/// How much of what matches an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Everything.
    All,
    /// Records until the lengths of their values (a text: its length; anything else, or the
    /// empty text: 9) add up to this; looked at before each record, so one at least.
    Bytes(u64),
}

/// Which nodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SoulQuery {
    /// One.
    One(Soul),
    /// Those in a range.
    Lex(Lex),
}

/// Which values of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyQuery {
    /// All.
    All,
    /// One.
    One(Key),
    /// Those in a range.
    Lex(Lex),
}

/// From which end a range is read; matters when the budget ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Least names first.
    Ascending,
    /// Greatest names first.
    Descending,
}

/// Whether a get asks for later changes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interest {
    /// Answer, and push later changes: what every gun.js get means.
    Subscribe,
    /// Only answer (`"once":1`, an extension of ours that gun.js ignores).
    Once,
}

/// A range of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Lex {
    /// `=`: this name and no other; the rest is then without meaning.
    pub exact: Option<Arc<str>>,
    /// `*`: names that start so.
    pub prefix: Option<Arc<str>>,
    /// `>`: the part after the prefix is not less.
    pub from: Option<Arc<str>>,
    /// `<`: the part after the prefix is not greater.
    pub to: Option<Arc<str>>,
}

impl Lex {
    /// All names that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Arc<str>>) -> Self {
        Self {
            prefix: Some(prefix.into()),
            ..Self::default()
        }
    }

    /// Whether a soul lies in the range. gun.js compares the bounds with soul and key together, so
    /// that the upper one does not belong to a range of souls.
    #[must_use]
    pub fn matches_soul(&self, soul: &str) -> bool {
        let is_upper_bound = |to: &str| {
            let prefix = self.prefix.as_deref().unwrap_or("");
            soul.strip_prefix(prefix) == Some(to)
        };
        self.matches(soul)
            && (self.exact.is_some() || !self.to.as_deref().is_some_and(is_upper_bound))
    }

    /// Whether a name lies in the range.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if let Some(exact) = &self.exact {
            return **exact == *name;
        }
        let Some(rest) = name.strip_prefix(self.prefix.as_deref().unwrap_or("")) else {
            return false;
        };
        self.from
            .as_deref()
            .is_none_or(|from| compare_utf16(rest, from).is_ge())
            && self
                .to
                .as_deref()
                .is_none_or(|to| compare_utf16(rest, to).is_le())
    }

    fn is_range(&self) -> bool {
        self.exact.is_none() && (self.prefix.is_some() || self.from.is_some() || self.to.is_some())
    }
}
