//! `cargo xtask lint`: everything CI asks of the text, cheapest first. Refuses warnings.

use std::process::ExitCode;

use anyhow::Result;

use crate::command::{cargo, step};
use crate::structure;

/// Clippy and rustdoc stand next to each other: both read the same checked dependencies, which
/// cargo then compiles once. Tests need them compiled to machine code, so those come last.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    step(&mut cargo(&["fmt", "--all", "--check"]))?;
    let structure = structure::run(&[])?;
    if structure != ExitCode::SUCCESS {
        return Ok(structure);
    }
    step(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    step(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(ExitCode::SUCCESS)
}
