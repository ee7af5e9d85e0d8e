//! Running other programs from the repository's root. Owns where the root is and how a failed
//! step is told; refuses shells: every argument reaches the program as it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The repository's root folder: the parent of this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs this task (a toolchain override holds for the steps too).
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Says what is run, runs it with this terminal's input and output, and fails if it failed.
pub(crate) fn step(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("> {line}");
    let status = command
        .status()
        .with_context(|| format!("failed to start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// The output of a quiet command, or `None` when the program is missing or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What cargo knows of the workspace and everything it depends on.
pub(crate) fn metadata() -> Result<Value> {
    let output = cargo(&["metadata", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("failed to read cargo's metadata")
}

/// The program that a build of `profile` (`debug` or `release`) left in cargo's target folder.
pub(crate) fn program(metadata: &Value, profile: &str) -> PathBuf {
    let target = metadata["target_directory"]
        .as_str()
        .map_or_else(root, PathBuf::from);
    let name = format!("oip-gun{}", std::env::consts::EXE_SUFFIX);
    target.join(profile).join(name)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_stem()
        .unwrap_or_default();
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
