//! The types of fields: what is known about the templates of record types.
//!
//! The known templates ship with the program (`templates/*.json`); an operator's folder adds others, or
//! replaces one by the same name. A field that no template names is still stored, searched by its words,
//! and compared as a whole; it only has no order.
//!
//! ```json
//! {"template": "post", "fields": {"webUrl": "string", "imageItems": "repeated dref"}}
//! ```

mod deployed;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime, macros::format_description};

use crate::error::QueryError;
use crate::field::{FieldError, FieldPath};

pub use deployed::Deployed;

/// Bytes of one template file: a template of a thousand fields takes a twentieth.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Templates in all: deployed chains hold some 55.
const TEMPLATES_MAX: usize = 1_000;

/// Typed fields in all: deployed indexes have a limit of 5,000 fields, sub-fields included.
const FIELDS_MAX: usize = 4_000;

/// The name of a template that ships with the program, and its text.
macro_rules! known {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../templates/", $name, ".json")),
        )
    };
}

const KNOWN: &[(&str, &str)] = &[
    known!("accessControl"),
    known!("audio"),
    known!("basic"),
    known!("calendarEvent"),
    known!("conversationSession"),
    known!("creatorRegistration"),
    known!("exercise"),
    known!("image"),
    known!("mealPlan"),
    known!("modelProvider"),
    known!("notes"),
    known!("nutritionalInfo"),
    known!("organization"),
    known!("podcast"),
    known!("podcastShow"),
    known!("post"),
    known!("recipe"),
    known!("shoppingList"),
    known!("text"),
    known!("userFitnessProfile"),
    known!("video"),
    known!("workout"),
    known!("workoutSchedule"),
];

/// Types of the fields of `oip`, which no template describes.
const OIP: &[(&str, FieldType)] = &[
    ("oip.did", FieldType::Keyword),
    ("oip.didTx", FieldType::Keyword),
    ("oip.recordType", FieldType::Keyword),
    ("oip.indexedAt", FieldType::Date),
    ("oip.ver", FieldType::Keyword),
    ("oip.creator.didAddress", FieldType::Keyword),
    ("oip.creator.creatorHandle", FieldType::Keyword),
    ("oip.creator.didTx", FieldType::Keyword),
    ("oip.storage", FieldType::Keyword),
    ("oip.soul", FieldType::Keyword),
    ("oip.encrypted", FieldType::Boolean),
    ("oip.wasEncrypted", FieldType::Boolean),
    ("oip.recordStatus", FieldType::Keyword),
    ("oip.verification", FieldType::Keyword),
    ("oip.inArweaveBlock", FieldType::Whole),
    ("oip.syncedFromNode", FieldType::Keyword),
    ("oip.syncedAt", FieldType::Date),
];

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldType {
    /// Text that is searched by its words, and compared as a whole.
    Text,
    /// Text that is compared as a whole: names of kinds, DIDs.
    Keyword,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A moment: RFC 3339 text, or milliseconds since 1970.
    Date,
}

/// A value as its field's type reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    /// Of [`FieldType::Text`] and [`FieldType::Keyword`], and of fields without a type.
    Text(String),
    /// Of [`FieldType::Whole`].
    Whole(i64),
    /// Of [`FieldType::Number`]; finite.
    Number(f64),
    /// Of [`FieldType::Boolean`].
    Boolean(bool),
    /// Of [`FieldType::Date`], in milliseconds since 1970.
    DateMs(i64),
}

/// The types of all fields that are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    fields: BTreeMap<FieldPath, FieldType>,
}

/// Why templates can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplatesError {
    /// The folder or a file in it can't be read.
    #[error("read the templates in {}", path.display())]
    Read {
        /// What can't be read.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no template.
    #[error("read the template {}: {reason}; write {{\"template\": \"name\", \"fields\": {{\"field\": \"string\"}}}}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More than an index takes.
    #[error("read the templates: there are more than {TEMPLATES_MAX} templates or {FIELDS_MAX} fields; take some out of {}", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    template: String,
    fields: BTreeMap<String, String>,
    /// For people.
    #[serde(default, rename = "note")]
    _note: String,
}

impl Default for Templates {
    fn default() -> Self {
        Self::known()
    }
}

impl Templates {
    /// Those that ship with the program.
    #[must_use]
    pub fn known() -> Self {
        Self::of(&known_files())
    }

