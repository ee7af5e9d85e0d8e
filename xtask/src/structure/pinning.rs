//! Where packages come from. Owns that both lock files name the public registries and nothing
//! else, and that cargo's configuration redirects nothing, so that a clone builds anywhere.

use super::{Problem, TextFile};

const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";
const PACKAGES: &str = "https://registry.npmjs.org/";

pub(super) fn check(files: &[TextFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        for (number, line) in file.text.lines().enumerate() {
            let line = line.trim();
            let fault = match name {
                "Cargo.lock" => foreign_crate(line),
                "package-lock.json" => foreign_package(line),
                "config.toml" if file.path.starts_with(".cargo/") => redirection(line),
                ".npmrc" => npm_redirection(line),
                _ => None,
            };
            problems.extend(fault.map(|what| Problem::at(&file.path, number + 1, what)));
        }
    }
    problems
}

fn foreign_crate(line: &str) -> Option<&'static str> {
    let source = line.strip_prefix("source = ")?;
    (source.trim_matches('"') != CRATES).then_some("a crate that is not from crates.io")
}

fn foreign_package(line: &str) -> Option<&'static str> {
    let address = line
        .strip_prefix("\"resolved\":")?
        .trim()
        .trim_start_matches('"');
    (!address.starts_with(PACKAGES)).then_some("a package that is not from the public npm registry")
}

fn redirection(line: &str) -> Option<&'static str> {
    let redirects = ["[source", "[registries", "[registry", "[net"]
        .iter()
        .any(|table| line.starts_with(table));
    redirects.then_some(
        "sends cargo to another registry: that belongs into the user's own configuration",
    )
}

fn npm_redirection(line: &str) -> Option<&'static str> {
    let redirects = line.contains("registry=") && !line.contains(PACKAGES.trim_end_matches('/'));
    redirects
        .then_some("sends npm to another registry: that belongs into the user's own configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> usize {
        check(&[TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
        .len()
    }

    #[test]
    fn public_registries_are_fine() {
        assert_eq!(told("Cargo.lock", &format!("source = \"{CRATES}\"\n")), 0);
        assert_eq!(
            told(
                "interop/package-lock.json",
                &format!("  \"resolved\": \"{PACKAGES}gun/-/gun.tgz\",\n")
            ),
            0
        );
        assert_eq!(told(".cargo/config.toml", "[alias]\nxtask = \"run\"\n"), 0);
    }

    #[test]
    fn mirrors_git_sources_and_redirections_are_told() {
        assert_eq!(
            told("Cargo.lock", "source = \"git+https://example.org/a\"\n"),
            1
        );
        assert_eq!(
            told(
                "Cargo.lock",
                "source = \"registry+https://mirror.example.org/index\"\n"
            ),
            1
        );
        assert_eq!(
            told(
                "interop/package-lock.json",
                "\"resolved\": \"https://mirror.example.org/gun.tgz\",\n"
            ),
            1
        );
        assert_eq!(
            told(
                ".cargo/config.toml",
                "[source.crates-io]\nreplace-with = \"mirror\"\n"
            ),
            1
        );
        assert_eq!(
            told("interop/.npmrc", "registry=https://mirror.example.org/\n"),
            1
        );
    }
}
