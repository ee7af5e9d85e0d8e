//! Records of about 600 bytes to 1 KB that are the same on every machine for the same seed and number.
//! Owns its generator of random numbers, because those of libraries may change with a version.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

/// The type of all records.
pub const RECORD_TYPE: &str = "post";

/// Words of text; with these bounds a record has about 600 bytes to 1 KB as JSON.
const WORDS_MIN: u64 = 54;
const WORDS_MORE: u64 = 40;

/// Syllables that words are made of: 8,000 words of three, as many as a language uses.
const SYLLABLES: [&str; 20] = [
    "ka", "lo", "mi", "ter", "sun", "ber", "qua", "den", "fi", "gor", "hal", "is", "ju", "nor",
    "pe", "rud", "sta", "ve", "wol", "zy",
];

/// Records with their digest.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Each record's `data` as JSON text.
    pub records: Vec<String>,
    /// SHA-256 over all records, each followed by a line feed, in hex.
    pub sha256: String,
    /// Bytes of all records.
    pub bytes: usize,
}

impl Corpus {
    /// The first `count` records of this seed.
    #[must_use]
    pub fn new(seed: u64, count: usize) -> Self {
        let mut random = Random(seed);
        let records: Vec<String> = (0..count)
            .map(|number| record(number, &mut random).to_string())
            .collect();
        let mut digest = Context::new(&SHA256);
        for record in &records {
            digest.update(record.as_bytes());
            digest.update(b"\n");
        }
        let digest = digest.finish();
        let sha256 = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let bytes = records.iter().map(String::len).sum();
        Self {
            records,
            sha256,
            bytes,
        }
    }

    /// What identifies it, for a report.
    #[must_use]
    pub fn describe(&self) -> String {
        let count = self.records.len();
        let mean = self.bytes / count.max(1);
        format!(
            "{count} records, {mean} bytes on average, SHA-256 {}",
            self.sha256
        )
    }
}

fn record(number: usize, random: &mut Random) -> Value {
    let count = WORDS_MIN + random.below(WORDS_MORE);
    let text = words(count, random);
    let tags: Vec<String> = (0..=random.below(4)).map(|_| words(1, random)).collect();
    json!({
        "basic": {
            "name": format!("Record {number}: {}", words(4, random)),
            "description": words(10, random),
            "date": 1_768_900_000 + number,
            "language": "en",
            "nsfw": false,
            "tagItems": tags,
        },
        "post": {
            "bylineWriter": words(2, random),
            "articleText": text,
        },
    })
}

fn words(count: u64, random: &mut Random) -> String {
    let word = |random: &mut Random| -> String {
        (0..=random.below(3))
            .map(|_| SYLLABLES[random.index(SYLLABLES.len())])
            .collect()
    };
    let words: Vec<String> = (0..count).map(|_| word(random)).collect();
    words.join(" ")
}

/// SplitMix64: ten lines whose numbers never change.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the bias of the remainder is far below what a bench can see.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound.max(1)
    }

    /// A position in something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_corpus_for_ever() {
        let corpus = Corpus::new(1, 100);
        assert_eq!(
            corpus.sha256,
            "1856a1c88978b3b440747f84799edf6dcd25916540616bd93b8471ea3a355fff"
        );
        assert_ne!(Corpus::new(2, 100).sha256, corpus.sha256);
    }

    #[test]
    fn records_have_the_size_that_the_targets_speak_of() {
        for record in Corpus::new(7, 1_000).records {
            assert!((560..=1_100).contains(&record.len()), "{}", record.len());
        }
    }
}
