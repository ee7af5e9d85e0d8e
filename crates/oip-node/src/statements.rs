//! Who can be sealed to: this node's own statement, and the encryption keys of other nodes and of users,
//! looked up on demand (`trust-and-privacy` 1 and 2).
//!
//! Owns the pins of aliases, and that a statement's number never goes back.
//! Pointers in the registry prove nothing: what they lead to must be signed by the key that it names.

mod look_up;
mod name;
mod own_pointer;
mod rivals;

pub(crate) use look_up::Asked;
pub(crate) use name::Name;
pub(crate) use own_pointer::OwnPointer;
pub use rivals::Rival;
pub(crate) use rivals::Rivals;

use std::collections::BTreeSet;
use std::sync::Arc;

use gun::graph::Entry;
use gun::{Graph, Key, Node, Soul, State, Value};
use oip_record::soul::{self, PrefixWidth};
use oip_record::verify::{self, SignaturePolicy};
use oip_record::{Candidate, Did, NodeIdentity, read};
use oip_store::{Op, Store, Transaction, WriteError};
use oip_vault::access;
use oip_vault::keys::{EncryptionPublic, KEM, KeyRing};
use oip_vault::statement::{self, SignError, Statement, StatementError};

use crate::clock;
use crate::hub::HubHandle;
use crate::peers::Peers;
use crate::registry::Registry;
use crate::sync::judge::signed_ms;
use crate::vault::reader_token;

/// The local id and type of the record by which a user whose key is no SEA key names an encryption key.
pub(crate) const USER_KEY_LOCAL_ID: &str = "encryption-key";
pub(crate) const USER_KEY_TYPE: &str = "encryptionKey";

/// What follows an organization's local id in that of its list of members.
const MEMBERS_SUFFIX: &str = ":members";
pub(crate) const MEMBERS_TYPE: &str = "organizationMembers";

/// Where its members stand in the index.
pub(crate) const MEMBERS_FIELD: &str = "data.organizationMembers.members";

/// Why a name does not lead to a key. Each names the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// No statement of such a node was found in time.
    #[error(
        "the node `{0}` is not known: no statement of it was found here or with any peer; connect to a peer that knows it, or name it by its public key"
    )]
    UnknownNode(String),
    /// What was found is not signed as it must be.
    #[error("the statement of the node `{name}` is refused: {fault}")]
    Statement {
        /// Who was asked for.
        name: String,
        /// What is wrong.
        fault: StatementError,
    },
    /// An older statement than one that was seen.
    #[error(
        "the statement of the node `{0}` is older than one seen before: it is not sealed to a key that was replaced"
    )]
    Older(String),
    /// Another key than the first claims the alias.
    #[error("the alias `{alias}` belongs to the node {pinned} here, and {found} claims it too: name the node by its id, or pin it as `{alias}@{}`", &found[..16.min(found.len())])]
    AliasTaken {
        /// The alias.
        alias: String,
        /// The first that was seen with it.
        pinned: String,
        /// The other.
        found: String,
    },
    /// A user without a key that can be found.
    #[error(
        "the user `{0}` has no encryption key that can be found: he names one in a signed record `{USER_KEY_LOCAL_ID}`, or as `epub` in his own space"
    )]
    NoUserKey(String),
    /// An organization without a list of members by its owner.
    #[error("the organization `{0}` has no list of members that its owner signed")]
    NoMembers(String),
    /// Not a name of anybody.
    #[error("`{0}` is no node id, alias, public key or organization: correct it, or leave it out")]
    NotAName(String),
    /// The store failed.
    #[error("failed to look up `{0}` in the store")]
    Store(String),
}

impl RecipientError {
    /// The name of the reason.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownNode(_) => "unknown-recipient-node",
            Self::Statement { fault, .. } => fault.label(),
            Self::Older(_) => "statement-older",
            Self::AliasTaken { .. } => "alias-taken",
            Self::NoUserKey(_) => "no-user-key",
            Self::NoMembers(_) => "no-organization-members",
            Self::NotAName(_) => "not-a-recipient",
            Self::Store(_) => "store",
        }
    }
}

/// One who can be sealed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Node id or key text: the same whatever name led here.
    pub owner: String,
    /// What to wrap for.
    pub key: EncryptionPublic,
    /// Whether the owner has proven that he has it, and did not only name it.
    pub is_proven: bool,
}

