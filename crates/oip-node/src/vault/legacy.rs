//! Opening records that deployed nodes encrypted by the schemes of the past (`oip-formats` 4.1).
//!
//! Owns the keys made so far, and how many are made in a while: each costs tens of milliseconds, and
//! anybody can write a record that asks for one. Nothing is ever written in these schemes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use oip_vault::legacy::{self, Scheme};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::LegacyKeys;

/// Keys made at once: more than deployed nodes and users there are.
const MAKES_MAX: f64 = 1_000.0;

/// Keys made per second after that: some hundredths of a core.
const MAKES_PER_SECOND: f64 = 1.0;

/// Keys remembered; beyond it all are forgotten, and made again as [`MAKES_PER_SECOND`] lets.
const KEYS_MAX: usize = 10_000;

/// Opens what has a key.
pub(crate) struct Legacy {
    given: LegacyKeys,
    made: Mutex<Made>,
}

struct Made {
    keys: HashMap<[u8; 32], Zeroizing<[u8; 32]>>,
    left: f64,
    at: Instant,
}

/// What was inside, and by which scheme.
#[derive(Debug)]
pub(crate) struct Found {
    /// The data as it was signed: arrays still as texts.
    pub packed: Value,
    /// The scheme's name.
    pub scheme: &'static str,
}

impl Legacy {
    pub(crate) fn new(given: LegacyKeys) -> Self {
        Self {
            given,
            made: Mutex::new(Made {
                keys: HashMap::new(),
                left: MAKES_MAX,
                at: Instant::now(),
            }),
        }
    }

    /// Opens a record's data, if a key can be had. `meta` is what lies beside it, unsigned: a hint.
    pub(crate) fn open(
        &self,
        data: &Value,
        meta: &Map<String, Value>,
        creator_key: &str,
    ) -> Option<Found> {
        self.schemes(meta, creator_key)
            .into_iter()
            .filter(|scheme| legacy::fits(data, scheme))
            .find_map(|scheme| {
                let key = self.key(&scheme)?;
                let packed = legacy::open(data, &scheme, &key).ok()?;
                let scheme = scheme.label();
                Some(Found { packed, scheme })
            })
    }

