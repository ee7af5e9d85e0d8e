//! Keys of the schemes of the past that can't be had from the records themselves
//! (`OIP_LEGACY_KEYS_FILE`). Owns the file's form.

use std::path::Path;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Most keys of either kind: each is tried on a record that does not say whose it is.
const KEYS_MAX: usize = 1_000;

/// What has to be given to open records of the past.
#[derive(Clone, Default)]
pub struct LegacyKeys {
    /// Users' salts.
    pub users: Vec<LegacyUser>,
    /// Organizations' owners.
    pub organizations: Vec<LegacyOrganization>,
}

/// A user of a deployed node.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegacyUser {
    /// His public key, 66 hex digits.
    pub public_key: String,
    /// His GUN salt, hex.
    #[serde(deserialize_with = "secret")]
    pub salt: Zeroizing<String>,
}

/// An organization of a deployed node.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegacyOrganization {
    /// Its public key, 66 hex digits.
    pub public_key: String,
    /// Its owner's private key, 64 hex digits.
    #[serde(deserialize_with = "secret")]
    pub owner_private_key: Zeroizing<String>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    users: Vec<LegacyUser>,
    #[serde(default)]
    organizations: Vec<LegacyOrganization>,
}

impl LegacyKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, to follow its name. Nothing of its content is told.
    pub fn read(path: &Path) -> Result<Self, String> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |error: std::io::Error| {
            format!("can't be read ({error}); name a file that this user may read")
        };
        let mode = std::fs::metadata(path)
            .map_err(failed)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(format!(
                "can be read by others (mode {:o}), and holds keys; chmod 600 it",
                mode & 0o777
            ));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
        let form: Form = serde_json::from_str(&text).map_err(|error| {
            // Where it is wrong, and not what stands there.
            format!(
                "is not in form at line {}, column {}; give {{\"users\": [{{\"publicKey\", \"salt\"}}], \"organizations\": [{{\"publicKey\", \"ownerPrivateKey\"}}]}}",
                error.line(),
                error.column()
            )
        })?;
        if form.users.len().max(form.organizations.len()) > KEYS_MAX {
            return Err(format!("names more than {KEYS_MAX} of a kind"));
        }
        Ok(Self {
            users: form.users,
            organizations: form.organizations,
        })
    }
}

impl std::fmt::Debug for LegacyKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "LegacyKeys({} users, {} organizations)",
            self.users.len(),
            self.organizations.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_or_that_is_malformed_is_refused_without_its_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.json");
        let read = |text: &str, mode: u32| {
            std::fs::write(&path, text).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            LegacyKeys::read(&path)
        };
        let good = r#"{"users": [{"publicKey": "02", "salt": "secret-salt"}]}"#;
        let keys = read(good, 0o600).expect("a good file");
        assert_eq!(format!("{keys:?}"), "LegacyKeys(1 users, 0 organizations)");
        for (text, mode, part) in [
            (good, 0o640, "chmod 600"),
            (r#"{"users": [{"salt": "secret-salt"}]}"#, 0o600, "line 1"),
            (r#"{"user": "secret-salt"}"#, 0o600, "not in form"),
        ] {
            let why = read(text, mode).expect_err(text);
            assert!(why.contains(part) && !why.contains("secret-salt"), "{why}");
        }
    }
}
