//! What must hold for a document to fit: a tree of conditions, plain data, the same for all backends.
//!
//! Values are texts, read by the type that the templates give the field ([`crate::templates`]), so that
//! a tree can be made from anything that people write without knowing types. Owns the bounds of trees.

use std::ops::Bound;

use crate::error::QueryError;
use crate::field::FieldPath;
use crate::words;

/// Conditions within each other: more than any person writes, and shallow enough that every walk
/// over a tree may use the call stack. Search servers take 20 levels of their language, of which
/// one is the query's own and five a text's; [`Condition::Most`] takes two.
pub const CONDITION_DEPTH_MAX: usize = 14;

/// Look-ups that one tree may take: each word in each field, twice where slips are forgiven or the word
/// stands for a beginning, and each other condition. Search servers take 1,024 in one query, of which four
/// say who may see what.
pub const LOOKUPS_MAX: usize = 1_020;

/// Conditions in one tree: each is a look-up in every part of the index.
pub const CONDITIONS_MAX: usize = 256;

/// Values in one condition: each becomes a term to look up in every part of the index.
pub const VALUES_MAX: usize = 1_000;

/// Distinct words of a text that count; those after them are ignored. Nobody types so many, and
/// a pasted page must not become ten thousand look-ups.
pub const WORDS_MAX: usize = 64;

/// Where a text is looked for that names no field: name, description, tags, other strings.
const TEXT_PLACES: usize = 4;

/// Fields that one text is looked for in.
pub const TEXT_FIELDS_MAX: usize = 16;

/// Characters (UTF-16 units) of a text value that can be matched as a whole or sorted by, as deployed
/// indexes have it (`ignore_above`). Longer values are found by their words only. DIDs always count whole.
pub const EXACT_CHARS_MAX: usize = 256;

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing: every document fits.
    Everything,
    /// Words occur.
    Text(Text),
    /// Words occur next to each other, in this order.
    Phrase(Phrase),
    /// One of the field's values, as a whole, is one of these. Texts are compared exactly, case and all.
    Exact {
        /// Where.
        field: FieldPath,
        /// The alternatives, as texts. Numbers, booleans and dates are read by the field's type.
        any_of: Vec<String>,
    },
    /// One of the field's values lies between two bounds. Only on fields whose type is known. A date
    /// without a time stands for the whole day.
    Range {
        /// Where.
        field: FieldPath,
        /// The lower bound.
        from: Bound<String>,
        /// The upper bound.
        to: Bound<String>,
    },
    /// The document carries these tags (`data.basic.tagItems`), exactly, case and all.
    Tags {
        /// Which.
        tags: Vec<String>,
        /// All of them, or any.
        mode: MatchMode,
    },
    /// There is a value at this path or below it. Null and empty arrays are none; nor is, in a field of a known
    /// type, a value of another.
    Exists {
        /// Where; a whole template (`data.post`) too.
        field: FieldPath,
    },
    /// The DID's method: `gun` fits DIDs that begin with `did:gun:`.
    Storage(String),
    /// A text under `data`, at any depth, is a DID that begins so: what refers to a record. DIDs of more than
    /// [`EXACT_CHARS_MAX`] characters are not found.
    Refers(String),
    /// Each of these holds. None at all: holds.
    All(Vec<Condition>),
    /// One of these holds. None at all: does not hold.
    Any(Vec<Condition>),
    /// One of these holds, and the more of them hold the better the document fits: each counts 1. None at all:
    /// does not hold.
    Most(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

/// Words to find. A text without any word (only punctuation) fits nothing.
///
/// In a field of words (type text) its words are looked for. In a field of any other type, or of
/// none, the text is compared with each value as a whole, prefix apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    /// The text; what separates words has no meaning.
    pub text: String,
    /// Must all words occur, or any of them? Different words may stand in different fields.
    pub mode: MatchMode,
    /// What the last word stands for.
    pub last_word: LastWord,
    /// Whether a word that is written a little differently counts.
    pub spelling: Spelling,
    /// Where. Empty: in the name (counts 3 times), the description (twice), the tags (once), and
    /// every other string under `data` ([`STRINGS_BOOST`]).
    pub fields: Vec<FieldPath>,
}

/// What a word is worth in the name, as the deployed nodes weigh it.
pub const NAME_BOOST: f32 = 3.0;
/// In the description.
pub const DESCRIPTION_BOOST: f32 = 2.0;
/// In the tags.
pub const TAGS_BOOST: f32 = 1.0;
/// Other strings count less than tags: they are long, and whoever tags a record means it.
pub const STRINGS_BOOST: f32 = 0.7;

/// Words next to each other. Looked for where [`Text`] is, in one value of one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phrase {
    /// The words; a single one is as good as a [`Text`].
    pub text: String,
    /// Where; see [`Text::fields`].
    pub fields: Vec<FieldPath>,
}

/// All of several, or any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchMode {
    /// Each must hold.
    All,
    /// One is enough.
    Any,
}

/// What the last word of a text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastWord {
    /// Itself.
    Whole,
    /// Itself and every word that begins with it, for search while typing: from two characters on, and
    /// unless white space after it says that it is complete.
    Prefix,
}