/// What looking up works with.
#[derive(Clone)]
pub(crate) struct Statements {
    pub store: Store,
    pub hub: HubHandle,
    pub peers: Arc<Peers>,
    pub registry: Arc<Registry>,
    /// Which peers have been asked for what.
    pub asked: Asked,
    /// Whether the operator named peers that can be asked, whether or not one is connected.
    pub expects_peers: bool,
    /// Who claims what belongs to others.
    pub rivals: Rivals,
}

impl Statements {
    /// Writes this node's statement, unless it stands there already, and the pointers to it. Gives what
    /// was written, for those who are connected.
    pub(crate) async fn publish_own(
        &self,
        identity: &NodeIdentity,
        ring: &KeyRing,
        alias: Option<&str>,
        creators: Vec<String>,
    ) -> Result<Graph, OwnStatementError> {
        let public = identity.public();
        let soul = statement::soul(public).ok_or(OwnStatementError::Damaged)?;
        let stored = self.stored(&soul)?;
        let before = stored
            .as_ref()
            .and_then(|entry| Statement::read(&soul, entry).ok());
        let now_ms = clock::wall_ms();
        let alias = alias.filter(|alias| statement::is_alias(alias));
        let next = Statement {
            id: identity.node_id(),
            public: public.to_owned(),
            alias: alias.map(str::to_owned),
            encryption: ring.current().public().clone(),
            creators,
            // By the clock, so that a node whose store was lost does not begin below what others saw.
            seq: before
                .as_ref()
                .map_or(0, |before| before.seq + 1)
                .max(now_ms),
            at_ms: now_ms,
        };
        let is_current = before.is_some_and(|before| {
            (before.encryption, before.alias, before.creators)
                == (
                    next.encryption.clone(),
                    next.alias.clone(),
                    next.creators.clone(),
                )
        });
        if !is_current {
            let state = State::from_millis(now_ms);
            let state = stored
                .filter(|entry| entry.state >= state)
                .map_or(state, |entry| entry.state.successor());
            let (soul, entry) = next.sign(identity, state)?;
            let graph = vec![Node {
                soul,
                entries: vec![entry],
            }];
            let mut ops = vec![Op::Merge { graph }];
            for name in [Some(next.id.as_str()), alias].into_iter().flatten() {
                if let Some((soul, entries)) = self.registry.pointer(name, public, now_ms) {
                    ops.push(Op::Write { soul, entries });
                }
            }
            let committed = self.store.commit(Transaction { ops }, now_ms).await?;
            self.hub.changed(committed.changed).await;
        }
        self.own_graph(identity, alias)
    }

    /// This node's statement and its pointers as they stand in the graph.
    pub(crate) fn own_graph(
        &self,
        identity: &NodeIdentity,
        alias: Option<&str>,
    ) -> Result<Graph, OwnStatementError> {
        let id = identity.node_id();
        let souls = [
            statement::soul(identity.public()),
            self.registry.pointer_soul(&id),
            alias.and_then(|alias| self.registry.pointer_soul(alias)),
        ];
        let mut graph = Vec::new();
        for soul in souls.into_iter().flatten() {
            graph.extend(self.store.node(&soul)?);
        }
        Ok(graph)
    }

    fn stored(&self, soul: &Soul) -> Result<Option<Entry>, OwnStatementError> {
        let key = Key::new(statement::STATEMENT_KEY).map_err(|_| OwnStatementError::Damaged)?;
        let value = self.store.value(soul, &key)?;
        Ok(value.map(|(state, value)| Entry { key, state, value }))
    }

    /// The same without asking any peer.
    pub(crate) fn here(&self) -> Self {
        Self {
            peers: Arc::default(),
            expects_peers: false,
            ..self.clone()
        }
    }

    /// The keys that a name leads to: one of a node or user, those of an organization's members.
    pub(crate) async fn find(&self, name: &str) -> Result<Vec<Found>, RecipientError> {
        match Name::read(name).ok_or_else(|| RecipientError::NotAName(name.to_owned()))? {
            Name::Organization(did) => {
                let mut found = Vec::new();
                for member in self.members(&did, name).await? {
                    match Name::read(&member) {
                        Some(Name::Organization(_)) | None => {
                            return Err(RecipientError::NotAName(member));
                        }
                        Some(read) => found.push(self.find_one(read, &member).await?),
                    }
                }
                Ok(found)
            }
            read => Ok(vec![self.find_one(read, name).await?]),
        }
    }

