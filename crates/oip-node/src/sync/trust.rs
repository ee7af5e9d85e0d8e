//! Whose records are taken: `GUN_SYNC_TRUSTED_NODES` (`trust-and-privacy` 2).
//!
//! Owns what is known of the nodes that the operator named: their verified statements, read from the
//! graph, and the pins of aliases. A record is taken if its verified creator stands in such a statement,
//! is named itself, or is this node's own; or if it was pulled from a named peer. What a registry entry
//! says of its node proves nothing and is not looked at.
//!
//! What is not taken lies in the graph, and the registry there is the list of it: no table grows with
//! what others write. When more creators are trusted than before, it is judged anew.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use gun::graph::Entry;
use gun::{Key, Soul};
use oip_record::{Accepted, NodeIdentity, Verification};
use oip_store::{Op, ReadError, Store};
use oip_vault::statement::{self, Statement};
use serde::Serialize;
use tokio::sync::Notify;

use crate::config::TrustedNode;
use crate::registry::Registry;
use crate::statements::{alias_mark, key_mark, seq_mark};

pub(crate) mod watch;

/// Decides whose records are taken.
pub(crate) struct Trust {
    named: Vec<TrustedNode>,
    /// `didAddress` of this node's creator.
    own: String,
    learned: RwLock<Learned>,
    /// A statement, or a pointer to one, has changed.
    pub seen: Notify,
}

/// What the statements of the named nodes say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Learned {
    creators: BTreeSet<String>,
    standings: Vec<TrustStanding>,
}

/// How one name of `GUN_SYNC_TRUSTED_NODES` stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustStanding {
    /// As it was given.
    pub name: String,
    /// `known`, or `waiting` for its statement.
    pub state: &'static str,
    /// The node it leads to, once that is known.
    pub node_id: Option<String>,
    /// How many creators it stands for.
    pub creators: usize,
    /// Another node that claims the same alias, and is not trusted for it.
    pub claimed_by: Option<String>,
}

/// What a look at the store found.
pub(crate) struct Look {
    learned: Learned,
    /// Pins and numbers to keep before anything rests on them.
    pub ops: Vec<Op>,
    /// What peers may have and this node has not.
    pub lacking: Vec<Soul>,
}

impl Trust {
    /// Nobody's statement is known yet: see [`Self::look`].
    pub(crate) fn new(named: Vec<TrustedNode>, own: String) -> Self {
        Self {
            named,
            own,
            learned: RwLock::default(),
            seen: Notify::new(),
        }
    }

