//! The outside judge: gun.js, installed into `interop/` from its lock file. Owns when an install
//! is needed and how often it is tried; refuses to install Node.js itself.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::command;

/// Package registries drop a connection now and then; a third try has always been enough.
const INSTALL_TRIES: u32 = 3;
/// Pause before another try, times the number of the try.
const INSTALL_PAUSE: Duration = Duration::from_secs(5);
/// Set to `required` by CI: a machine without Node.js then fails instead of skipping interop.
pub(crate) const REQUIREMENT: &str = "OIP_INTEROP";

/// Whether gun.js can be started on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interop {
    /// Node.js and the packages are there.
    Ready,
    /// It can't, and why.
    Missing(String),
}

/// `cargo xtask setup`.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    match set_up()? {
        Interop::Ready => println!("interop: ready"),
        Interop::Missing(why) => println!("interop: {why}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs the packages if they are missing or older than the lock file.
///
/// # Errors
///
/// Fails when `OIP_INTEROP=required` and gun.js can't be made ready.
pub(crate) fn set_up() -> Result<Interop> {
    let found = look_and_install(&command::root().join("interop"));
    if let Interop::Missing(why) = &found
        && std::env::var(REQUIREMENT).is_ok_and(|value| value == "required")
    {
        bail!("{REQUIREMENT}=required, but {why}");
    }
    Ok(found)
}

fn look_and_install(folder: &Path) -> Interop {
    if command::output("node", &["--version"]).is_none() {
        return Interop::Missing("Node.js is not installed (18 or later is enough)".to_owned());
    }
    if is_current(folder) {
        return Interop::Ready;
    }
    for attempt in 1..=INSTALL_TRIES {
        // Scripts stay off: gun and its dependencies run from their sources as they are.
        let arguments = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ];
        match command::step(Command::new("npm").args(arguments).current_dir(folder)) {
            Ok(()) => return Interop::Ready,
            Err(error) => eprintln!("try {attempt} of {INSTALL_TRIES}: {error:#}"),
        }
        if attempt < INSTALL_TRIES {
            std::thread::sleep(INSTALL_PAUSE * attempt);
        }
    }
    Interop::Missing("the gun package could not be installed (see npm's messages above)".to_owned())
}

/// npm writes the hidden lock file last: it is there, and newer than ours, only after an install
/// that went through.
fn is_current(folder: &Path) -> bool {
    let changed = |path: &str| {
        folder
            .join(path)
            .metadata()
            .and_then(|data| data.modified())
            .ok()
    };
    match (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) {
        (Some(installed), Some(locked)) => installed >= locked,
        _ => false,
    }
}