    async fn find_one(&self, read: Name<'_>, name: &str) -> Result<Found, RecipientError> {
        match read {
            Name::NodeId(id) => self.by_id(id, name).await.map(of_node),
            Name::SeaKey(public) => match self.node(public, name).await {
                Ok(statement) => Ok(of_node(statement)),
                Err(RecipientError::UnknownNode(_)) => self.sea_user(public, name).await,
                Err(error) => Err(error),
            },
            Name::UserKey(key) => self.user(&key, name).await,
            Name::Alias { alias, pin } => self.alias(alias, pin, name).await.map(of_node),
            Name::Organization(_) => Err(RecipientError::NotAName(name.to_owned())),
        }
    }

    /// The node with this id. Anybody may write the pointer, so that a key that was proven once is remembered, and a
    /// pointer that leads elsewhere is reported and stops nobody.
    async fn by_id(&self, id: &str, name: &str) -> Result<Statement, RecipientError> {
        let Some(known) = self.text_mark(&key_mark(id), name)? else {
            let is_its_key = |value: &Value| {
                let public = value.as_text();
                public.is_some_and(|public| NodeIdentity::id_of(public) == id)
            };
            // Another key than this id is the hash of is no answer: the node writes the pointer again that it sees
            // overwritten, and peers are asked until then.
            return match self.pointed(id, name, is_its_key).await {
                Ok(public) => self.node(&public, name).await,
                Err(_) if self.here().pointed(id, name, |_| true).await.is_ok() => {
                    Err(RecipientError::Statement {
                        name: name.to_owned(),
                        fault: StatementError::Id,
                    })
                }
                Err(error) => Err(error),
            };
        };
        self.note_rival(id, id, &known, name).await;
        self.node(&known, name).await
    }

    async fn alias(
        &self,
        alias: &str,
        pin: Option<&str>,
        name: &str,
    ) -> Result<Statement, RecipientError> {
        let mark = alias_mark(alias, pin);
        let bound = match self.text_mark(&mark, name)? {
            Some(bound) => Some(bound),
            None => self.proven(pin, name)?,
        };
        if let Some(id) = bound {
            let statement = self.by_id(&id, name).await?;
            self.note_rival(alias, &id, &statement.public, name).await;
            return Ok(statement);
        }
        let public = self.pointed(alias, name, |_| true).await?;
        let statement = self.node(&public, name).await?;
        if statement.alias.as_deref() != Some(alias) {
            return Err(RecipientError::UnknownNode(name.to_owned()));
        }
        if let Some(pin) = pin.filter(|pin| !statement.id.starts_with(*pin)) {
            return Err(RecipientError::AliasTaken {
                alias: alias.to_owned(),
                pinned: pin.to_owned(),
                found: statement.id,
            });
        }
        self.remember(mark, statement.id.as_bytes().to_vec(), name)
            .await?;
        Ok(statement)
    }

    /// The node whose id begins so, among those whose keys were proven.
    fn proven(&self, pin: Option<&str>, name: &str) -> Result<Option<String>, RecipientError> {
        let Some(pin) = pin else {
            return Ok(None);
        };
        let start = key_mark(pin);
        let marks = self.store.cursors(&start, None, 1);
        let marks = marks.map_err(|_| RecipientError::Store(name.to_owned()))?;
        let id = marks
            .first()
            .and_then(|(mark, _)| mark.strip_prefix(KEY_MARKS));
        Ok(id.map(str::to_owned))
    }

    /// Notes that a pointer leads to another node than the one that has the name here. Asks no peer.
    async fn note_rival(&self, pointer: &str, id: &str, public: &str, name: &str) {
        if let Ok(found) = self.here().pointed(pointer, name, |_| true).await
            && found != public
        {
            self.rivals.note(Rival {
                name: pointer.to_owned(),
                node_id: id.to_owned(),
                claimed_by: NodeIdentity::id_of(&found),
            });
        }
    }

    fn text_mark(&self, mark: &str, name: &str) -> Result<Option<String>, RecipientError> {
        let value = self.store.cursor(mark);
        let value = value.map_err(|_| RecipientError::Store(name.to_owned()))?;
        Ok(value.and_then(|value| String::from_utf8(value).ok()))
    }

