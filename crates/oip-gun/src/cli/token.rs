//! The admin token's file in the data folder: made at first start, readable by its owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use aws_lc_rs::rand;

use crate::settings::AdminToken;

/// 256 bits: beyond guessing for ever.
const TOKEN_BYTES: usize = 32;

/// The token in `path`, if there is a readable one.
pub(crate) fn read(path: &Path) -> Option<AdminToken> {
    AdminToken::new(fs::read_to_string(path).ok()?.trim()).ok()
}

/// The token in `path`, which is made if it isn't there.
pub(super) fn read_or_make(path: &Path) -> anyhow::Result<AdminToken> {
    match fs::read_to_string(path) {
        Ok(text) => {
            keep_to_owner(path)?;
            AdminToken::new(text.trim()).map_err(|why| {
                anyhow::anyhow!(
                    "the admin token in {} {why}; delete the file to have a new one made",
                    path.display()
                )
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error)
            .with_context(|| format!("failed to read the admin token in {}", path.display())),
    }
}

fn make(path: &Path) -> anyhow::Result<AdminToken> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no randomness for the admin token"))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()
    });
    written.with_context(|| format!("failed to write the admin token to {}", path.display()))?;
    AdminToken::new(&text).map_err(|why| anyhow::anyhow!("the new admin token {why}"))
}

/// Takes the file away from other users of the machine, if a copy or a restore gave it to them.
#[cfg(unix)]
fn keep_to_owner(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .with_context(|| format!("failed to look at {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(
        path = %path.display(),
        "other users could read the admin token; the file is now its owner's alone"
    );
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("failed to protect {}", path.display()))
}

#[cfg(not(unix))]
fn keep_to_owner(_path: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-token");
        let made = read_or_make(&path).unwrap();
        assert_eq!(made.text().len(), 64);
        assert!(read_or_make(&path).unwrap() == made);
        assert!(read(&path).unwrap() == made);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_belongs_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-token");
        read_or_make(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        read_or_make(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_damaged_token_file_is_named_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-token");
        fs::write(&path, "two words\n").unwrap();
        let message = read_or_make(&path).unwrap_err().to_string();
        assert!(message.contains("holds a blank"), "{message}");
        assert!(message.contains("delete the file"), "{message}");
    }
}