    /// Whether everybody's records are taken.
    pub(crate) fn is_open(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether a verified version may be taken; `from` is the peer it was pulled from.
    pub(crate) fn takes(&self, accepted: &Accepted, from: Option<&str>) -> bool {
        if self.is_open() {
            return true;
        }
        let is_pulled = from.is_some_and(|from| {
            self.named.iter().any(
                |name| matches!(name, TrustedNode::Peer { peer, .. } if peer.to_string() == from),
            )
        });
        let creator = &accepted.creator;
        let is_verified = accepted.verification == Verification::Verified;
        is_pulled
            || is_verified
                && (creator.did_address == self.own
                    || self.names(&creator.did_address, &creator.public_key)
                    || self.read().creators.contains(&creator.did_address))
    }

    fn names(&self, did: &str, key: &str) -> bool {
        self.named.iter().any(|name| match name {
            TrustedNode::Creator(named) => named == did,
            TrustedNode::Key(named) => named == key,
            _ => false,
        })
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Learned> {
        self.learned.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How each name stands.
    pub(crate) fn standings(&self) -> Vec<TrustStanding> {
        self.read().standings.clone()
    }

    /// The names as they were given.
    pub(crate) fn given(&self) -> Vec<String> {
        self.named.iter().map(ToString::to_string).collect()
    }

    /// Takes over what a look found, once its ops are durable.
    pub(crate) fn learn(&self, look: Look) {
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = look.learned;
    }

    /// All that decides, as one sorted list; `None` for everybody.
    fn extent(&self) -> Option<BTreeSet<String>> {
        let listed = self.named.iter().filter(|name| {
            matches!(
                name,
                TrustedNode::Creator(_) | TrustedNode::Key(_) | TrustedNode::Peer { .. }
            )
        });
        (!self.is_open()).then(|| {
            let listed = listed.map(ToString::to_string);
            listed.chain(self.read().creators.clone()).collect()
        })
    }

    /// The souls whose values say who the named nodes are.
    pub(crate) fn souls(&self, store: &Store, registry: &Registry) -> Vec<Soul> {
        let view = View { store, registry };
        let souls = self.named.iter().flat_map(|name| {
            let (name, id) = match name {
                TrustedNode::Node { id, .. } => (Some(id.clone()), Some(id.clone())),
                TrustedNode::Alias { alias, pin } => {
                    let pinned = view.cursor(&alias_mark(alias, pin.as_deref()));
                    (Some(alias.clone()), pinned.ok().flatten())
                }
                _ => (None, None),
            };
            let pointers = [name, id.clone()].into_iter().flatten();
            let pointers = pointers.filter_map(|name| registry.pointer_soul(&name));
            let public = id.and_then(|id| view.public_of(&id).ok().flatten());
            pointers.chain(public.and_then(|public| statement::soul(&public)))
        });
        let souls: BTreeSet<Soul> = souls.collect();
        souls.into_iter().collect()
    }

    /// Reads what the graph here says of the named nodes.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn look(&self, store: &Store, registry: &Registry) -> Result<Look, ReadError> {
        let view = View { store, registry };
        let mut look = Look {
            learned: Learned::default(),
            ops: Vec::new(),
            lacking: Vec::new(),
        };
        for name in &self.named {
            let mut standing = TrustStanding {
                name: name.to_string(),
                state: "known",
                node_id: None,
                creators: 1,
                claimed_by: None,
            };
            match name {
                TrustedNode::Node { id, public } => {
                    let found = view.node(id, public.as_deref(), &mut look)?;
                    note(found, &mut standing, &mut look);
                }
                TrustedNode::Alias { alias, pin } => {
                    let found = view.alias(alias, pin.as_deref(), &mut standing, &mut look)?;
                    note(found, &mut standing, &mut look);
                }
                TrustedNode::Creator(_) | TrustedNode::Key(_) | TrustedNode::Peer { .. } => {}
            }
            look.learned.standings.push(standing);
        }
        Ok(look)
    }
}

/// What is known of one node from now on.
fn note(found: Option<Statement>, standing: &mut TrustStanding, look: &mut Look) {
    match found {
        Some(statement) => {
            standing.creators = statement.creators.len();
            standing.node_id = Some(statement.id);
            look.learned.creators.extend(statement.creators);
        }
        None => {
            standing.state = "waiting";
            standing.creators = 0;
        }
    }
}

/// Statements as they lie in the graph here.
struct View<'s> {
    store: &'s Store,
    registry: &'s Registry,
}

impl View<'_> {
    fn cursor(&self, name: &str) -> Result<Option<String>, ReadError> {
        let value = self.store.cursor(name)?;
        Ok(value.and_then(|value| String::from_utf8(value).ok()))
    }

    fn value(&self, soul: &Soul, key: &str) -> Result<Option<Entry>, ReadError> {
        let Ok(key) = Key::new(key) else {
            return Ok(None);
        };
        let value = self.store.value(soul, &key)?;
        Ok(value.map(|(state, value)| Entry { key, state, value }))
    }

    /// The key that a pointer names, unproven.
    fn pointed(&self, name: &str) -> Result<Option<String>, ReadError> {
        let Some(soul) = self.registry.pointer_soul(name) else {
            return Ok(None);
        };
        let entry = self.value(&soul, "pub")?;
        Ok(entry.and_then(|entry| entry.value.as_text().map(str::to_owned)))
    }

