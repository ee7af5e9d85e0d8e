//! What every text file must have or must not hold: file heads, lengths, words that belong to one
//! machine or to an unfinished thought, and the outside world in PURE crates.

use super::{Problem, TextFile};

/// A file of more lines, tests aside, has more than one subject.
const RUST_LINES_MAX: usize = 1_000;
/// The crates that take clock and randomness as arguments and know no files and no sockets.
const PURE_FOLDERS: &[&str] = &["crates/gun/src/", "crates/oip-record/src/"];
/// Names that bring the outside world into a PURE crate.
const OUTSIDE_WORLD: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "::now_utc(",
    "::now_local(",
];

/// A word that must not stand in the repository, in two halves so that this file may name it.
struct Word {
    halves: [&'static str; 2],
    reason: &'static str,
}

const MACHINE: &str = "a path of one machine: the repository must stand alone";
const UNFINISHED: &str = "unfinished work: do it, or open an issue";

const WORDS: &[Word] = &[
    Word {
        halves: ["/wo", "rk/"],
        reason: MACHINE,
    },
    Word {
        halves: ["/ro", "ot/"],
        reason: MACHINE,
    },
    Word {
        halves: ["/tmp/", "target"],
        reason: MACHINE,
    },
    Word {
        halves: ["TO", "DO"],
        reason: UNFINISHED,
    },
    Word {
        halves: ["FIX", "ME"],
        reason: UNFINISHED,
    },
];

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        // What was recorded elsewhere stays as it was recorded.
        if !file.path.starts_with("testdata/") {
            words(file, &mut problems);
        }
        if file.path.ends_with(".rs") {
            rust(file, &mut problems);
        }
    }
    problems
}

/// Number of Rust files, and the length of the median and the longest, tests aside.
pub(super) fn summary(files: &[TextFile]) -> String {
    let mut lengths: Vec<(usize, &str)> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs") && !file.is_test())
        .map(|file| (file.shipped_text().lines().count(), file.path.as_str()))
        .collect();
    lengths.sort_unstable();
    let median = lengths
        .get(lengths.len() / 2)
        .map_or(0, |(lines, _)| *lines);
    let (most, longest) = lengths.last().copied().unwrap_or((0, "none"));
    format!(
        "{} files, median {median} lines, longest {most} ({longest})",
        lengths.len()
    )
}

fn words(file: &TextFile, problems: &mut Vec<Problem>) {
    for (number, line) in file.text.lines().enumerate() {
        for Word { halves, reason } in WORDS {
            let word = halves.concat();
            if holds(line, &word) {
                problems.push(Problem::at(
                    &file.path,
                    number + 1,
                    format!("holds {word:?}, {reason}"),
                ));
            }
        }
    }
}

/// Whether `word` stands in `line` and is not the tail of something longer (`a/work/b` is a
/// relative path, `example.org/work/` an address).
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
    })
}

fn rust(file: &TextFile, problems: &mut Vec<Problem>) {
    if !file.text.starts_with("//!") {
        let cure = "does not open with `//!`: say what the file owns and what it refuses";
        problems.push(Problem::at(&file.path, 1, cure));
    }
    if file.is_test() {
        return;
    }
    let shipped = file.shipped_text();
    let lines = shipped.lines().count();
    if lines > RUST_LINES_MAX {
        let cure = format!("has {lines} lines (tests aside), more than {RUST_LINES_MAX}: split it");
        problems.push(Problem::of(&file.path, cure));
    }
    if !PURE_FOLDERS
        .iter()
        .any(|folder| file.path.starts_with(folder))
    {
        return;
    }
    for (number, line) in shipped.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for name in OUTSIDE_WORLD.iter().filter(|name| code.contains(**name)) {
            let cure = format!("`{name}` in a PURE crate: take it as an argument");
            problems.push(Problem::at(&file.path, number + 1, cure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let file = TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&[file]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_says_first_what_it_owns() {
        assert_eq!(
            told("crates/gun-net/src/a.rs", "//! Owns a.\n"),
            Vec::<String>::new()
        );
        for text in ["", "use std::fmt;\n//! late\n", "/// Not a head.\n"] {
            assert_eq!(told("crates/gun-net/src/a.rs", text).len(), 1, "{text:?}");
        }
    }

    #[test]
    fn length_counts_without_tests() {
        let head = "//! Owns a.\n";
        let body = "const A: u8 = 1;\n".repeat(RUST_LINES_MAX - 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{body}}}\n");
        assert_eq!(
            told("xtask/src/a.rs", &format!("{head}{body}{tests}")),
            Vec::<String>::new()
        );
        assert_eq!(
            told("xtask/src/a.rs", &format!("{head}{body}const B: u8 = 1;\n")).len(),
            1
        );
        assert_eq!(
            told("xtask/src/a/tests.rs", &format!("{head}{body}{body}")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn words_of_one_machine_or_of_unfinished_work_are_told_with_their_line() {
        for Word { halves, .. } in WORDS {
            let told = told("docs/a.md", &format!("fine\nsee {}x\n", halves.concat()));
            assert_eq!(told.len(), 1, "{halves:?}");
            assert!(told[0].starts_with("docs/a.md:2: holds"), "{told:?}");
        }
    }

    #[test]
    fn the_tail_of_a_longer_path_and_test_data_are_fine() {
        let word = WORDS[0].halves.concat();
        assert_eq!(
            told(
                "docs/a.md",
                &format!("https://example.org{word}x and some{word}x\n")
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            told("testdata/a.json", &format!("{{\"path\":\"{word}x\"}}")),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_pure_crate_takes_clock_and_files_as_arguments() {
        let text = "//! Owns a.\nlet now = std::time::SystemTime::now();\n";
        assert_eq!(told("crates/gun/src/a.rs", text).len(), 1);
        assert_eq!(told("crates/gun-net/src/a.rs", text), Vec::<String>::new());
        assert_eq!(
            told("crates/gun/src/a.rs", "//! Owns a.\n// not std::fs here\n"),
            Vec::<String>::new()
        );
        assert_eq!(
            told("crates/gun/src/a/tests.rs", text),
            Vec::<String>::new()
        );
    }
}
