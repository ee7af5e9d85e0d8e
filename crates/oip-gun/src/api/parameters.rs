//! The parameters of a request. Unknown and repeated ones are refused with the list of known
//! ones: a filter with a slip in its name would answer with everything.

use url::form_urlencoded;

use super::error::ApiError;

/// The parameters of one request: known names, each at most once, blank ones left out as
/// deployed clients send them.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    given: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Reads a query string.
    pub(super) fn read(
        query: Option<&str>,
        known: &'static [&'static str],
    ) -> Result<Self, ApiError> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let Some(known_name) = known.iter().find(|known| **known == name) else {
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
        Ok(Self { given })
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
