//! `cargo xtask demo`: sets up, builds the binary and hands over to `oip-gun demo`. Refuses to
//! show anything itself: what is on the screen comes from the real binary.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::command;
use crate::interop::{self, Interop};

/// A dev build, because the demo is what a newcomer runs first: it needs neither LTO nor full
/// optimisation of the whole stack, and `cargo xtask test` goes on with what it compiled.
/// Dependencies are optimised in the dev profile too (`Cargo.toml`), so the times in the table are
/// milliseconds all the same; `cargo xtask bench` measures release builds.
///
/// `--workspace` gives the dependencies the features that the tests will ask of them. With
/// `--package oip-gun` some have fewer, and everything above those would be compiled twice.
const BUILD: &[&str] = &["build", "--workspace", "--bin", "oip-gun"];

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Interop::Missing(why) = interop::set_up()? {
        eprintln!("no gun.js relay in this demo: {why}");
    }
    command::step(&mut command::cargo(BUILD))?;
    let program = command::program(&command::metadata()?, "debug");
    let status = Command::new(&program)
        .arg("demo")
        .args(arguments)
        .status()
        .with_context(|| format!("failed to start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
