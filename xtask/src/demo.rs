//! `cargo xtask demo`: sets up, builds the binary and hands over to `oip-gun demo`. Refuses to
//! show anything itself: what is on the screen comes from the real binary.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command;
use crate::interop::{self, Interop};

/// The dev build, because the demo is what a newcomer runs first: it shares every compiled
/// dependency with `cargo xtask test` and needs neither LTO nor full optimisation of the whole
/// stack. Cryptography and parsers are optimised in the dev profile too (`Cargo.toml`), so the
/// times in the table are milliseconds all the same. `cargo xtask bench` measures release builds.
const BUILD: &[&str] = &["build", "--package", "oip-gun", "--bin", "oip-gun"];

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Interop::Missing(why) = interop::set_up()? {
        eprintln!("no gun.js relay in this demo: {why}");
    }
    command::step(&mut command::cargo(BUILD))?;
    let mut demo = command::cargo(&["run", "--quiet", "--package", "oip-gun", "--bin", "oip-gun"]);
    let status = demo
        .args(["--", "demo"])
        .args(arguments)
        .status()
        .context("failed to start the demo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