    /// The key that a pointer in the registry names, unproven.
    async fn pointed(
        &self,
        id: &str,
        name: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<String, RecipientError> {
        let unknown = || RecipientError::UnknownNode(name.to_owned());
        let soul = self.registry.pointer_soul(id).ok_or_else(unknown)?;
        let entry = self
            .look_up_fitting(&soul, "pub", name, fits)
            .await?
            .ok_or_else(unknown)?;
        entry.value.as_text().map(str::to_owned).ok_or_else(unknown)
    }

    /// The verified statement of the node with this key.
    async fn node(&self, public: &str, name: &str) -> Result<Statement, RecipientError> {
        let unknown = || RecipientError::UnknownNode(name.to_owned());
        let soul = statement::soul(public).ok_or_else(unknown)?;
        let entry = self
            .look_up(&soul, statement::STATEMENT_KEY, name)
            .await?
            .ok_or_else(unknown)?;
        let statement =
            Statement::read(&soul, &entry).map_err(|fault| RecipientError::Statement {
                name: name.to_owned(),
                fault,
            })?;
        let mark = seq_mark(&statement.id);
        let store = |_| RecipientError::Store(name.to_owned());
        let seen = self.store.cursor(&mark).map_err(store)?;
        let seen = seen
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_be_bytes);
        if statement.seq < seen {
            return Err(RecipientError::Older(name.to_owned()));
        }
        if statement.seq > seen {
            self.remember(mark, statement.seq.to_be_bytes().to_vec(), name)
                .await?;
        }
        let proven = key_mark(&statement.id);
        if self.text_mark(&proven, name)?.is_none() {
            self.remember(proven, public.as_bytes().to_vec(), name)
                .await?;
        }
        Ok(statement)
    }

    async fn sea_user(&self, public: &str, name: &str) -> Result<Found, RecipientError> {
        let none = || RecipientError::NoUserKey(name.to_owned());
        let soul = Soul::new(format!("~{public}")).map_err(|_| none())?;
        let entry = self.look_up(&soul, "epub", name).await?.ok_or_else(none)?;
        let key = statement::user_key(&soul, &entry).map_err(|_| none())?;
        // A value in a user's space proves who wrote it.
        Ok(Found {
            owner: public.to_owned(),
            key,
            is_proven: false,
        })
    }

    /// The key in the user's own public record, which anyone can verify and nobody else can write.
    async fn user(&self, key: &str, name: &str) -> Result<Found, RecipientError> {
        let none = || RecipientError::NoUserKey(name.to_owned());
        let prefix = soul::prefix(key, PrefixWidth::Long);
        let soul = soul::with_local_id(&prefix, USER_KEY_LOCAL_ID).map_err(|_| none())?;
        let document = self
            .public_record(&soul, key, USER_KEY_TYPE, name)
            .await?
            .ok_or_else(none)?;
        let encryption = user_key_of(&document).ok_or_else(none)?;
        let proof = document["data"][USER_KEY_TYPE]["proof"].as_str();
        Ok(Found {
            owner: key.to_owned(),
            is_proven: proof.is_some_and(|proof| encryption.is_proven_by(key, proof)),
            key: encryption,
        })
    }

    /// The members that the owner of an organization's record has signed.
    pub(crate) async fn members(
        &self,
        did: &Did,
        name: &str,
    ) -> Result<BTreeSet<String>, RecipientError> {
        let none = || RecipientError::NoMembers(name.to_owned());
        let organization = self.record_at(did.soul(), name).await?.ok_or_else(none)?;
        let (owner, owned_by) = (
            &organization.creator.public_key,
            owner_of(&organization.document),
        );
        let soul = Soul::new(format!("{}{MEMBERS_SUFFIX}", did.soul())).map_err(|_| none())?;
        let document = self
            .public_record(&soul, owner, MEMBERS_TYPE, name)
            .await?
            .ok_or_else(none)?;
        // A node signs for all its users: whose list it is, the owner says that both name.
        if !organization.is_public() || organization.deleted || owner_of(&document) != owned_by {
            return Err(none());
        }
        let said = &document["data"][MEMBERS_TYPE];
        if said["organization"] != did.to_string() {
            return Err(none());
        }
        let members: BTreeSet<String> = access::names(&said["members"]).into_iter().collect();
        if members.is_empty() {
            Err(none())
        } else {
            Ok(members)
        }
    }

