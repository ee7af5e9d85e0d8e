//! DIDs of GUN records: `did:gun:<soul>`. The soul is all that follows the second colon and
//! may hold more colons; deployed code that cuts it at the third is not imitated.

use std::fmt;

use gun::Soul;
use gun::graph::NameError;

/// The identifier of a record in GUN.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did {
    soul: Soul,
}

const PREFIX: &str = "did:gun:";

/// Why a text is not the DID of a GUN record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidError {
    /// Another method, or no DID at all.
    #[error("`{0}` is not the DID of a GUN record: write `did:gun:<soul>`")]
    NotGun(String),
    /// The soul can't be one.
    #[error("the soul of the DID is refused")]
    Soul(#[source] NameError),
}

impl DidError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotGun(_) => "did-not-gun",
            Self::Soul(_) => "did-soul",
        }
    }
}

/// Characters of a faulty DID that are repeated in the message.
const SHOWN_CHARS_MAX: usize = 80;

impl Did {
    /// The DID of the record at `soul`.
    #[must_use]
    pub fn from_soul(soul: &Soul) -> Self {
        Self { soul: soul.clone() }
    }

    /// Reads `did:gun:<soul>`.
    ///
    /// # Errors
    /// [`DidError`] for other methods and for souls that no peer may store.
    pub fn parse(text: &str) -> Result<Self, DidError> {
        let Some(soul) = text.strip_prefix(PREFIX) else {
            return Err(DidError::NotGun(
                text.chars().take(SHOWN_CHARS_MAX).collect(),
            ));
        };
        Soul::new(soul)
            .map(|soul| Self { soul })
            .map_err(DidError::Soul)
    }

    /// The soul of the record.
    #[must_use]
    pub fn soul(&self) -> &Soul {
        &self.soul
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.soul)
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_after_the_second_colon_is_the_soul() {
        for soul in [
            "b349c448c559:session_1",
            "3422313cc1bb:apple:Work:A7-1",
            "media:00ff",
            "x",
        ] {
            let text = format!("did:gun:{soul}");
            let did = Did::parse(&text).unwrap();
            assert_eq!(did.soul().as_str(), soul);
            assert_eq!(did.to_string(), text);
            assert_eq!(Did::from_soul(did.soul()), did);
        }
    }

    #[test]
    fn a_wrong_did_is_refused_with_the_cure() {
        for text in ["", "did:arweave:abc", "DID:GUN:x", "b349c448c559:session_1"] {
            let error = Did::parse(text).unwrap_err();
            assert_eq!(error.label(), "did-not-gun");
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not the DID of a GUN record: write `did:gun:<soul>`")
            );
        }
        for text in ["did:gun:", "did:gun:a\u{1b}b", "did:gun:__proto__"] {
            assert_eq!(Did::parse(text).unwrap_err().label(), "did-soul", "{text}");
        }
    }
}
