//! The time of a version: the text that is signed, and its milliseconds, which are compared.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A point in time as a record states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    text: String,
    ms: i64,
}

/// Latest stamp that can be written with four digits of the year: 9999-12-31T23:59:59.999Z.
const MS_MAX: i64 = 253_402_300_799_999;

impl Stamp {
    /// The stamp of a moment, written as JavaScript's `toISOString` does:
    /// `2026-01-20T10:00:00.000Z`. Moments outside the years 1970 to 9999 are clamped.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        let ms = ms.clamp(0, MS_MAX);
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.millisecond()
        );
        Self { text, ms }
    }

    /// Reads an RFC 3339 time; digits below the millisecond are cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339)
            .ok()?
            .to_offset(UtcOffset::UTC);
        let ms = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
        Some(Self {
            text: text.to_owned(),
            ms,
        })
    }

    /// The text as the record has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn ms(&self) -> i64 {
        self.ms
    }

    /// Whether the text is the one form in which this software writes it.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        Self::from_ms(self.ms).text == self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_written_as_javascript_writes_it() {
        assert_eq!(
            Stamp::from_ms(1_768_903_200_000).as_str(),
            "2026-01-20T10:00:00.000Z"
        );
        assert_eq!(Stamp::from_ms(7).as_str(), "1970-01-01T00:00:00.007Z");
        assert_eq!(
            Stamp::from_ms(i64::MAX).as_str(),
            "9999-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn every_rfc_3339_form_is_read_to_the_millisecond() {
        for (text, ms) in [
            ("2026-01-20T10:00:00.000Z", 1_768_903_200_000),
            ("2026-01-20T10:00:00Z", 1_768_903_200_000),
            ("2026-01-20T11:00:00.0019+01:00", 1_768_903_200_001),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(
                Stamp::parse(text).map(|stamp| stamp.ms()),
                Some(ms),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-01-20",
            "20 Jan 2026",
            "2026-13-01T00:00:00Z",
            "1768903200000",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_written_form_is_canonical() {
        assert!(Stamp::from_ms(1_768_903_200_123).is_canonical());
        for text in ["2026-01-20T10:00:00Z", "2026-01-20T10:00:00.000+00:00"] {
            assert!(
                !Stamp::parse(text).is_some_and(|stamp| stamp.is_canonical()),
                "{text}"
            );
        }
    }
}
