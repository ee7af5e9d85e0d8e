//! Tokens with a scope, for machines (`trust-and-privacy` 7): made and revoked by the operator, each under a name.
//!
//! Owns the file of them, which holds a hash of each token and never the token: a token is 256 random bits,
//! shown once when it is made, so that a plain hash of it can't be tried. Refuses names that are taken: what a
//! machine published belongs to its name, also after its token was replaced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oip_record::Stamp;
use oip_record::soul::hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Tokens of one node: one for each of its machines, and far too few to slow a lookup.
pub(super) const TOKENS_MAX: usize = 1_000;

/// Longest name; it stands in the audit trail.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// Longest life: ten years. Beyond that a token should have no end, and be revoked.
pub(super) const LIFE_S_MAX: u64 = 10 * 366 * 24 * 60 * 60;

/// 256 bits: beyond guessing for ever.
const TOKEN_BYTES: usize = 32;

/// What every token begins with, so that one that lies where it should not is found by its looks.
const PREFIX: &str = "oipgun_";

/// Version of the file's form.
const FORM: u32 = 1;

/// What the holder of a token may do. Each scope holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read what is public.
    Read,
    /// Publish under the node's creator key, and edit and delete what was published under the token's name.
    Publish,
    /// Everything that the operator's own token may.
    Admin,
}

impl Scope {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Admin => "admin",
        }
    }
}

/// What is known of a token beside its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    /// Its name, one token's alone.
    pub name: String,
    /// What its holder may do.
    pub scope: Scope,
    /// When it was made, ms since 1970.
    pub created_ms: i64,
    /// When it ends, ms since 1970; never if `None`.
    pub expires_ms: Option<i64>,
}

impl Machine {
    /// Whether it has ended.
    pub(super) fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }

    /// When it ends, as a text.
    pub(super) fn end(&self) -> Option<String> {
        let end = self.expires_ms?;
        Some(Stamp::from_ms(end).as_str().to_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    tokens: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    sha256: String,
    #[serde(flatten)]
    machine: Machine,
}

/// Why a token was not made or revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineTokenError {
    /// Not a name.
    #[error(
        "the name {0:?} is not one: give 1 to {NAME_CHARS_MAX} letters, digits, -, _ and dots, such as backup-job"
    )]
    Name(String),
    /// There is one of that name.
    #[error("there is a token named {0} already: revoke that one first, or give another name")]
    Taken(String),
    /// There is none of that name.
    #[error("there is no token named {0}: `oip-gun tokens list` shows those there are")]
    Unknown(String),
    /// A life of no time or of too much.
    #[error(
        "a token lives 1 s to ten years: give another time, or none for a token without an end"
    )]
    Life,
    /// Over `TOKENS_MAX`.
    #[error("there are {TOKENS_MAX} tokens already: revoke some")]
    TooMany,
    /// The system gave no random numbers.
    #[error("the system gives no randomness for a token")]
    Random,
    /// The file can't be read or written.
    #[error(
        "failed to access the file of tokens {path}: {source}; make sure that this user may read and write it"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not in this form.
    #[error(
        "the file of tokens {path} is not usable: {source}; restore it from a backup, or delete it and make new tokens"
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file was written by a later version of this program.
    #[error(
        "the file of tokens {path} has form {form}, and this version reads {FORM}: start a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        form: u32,
    },
}

/// The tokens of a node. Its `Debug` text shows none.
#[derive(Default)]
pub struct MachineTokens {
    /// Without a file, tokens end with the process.
    path: Option<PathBuf>,
    /// By the hash of the token.
    held: RwLock<BTreeMap<String, Machine>>,
    /// Held while the file changes.
    writing: Mutex<()>,
}

impl MachineTokens {
    /// Reads the tokens in a file, which need not be there.
    ///
    /// # Errors
    /// [`MachineTokenError`] of the file.
    pub fn open(path: PathBuf) -> Result<Self, MachineTokenError> {
        let held = match std::fs::read_to_string(&path) {
            Ok(text) => read(&path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(MachineTokenError::File { path, source }),
        };
        Ok(Self {
            path: Some(path),
            held: RwLock::new(held),
            writing: Mutex::new(()),
        })
    }

    /// Who sends this token, also if it has ended.
    pub(super) fn find(&self, token: &[u8]) -> Option<Machine> {
        // A look at the beginning first: users' tokens are longer, and far more.
        if !token.starts_with(PREFIX.as_bytes()) {
            return None;
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&hash_of(token)).cloned()
    }

    /// All of them, by name.
    pub(super) fn list(&self) -> Vec<Machine> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Machine> = held.values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Makes one that is in force, and in the file, when this returns. Gives the token itself, which is kept nowhere.
    ///
    /// # Errors
    /// [`MachineTokenError`]; then there is none.
    pub(super) fn create(
        &self,
        name: &str,
        scope: Scope,
        life_s: Option<u64>,
        now_ms: i64,
    ) -> Result<(String, Machine), MachineTokenError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(fits) {
            return Err(MachineTokenError::Name(name.to_owned()));
        }
        let life_ms = match life_s {
            None => None,
            Some(life_s @ 1..=LIFE_S_MAX) => i64::try_from(life_s * 1_000).ok(),
            Some(_) => return Err(MachineTokenError::Life),
        };
        let mut random = [0; TOKEN_BYTES];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| MachineTokenError::Random)?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let machine = Machine {
            name: name.to_owned(),
            scope,
            created_ms: now_ms,
            expires_ms: life_ms.map(|life| now_ms + life),
        };
        let made = machine.clone();
        self.change(|held| {
            if held.values().any(|other| other.name == machine.name) {
                return Err(MachineTokenError::Taken(machine.name));
            }
            if held.len() >= TOKENS_MAX {
                return Err(MachineTokenError::TooMany);
            }
            held.insert(hash_of(token.as_bytes()), machine);
            Ok(())
        })?;
        Ok((token, made))
    }

    /// Ends the one with this name, at once and for good.
    ///
    /// # Errors
    /// [`MachineTokenError`]; then it is in force as before.
    pub(super) fn revoke(&self, name: &str) -> Result<(), MachineTokenError> {
        self.change(|held| {
            let before = held.len();
            held.retain(|_, machine| machine.name != name);
            match held.len() < before {
                true => Ok(()),
                false => Err(MachineTokenError::Unknown(name.to_owned())),
            }
        })
    }

    /// Changes the tokens: in the file first, then for callers.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Machine>) -> Result<(), MachineTokenError>,
    ) -> Result<(), MachineTokenError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = self
            .held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        change(&mut tokens)?;
        if let Some(path) = &self.path {
            write(path, &tokens)?;
        }
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }
}

