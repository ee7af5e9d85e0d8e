//! The parameters of a request. Unknown and repeated ones are refused with the list of known
//! ones: a filter with a slip in its name would answer with everything. Where deployed clients send
//! names of their own, only what looks like a slip is refused, and the rest is named in the answer.

use url::form_urlencoded;

use super::error::ApiError;

/// The parameters of one request: known names, each at most once, blank ones left out as
/// deployed clients send them.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    given: Vec<(&'static str, String)>,
    ignored: Vec<String>,
}

/// What becomes of a name that the call doesn't know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refused,
    /// Unless it is nearly a known name.
    Ignored,
}

/// Ignored names that an answer lists: a client sends one or two.
const IGNORED_MAX: usize = 16;

impl Parameters {
    /// Reads a query string.
    pub(super) fn read(
        query: Option<&str>,
        known: &'static [&'static str],
    ) -> Result<Self, ApiError> {
        Self::read_as(query, known, Unknown::Refused)
    }

    /// The same for a call that deployed clients make with names of their own, such as one that keeps caches
    /// away: they are ignored and listed, as deployed nodes ignore them. A slip in a known name is refused.
    pub(super) fn read_of_deployed(
        query: Option<&str>,
        known: &'static [&'static str],
    ) -> Result<Self, ApiError> {
        Self::read_as(query, known, Unknown::Ignored)
    }

    fn read_as(
        query: Option<&str>,
        known: &'static [&'static str],
        unknown: Unknown,
    ) -> Result<Self, ApiError> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        let mut ignored = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(known_name) = known.iter().find(|known| **known == name) else {
                if unknown == Unknown::Ignored {
                    if let Some(meant) = known.iter().find(|known| is_a_slip(&name, known)) {
                        return Err(ApiError::bad_request(
                            "unknown-parameter",
                            format!("unknown parameter {}: write {meant}", shown(&name)),
                        ));
                    }
                    if ignored.len() < IGNORED_MAX {
                        ignored.push(name.chars().take(SHOWN_CHARS_MAX).collect());
                    }
                    continue;
                }
                return Err(ApiError::bad_request(
                    "unknown-parameter",
                    unknown_message(&name, known),
                ));
            };
            if given.iter().any(|(other, _)| other == known_name) {
                return Err(ApiError::bad_request(
                    "repeated-parameter",
                    format!("the parameter {known_name} is given twice: give it once"),
                ));
            }
            given.push((known_name, value.into_owned()));
        }
        given.retain(|(_, value)| !value.trim().is_empty());
        Ok(Self { given, ignored })
    }

    /// The names that were ignored.
    pub(super) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The value of `name`, if given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given
            .iter()
            .find(|(given, _)| *given == name)
            .map(|(_, value)| value.trim())
    }

    /// All that was given, in the caller's order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

/// Characters of a faulty value that are repeated in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// A caller's text, shortened and quoted for a message.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() {
        format!("{short:?}…")
    } else {
        format!("{short:?}")
    }
}

fn unknown_message(name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!(
            "unknown parameter {}: this call takes no parameters",
            shown(name)
        );
    }
    format!(
        "unknown parameter {}: this call knows {}",
        shown(name),
        known.join(", ")
    )
}

/// Whether a name is a known one with another case or separators, or with one character more, less, or changed.
/// Short names are too near to everything for that.
fn is_a_slip(name: &str, known: &str) -> bool {
    const NAME_CHARS_MIN: usize = 3;
    let plain = |name: &str| -> Vec<char> {
        let characters = name.chars().filter(|one| !matches!(one, '_' | '-' | '.'));
        characters.flat_map(char::to_lowercase).collect()
    };
    let (name, known) = (plain(name), plain(known));
    if name == known {
        return true;
    }
    if name.len().min(known.len()) < NAME_CHARS_MIN || name.len().abs_diff(known.len()) > 1 {
        return false;
    }
    let shorter = name.len().min(known.len());
    let same = name.iter().zip(&known).take_while(|(a, b)| a == b).count();
    // What follows the first difference must be equal again, with one character taken out of each or of the longer.
    let rest = |characters: &[char], longer: bool| {
        characters[same + usize::from(longer || name.len() == known.len())..].to_vec()
    };
    same == shorter
        || rest(&name, name.len() > known.len()) == rest(&known, known.len() > name.len())
}

/// `true` or `false`.
pub(super) fn flag(
    parameters: &Parameters,
    name: &'static str,
    default: bool,
) -> Result<bool, ApiError> {
    match parameters.get(name) {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(ApiError::bad_request(
            "bad-parameter",
            format!("{name} is {}: give true or false", shown(text)),
        )),
    }
}

/// The parts of a list with commas, blank ones left out.
pub(super) fn list(parameters: &Parameters, name: &str) -> Vec<String> {
    let text = parameters.get(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A number within bounds.
pub(super) fn number(
    parameters: &Parameters,
    name: &'static str,
    default: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<usize, ApiError> {
    let Some(text) = parameters.get(name) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            ApiError::bad_request(
                "bad-parameter",
                format!(
                    "{name} is {}: give a whole number from {} to {}",
                    shown(text),
                    range.start(),
                    range.end()
                ),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_a_name_of_its_own() {
        for (name, known) in [
            ("recordtype", "recordType"),
            ("record_type", "recordType"),
            ("recordTypes", "recordType"),
            ("ecordType", "recordType"),
            ("recodType", "recordType"),
            ("recordTyqe", "recordType"),
            ("Q", "q"),
        ] {
            assert!(is_a_slip(name, known), "{name}");
        }
        for (name, known) in [
            ("_", "q"),
            ("t", "q"),
            ("tage", "tags2x"),
            ("cacheBust", "cursor"),
            ("recordTpye", "recordType"),
            ("xrecordTypes", "recordType"),
        ] {
            assert!(!is_a_slip(name, known), "{name}");
        }
    }
}