    /// Those to try, the likeliest first.
    fn schemes(&self, meta: &Map<String, Value>, creator_key: &str) -> Vec<Scheme> {
        let text = |name: &str| meta.get(name).and_then(Value::as_str);
        let (by, organization) = (text("encryptedBy"), text("encryptedForOrganization"));
        let users = self.given.users.iter();
        let users = users.filter(|user| by.is_none_or(|by| by == user.public_key));
        let users = users.filter(|_| organization.is_none());
        let mut schemes: Vec<Scheme> = users
            .map(|user| Scheme::PerUser {
                public_key: user.public_key.clone(),
                salt: user.salt.to_string(),
            })
            .collect();
        if by.is_none() {
            let given = self.given.organizations.iter();
            schemes.extend(given.map(|organization| Scheme::Organization {
                owner_private_key: organization.owner_private_key.to_string(),
                public_key: organization.public_key.clone(),
            }));
        }
        schemes.extend(legacy::candidates(
            &Value::Object(meta.clone()),
            creator_key,
        ));
        schemes
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key, made once; `None` while too many were made.
    fn key(&self, scheme: &Scheme) -> Option<Zeroizing<[u8; 32]>> {
        let name = name_of(scheme);
        {
            let mut made = self.lock();
            if let Some(key) = made.keys.get(&name) {
                return Some(key.clone());
            }
            made.refill(Instant::now());
            if made.left < 1.0 {
                return None;
            }
            made.left -= 1.0;
        }
        let key = scheme.key();
        let mut made = self.lock();
        if made.keys.len() >= KEYS_MAX {
            made.keys.clear();
        }
        made.keys.insert(name, key.clone());
        Some(key)
    }

    /// Names what was given: when that changes, records are looked at again.
    pub(crate) fn fingerprint(&self) -> String {
        let users = self.given.users.iter().map(|user| Scheme::PerUser {
            public_key: user.public_key.clone(),
            salt: user.salt.to_string(),
        });
        let organizations = self.given.organizations.iter();
        let organizations = organizations.map(|organization| Scheme::Organization {
            owner_private_key: organization.owner_private_key.to_string(),
            public_key: organization.public_key.clone(),
        });
        let names = users.chain(organizations).map(|scheme| name_of(&scheme));
        names
            .map(|name| oip_record::soul::hex(&name))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl Made {
    fn refill(&mut self, now: Instant) {
        let waited = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + waited * MAKES_PER_SECOND).min(MAKES_MAX);
        self.at = now;
    }
}

/// What a key is made of, as a digest: secrets are no keys of tables.
fn name_of(scheme: &Scheme) -> [u8; 32] {
    let parts = match scheme {
        Scheme::PerUser { public_key, salt } => [&**public_key, salt],
        Scheme::PerUserFallback { public_key } => [public_key, ""],
        Scheme::Organization {
            owner_private_key,
            public_key,
        } => [&**owner_private_key, public_key],
        Scheme::OrganizationByDid { did } => [did, ""],
        Scheme::Scrypt | Scheme::Shared => ["", ""],
    };
    let text = Zeroizing::new(format!("{}\0{}\0{}", scheme.label(), parts[0], parts[1]));
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LegacyOrganization, LegacyUser};

    fn vectors() -> Vec<Value> {
        let file = include_str!("../../../../testdata/vectors/oip/crypto-vectors.json");
        let file: Value = serde_json::from_str(file).expect("the vectors");
        file["records"].as_array().expect("a list").clone()
    }

    /// What has to be given for a vector: nothing, where anybody has the key.
    fn given(vector: &Value) -> LegacyKeys {
        let password = vector["kdf"]["passwordUtf8"].as_str().expect("a password");
        let mut keys = LegacyKeys::default();
        match vector["kdf"]["saltUtf8"].as_str() {
            Some("oip-gun-encryption") => {
                let (public_key, salt) = password.split_once(':').expect("key and salt");
                keys.users.push(LegacyUser {
                    public_key: public_key.to_owned(),
                    salt: Zeroizing::new(salt.to_owned()),
                });
            }
            Some("oip-organization-owner-encryption") => {
                keys.organizations.push(LegacyOrganization {
                    owner_private_key: Zeroizing::new(password[..64].to_owned()),
                    public_key: password[64..].to_owned(),
                });
            }
            _ => {}
        }
        keys
    }

    #[test]
    fn every_vector_opens_from_what_is_given_and_what_the_record_says() {
        for vector in vectors() {
            let meta = vector["meta"].as_object().expect("meta");
            let needs = given(&vector);
            let is_given = needs.users.len() + needs.organizations.len() > 0;
            let (with, without) = (Legacy::new(needs), Legacy::new(LegacyKeys::default()));
            for name in ["dataSingle", "dataDouble", "data"] {
                let data = &vector[name];
                if !data.is_object() {
                    continue;
                }
                let found = with.open(data, meta, "a creator").expect("a key");
                assert_eq!(found.packed["post"]["articleText"], "hidden", "{vector}");
                let nobody = without.open(data, meta, "a creator").is_none();
                assert_eq!(nobody, is_given, "{}", vector["name"]);
            }
        }
    }

    #[test]
    fn keys_are_made_no_faster_than_the_bound() {
        let legacy = Legacy::new(LegacyKeys::default());
        legacy.lock().left = 1.0;
        let scheme = |key: &str| Scheme::PerUserFallback {
            public_key: key.to_owned(),
        };
        assert!(legacy.key(&scheme("a")).is_some());
        legacy.lock().left = 0.0;
        assert!(legacy.key(&scheme("b")).is_none());
        assert!(legacy.key(&scheme("a")).is_some(), "made before");
        let mut made = legacy.lock();
        let later = made.at + std::time::Duration::from_secs(2);
        made.refill(later);
        assert!(made.left >= 2.0);
    }
}
