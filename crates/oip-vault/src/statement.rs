//! What a node says of itself, in its own user space: `~<pub>/oip/node`, key `statement`
//! (`trust-and-privacy` 2). Relays that speak SEA verify it; readers here do so again.
//!
//! Owns the form and what it proves: that the holder of `pub` named this encryption key. Refuses
//! one that another wrote by certificate, an id that is not the hash of the key, and a key id
//! that is not the key's. That `seq` never goes back is for those who remember the last one.

use gun::graph::Entry;
use gun::sea::{self, SeaError, Unavailable};
use gun::{Key, Soul, State, Value};
use oip_record::NodeIdentity;
use oip_record::keys::KeyError;
use serde_json::{Value as Json, json};

use crate::keys::{EncryptionPublic, KEM};

/// The key under which the statement stands.
pub const STATEMENT_KEY: &str = "statement";

/// The version that is written and read.
const VERSION: u64 = 1;

/// Longest statement: 64 creators and an alias fit.
const STATEMENT_BYTES_MAX: usize = 16 * 1024;

/// Most creators of one node: its wallets over the years.
const CREATORS_MAX: usize = 64;

/// Longest alias, as longest node names in the field, rounded up.
const ALIAS_BYTES_MAX: usize = 128;

/// A node's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The node's id: the hash of its key.
    pub id: String,
    /// The identity's public key, which names its space.
    pub public: String,
    /// A name the operator chose. Proves nothing: others can choose it too.
    pub alias: Option<String>,
    /// What to seal to.
    pub encryption: EncryptionPublic,
    /// `didAddress` of each key that signs the node's records.
    pub creators: Vec<String>,
    /// Grows with every statement.
    pub seq: u64,
    /// When it was made, ms since 1970.
    pub at_ms: u64,
}

/// Why a statement is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not the soul or key of a statement.
    #[error("it does not stand where statements stand")]
    Place,
    /// The space's owner did not sign it.
    #[error("its signature is not of the key whose space it stands in")]
    Signature,
    /// A member is missing or malformed.
    #[error("its member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The id is not the hash of the key.
    #[error("its id is not the hash of the key that signed it")]
    Id,
    /// The encryption key is no P-256 key, or of a kind that is not known.
    #[error("its encryption key can't be used")]
    Encryption,
}

impl StatementError {
    /// The name of the reason, for counters.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Place => "statement-place",
            Self::Signature => "statement-signature",
            Self::Member(_) => "statement-member",
            Self::Id => "statement-id",
            Self::Encryption => "statement-encryption",
        }
    }
}