    /// The key of the node with this id: anybody may write the pointer, so that a key that was proven
    /// once is remembered.
    fn public_of(&self, id: &str) -> Result<Option<String>, ReadError> {
        if let Some(known) = self.cursor(&key_mark(id))? {
            return Ok(Some(known));
        }
        let pointed = self.pointed(id)?;
        Ok(pointed.filter(|public| NodeIdentity::id_of(public) == id))
    }

    fn statement(&self, public: &str) -> Result<Option<Statement>, ReadError> {
        let Some(soul) = statement::soul(public) else {
            return Ok(None);
        };
        let Some(entry) = self.value(&soul, statement::STATEMENT_KEY)? else {
            return Ok(None);
        };
        let Ok(statement) = Statement::read(&soul, &entry) else {
            return Ok(None);
        };
        Ok((statement.seq >= self.seq_seen(&statement.id)?).then_some(statement))
    }

    fn seq_seen(&self, id: &str) -> Result<u64, ReadError> {
        let seen = self.store.cursor(&seq_mark(id))?;
        let seen = seen.and_then(|bytes| bytes.try_into().ok());
        Ok(seen.map_or(0, u64::from_be_bytes))
    }

    fn node(
        &self,
        id: &str,
        given: Option<&str>,
        look: &mut Look,
    ) -> Result<Option<Statement>, ReadError> {
        let known = match given {
            Some(public) => Some(public.to_owned()),
            None => self.public_of(id)?,
        };
        let Some(public) = known else {
            look.lacking.extend(self.registry.pointer_soul(id));
            return Ok(None);
        };
        match self.statement(&public)? {
            Some(statement) => {
                self.keep(&statement, look)?;
                Ok(Some(statement))
            }
            None => {
                look.lacking.extend(statement::soul(&public));
                Ok(None)
            }
        }
    }

    /// The node that an alias is bound to. Another that claims it is named, and never takes its place.
    fn alias(
        &self,
        alias: &str,
        pin: Option<&str>,
        standing: &mut TrustStanding,
        look: &mut Look,
    ) -> Result<Option<Statement>, ReadError> {
        let public = self.pointed(alias)?;
        let claims = match &public {
            Some(public) => self.statement(public)?,
            None => None,
        };
        if claims.is_none() {
            let statement = public.as_deref().and_then(statement::soul);
            look.lacking
                .extend(statement.or_else(|| self.registry.pointer_soul(alias)));
        }
        let claims = claims.filter(|found| found.alias.as_deref() == Some(alias));
        let mark = alias_mark(alias, pin);
        if let Some(bound) = self.cursor(&mark)? {
            standing.claimed_by = claims
                .filter(|found| found.id != bound)
                .map(|found| found.id);
            return self.node(&bound, None, look);
        }
        match claims {
            Some(found) if pin.is_none_or(|pin| found.id.starts_with(pin)) => {
                look.ops.push(Op::SetCursor {
                    name: mark,
                    value: found.id.clone().into_bytes(),
                });
                self.keep(&found, look)?;
                Ok(Some(found))
            }
            other => {
                standing.claimed_by = other.map(|found| found.id);
                Ok(None)
            }
        }
    }

    fn keep(&self, statement: &Statement, look: &mut Look) -> Result<(), ReadError> {
        let mark = key_mark(&statement.id);
        if self.cursor(&mark)?.is_none() {
            look.ops.push(Op::SetCursor {
                name: mark,
                value: statement.public.clone().into_bytes(),
            });
        }
        if statement.seq > self.seq_seen(&statement.id)? {
            look.ops.push(Op::SetCursor {
                name: seq_mark(&statement.id),
                value: statement.seq.to_be_bytes().to_vec(),
            });
        }
        Ok(())
    }
}
