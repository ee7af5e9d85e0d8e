//! Key files under a passphrase: Argon2id (RFC 9106) turns it into a key, AES-256-GCM locks the text.
//!
//! Owns the form of a locked file, a JSON object with `locked`, and how dear it is to try a passphrase. A file is bound to
//! its name, so that one can't stand for another. Refuses costs that would take a machine's memory: the
//! file may come from a backup that anybody could write.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The name of the form.
const FORM: &str = "oip-key-1";

/// The name of the function that makes a key of a passphrase.
const KDF: &str = "argon2id";

/// Random bytes that make equal passphrases different keys.
pub const SALT_BYTES: usize = 16;

/// Shortest passphrase that files are locked with. A try takes some 0.1 s and 64 MiB: twelve characters
/// that nobody thinks of outlast whoever tries, eight don't.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

/// What a try costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Times the memory is gone through.
    pub passes: u32,
    /// Parts of the memory that could be filled side by side.
    pub lanes: u32,
}

/// What files are locked with: the second choice of RFC 9106 section 4, for machines that can't give 2 GiB.
pub const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};

/// Most that a file may ask for: 1 GiB, and a minute of a slow machine.
const COST_MAX: Cost = Cost {
    memory_kib: 1024 * 1024,
    passes: 32,
    lanes: 64,
};

/// Why a file stays locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Not in this form.
    #[error("the locked key is not in a form that this version reads")]
    Form,
    /// It asks for more memory or time than a key file should.
    #[error("the locked key asks for more memory or time than this version gives")]
    Cost,
    /// Another passphrase, or a file that was changed.
    #[error("the passphrase does not open it")]
    Passphrase,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Locked {
    locked: String,
    kdf: String,
    cost: Cost,
    salt: String,
    iv: String,
    sealed: String,
}

impl Locked {
    fn parse(text: &str) -> Result<Self, LockError> {
        let locked: Self = serde_json::from_str(text).map_err(|_| LockError::Form)?;
        match locked.locked == FORM && locked.kdf == KDF {
            true => Ok(locked),
            false => Err(LockError::Form),
        }
    }
}

/// Whether the text of a key file is locked, or claims to be.
#[must_use]
pub fn is_locked(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|file| !file["locked"].is_null())
}

/// The key that a passphrase gives with one salt: dear to make, and then kept.
pub struct Lock {
    salt: [u8; SALT_BYTES],
    cost: Cost,
    key: LessSafeKey,
}

impl Lock {
    /// Makes the key for new files.
    ///
    /// # Errors
    /// [`LockError::Cost`] for costs out of bounds.
    pub fn new(passphrase: &str, salt: [u8; SALT_BYTES], cost: Cost) -> Result<Self, LockError> {
        let within = cost.memory_kib <= COST_MAX.memory_kib
            && cost.passes <= COST_MAX.passes
            && cost.lanes <= COST_MAX.lanes;
        if !within {
            return Err(LockError::Cost);
        }
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
        let params = params.map_err(|_| LockError::Cost)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
            .map_err(|_| LockError::Cost)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| LockError::Form)?;
        Ok(Self {
            salt,
            cost,
            key: LessSafeKey::new(key),
        })
    }

    /// Makes the key for a locked file.
    ///
    /// # Errors
    /// [`LockError`] of the form. Whether the passphrase is right only [`Self::unlock`] tells.
    pub fn of(passphrase: &str, text: &str) -> Result<Self, LockError> {
        let locked = Locked::parse(text)?;
        Self::new(passphrase, bytes(&locked.salt)?, locked.cost)
    }

    /// Whether a locked file was locked with this very key, if the passphrase is the same.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        Locked::parse(text).is_ok_and(|locked| {
            locked.cost == self.cost && bytes(&locked.salt).is_ok_and(|salt| salt == self.salt)
        })
    }

    /// Locks the text of the file `name`. The `iv` must be fresh from the system's randomness.
    ///
    /// # Errors
    /// [`LockError::Form`] for a text too long to be one of a key.
    pub fn lock(&self, name: &str, text: &str, iv: [u8; NONCE_LEN]) -> Result<String, LockError> {
        let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, bound_to(name), sealed.as_mut_slice())
            .map_err(|_| LockError::Form)?;
        let locked = Locked {
            locked: FORM.to_owned(),
            kdf: KDF.to_owned(),
            cost: self.cost,
            salt: STANDARD.encode(self.salt),
            iv: STANDARD.encode(iv),
            sealed: STANDARD.encode([sealed.as_slice(), tag.as_ref()].concat()),
        };
        serde_json::to_string(&locked).map_err(|_| LockError::Form)
    }

    /// Gives the text of the locked file `name`.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn unlock(&self, name: &str, text: &str) -> Result<Zeroizing<String>, LockError> {
        let locked = Locked::parse(text)?;
        let nonce = Nonce::assume_unique_for_key(bytes(&locked.iv)?);
        let sealed = STANDARD.decode(&locked.sealed);
        let mut sealed = Zeroizing::new(sealed.map_err(|_| LockError::Form)?);
        let opened = self
            .key
            .open_in_place(nonce, bound_to(name), sealed.as_mut_slice())
            .map_err(|_| LockError::Passphrase)?;
        let text = std::str::from_utf8(opened).map_err(|_| LockError::Form)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Lock(not shown)")
    }
}

