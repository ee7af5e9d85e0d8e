//! `cargo xtask structure`: the tree is the architecture, and this keeps it so. Owns reading the
//! repository and telling the problems; the rules stand in the modules, each a pure function over
//! what was read. Refuses to repair anything.

mod arrows;
mod documents;
mod pinning;
mod promises;
mod sources;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command;

/// Folders that hold what tools made, at any depth.
const SKIPPED_FOLDERS: &[&str] = &[".git", "node_modules", "target"];
/// A file that is longer is data, not text that somebody wrote.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A file of the repository: its path from the root with `/`, and its text.
#[derive(Debug)]
struct TextFile {
    path: String,
    text: String,
}

impl TextFile {
    /// Rust that only tests run: its own file, or a crate's `tests/` folder.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The text before an inline test module.
    fn shipped_text(&self) -> &str {
        self.text
            .split_once("#[cfg(test)]\nmod ")
            .map_or(&self.text, |(shipped, _)| shipped)
    }
}

/// One broken rule, told so that the reader knows where to go and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    path: String,
    /// Counted from 1; 0 stands for the whole file.
    line: usize,
    what: String,
}

impl Problem {
    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }

    fn of(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let root = command::root();
    let mut files = Vec::new();
    read_folder(&root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));

    let metadata = command::metadata()?;
    let mut problems = arrows::check(&metadata);
    problems.extend(documents::check(
        &files,
        &arrows::members(&metadata),
        &|path| root.join(path).exists(),
    ));
    problems.extend(sources::check(&files));
    problems.extend(pinning::check(&files));
    problems.extend(promises::check(&files));
    for problem in &problems {
        eprintln!("{problem}");
    }
    let summary = sources::summary(&files);
    println!("structure: {summary}; problems: {}", problems.len());
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{prefix}{name}/"), files)?;
        }
        if kind.is_file() && entry.metadata()?.len() <= TEXT_BYTES_MAX {
            // What is not UTF-8 is an image or the like: nothing to read in it.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(TextFile {
                    path: format!("{prefix}{name}"),
                    text,
                });
            }
        }
    }
    Ok(())
}