    /// Those that ship with the program, and those in a folder: every file `*.json`.
    ///
    /// # Errors
    /// [`TemplatesError`], which names the file.
    pub fn with_folder(path: &Path) -> Result<Self, TemplatesError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TemplatesError::Read { path, source }
        };
        let mut files = known_files();
        let mut paths = Vec::new();
        for entry in fs::read_dir(path).map_err(failed(path))? {
            let file = entry.map_err(failed(path))?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(file);
            }
        }
        paths.sort();
        for path in paths {
            let malformed = |reason: String| TemplatesError::Malformed {
                path: path.clone(),
                reason,
            };
            if fs::metadata(&path).map_err(failed(&path))?.len() > FILE_BYTES_MAX {
                return Err(malformed(format!(
                    "it has more than {FILE_BYTES_MAX} bytes"
                )));
            }
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            let (template, fields) = read(&text).map_err(malformed)?;
            files.insert(template, fields);
        }
        let templates = Self::of(&files);
        match files.len() > TEMPLATES_MAX || templates.fields.len() > FIELDS_MAX {
            true => Err(TemplatesError::TooMany {
                path: path.to_owned(),
            }),
            false => Ok(templates),
        }
    }

    fn of(files: &BTreeMap<String, Fields>) -> Self {
        let mut fields: BTreeMap<FieldPath, FieldType> = OIP
            .iter()
            .map(|(path, field_type)| (oip_field(path), *field_type))
            .collect();
        for file in files.values() {
            fields.extend(file.iter().map(|(path, kind)| (path.clone(), *kind)));
        }
        Self { fields }
    }

    /// The type of a field, if it is known.
    #[must_use]
    pub fn field_type(&self, field: &FieldPath) -> Option<FieldType> {
        self.fields.get(field).copied()
    }

    /// Every field that is known, with its type, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&FieldPath, FieldType)> {
        self.fields.iter().map(|(path, kind)| (path, *kind))
    }

    /// Changes whenever any type does: an index made with another version is to be made anew.
    #[must_use]
    pub fn version(&self) -> String {
        let mut text = String::new();
        for (path, kind) in &self.fields {
            text.push_str(&format!("{path}={kind:?}\n"));
        }
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    /// A value that people wrote, read by the field's type; as text where it has none.
    ///
    /// # Errors
    /// [`QueryError::WrongValue`].
    pub fn read(&self, field: &FieldPath, text: &str) -> Result<Typed, QueryError> {
        let Some(kind) = self.field_type(field) else {
            return Ok(Typed::Text(text.to_owned()));
        };
        kind.of_text(text).ok_or_else(|| QueryError::WrongValue {
            field: field.to_string(),
            wanted: kind.described(),
            value: text.chars().take(SHOWN_CHARS_MAX).collect(),
        })
    }

    /// The bounds of a range, read by the field's type. A date without a time is the whole day. Where a field
    /// holds dates in seconds ([`DATES_IN_SECONDS`]), days and RFC 3339 times are taken beside numbers.
    ///
    /// # Errors
    /// [`QueryError::Untyped`], [`QueryError::WrongValue`].
    pub fn read_range(
        &self,
        field: &FieldPath,
        from: &Bound<String>,
        to: &Bound<String>,
    ) -> Result<(Bound<Typed>, Bound<Typed>), QueryError> {
        let Some(kind) = self.field_type(field) else {
            return Err(QueryError::Untyped {
                field: field.to_string(),
            });
        };
        let read = |bound: &Bound<String>, day_counts: Bound<()>| {
            let text = match bound {
                Bound::Unbounded => return Ok(Bound::Unbounded),
                Bound::Included(text) | Bound::Excluded(text) => text,
            };
            if let (FieldType::Date, Some(start_ms)) = (kind, day(text)) {
                return Ok(whole_day(start_ms, bound, day_counts));
            }
            let in_seconds = kind == FieldType::Whole && has_seconds(field);
            if let (true, Some(start_ms)) = (in_seconds, day(text)) {
                return Ok(whole_day(start_ms, bound, day_counts).map(seconds));
            }
            let value = match moment(text) {
                Some(at_ms) if in_seconds => seconds(Typed::DateMs(at_ms)),
                _ => self.read(field, text)?,
            };
            Ok(match bound {
                Bound::Excluded(_) => Bound::Excluded(value),
                _ => Bound::Included(value),
            })
        };
        Ok((
            read(from, Bound::Included(()))?,
            read(to, Bound::Excluded(()))?,
        ))
    }
}

/// Fields of whole numbers that are seconds since 1970, as deployed nodes read them.
pub const DATES_IN_SECONDS: [[&str; 3]; 3] = [
    ["data", "basic", "date"],
    ["data", "workoutSchedule", "scheduled_date"],
    ["data", "mealPlan", "meal_date"],
];

fn has_seconds(field: &FieldPath) -> bool {
    DATES_IN_SECONDS
        .iter()
        .any(|names| field.names().eq(names.iter().copied()))
}

fn seconds(value: Typed) -> Typed {
    match value {
        Typed::DateMs(at_ms) => Typed::Whole(at_ms.div_euclid(1_000)),
        other => other,
    }
}

