//! The tests that a document names for what it promises. Refuses a name that no function bears: a promise whose test was
//! renamed or taken away is no longer kept by anything.

use std::collections::HashSet;

use super::{Problem, TextFile};

/// The document whose tables set a test beside each promise.
const PROMISES: &str = "docs/conformance.md";

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let Some(document) = files.iter().find(|file| file.path == PROMISES) else {
        return Vec::new();
    };
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    let functions: HashSet<&str> = rust.flat_map(|file| functions(&file.text)).collect();
    let mut problems = Vec::new();
    for (number, line) in document.text.lines().enumerate() {
        let spans = line.split('`').skip(1).step_by(2);
        let missing = spans.filter(|span| is_test_name(span) && !functions.contains(span));
        problems.extend(missing.map(|name| {
            let what = format!("no function is named `{name}`");
            Problem::at(PROMISES, number + 1, what)
        }));
    }
    problems
}

/// The names of the functions that a source defines.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| {
        let end =
            rest.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))?;
        Some(&rest[..end])
    })
}

/// Whether a code span is the name of a test: a fact takes several words.
fn is_test_name(span: &str) -> bool {
    let words = span.split('_').count();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    words >= 3 && span.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_whose_test_is_gone_is_told_with_its_line() {
        let file = |path: &str, text: &str| TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let files = [
            file(
                "a.rs",
                "#[test]\nfn it_is_so() {}\nasync fn and_so_is_it<T>() {}",
            ),
            file(
                PROMISES,
                "| promise | test |\n| one | `it_is_so`, `and_so_is_it` |\n| two | `it_was_once`, `two_words`, `a/b_c_d.rs` |\n",
            ),
        ];
        let told: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["docs/conformance.md:3: no function is named `it_was_once`"]
        );
    }
}
