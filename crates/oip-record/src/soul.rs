//! The names of records in the graph: a prefix that binds the soul to a key, then the local id.
//!
//! Refuses local ids that gun.js relays would not store, or that would lie on another record.

use aws_lc_rs::digest::{SHA256, digest};
use gun::Soul;

use crate::limits::LOCAL_ID_BYTES_MAX;

/// How many hex digits of the key's hash stand before the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixWidth {
    /// 12 digits, as deployed: RSA wallets, whose souls deployed nodes compute too.
    Deployed,
    /// 32 digits: 48 bits can be ground out, so our own curve keys take 128.
    Long,
}

impl PrefixWidth {
    fn hex_digits(self) -> usize {
        match self {
            Self::Deployed => 12,
            Self::Long => 32,
        }
    }
}

/// Hex digits after `h:` in the soul of a record without local id. Deployed nodes take 12
/// (48 bits of a hash over time and chance); 24 make an accidental meeting impossible.
const RANDOM_HEX_DIGITS: usize = 24;

/// Why a local id is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalIdError {
    /// The empty text.
    #[error("the local id is empty: leave it out, then one is made")]
    Empty,
    /// Over [`LOCAL_ID_BYTES_MAX`].
    #[error("the local id is longer than {LOCAL_ID_BYTES_MAX} bytes: shorten it")]
    TooLong,
    /// A control character, such as U+001B, on which gun.js splits names on disk.
    #[error("the local id holds a control character: remove it")]
    Control,
    /// `~`, `#` or `<?`, by which gun.js relays tell signed, hashed and expiring souls.
    #[error("the local id holds `~`, `#` or `<?`, which mark special souls in GUN: remove them")]
    Special,
    /// It would name a part of another record.
    #[error(
        "the local id has `/data`, `/oip` or `/meta` as a part, which names a part of another record: rename it"
    )]
    PartOfRecord,
}

/// The first hex digits of SHA-256 over the public key **text**, as it stands in
/// `oip.creator.publicKey`.
#[must_use]
pub fn prefix(public_key_text: &str, width: PrefixWidth) -> String {
    let mut hex = hex(digest(&SHA256, public_key_text.as_bytes()).as_ref());
    hex.truncate(width.hex_digits());
    hex
}

/// The soul of a record with a local id: `prefix:localId`.
///
/// # Errors
/// [`LocalIdError`] for ids that can't be stored everywhere.
pub fn with_local_id(prefix: &str, local_id: &str) -> Result<Soul, LocalIdError> {
    check_local_id(local_id)?;
    Soul::new(format!("{prefix}:{local_id}")).map_err(|_| LocalIdError::TooLong)
}

/// The soul of a record without a local id: `prefix:h:<24 hex digits>` of a hash over `random`.
#[must_use]
pub fn hashed(prefix: &str, random: [u8; 16]) -> Soul {
    let mut hex = hex(digest(&SHA256, &random).as_ref());
    hex.truncate(RANDOM_HEX_DIGITS);
    Soul::new(format!("{prefix}:h:{hex}")).expect("hex digits and two colons are a name")
}

/// Whether the text before the soul's first colon is a prefix (12 or 32 digits) of this key.
#[must_use]
pub fn belongs_to(soul: &Soul, public_key_text: &str) -> bool {
    let Some((found, _)) = soul.as_str().split_once(':') else {
        return false;
    };
    [PrefixWidth::Deployed, PrefixWidth::Long]
        .into_iter()
        .any(|width| found.len() == width.hex_digits() && found == prefix(public_key_text, width))
}

/// The local id of a record's soul: what follows the first colon.
#[must_use]
pub fn local_id(soul: &Soul) -> Option<&str> {
    soul.as_str().split_once(':').map(|(_, local_id)| local_id)
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn check_local_id(local_id: &str) -> Result<(), LocalIdError> {
    if local_id.is_empty() {
        Err(LocalIdError::Empty)
    } else if local_id.len() > LOCAL_ID_BYTES_MAX {
        Err(LocalIdError::TooLong)
    } else if local_id.chars().any(char::is_control) {
        Err(LocalIdError::Control)
    } else if local_id.contains(['~', '#']) || local_id.contains("<?") {
        Err(LocalIdError::Special)
    } else if local_id
        .split('/')
        .skip(1)
        .any(|part| matches!(part, "data" | "oip" | "meta"))
    {
        Err(LocalIdError::PartOfRecord)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn deployed_souls_are_computed_alike() {
        let file = include_str!("../../../testdata/vectors/oip/soul-vectors.json");
        let vectors: Value = serde_json::from_str(file).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let key = vector["publicKey"].as_str().unwrap();
            let prefix = prefix(key, PrefixWidth::Deployed);
            let soul = with_local_id(&prefix, vector["localId"].as_str().unwrap()).unwrap();
            assert_eq!(soul.as_str(), vector["soul"].as_str().unwrap());
            assert!(belongs_to(&soul, key));
            assert!(!belongs_to(&soul, "another key"));
            if let Some(did) = vector["did"].as_str() {
                assert_eq!(crate::Did::from_soul(&soul).to_string(), did);
            }
        }
    }

    #[test]
    fn a_long_prefix_starts_with_the_deployed_one() {
        let long = prefix("PUBKEYA", PrefixWidth::Long);
        assert_eq!(long.len(), 32);
        assert!(long.starts_with("3422313cc1bb"));
        assert!(belongs_to(&with_local_id(&long, "a").unwrap(), "PUBKEYA"));
        let cut = Soul::new(format!("{}:a", &long[..20])).unwrap();
        assert!(!belongs_to(&cut, "PUBKEYA"));
    }

    #[test]
    fn a_record_without_local_id_gets_one_from_chance() {
        let soul = hashed("3422313cc1bb", [7; 16]);
        let (_, tail) = soul.as_str().split_once(":h:").unwrap();
        assert_eq!(tail.len(), RANDOM_HEX_DIGITS);
        assert_ne!(hashed("3422313cc1bb", [8; 16]), soul);
        assert_eq!(local_id(&soul), Some(&soul.as_str()[13..]));
    }

    #[test]
    fn local_ids_that_no_relay_stores_are_refused() {
        let check = |id: &str| with_local_id("3422313cc1bb", id).map(|_| ());
        for good in [
            "a",
            "apple:Work:A7-1",
            "x/y",
            "meta",
            "data/x",
            "ключ ü",
            "a<b",
            "a?b",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(&"x".repeat(LOCAL_ID_BYTES_MAX)), Ok(()));
        assert_eq!(
            check(&"x".repeat(LOCAL_ID_BYTES_MAX + 1)),
            Err(LocalIdError::TooLong)
        );
        assert_eq!(check(""), Err(LocalIdError::Empty));
        for id in ["a\u{1b}b", "a\nb", "\u{0}", "\u{7f}", "\u{85}"] {
            assert_eq!(check(id), Err(LocalIdError::Control), "{id:?}");
        }
        for id in ["~a", "a~b c", "a#b", "a<?9"] {
            assert_eq!(check(id), Err(LocalIdError::Special), "{id}");
        }
        for id in ["a/meta", "a/data/basic", "a/b/oip"] {
            assert_eq!(check(id), Err(LocalIdError::PartOfRecord), "{id}");
        }
    }
}