/// Characters of a faulty value that are repeated in a message.
const SHOWN_CHARS_MAX: usize = 80;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A day as a bound: from its start where it counts as a lower bound or is left out above, from the
/// next day's start otherwise.
fn whole_day(start_ms: i64, bound: &Bound<String>, side: Bound<()>) -> Bound<Typed> {
    let lower = matches!(side, Bound::Included(()));
    let included = matches!(bound, Bound::Included(_));
    match (lower, included) {
        (true, true) => Bound::Included(Typed::DateMs(start_ms)),
        (true, false) => Bound::Included(Typed::DateMs(start_ms.saturating_add(DAY_MS))),
        (false, true) => Bound::Excluded(Typed::DateMs(start_ms.saturating_add(DAY_MS))),
        (false, false) => Bound::Excluded(Typed::DateMs(start_ms)),
    }
}

type Fields = BTreeMap<FieldPath, FieldType>;

fn known_files() -> BTreeMap<String, Fields> {
    KNOWN
        .iter()
        .map(|(name, text)| {
            read(text).unwrap_or_else(|reason| unreachable!("{name} is tested: {reason}"))
        })
        .collect()
}

fn oip_field(path: &str) -> FieldPath {
    path.parse().expect("the table holds paths")
}

fn read(text: &str) -> Result<(String, Fields), String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let fields = file
        .fields
        .iter()
        .map(|(name, kind)| {
            let field = field(&file.template, name).map_err(|error| error.to_string())?;
            let kind = FieldType::of_template(kind)
                .ok_or_else(|| format!("the field {name} has the unknown type {kind:?}"))?;
            Ok((field, kind))
        })
        .collect::<Result<_, String>>()?;
    Ok((file.template, fields))
}

/// `name` may be a path below the template, `parts.text`.
fn field(template: &str, name: &str) -> Result<FieldPath, FieldError> {
    let below: FieldPath = format!("data.x.{name}").parse()?;
    let names = below.names().skip(2);
    FieldPath::from_names(["data", template].into_iter().chain(names))
}

impl FieldType {
    /// The type that templates name: `string`, `repeated dref`. An array has the type of its items.
    #[must_use]
    pub fn of_template(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("repeated ").unwrap_or(name) {
            "string" => Self::Text,
            "enum" | "dref" | "keyword" => Self::Keyword,
            "uint64" | "int64" | "uint32" | "int32" | "long" | "integer" => Self::Whole,
            "float" | "double" => Self::Number,
            "bool" => Self::Boolean,
            "date" => Self::Date,
            _ => return None,
        })
    }

    /// A type of templates that stands for it.
    pub(crate) fn template_name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Keyword => "keyword",
            Self::Whole => "long",
            Self::Number => "double",
            Self::Boolean => "bool",
            Self::Date => "date",
        }
    }

    /// Whether its words are searched.
    #[must_use]
    pub fn has_words(self) -> bool {
        self == Self::Text
    }

    fn described(self) -> &'static str {
        match self {
            Self::Text | Self::Keyword => "texts",
            Self::Whole => "whole numbers",
            Self::Number => "numbers",
            Self::Boolean => "true or false",
            Self::Date => "dates such as 2026-01-20 or 2026-01-20T10:00:00Z",
        }
    }

    /// A value in a document; `None` where it is of another type, and so not this field's.
    #[must_use]
    pub fn of_json(self, value: &Value) -> Option<Typed> {
        match (self, value) {
            (Self::Text | Self::Keyword, Value::String(text)) => Some(Typed::Text(text.clone())),
            (Self::Whole, Value::Number(_)) => whole(value).map(Typed::Whole),
            (Self::Number, Value::Number(number)) => number.as_f64().map(Typed::Number),
            (Self::Boolean, Value::Bool(flag)) => Some(Typed::Boolean(*flag)),
            (Self::Date, Value::String(text)) => moment(text).map(Typed::DateMs),
            (Self::Date, Value::Number(_)) => whole(value).map(Typed::DateMs),
            _ => None,
        }
    }

    /// A value that people wrote.
    fn of_text(self, text: &str) -> Option<Typed> {
        let trimmed = text.trim();
        match self {
            Self::Text | Self::Keyword => Some(Typed::Text(text.to_owned())),
            Self::Whole => number(trimmed)
                .and_then(|value| whole(&value))
                .map(Typed::Whole),
            Self::Number => number(trimmed)
                .and_then(|value| value.as_f64())
                .map(Typed::Number),
            Self::Boolean => trimmed.parse().ok().map(Typed::Boolean),
            Self::Date => moment(trimmed)
                .or_else(|| day(trimmed))
                .or_else(|| number(trimmed).and_then(|value| whole(&value)))
                .map(Typed::DateMs),
        }
    }
}

fn number(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    value.is_number().then_some(value)
}

/// A whole number, `1768550000.0` included, as JavaScript makes no difference.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    if let Some(integer) = value.as_i64() {
        return Some(integer);
    }
    let float = value.as_f64()?;
    // Beyond 2^53 a float no longer tells which whole number was meant.
    let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    exact.then_some(float as i64)
}

/// RFC 3339, in milliseconds since 1970.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// `2026-01-20`: its start (UTC), in milliseconds since 1970.
fn day(text: &str) -> Option<i64> {
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc().unix_timestamp() * 1_000)
}

#[cfg(test)]
mod tests;
