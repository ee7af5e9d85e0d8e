//! `cargo xtask differential`: the same random operations fed to gun.js and to us, as many as wanted.
//! Owns the call; the run itself is a test of `oip-gun`, which says there what it compares.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::interop::{self, Interop};

/// Operations of a nightly run; the tests run a tenth.
const OPERATIONS: &str = "1000000";
const OPERATIONS_VARIABLE: &str = "OIP_DIFFERENTIAL_OPS";
const SEED_VARIABLE: &str = "OIP_DIFFERENTIAL_SEED";

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut operations = OPERATIONS.to_owned();
    let mut seed = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest
            .next()
            .with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--ops" => operations.clone_from(value),
            "--seed" => seed = Some(value),
            unknown => bail!("unknown option {unknown:?}: there are --ops and --seed"),
        }
    }
    if let Interop::Missing(why) = interop::set_up()? {
        bail!("there is no gun.js to compare with: {why}");
    }
    let mut command = command::cargo(&[
        "test",
        "--workspace",
        "--test",
        "interop",
        "--",
        "differential",
    ]);
    command.env(OPERATIONS_VARIABLE, operations);
    if let Some(seed) = seed {
        command.env(SEED_VARIABLE, seed);
    }
    command::step(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
