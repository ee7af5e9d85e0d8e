//! The files of a gun.js relay's disk: whatever the bytes, what is given out is counted, and written as
//! a file again it is read in the same way.

use gun::Soul;
use gun::graph::Entry;
use gun::radata::{Directory, FileReport, file_name, read};
use gun::text::{push_json_text, push_number, push_value};

fn values(file: &[u8]) -> (Vec<(Soul, Entry)>, FileReport) {
    let mut found = Vec::new();
    let report = read(file, |soul, entry| found.push((soul, entry)));
    assert_eq!(report.values, found.len() as u64, "each value is counted");
    assert!(report.repaired <= report.values);
    (found, report)
}

/// A file of the folder.
///
/// # Panics
/// Where a rule does not hold.
pub fn radata(input: &[u8]) {
    let directory = Directory::read(input);
    for name in directory.listed() {
        assert!(directory.lists(name), "a listed file is listed");
    }
    if let Ok(name) = std::str::from_utf8(input) {
        let _ = file_name(name);
    }
    let (found, report) = values(input);
    for reason in report.refused.keys() {
        assert!(!reason.name().is_empty());
    }
    for (soul, entry) in found {
        let (again, report) = values(record(&soul, &entry).as_bytes());
        assert_eq!(again, [(soul, entry)], "a value is read as it was written");
        assert_eq!((report.damage, report.repaired), (None, 0));
    }
}

/// A file with one value, as gun.js writes it.
fn record(soul: &Soul, entry: &Entry) -> String {
    let mut file = String::from("{");
    push_json_text(&mut file, &format!("{soul}\u{1b}{}", entry.key));
    file.push_str(":{\"\":{\":\":");
    push_value(&mut file, &entry.value);
    file.push_str(",\">\":");
    push_number(&mut file, entry.state.as_f64());
    file.push_str("}}}");
    file
}
