//! Writing results to stdout. A reader that has had enough (`… | head`) ends the program
//! quietly, as other tools do.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// Whom the result is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// People.
    Text,
    /// Programs: JSON on one line.
    Json,
}

/// Exit code of a program whose reader went away, as the shell counts SIGPIPE.
const READER_GONE: i32 = 141;

/// Writes `text` and a line end.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(READER_GONE),
        result => result.context("failed to write to stdout"),
    }
}

/// Writes `value` as JSON on one line.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value).context("failed to write the result as JSON")?)
}

/// `text` for a terminal: control characters, which could move the cursor or set colours, are
/// shown as escapes. Names and messages come from the open graph.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped = character.is_control().then(|| character.escape_default());
            let plain = (!character.is_control()).then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
