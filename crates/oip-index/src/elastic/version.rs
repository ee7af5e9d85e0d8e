//! One number per version of a document, by which the server refuses older ones (`external_gte`).
//!
//! Servers take 63 bits. The class of the signature has the highest and time the next, so that the order of
//! numbers is the order of versions down to the last bits, where a revision beyond the highest and digests that begin alike fall
//! together: then the later write stands, which is the feed's order.

use crate::index::{VERSION_CLASS_MAX, Version};

/// Room for [`VERSION_CLASS_MAX`].
const CLASS_BITS: u32 = 2;
/// Milliseconds since 1970 until the year 2109.
const TIME_BITS: u32 = 42;
/// A record is shared again a few times within one millisecond stamp, not five hundred times.
const REVISION_BITS: u32 = 9;
/// What is left of 63.
const DIGEST_BITS: u32 = 63 - CLASS_BITS - TIME_BITS - REVISION_BITS;
const _: () = assert!(VERSION_CLASS_MAX < 1 << CLASS_BITS);

/// The number of a version, at least 1: some servers take 0 for "none".
pub(super) fn number(version: &Version) -> u64 {
    let class = clamp(version.class.into(), CLASS_BITS);
    let time = clamp(u64::try_from(version.indexed_at_ms).unwrap_or(0), TIME_BITS);
    let revision = clamp(version.revision, REVISION_BITS);
    let digest = u64::from(u16::from_be_bytes([version.digest[0], version.digest[1]]));
    let number = (class << (TIME_BITS + REVISION_BITS + DIGEST_BITS))
        | (time << (REVISION_BITS + DIGEST_BITS))
        | (revision << DIGEST_BITS)
        | (digest >> (16 - DIGEST_BITS));
    number.max(1)
}

fn clamp(value: u64, bits: u32) -> u64 {
    value.min((1 << bits) - 1)
}

/// The version as a text that [`read`] takes back.
pub(super) fn text(version: &Version) -> String {
    let Version {
        class,
        indexed_at_ms,
        revision,
        digest,
    } = version;
    let mut text = format!("{class}.{indexed_at_ms}.{revision}.");
    for byte in digest {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    text
}

/// Reads [`text`]; `None` where it is something else.
pub(super) fn read(text: &str) -> Option<Version> {
    let mut parts = text.split('.');
    let class = parts
        .next()?
        .parse()
        .ok()
        .filter(|class| *class <= VERSION_CLASS_MAX)?;
    let indexed_at_ms = parts.next()?.parse().ok()?;
    let revision = parts.next()?.parse().ok()?;
    let hex = parts
        .next()
        .filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(Version {
        class,
        indexed_at_ms,
        revision,
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(indexed_at_ms: i64, revision: u64, digest: u8) -> Version {
        Version {
            class: 0,
            indexed_at_ms,
            revision,
            digest: [digest; 32],
        }
    }

    fn signed(class: u8, version: Version) -> Version {
        Version { class, ..version }
    }

    #[test]
    fn numbers_are_in_the_order_of_versions() {
        let ascending = [
            version(i64::MIN, 0, 0),
            version(1, 0, 0),
            version(1, 0, 0x20),
            version(1, 1, 0),
            version(1, 511, 0),
            version(2, 0, 0),
            version(1_768_903_200_000, 0, 0xff),
            version(1_768_903_200_001, 0, 0),
            version(i64::MAX, u64::MAX, 0xff),
            signed(1, version(1, 0, 0)),
            signed(1, version(2, 0, 0)),
            signed(2, version(1, 0, 0)),
            signed(VERSION_CLASS_MAX, version(i64::MAX, u64::MAX, 0xff)),
        ];
        let numbers: Vec<u64> = ascending.iter().map(number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.iter().all(|number| (1..1 << 63).contains(number)));
    }

    #[test]
    fn what_has_no_room_falls_together_and_never_turns_round() {
        assert_eq!(number(&version(1, 512, 7)), number(&version(1, 9_000, 7)));
        let mut late = version(5, 0, 0);
        late.digest[31] = 1;
        assert_eq!(number(&late), number(&version(5, 0, 0)));
    }

    #[test]
    fn a_version_comes_back_from_its_text() {
        let version = signed(2, version(-5, u64::MAX, 0xa7));
        assert_eq!(read(&text(&version)), Some(version));
        for other in ["", "1.2.3", "1.2.3.zz", "1.x.2.00", "1.2.3.é"] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(read(&text(&signed(VERSION_CLASS_MAX + 1, version))), None);
    }
}
