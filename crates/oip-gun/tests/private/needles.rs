//! What must not be found, in every form that it could have, wherever it could lie.

use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::unpacked::unpacked;

/// A random word that nothing else holds, with characters that JSON and URLs write in another way.
pub(crate) fn canary(name: &str) -> String {
    let random = testkit::raw::message_id();
    format!("qZ{name}\"{random}é{}", testkit::raw::message_id())
}

/// Texts that are looked for in all their forms at once.
pub(crate) struct Needles {
    forms: Vec<Vec<u8>>,
    /// Which text each form is of.
    texts: Vec<String>,
    search: AhoCorasick,
}

impl Needles {
    pub(crate) fn new<'a>(wanted: impl IntoIterator<Item = &'a String>) -> Self {
        let (mut all, mut texts) = (Vec::new(), Vec::new());
        for text in wanted {
            for form in forms(text) {
                all.push(form);
                texts.push(text.clone());
            }
        }
        let search = AhoCorasick::new(&all).unwrap();
        Self {
            forms: all,
            texts,
            search,
        }
    }

    /// Which of the texts stand in these bytes, and how.
    pub(crate) fn found(&self, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<usize> = self
            .search
            .find_overlapping_iter_of(bytes)
            .into_iter()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|at| {
                let form = String::from_utf8_lossy(&self.forms[at]);
                format!("{} as {form}", self.texts[at])
            })
            .collect()
    }

    /// Which stand in a file, as it is and in its compressed blocks.
    pub(crate) fn found_in_file(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = self.found(bytes);
        for text in unpacked(bytes) {
            found.extend(self.found(&text));
        }
        found
    }

    /// Which stand in the files below a folder, without those below `except`; and the files' names.
    pub(crate) fn found_in(&self, folder: &Path, except: Option<&Path>) -> Vec<String> {
        let mut all = Vec::new();
        let Ok(entries) = std::fs::read_dir(folder) else {
            return all;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if except == Some(&path) {
                continue;
            }
            let name = path.display().to_string();
            let mut here = self.found(name.as_bytes());
            if path.is_dir() {
                all.extend(self.found_in(&path, except));
            } else if let Ok(bytes) = std::fs::read(&path) {
                // A running node may have taken it away meanwhile.
                here.extend(self.found_in_file(&bytes));
            }
            all.extend(here.into_iter().map(|what| format!("{name}: {what}")));
        }
        all
    }
}

/// Overlapping matches: one form may begin within another.
trait Overlapping {
    fn find_overlapping_iter_of(&self, bytes: &[u8]) -> Vec<usize>;
}

impl Overlapping for AhoCorasick {
    fn find_overlapping_iter_of(&self, bytes: &[u8]) -> Vec<usize> {
        self.find_overlapping_iter(bytes)
            .map(|found| found.pattern().as_usize())
            .collect()
    }
}

/// A text as it is, and in JSON once, twice and three times, with and without everything beyond ASCII escaped: each of
/// these as it is, in hex, in base64 wherever in a longer text it begins, and as part of a URL.
pub(crate) fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut spelled = vec![text.to_owned()];
    let mut json = text.to_owned();
    for _ in 0..3 {
        let quoted = serde_json::to_string(&json).unwrap();
        json = quoted[1..quoted.len() - 1].to_owned();
        spelled.push(json.clone());
        spelled.push(ascii(&json));
    }
    spelled.push(ascii(text));
    let mut forms = Vec::new();
    for text in spelled {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        forms.push(hex.to_uppercase().into_bytes());
        forms.push(hex.into_bytes());
        let whole = |byte: u8| format!("%{byte:02X}");
        let few = |byte: u8| match byte {
            b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => whole(byte),
        };
        for in_url in [
            text.bytes().map(whole).collect::<String>(),
            text.bytes().map(few).collect::<String>(),
        ] {
            forms.push(in_url.to_lowercase().into_bytes());
            forms.push(in_url.into_bytes());
        }
        for before in 0..3 {
            let padded = [&b"xx"[..before], text.as_bytes()].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let encoded = engine.encode(&padded);
                // What depends on the neighbours is cut off at both ends.
                let from = (before * 8).div_ceil(6);
                let to = padded.len() * 8 / 6;
                forms.push(encoded.as_bytes()[from..to].to_vec());
            }
        }
        forms.push(text.into_bytes());
    }
    forms.sort();
    forms.dedup();
    forms
}

fn ascii(text: &str) -> String {
    text.chars()
        .flat_map(|letter| match letter.is_ascii() {
            true => vec![letter],
            false => {
                let mut units = [0; 2];
                let units = letter.encode_utf16(&mut units).iter();
                units
                    .flat_map(|unit| format!("\\u{unit:04x}").chars().collect::<Vec<_>>())
                    .collect()
            }
        })
        .collect()
}

/// Every text in a value that is long enough to mean something.
pub(crate) fn texts_of(value: &serde_json::Value, chars_min: usize, texts: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.chars().count() >= chars_min => texts.push(text.clone()),
        Value::Array(items) => {
            for item in items {
                texts_of(item, chars_min, texts);
            }
        }
        Value::Object(members) => {
            for member in members.values() {
                texts_of(member, chars_min, texts);
            }
        }
        _ => {}
    }
}