fn bound_to(name: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("{FORM} {name}").into_bytes())
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], LockError> {
    let bytes = STANDARD.decode(text).map_err(|_| LockError::Form)?;
    bytes.try_into().map_err(|_| LockError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As little as Argon2 takes: these tests are about the form.
    const CHEAP: Cost = Cost {
        memory_kib: 32,
        passes: 1,
        lanes: 4,
    };

    fn lock(passphrase: &str) -> Lock {
        Lock::new(passphrase, [7; SALT_BYTES], CHEAP).unwrap()
    }

    #[test]
    fn a_locked_text_opens_with_its_passphrase_under_its_name_alone() {
        let text = "{\"d\":\"a secret\"}";
        let locked = lock("right").lock("identity.json", text, [1; 12]).unwrap();
        assert!(is_locked(&locked) && !is_locked(text) && !locked.contains("secret"));
        let again = Lock::of("right", &locked).unwrap();
        assert!(again.fits(&locked));
        assert_eq!(*again.unlock("identity.json", &locked).unwrap(), text);
        let wrong = Lock::of("wrong", &locked).unwrap();
        let refused = Err(LockError::Passphrase);
        assert_eq!(wrong.unlock("identity.json", &locked), refused);
        assert_eq!(again.unlock("creator.json", &locked), refused);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let locked = lock("right").lock("a.json", "text", [1; 12]).unwrap();
        for at in 0..locked.len() {
            let mut changed = locked.clone().into_bytes();
            changed[at] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else {
                continue;
            };
            let opened =
                Lock::of("right", &changed).and_then(|lock| lock.unlock("a.json", &changed));
            assert!(opened.is_err(), "{changed}");
        }
    }

    #[test]
    fn a_file_that_asks_for_too_much_is_refused_before_it_gets_it() {
        for cost in [
            Cost {
                memory_kib: COST_MAX.memory_kib + 1,
                ..CHEAP
            },
            Cost {
                passes: COST_MAX.passes + 1,
                ..CHEAP
            },
            Cost {
                lanes: COST_MAX.lanes + 1,
                ..CHEAP
            },
            Cost {
                memory_kib: 0,
                ..CHEAP
            },
            Cost { passes: 0, ..CHEAP },
            Cost { lanes: 0, ..CHEAP },
        ] {
            let made = Lock::new("right", [7; SALT_BYTES], cost);
            assert_eq!(made.err(), Some(LockError::Cost), "{cost:?}");
        }
    }

    #[test]
    fn the_key_is_a_function_of_passphrase_salt_and_cost() {
        let keys: Vec<String> = [("right", 7), ("wrong", 7), ("right", 8)]
            .into_iter()
            .map(|(passphrase, salt)| {
                let lock = Lock::new(passphrase, [salt; SALT_BYTES], CHEAP).unwrap();
                lock.lock("a", "text", [1; 12]).unwrap()
            })
            .collect();
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        assert_eq!(keys[0], lock("right").lock("a", "text", [1; 12]).unwrap());
    }
}