/// Why a statement can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The identity is damaged.
    #[error(transparent)]
    Identity(#[from] KeyError),
    /// It did not sign.
    #[error(transparent)]
    Sea(#[from] SeaError),
    /// The statement has too many creators or too long an alias.
    #[error("the node's statement is too long: shorten GUN_NODE_ID_OVERRIDE")]
    TooLong,
}

/// Where the statement of the holder of `public` stands; `None` if that is no key's text.
#[must_use]
pub fn soul(public: &str) -> Option<Soul> {
    let soul = format!("~{public}/oip/node");
    (sea::owner(&soul).as_deref() == Some(public))
        .then(|| Soul::new(soul).ok())
        .flatten()
}

impl Statement {
    /// The value as it is put, signed for its place and state.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, identity: &NodeIdentity, state: State) -> Result<(Soul, Entry), SignError> {
        let fits = self.creators.len() <= CREATORS_MAX
            && self.alias.as_ref().is_none_or(|alias| is_alias(alias));
        let place = soul(identity.public()).zip(Key::new(STATEMENT_KEY).ok());
        let (Some((soul, key)), true) = (place, fits) else {
            return Err(SignError::TooLong);
        };
        let text = self.to_value().to_string();
        let signed = sea::sign_value(
            &soul,
            key.as_str(),
            &Value::text(text),
            state,
            &identity.sea_pair()?,
        )?;
        let value = Value::text(signed);
        Ok((soul, Entry { key, state, value }))
    }

    fn to_value(&self) -> Json {
        let mut statement = json!({
            "v": VERSION,
            "id": self.id,
            "encryption": {"kem": KEM, "key": self.encryption.to_text(), "id": self.encryption.id()},
            "creators": self.creators,
            "seq": self.seq,
            "at": self.at_ms,
        });
        if let Some(alias) = &self.alias {
            statement["alias"] = json!(alias);
        }
        statement
    }

    /// Reads and verifies what stands at `soul`.
    ///
    /// # Errors
    /// [`StatementError`] with the first fault.
    pub fn read(soul: &Soul, entry: &Entry) -> Result<Self, StatementError> {
        let public = sea::owner(soul.as_str()).ok_or(StatementError::Place)?;
        if self::soul(&public).as_ref() != Some(soul) || entry.key.as_str() != STATEMENT_KEY {
            return Err(StatementError::Place);
        }
        let text = owned_text(soul, entry, &public)?;
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::Member("v"));
        }
        let said: Json = serde_json::from_str(&text).map_err(|_| StatementError::Member("v"))?;
        if said["v"].as_u64() != Some(VERSION) {
            return Err(StatementError::Member("v"));
        }
        let id = NodeIdentity::id_of(&public);
        if said["id"] != id {
            return Err(StatementError::Id);
        }
        let alias = match &said["alias"] {
            Json::Null => None,
            Json::String(alias) if is_alias(alias) => Some(alias.clone()),
            _ => return Err(StatementError::Member("alias")),
        };
        let key = &said["encryption"];
        if key["kem"] != KEM {
            return Err(StatementError::Encryption);
        }
        let encryption = EncryptionPublic::from_text(key["key"].as_str().unwrap_or_default())
            .map_err(|_| StatementError::Encryption)?;
        if key["id"] != encryption.id() {
            return Err(StatementError::Encryption);
        }
        let creators = said["creators"]
            .as_array()
            .filter(|list| list.len() <= CREATORS_MAX)
            .and_then(|list| {
                list.iter()
                    .map(|creator| creator.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
            })
            .ok_or(StatementError::Member("creators"))?;
        Ok(Self {
            id,
            public,
            alias,
            encryption,
            creators,
            seq: said["seq"].as_u64().ok_or(StatementError::Member("seq"))?,
            at_ms: said["at"].as_u64().ok_or(StatementError::Member("at"))?,
        })
    }
}

/// The encryption key in a user's own space: the value of `epub` at `~<pub>`, signed by him.
///
/// # Errors
/// [`StatementError`].
pub fn user_key(soul: &Soul, entry: &Entry) -> Result<EncryptionPublic, StatementError> {
    let public = sea::owner(soul.as_str()).ok_or(StatementError::Place)?;
    if soul.as_str().strip_prefix('~') != Some(public.as_str()) || entry.key.as_str() != "epub" {
        return Err(StatementError::Place);
    }
    let text = owned_text(soul, entry, &public)?;
    EncryptionPublic::from_text(&text).map_err(|_| StatementError::Encryption)
}

/// The text that the owner himself signed; what others wrote by certificate says nothing of his keys.
fn owned_text(soul: &Soul, entry: &Entry, public: &str) -> Result<String, StatementError> {
    if sea::author(soul, entry).as_deref() != Some(public) {
        return Err(StatementError::Signature);
    }
    sea::verify_value(soul, entry, &|_, _| Err(Unavailable))
        .map_err(|_| StatementError::Signature)?;
    let envelope = entry.value.as_text().unwrap_or_default();
    let envelope: Json = serde_json::from_str(envelope).map_err(|_| StatementError::Signature)?;
    match &envelope[":"] {
        Json::String(text) => Ok(text.clone()),
        _ => Err(StatementError::Member("v")),
    }
}

