//! Names of fields: a path into a document, as people write it and as backends take it.
//!
//! A path is a list of member names under `oip` or `data`. Its text joins them with dots; a dot or
//! backslash inside a name is escaped by a backslash, so that every path has exactly one text. What
//! begins with neither `oip` nor `data` is looked for under `data`, as the deployed `fieldName` is.

use std::fmt;
use std::str::FromStr;

/// Names in one path: deeper values are still found by their words, and nobody names them.
pub const FIELD_DEPTH_MAX: usize = 16;

/// Bytes of a path's text: four names of the longest kind that records bear.
pub const FIELD_BYTES_MAX: usize = 512;

/// A short name, and the field it stands for.
type Alias = (&'static str, fn() -> FieldPath);

/// Short names for the fields that people ask for most.
const ALIASES: [Alias; 12] = [
    ("did", FieldPath::did),
    ("type", FieldPath::record_type),
    ("recordType", FieldPath::record_type),
    ("creator", FieldPath::creator),
    ("node", FieldPath::node),
    ("indexedAt", FieldPath::indexed_at),
    ("name", FieldPath::name),
    ("description", FieldPath::description),
    ("date", FieldPath::date),
    ("tag", FieldPath::tags),
    ("tags", FieldPath::tags),
    ("tagItems", FieldPath::tags),
];

/// A field of a document: `oip.recordType`, `data.post.webUrl`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath {
    /// Two names at least, but for a whole template (`data.post`); the first is `oip` or `data`.
    names: Vec<String>,
}

/// Why a text names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// Nothing between two dots, or nothing at all.
    #[error(
        "the field {0:?} has an empty name: write names joined by single dots, such as basic.name"
    )]
    EmptyName(String),
    /// Over [`FIELD_DEPTH_MAX`].
    #[error("a field has at most {FIELD_DEPTH_MAX} names joined by dots")]
    TooDeep,
    /// Over [`FIELD_BYTES_MAX`].
    #[error("a field has at most {FIELD_BYTES_MAX} bytes")]
    TooLong,
    /// `oip` or `data` alone.
    #[error("{0} is not a field: name one below it, such as oip.recordType or data.basic.name")]
    Root(String),
}

impl FieldPath {
    /// The identity a document was put in under, whatever its own `oip.did` says.
    #[must_use]
    pub fn did() -> Self {
        Self::of(&["oip", "did"])
    }

    /// The record type.
    #[must_use]
    pub fn record_type() -> Self {
        Self::of(&["oip", "recordType"])
    }

    /// The creator's DID.
    #[must_use]
    pub fn creator() -> Self {
        Self::of(&["oip", "creator", "didAddress"])
    }

    /// When the version was signed.
    #[must_use]
    pub fn indexed_at() -> Self {
        Self::of(&["oip", "indexedAt"])
    }

    /// The OIP node it came from: the envelope's, or where the envelope names none the document's
    /// own `oip.syncedFromNode`.
    #[must_use]
    pub fn node() -> Self {
        Self::of(&["oip", "syncedFromNode"])
    }

    /// The name.
    #[must_use]
    pub fn name() -> Self {
        Self::of(&["data", "basic", "name"])
    }

    /// The description.
    #[must_use]
    pub fn description() -> Self {
        Self::of(&["data", "basic", "description"])
    }

    /// The date, in seconds since 1970 by custom.
    #[must_use]
    pub fn date() -> Self {
        Self::of(&["data", "basic", "date"])
    }

    /// The tags.
    #[must_use]
    pub fn tags() -> Self {
        Self::of(&["data", "basic", "tagItems"])
    }

    fn of(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// The path of these names below `oip` or `data`.
    ///
    /// # Errors
    /// [`FieldError`] where it can't be one.
    pub fn from_names<I>(names: I) -> Result<Self, FieldError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.first().is_none_or(|first| !is_root(first)) {
            names.insert(0, "data".to_owned());
        }
        let path = Self { names };
        if path.names.iter().any(String::is_empty) {
            return Err(FieldError::EmptyName(path.to_string()));
        }
        if path.names.len() > FIELD_DEPTH_MAX {
            return Err(FieldError::TooDeep);
        }
        if path.names.len() < 2 {
            return Err(FieldError::Root(path.to_string()));
        }
        if path.to_string().len() > FIELD_BYTES_MAX {
            return Err(FieldError::TooLong);
        }
        Ok(path)
    }