    /// The index form of a public record of this creator.
    async fn public_record(
        &self,
        soul: &Soul,
        creator: &str,
        record_type: &str,
        name: &str,
    ) -> Result<Option<serde_json::Value>, RecipientError> {
        Ok(self
            .record_at(soul, name)
            .await?
            .filter(|accepted| {
                accepted.creator.public_key == creator
                    && accepted.record_type == record_type
                    && accepted.is_public()
                    && !accepted.deleted
            })
            .map(|accepted| accepted.document))
    }

    /// The record at a soul, signed and verified: what is held, or what peers have.
    async fn record_at(
        &self,
        soul: &Soul,
        name: &str,
    ) -> Result<Option<verify::Accepted>, RecipientError> {
        let entry = self.look_up(soul, "oip", name).await?;
        if entry.is_none() {
            return Ok(None);
        }
        let store = |_| RecipientError::Store(name.to_owned());
        let held = self.store.record(soul).map_err(store)?;
        let raw = match held {
            Some(row) => Some(oip_record::Raw {
                data_text: row.data.as_deref().map(str::to_owned),
                oip_text: row.oip.to_string(),
                origin: read::TextOrigin::Stored,
                unity: read::Unity::SamePut,
                meta: serde_json::Map::new(),
            }),
            None => {
                let node = self.store.node(soul).map_err(store)?;
                node.and_then(|node| match read::candidate(&node, |_| None) {
                    Ok(Candidate::Whole(raw)) => Some(raw),
                    _ => None,
                })
            }
        };
        let now_ms = signed_ms(clock::wall_ms());
        Ok(raw.and_then(|raw| verify::accept(soul, raw, SignaturePolicy::Require, now_ms).ok()))
    }

    async fn remember(
        &self,
        mark: String,
        value: Vec<u8>,
        name: &str,
    ) -> Result<(), RecipientError> {
        let op = Op::SetCursor { name: mark, value };
        self.store
            .commit(Transaction::from(op), clock::wall_ms())
            .await
            .map(drop)
            .map_err(|_| RecipientError::Store(name.to_owned()))
    }
}

/// The encryption key that a user's record names.
pub(crate) fn user_key_of(document: &serde_json::Value) -> Option<EncryptionPublic> {
    let said = &document["data"][USER_KEY_TYPE];
    let key = said["key"].as_str().filter(|_| said["kem"] == KEM)?;
    EncryptionPublic::from_text(key).ok()
}

/// The organization whose list of members lies at this soul.
pub(crate) fn organization_of(soul: &Soul) -> Option<Soul> {
    let organization = soul.as_str().strip_suffix(MEMBERS_SUFFIX)?;
    Soul::new(organization).ok()
}

/// What the owner of a public record is called among readers.
fn owner_of(document: &serde_json::Value) -> Option<String> {
    let owner = access::wish(&document["data"]).owner;
    owner.map(|owner| reader_token(&owner))
}

/// Names the pin of an alias: the id of the node that it is bound to.
pub(crate) fn alias_mark(alias: &str, pin: Option<&str>) -> String {
    match pin {
        Some(pin) => format!("alias:{alias}@{pin}"),
        None => format!("alias:{alias}"),
    }
}

/// What the marks begin with that say which public key a node's id was proven to be the hash of.
const KEY_MARKS: &str = "node-key:";

/// Names the public key that a node id was proven to be the hash of.
pub(crate) fn key_mark(id: &str) -> String {
    format!("{KEY_MARKS}{id}")
}

/// Names the highest number seen of a node's statements.
pub(crate) fn seq_mark(id: &str) -> String {
    format!("statement:{id}")
}

fn of_node(statement: Statement) -> Found {
    Found {
        owner: statement.id,
        key: statement.encryption,
        is_proven: false,
    }
}

/// Why this node could not say what it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnStatementError {
    /// The identity names no space.
    #[error("the node's identity is damaged: restore keys/identity.json from a backup")]
    Damaged,
    /// It did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The store could not be read.
    #[error("failed to read the node's statement")]
    Read(#[from] oip_store::ReadError),
    /// The store did not take it.
    #[error("failed to store the node's statement")]
    Write(#[from] WriteError),
}
