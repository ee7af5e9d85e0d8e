//! A folder for a dry run: a store that is thrown away, beside the node's own keys. What is judged in it is
//! judged as an import judges it, by what was read before too.

use std::path::{Path, PathBuf};

use crate::random;

/// Removed with all that is in it when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the system's folder for temporary files, for this user alone.
    pub(super) fn beside(data_dir: &Path) -> std::io::Result<Self> {
        let name = format!("oip-gun-dry-run-{:016x}", random::number());
        let path = std::env::temp_dir().join(name);
        make_private(&path)?;
        let scratch = Self(path);
        let keys = data_dir.join("keys");
        if keys.is_dir() {
            link(&std::path::absolute(keys)?, &scratch.0.join("keys"))?;
        }
        Ok(scratch)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in a folder for what is temporary. Links are removed, not followed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(from, to)
}