    /// The member names, from the document down.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

/// The text of the path `name` below the path with the text `above`.
pub(crate) fn below(above: &str, name: &str) -> String {
    let mut path = String::with_capacity(above.len() + 1 + name.len());
    path.push_str(above);
    path.push('.');
    push_escaped(&mut path, name);
    path
}

fn push_escaped(path: &mut String, name: &str) {
    for character in name.chars() {
        if matches!(character, '.' | '\\') {
            path.push('\\');
        }
        path.push(character);
    }
}

fn is_root(name: &str) -> bool {
    matches!(name, "oip" | "data")
}

impl FromStr for FieldPath {
    type Err = FieldError;

    /// Reads a path, or one of the short names: `did`, `type`, `creator`, `node`, `indexedAt`,
    /// `name`, `description`, `date`, `tag`.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        if text.len() > FIELD_BYTES_MAX {
            return Err(FieldError::TooLong);
        }
        if let Some((_, field)) = ALIASES.iter().find(|(alias, _)| *alias == text) {
            return Ok(field());
        }
        let mut names = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let taken = match character {
                '.' => {
                    names.push(String::new());
                    continue;
                }
                // A backslash at the end stands for itself.
                '\\' => characters.next().unwrap_or('\\'),
                other => other,
            };
            if let Some(name) = names.last_mut() {
                name.push(taken);
            }
        }
        if names.iter().any(String::is_empty) {
            return Err(FieldError::EmptyName(text.to_owned()));
        }
        Self::from_names(names)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                path.push('.');
            }
            push_escaped(&mut path, name);
        }
        out.write_str(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_text_and_comes_back_from_it() {
        for (text, expected) in [
            ("oip.recordType", "oip.recordType"),
            ("data.basic.name", "data.basic.name"),
            ("basic.name", "data.basic.name"),
            ("post.parts.text", "data.post.parts.text"),
            ("data.data.x", "data.data.x"),
            (r"my\.template.a\\b", r"data.my\.template.a\\b"),
            ("type", "oip.recordType"),
            ("did", "oip.did"),
            ("tag", "data.basic.tagItems"),
            ("post", "data.post"),
            ("日本.é", "data.日本.é"),
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<FieldPath>().unwrap(), path, "{text}");
        }
        let path: FieldPath = r"my\.template.a".parse().unwrap();
        assert_eq!(
            path.names().collect::<Vec<_>>(),
            ["data", "my.template", "a"]
        );
    }

    #[test]
    fn what_names_no_field_is_refused_with_the_cure() {
        let refused = |text: &str| text.parse::<FieldPath>().unwrap_err();
        for text in ["", ".", "a..b", "oip.", ".a"] {
            assert!(
                matches!(refused(text), FieldError::EmptyName(_)),
                "{text:?}"
            );
        }
        assert!(matches!(refused("oip"), FieldError::Root(_)));
        assert!(matches!(refused("data"), FieldError::Root(_)));
        let deep = |names: usize| vec!["x"; names].join(".");
        assert!(deep(FIELD_DEPTH_MAX - 1).parse::<FieldPath>().is_ok());
        assert_eq!(refused(&deep(FIELD_DEPTH_MAX)), FieldError::TooDeep);
        assert_eq!(
            refused(&"x".repeat(FIELD_BYTES_MAX + 1)),
            FieldError::TooLong
        );
        assert!("x".repeat(FIELD_BYTES_MAX - 5).parse::<FieldPath>().is_ok());
        assert_eq!(
            refused(&"x".repeat(FIELD_BYTES_MAX - 4)),
            FieldError::TooLong
        );
    }
}
