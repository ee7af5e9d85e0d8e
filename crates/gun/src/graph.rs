//! The data model: a graph of nodes; each node a flat map of keys to values, each key with a state.
//!
//! Owns the types and the rules on names and values (`docs/wire.md`). Refuses to build a
//! name that no peer may store: see [`NameError`].

use std::fmt;
use std::sync::Arc;

/// The name of a graph node: any non-empty text without U+001B that is not the name of a
/// member which every JavaScript object has. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Soul(Arc<str>);

/// The name of one value inside a node; the same rules as for a [`Soul`], and never `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

/// Longest soul or key, in bytes of UTF-8. Record souls and registry souls stay far below;
/// the bound keeps a row key of the store and a subscription small.
pub const NAME_BYTES_MAX: usize = 2_048;

/// Members of `Object.prototype`. A soul or key of that name could harm a JavaScript peer,
/// so none is ever stored or passed on.
const OBJECT_MEMBERS: [&str; 12] = [
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// Why a text can't be a soul or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The empty text.
    #[error("the name is empty")]
    Empty,
    /// Over [`NAME_BYTES_MAX`] bytes.
    #[error("the name is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// U+001B, which gun.js uses as a separator on disk.
    #[error("the name contains U+001B")]
    Escape,
    /// The name of a built-in object member.
    #[error("the name is that of a built-in object member")]
    ObjectMember,
    /// The key `_`, which holds a node's metadata on the wire.
    #[error("the key `_` is reserved for metadata")]
    Metadata,
}

fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.len() > NAME_BYTES_MAX {
        Err(NameError::TooLong)
    } else if name.contains('\u{1b}') {
        Err(NameError::Escape)
    } else if OBJECT_MEMBERS.contains(&name) {
        Err(NameError::ObjectMember)
    } else {
        Ok(())
    }
}

impl Soul {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] for a name that must not be stored.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] for a name that must not be stored.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let name = name.into();
        check_name(&name)?;
        if &*name == "_" {
            return Err(NameError::Metadata);
        }
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! name_impls {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
name_impls!(Soul);
name_impls!(Key);

/// The version of one key: milliseconds since 1970 as a double, finite, may have a fraction.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct State(f64);

impl State {
    /// Takes a number of milliseconds; `None` unless it is finite.
    #[must_use]
    pub fn new(millis: f64) -> Option<Self> {
        // `-0.0` would compare equal to `0.0` but print and hash differently.
        millis.is_finite().then_some(Self(millis + 0.0))
    }

    /// A whole number of milliseconds since 1970.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(millis as f64)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0
    }

    /// The smallest state above this one that a JavaScript peer tells apart and that still
    /// sorts before the next whole millisecond where there is room (`gun-protocol` 7.1: n/999).
    #[must_use]
    pub fn successor(self) -> Self {
        let next = self.0 + 1.0 / 999.0;
        Self(if next > self.0 {
            next
        } else {
            self.0.next_up()
        })
    }
}

/// A value of one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`: the tombstone of a value; stored and sent like any other.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Any text, also the empty one.
    Text(Arc<str>),
    /// A reference to another node.
    Link(Soul),
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// One value with its key and state.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which value of the node.
    pub key: Key,
    /// Its version.
    pub state: State,
    /// The value.
    pub value: Value,
}

/// A node, or the part of one that travels in a message: an association list, because
/// nodes are built once and read in order; each key occurs at most once.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The node's name.
    pub soul: Soul,
    /// Its values, in the order they came.
    pub entries: Vec<Entry>,
}

impl Node {
    /// The entry of `key`, if the node holds one.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.as_str() == key)
    }

    /// The value of `key`, if the node holds one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.value)
    }
}

/// A set of nodes, or of parts of nodes; each soul occurs at most once.
pub type Graph = Vec<Node>;
