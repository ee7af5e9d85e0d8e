//! What must not be found, in every form that it could have.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A random word, long enough that a compressor writes it out the first time and that nothing else
/// holds it.
pub(crate) fn canary(name: &str) -> String {
    let random = testkit::raw::message_id();
    format!("qZ{name}\"{random}é{}", testkit::raw::message_id())
}

/// A text as it is, in JSON once, twice and three times, with everything beyond ASCII escaped, in hex, and
/// in base64 wherever in a longer text it begins.
pub(crate) fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![text.as_bytes().to_vec()];
    let mut json = text.to_owned();
    for _ in 0..3 {
        let quoted = serde_json::to_string(&json).unwrap();
        json = quoted[1..quoted.len() - 1].to_owned();
        forms.push(json.as_bytes().to_vec());
        forms.push(json.replace('é', "\\u00e9").into_bytes());
    }
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.push(hex.to_uppercase().into_bytes());
    forms.push(hex.into_bytes());
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
    forms.sort();
    forms.dedup();
    forms
}

/// Which of the canaries stand in these bytes.
pub(crate) fn found(bytes: &[u8], canaries: &[String]) -> Vec<String> {
    let all = canaries
        .iter()
        .flat_map(|canary| forms(canary).into_iter().map(move |form| (canary, form)));
    all.filter(|(_, form)| contains(bytes, form))
        .map(|(canary, form)| format!("{canary} as {}", String::from_utf8_lossy(&form)))
        .collect()
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let (first, rest) = (form[0], &form[1..]);
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        at += next + 1;
        if bytes[at..].starts_with(rest) {
            return true;
        }
    }
    false
}

/// Which of the canaries stand in the files below a folder, `except` its parts with this name.
pub(crate) fn found_in(folder: &Path, except: Option<&str>, canaries: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if except.is_some_and(|name| path.file_name().is_some_and(|file| file == name)) {
            continue;
        }
        if path.is_dir() {
            all.extend(found_in(&path, except, canaries));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let here = found(&bytes, canaries);
            all.extend(
                here.into_iter()
                    .map(|what| format!("{}: {what}", path.display())),
            );
        }
    }
    all
}

#[test]
fn a_canary_is_found_in_every_form() {
    let word = canary("self");
    let in_json = serde_json::to_string(&serde_json::json!({"a": word})).unwrap();
    let twice = serde_json::to_string(&in_json).unwrap();
    let texts = [
        word.clone(),
        in_json,
        twice,
        STANDARD.encode(format!("a{word}b")),
        STANDARD.encode(format!("ab{word}c")),
        URL_SAFE.encode(format!("abc{word}")),
        word.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for text in texts {
        let surrounded = format!("before {text} after");
        let seen = found(surrounded.as_bytes(), std::slice::from_ref(&word));
        assert!(!seen.is_empty(), "{text}");
    }
    assert!(found(b"something else", &[word]).is_empty());
}