impl std::fmt::Debug for MachineTokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("MachineTokens(not shown)")
    }
}

/// The time, ms since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn hash_of(token: &[u8]) -> String {
    hex(digest(&SHA256, token).as_ref())
}

fn read(path: &Path, text: &str) -> Result<BTreeMap<String, Machine>, MachineTokenError> {
    let form = |source| MachineTokenError::Form {
        path: path.to_owned(),
        source,
    };
    let version: serde_json::Value = serde_json::from_str(text).map_err(form)?;
    if let Some(later) = version["v"].as_u64().filter(|v| *v > u64::from(FORM)) {
        return Err(MachineTokenError::Newer {
            path: path.to_owned(),
            form: u32::try_from(later).unwrap_or(u32::MAX),
        });
    }
    let file: File = serde_json::from_value(version).map_err(form)?;
    let rows = file.tokens.into_iter();
    Ok(rows.map(|row| (row.sha256, row.machine)).collect())
}

fn write(path: &Path, tokens: &BTreeMap<String, Machine>) -> Result<(), MachineTokenError> {
    let rows = tokens.iter().map(|(sha256, machine)| Row {
        sha256: sha256.clone(),
        machine: machine.clone(),
    });
    let file = File {
        v: FORM,
        tokens: rows.collect(),
    };
    let text = serde_json::to_string(&file).map_err(|source| MachineTokenError::Form {
        path: path.to_owned(),
        source,
    })?;
    oip_node::keyring::write_secret(path, &text).map_err(|source| MachineTokenError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    #[test]
    fn a_token_is_found_after_a_restart_and_its_file_holds_no_token() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let tokens = MachineTokens::open(path.clone()).unwrap();
        let (token, made) = tokens
            .create("backup-job", Scope::Publish, Some(60), NOW_MS)
            .unwrap();
        assert!(token.starts_with(PREFIX) && token.len() == PREFIX.len() + 43);
        let again = MachineTokens::open(path.clone()).unwrap();
        assert_eq!(again.find(token.as_bytes()), Some(made.clone()));
        assert_eq!(again.list(), std::slice::from_ref(&made));
        assert!(!made.is_expired(NOW_MS + 59_999) && made.is_expired(NOW_MS + 60_000));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&token[PREFIX.len()..]), "{text}");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        again.revoke("backup-job").unwrap();
        assert_eq!(again.find(token.as_bytes()), None);
        let revoked = MachineTokens::open(path).unwrap();
        assert_eq!(revoked.find(token.as_bytes()), None);
    }

    #[test]
    fn names_lives_and_numbers_have_bounds() {
        let tokens = MachineTokens::default();
        let create = |name: &str, life| tokens.create(name, Scope::Read, life, NOW_MS);
        create(&"n".repeat(NAME_CHARS_MAX), Some(LIFE_S_MAX)).unwrap();
        for name in ["", "a b", "é", "a/b", &"n".repeat(NAME_CHARS_MAX + 1)] {
            assert!(matches!(
                create(name, None),
                Err(MachineTokenError::Name(_))
            ));
        }
        for life in [0, LIFE_S_MAX + 1] {
            let refused = create("life", Some(life));
            assert!(matches!(refused, Err(MachineTokenError::Life)));
        }
        create("twice", None).unwrap();
        let refused = create("twice", None);
        assert!(matches!(refused, Err(MachineTokenError::Taken(_))));
        let refused = tokens.revoke("nobody");
        assert!(matches!(refused, Err(MachineTokenError::Unknown(_))));
        for n in 2..TOKENS_MAX {
            create(&format!("n{n}"), None).unwrap();
        }
        let refused = create("one-more", None);
        assert!(matches!(refused, Err(MachineTokenError::TooMany)));
    }

    #[test]
    fn a_damaged_file_and_a_later_one_are_named_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        for (text, cure) in [
            ("{", "delete it and make new tokens"),
            ("{\"v\":1}", "delete it and make new tokens"),
            ("{\"v\":2,\"tokens\":[]}", "start a newer one"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = MachineTokens::open(path.clone()).unwrap_err().to_string();
            assert!(error.contains(cure), "{error}");
        }
    }
}
