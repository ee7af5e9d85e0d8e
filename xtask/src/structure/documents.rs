//! What the documents claim about the tree. Owns finding paths in Markdown; refuses a path that
//! does not exist and a crate that ARCHITECTURE.md does not name.

use std::collections::BTreeMap;

use super::{Problem, TextFile};

/// The document that must name every crate.
const MAP: &str = "ARCHITECTURE.md";
/// Longer than this and nobody reads it whole.
const MAP_LINES_MAX: usize = 400;
/// What a path in backticks begins with when it is meant from the repository's root.
const ROOT_FOLDERS: &[&str] = &[
    ".cargo/",
    ".ci/",
    ".config/",
    "benches/",
    "crates/",
    "docs/",
    "fuzz/",
    "interop/",
    "testdata/",
    "web/",
    "xtask/",
];

pub(super) fn check(
    files: &[TextFile],
    members: &BTreeMap<String, String>,
    exists: &dyn Fn(&str) -> bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| is_document(&file.path)) {
        for (line, path) in named_paths(&file.path, &file.text) {
            if !exists(&path) {
                problems.push(Problem::at(
                    &file.path,
                    line,
                    format!("`{path}` does not exist"),
                ));
            }
        }
    }
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        problems.push(Problem::of(MAP, "is missing"));
        return problems;
    };
    for (name, folder) in members {
        if !map.text.contains(&format!("`{folder}`")) {
            problems.push(Problem::of(
                MAP,
                format!("does not name crate `{name}`: write `{folder}` in the code map"),
            ));
        }
    }
    let lines = map.text.lines().count();
    if lines > MAP_LINES_MAX {
        problems.push(Problem::of(
            MAP,
            format!("has {lines} lines, at most {MAP_LINES_MAX} are read"),
        ));
    }
    problems
}

/// Documents of the project itself; test data may hold Markdown of other origin.
fn is_document(path: &str) -> bool {
    path.ends_with(".md") && (!path.contains('/') || path.starts_with("docs/"))
}

/// Paths that a document names, from the repository's root, with their lines: code spans that
/// begin with a folder of the root, names of the root's documents, and targets of links.
fn named_paths(document: &str, text: &str) -> Vec<(usize, String)> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        for span in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|span| is_root_path(span))
        {
            found.push((number + 1, span.to_owned()));
        }
        for link in line.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((number + 1, joined(folder, target)));
            }
        }
    }
    found
}

fn is_root_path(span: &str) -> bool {
    // A pattern or a command line is not a path.
    if span.contains([' ', '*', '<', '…', '{', '$']) {
        return false;
    }
    let root_document = !span.contains('/')
        && (span.starts_with("LICENSE-")
            || span
                .strip_suffix(".md")
                .is_some_and(|stem| stem.chars().all(|c| c.is_ascii_uppercase())));
    root_document || ROOT_FOLDERS.iter().any(|folder| span.starts_with(folder))
}

/// `target` seen from `folder`, with `..` resolved.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn told(files: &[TextFile]) -> Vec<String> {
        let members = BTreeMap::from([("gun".to_owned(), "crates/gun".to_owned())]);
        let there = [
            "crates/gun",
            "docs/wire.md",
            "ARCHITECTURE.md",
            "LICENSE-MIT",
        ];
        let problems = check(files, &members, &|path| there.contains(&path));
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn paths_that_exist_are_fine_however_they_are_named() {
        let map = file(
            "ARCHITECTURE.md",
            "- `crates/gun`: [wire](docs/wire.md#frames), `LICENSE-MIT`\n",
        );
        let wire = file(
            "docs/wire.md",
            "see [the map](../ARCHITECTURE.md) and <https://example.org>\n",
        );
        assert_eq!(told(&[map, wire]), Vec::<String>::new());
    }

    #[test]
    fn a_path_that_is_gone_is_told_with_its_line() {
        let map = file(
            "ARCHITECTURE.md",
            "`crates/gun`\n\n`crates/gun/src/old.rs` and [x](docs/gone.md)\n",
        );
        assert_eq!(
            told(&[map]),
            [
                "ARCHITECTURE.md:3: `crates/gun/src/old.rs` does not exist",
                "ARCHITECTURE.md:3: `docs/gone.md` does not exist",
            ]
        );
    }

    #[test]
    fn commands_patterns_and_fenced_blocks_are_not_paths() {
        let text = "`crates/gun` `crates/*` `docs/adr/NNN-<title>.md` `cargo xtask demo`\n```\n`crates/none`\n```\n\
                    [elsewhere](https://example.org/a) [here](#part) `oip-gun.toml`\n";
        assert_eq!(told(&[file("ARCHITECTURE.md", text)]), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_the_map_does_not_name_is_told() {
        let told = told(&[file(
            "ARCHITECTURE.md",
            "nothing here, not even `crates/gun/src`\n",
        )]);
        assert!(
            told.iter()
                .any(|line| line.contains("does not name crate `gun`")),
            "{told:?}"
        );
    }

    #[test]
    fn a_missing_or_endless_map_is_told() {
        assert_eq!(told(&[]), ["ARCHITECTURE.md: is missing"]);
        let long = format!("`crates/gun`\n{}", "line\n".repeat(MAP_LINES_MAX));
        assert_eq!(told(&[file("ARCHITECTURE.md", &long)]).len(), 1);
    }

    #[test]
    fn markdown_in_test_data_claims_nothing() {
        let map = file("ARCHITECTURE.md", "`crates/gun`\n");
        assert_eq!(
            told(&[map, file("testdata/a.md", "`crates/none`\n")]),
            Vec::<String>::new()
        );
    }
}