/// Whether a text can be an alias: it stands in souls of the registry, and is told from ids.
#[must_use]
pub fn is_alias(text: &str) -> bool {
    (1..=ALIAS_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::EncryptionKey;

    fn identity(seed: u8) -> NodeIdentity {
        NodeIdentity::from_scalar([seed; 32]).unwrap()
    }

    fn statement(seed: u8) -> Statement {
        Statement {
            id: identity(seed).node_id(),
            public: identity(seed).public().to_owned(),
            alias: Some("node-a".into()),
            encryption: EncryptionKey::from_scalar([9; 32])
                .unwrap()
                .public()
                .clone(),
            creators: vec!["did:key:z1".into()],
            seq: 7,
            at_ms: 1_768_903_200_000,
        }
    }

    fn signed(statement: &Statement, seed: u8) -> (Soul, Entry) {
        let state = State::from_millis(1_768_903_200_000);
        statement.sign(&identity(seed), state).unwrap()
    }

    #[test]
    fn what_a_node_signs_is_read_back() {
        let (soul, entry) = signed(&statement(1), 1);
        assert_eq!(Statement::read(&soul, &entry), Ok(statement(1)));
    }

    #[test]
    fn a_statement_says_nothing_elsewhere_later_or_changed() {
        let (soul, entry) = signed(&statement(1), 1);
        let elsewhere = super::soul(identity(2).public()).unwrap();
        assert_eq!(
            Statement::read(&elsewhere, &entry),
            Err(StatementError::Signature)
        );
        let later = Entry {
            state: entry.state.successor(),
            ..entry.clone()
        };
        assert_eq!(
            Statement::read(&soul, &later),
            Err(StatementError::Signature)
        );
        let text = entry.value.as_text().unwrap().replace("node-a", "node-b");
        let changed = Entry {
            value: Value::text(text),
            ..entry.clone()
        };
        assert_eq!(
            Statement::read(&soul, &changed),
            Err(StatementError::Signature)
        );
        let other_key = Entry {
            key: Key::new("other").unwrap(),
            ..entry
        };
        assert_eq!(
            Statement::read(&soul, &other_key),
            Err(StatementError::Place)
        );
        let outside = Soul::new("oip:registry:nodes:x").unwrap();
        assert_eq!(
            Statement::read(&outside, &other_key),
            Err(StatementError::Place)
        );
    }

    #[test]
    fn a_node_can_speak_only_for_itself() {
        // The second node signs, in its own space, what the first one would say.
        let (soul, entry) = signed(&statement(1), 2);
        assert_eq!(Statement::read(&soul, &entry), Err(StatementError::Id));
    }

    #[test]
    fn only_a_user_himself_names_his_encryption_key() {
        let pair = gun::sea::KeyPair::from_scalars(&[3; 32], &[4; 32]).unwrap();
        let soul = Soul::new(format!("~{}", pair.public())).unwrap();
        let state = State::from_millis(5);
        let value = Value::text(pair.encryption_public());
        let put = |by: &gun::sea::KeyPair| Entry {
            key: Key::new("epub").unwrap(),
            state,
            value: Value::text(sea::sign_value(&soul, "epub", &value, state, by).unwrap()),
        };
        let key = user_key(&soul, &put(&pair)).unwrap();
        assert_eq!(
            key,
            EncryptionPublic::from_text(pair.encryption_public()).unwrap()
        );
        let other = gun::sea::KeyPair::from_scalars(&[5; 32], &[6; 32]).unwrap();
        assert_eq!(
            user_key(&soul, &put(&other)),
            Err(StatementError::Signature)
        );
    }

    #[test]
    fn an_alias_is_a_plain_word() {
        for good in ["node-a-production", "a.b_c"] {
            assert!(is_alias(good), "{good}");
        }
        for bad in [
            "",
            "a:b",
            "a/b",
            "a@b",
            "a b",
            &"x".repeat(ALIAS_BYTES_MAX + 1),
        ] {
            assert!(!is_alias(bad), "{bad}");
        }
    }
}