/// How exactly words must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// As they are, but for case and accents.
    Exact,
    /// With a slip: one in words of 3 to 5 characters, two in longer ones, none in shorter ones. A slip is
    /// a character more, less or changed, or two swapped. What is written exactly counts more.
    Fuzzy,
}

impl Spelling {
    /// Slips allowed in a word of this many characters (Elasticsearch's `AUTO`).
    #[must_use]
    pub fn slips(self, characters: usize) -> u8 {
        match (self, characters) {
            (Self::Exact, _) | (Self::Fuzzy, 0..=2) => 0,
            (Self::Fuzzy, 3..=5) => 1,
            (Self::Fuzzy, _) => 2,
        }
    }
}

impl Text {
    /// All words of a text, anywhere, as they are written.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            mode: MatchMode::All,
            last_word: LastWord::Whole,
            spelling: Spelling::Exact,
            fields: Vec::new(),
        }
    }
}

impl Condition {
    /// All words of a text, anywhere. A blank text is no condition.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.trim().is_empty() {
            true => Self::Everything,
            false => Self::Text(Text::new(text)),
        }
    }

    /// The document with this DID.
    pub fn did(did: impl Into<String>) -> Self {
        Self::exact(FieldPath::did(), [did])
    }

    /// Records of one of these types.
    pub fn record_types<I>(types: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::exact(FieldPath::record_type(), types)
    }

    /// A field with one of these values.
    pub fn exact<I>(field: FieldPath, any_of: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::Exact {
            field,
            any_of: any_of.into_iter().map(Into::into).collect(),
        }
    }

    /// This and another: conditions that are [`Self::Everything`] vanish.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, one) | (one, Self::Everything) => one,
            (Self::All(mut all), one) => {
                all.push(one);
                Self::All(all)
            }
            (one, other) => Self::All(vec![one, other]),
        }
    }

    /// Whether any part of it says how well a document fits.
    #[must_use]
    pub fn scores(&self) -> bool {
        match self {
            Self::Text(_) | Self::Phrase(_) | Self::Most(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::scores),
            _ => false,
        }
    }

    /// Holds the tree against the bounds of this module.
    ///
    /// # Errors
    /// The first bound that is broken.
    pub fn check(&self) -> Result<(), QueryError> {
        let mut conditions = 0;
        self.check_within(1, &mut conditions)?;
        match self.lookups() > LOOKUPS_MAX {
            true => Err(QueryError::TooManyLookups { max: LOOKUPS_MAX }),
            false => Ok(()),
        }
    }

    /// Look-ups that it takes, or a few more: which fields hold words is the templates' affair.
    fn lookups(&self) -> usize {
        let places = |fields: &[FieldPath]| match fields.len() {
            0 => TEXT_PLACES,
            fields => fields,
        };
        match self {
            Self::Text(text) => {
                let words = words::distinct(&text.text, WORDS_MAX).len().max(1);
                let times = match text.spelling {
                    Spelling::Exact => words,
                    Spelling::Fuzzy => 2 * words,
                };
                let begins = usize::from(text.last_word == LastWord::Prefix);
                places(&text.fields) * (times + begins)
            }
            Self::Phrase(phrase) => places(&phrase.fields),
            Self::Tags {
                tags,
                mode: MatchMode::All,
            } => tags.len(),
            Self::All(parts) | Self::Any(parts) | Self::Most(parts) => {
                parts.iter().map(Self::lookups).sum()
            }
            Self::Not(part) => 1 + part.lookups(),
            _ => 1,
        }
    }

    fn check_within(&self, depth: usize, conditions: &mut usize) -> Result<(), QueryError> {
        if depth > CONDITION_DEPTH_MAX {
            return Err(QueryError::TooNested {
                max: CONDITION_DEPTH_MAX,
            });
        }
        *conditions += 1;
        if *conditions > CONDITIONS_MAX {
            return Err(QueryError::TooManyConditions {
                max: CONDITIONS_MAX,
            });
        }
        let values = |filter: &'static str, asked: usize, max: usize| match asked > max {
            true => Err(QueryError::TooManyValues { filter, asked, max }),
            false => Ok(()),
        };
        match self {
            Self::Everything
            | Self::Range { .. }
            | Self::Exists { .. }
            | Self::Storage(_)
            | Self::Refers(_) => Ok(()),
            Self::Text(Text { fields, .. }) | Self::Phrase(Phrase { fields, .. }) => {
                values("fields", fields.len(), TEXT_FIELDS_MAX)
            }
            Self::Exact { any_of, .. } => values("any_of", any_of.len(), VALUES_MAX),
            Self::Tags { tags, .. } => values("tags", tags.len(), VALUES_MAX),
            Self::All(parts) | Self::Any(parts) => parts
                .iter()
                .try_for_each(|part| part.check_within(depth + 1, conditions)),
            Self::Most(parts) => parts
                .iter()
                .try_for_each(|part| part.check_within(depth + 2, conditions)),
            Self::Not(part) => part.check_within(depth + 1, conditions),
        }
    }
}
