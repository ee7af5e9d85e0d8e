//! Whether the outside judges are here: Node.js and the `gun` package in `interop/`.
//!
//! Without them a test says that it was skipped and passes; with `OIP_INTEROP=required` in
//! the environment it fails instead, so that a run which has to judge can't skip by accident.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Environment variable that turns a skipped interop test into a failed one.
const REQUIRED_VARIABLE: &str = "OIP_INTEROP";

/// Proof that Node.js and the `gun` package are here, and where.
#[derive(Debug, Clone)]
pub struct Interop {
    folder: PathBuf,
}

impl Interop {
    /// The folder with `relay.js`, `client.js` and `node_modules`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop")
}

/// What is missing for interop tests, if anything.
fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<&'static str>> = OnceLock::new();
    *MISSING.get_or_init(|| {
        let node = Command::new("node")
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !node.is_ok_and(|status| status.success()) {
            Some("Node.js is not installed")
        } else if !folder().join("node_modules/gun/gun.js").is_file() {
            Some("the gun package is not installed: run `npm ci` in interop/")
        } else {
            None
        }
    })
}

/// Whether Node.js and the `gun` package are here.
#[must_use]
pub fn node_available() -> bool {
    missing().is_none()
}

/// Whether a missing judge is a failure.
pub(crate) fn interop_is_required() -> bool {
    std::env::var(REQUIRED_VARIABLE).is_ok_and(|value| value == "required")
}

/// The outside judges, or `None` after printing why the test is skipped.
///
/// # Panics
/// When they are missing and `OIP_INTEROP=required` is set.
#[must_use]
pub fn interop() -> Option<Interop> {
    let Some(missing) = missing() else {
        return Some(Interop { folder: folder() });
    };
    assert!(
        !interop_is_required(),
        "{REQUIRED_VARIABLE}=required, but {missing}"
    );
    eprintln!("skipped: {missing}");
    None
}
