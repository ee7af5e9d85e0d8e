//! Publishing and deleting: from a submission to a durable, registered record in one transaction.
//!
//! Owns the order of versions made here: the newest is stamped after all that are known. What
//! asks for privacy goes to `private`, and is sealed or refused.

mod legacy;
mod made_elsewhere;
mod owner;
mod private;
mod sharing;

use std::sync::Arc;

use gun::Soul;
use oip_record::publish::{self, Built, Context, Refusal};
use oip_record::sealed::ENCRYPTION_TYPE;
use oip_record::{CreatorKey, Did, Order, Submission, privacy};
use oip_store::{Op, RecordRow, Store, Transaction, WriteError};
use oip_vault::access;
use oip_vault::audit::{Action, Event};
use tokio::sync::Mutex;

use crate::audit::{Audit, Told};
use crate::clock;
use crate::config::{PrivacyDefault, Sealing};
use crate::deletions;
use crate::explain;
use crate::hub::HubHandle;
use crate::metrics::Metrics;
use crate::registry::{Registration, Registry, Writes};
use crate::statements::Statements;
use crate::sync::judge::{order_of, signed_ms, signer_mark};
use crate::vault::{self, Vault};

pub use legacy::{Left, Reseal, ResealReport};
pub use owner::Owner;
pub use private::PrivateError;
pub(crate) use private::event;
pub use sharing::{AccessChange, AccessChanged};

/// A record that is durable.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its DID.
    pub did: Did,
    /// Where it lies in the graph.
    pub soul: Soul,
    /// Its index form.
    pub document: serde_json::Value,
    /// Whether an earlier version was replaced.
    pub edited: bool,
    /// Whether it lies on the graph as ciphertext.
    pub encrypted: bool,
}

/// Why a record was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The submission can't be published as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A private record can't be sealed, or its access not be changed.
    #[error(transparent)]
    Private(Box<PrivateError>),
    /// Too many writes wait already.
    #[error("the node is busy: try again in a second")]
    Busy,
    /// The store failed.
    #[error("failed to store the record")]
    Store(#[source] WriteError),
    /// The store could not be read.
    #[error("failed to read what is known of the record")]
    Read(#[from] oip_store::ReadError),
    /// The system gave no random numbers, or a task was lost.
    #[error("failed to {0}")]
    Internal(&'static str),
}

/// A record that is gone.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// Its DID.
    pub did: Did,
}

/// Why a record was not deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// No such record is held.
    #[error("no record {0} is known here")]
    Unknown(Did),
    /// It belongs to another creator.
    #[error(
        "the record {0} was made by another creator: delete it on the node that holds that key"
    )]
    NotOurs(Did),
    /// Everything that can go wrong with publishing a tombstone.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl From<WriteError> for PublishError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Busy => Self::Busy,
            other => Self::Store(other),
        }
    }
}

/// Times a version is made anew because a peer's came first. Each needs a version of the same
/// record to arrive within the milliseconds of a signature.
const TRIES: u32 = 8;

/// Writers of one soul take turns, so that each sees the version before its own. Souls share
/// turns by hash: 64 are enough for the parallelism that one store writer can use.
const TURNS: usize = 64;

/// What publishing works with.
pub(crate) struct Publisher {
    pub store: Store,
    pub hub: HubHandle,
    pub registry: Arc<Registry>,
    pub key: Arc<CreatorKey>,
    /// What registry entries of this node bear.
    pub node_id: Arc<str>,
    pub privacy_default: PrivacyDefault,
    pub sealing: Sealing,
    pub vault: Arc<Vault>,
    pub statements: Statements,
    pub audit: Arc<Audit>,
    pub metrics: Arc<Metrics>,
    pub turns: Turns,
}

/// See [`TURNS`].
pub(crate) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Publisher {
    pub(crate) async fn publish(
        &self,
        submission: Submission,
        owner: &Owner,
    ) -> Result<Published, PublishError> {
        let local_id = submission.local_id.clone();
        let published = self.published(submission, owner).await;
        if let Err(PublishError::Private(error)) = &published {
            let soul =
                local_id.and_then(|id| publish::soul_for(&self.key, Some(&id), [0; 16]).ok());
            self.note_refusal(soul.as_ref(), owner, error);
        }
        published
    }

    /// Has the audit trail say that a caller was refused.
    fn note_refusal(&self, soul: Option<&Soul>, owner: &Owner, error: &PrivateError) {
        let refused = Event {
            action: Action::Refused,
            did: soul.map_or_else(String::new, |soul| Did::from_soul(soul).to_string()),
            key_id: String::new(),
            caller: owner.label(),
            reason: error.label().to_owned(),
            count: 1,
        };
        self.audit.note_counted(refused, Told::ByRecord);
    }

    async fn published(
        &self,
        mut submission: Submission,
        owner: &Owner,
    ) -> Result<Published, PublishError> {
        let random = crate::random::bytes()
            .ok_or(PublishError::Internal("get random numbers from the system"))?;
        // From the token, whatever the body says.
        access::as_objects(&mut submission.data);
        owner.put_into(&mut submission.data)?;
        let submission = self.with_default_privacy(submission);
        if let Some(reason) = privacy::asks_for_privacy(&submission.data, &submission.params) {
            return self
                .publish_private(submission, reason, owner, Action::Sealed)
                .await;
        }
        let soul = publish::soul_for(&self.key, submission.local_id.as_deref(), random)?;
        let _turn = self.turn(&soul).lock().await;
        let submission = Arc::new(submission);
        for _ in 0..TRIES {
            let held = self.store.record(&soul)?;
            self.check_owner(held.as_ref(), owner)?;
            self.check_members_list(&soul, owner)?;
            check_still_private(held.as_ref(), &submission)?;
            let edited = held.as_ref().is_some_and(|row| !row.deleted);
            let submission = Arc::clone(&submission);
            let built = self
                .build(held.as_ref().map(order_of), random, move |context| {
                    publish::build(&submission, context)
                })
                .await?;
            let registered = self.registration(&built)?;
            let (did, document) = (built.did.clone(), built.document.clone());
            let kept = self.keep(built, registered, held, owner, None).await?;
            if kept == Kept::Superseded {
                continue;
            }
            self.metrics.published.inc();
            return Ok(Published {
                did,
                soul,
                document,
                edited,
                encrypted: false,
            });
        }
        Err(PublishError::Busy)
    }

    /// What announces a version, and takes back the mark of an earlier deletion.
    fn registration(&self, built: &Built) -> Result<Writes, PublishError> {
        let mut writes = self.registry.register(&Registration {
            soul: &built.soul,
            record_type: &built.record_type,
            creator_public_key: &built.creator.public_key,
            node_id: &self.node_id,
            at_ms: built.order.at_ms,
        });
        writes.extend(self.cleared(&built.soul)?);
        Ok(writes)
    }

    pub(crate) async fn delete(&self, did: &Did, owner: &Owner) -> Result<Deleted, DeleteError> {
        let deleted = self.deleted(did, owner).await;
        if let Err(DeleteError::Publish(PublishError::Private(error))) = &deleted {
            self.note_refusal(Some(did.soul()), owner, error);
        }
        deleted
    }

    async fn deleted(&self, did: &Did, owner: &Owner) -> Result<Deleted, DeleteError> {
        let soul = did.soul().clone();
        let _turn = self.turn(&soul).lock().await;
        let random = crate::random::bytes()
            .ok_or(PublishError::Internal("get random numbers from the system"))?;
        for _ in 0..TRIES {
            let held = self.store.record(&soul).map_err(PublishError::from)?;
            let Some(held) = held.filter(|row| !row.deleted) else {
                return Err(DeleteError::Unknown(did.clone()));
            };
            if held.creator != self.key.creator().did_address {
                return Err(DeleteError::NotOurs(did.clone()));
            }
            self.check_owner(Some(&held), owner)?;
            let (record_type, existing) = (held.record_type.clone(), soul.clone());
            let built = self
                .build(Some(order_of(&held)), random, move |context| {
                    publish::tombstone(&existing, &record_type, context)
                })
                .await?;
            let mut unregistered =
                self.registry
                    .unregister(&self.node_id, &held.record_type, &soul);
            // For deployed nodes, which know no tombstones.
            let by = &self.key.creator().public_key;
            unregistered.extend(deletions::mark(&soul, by, built.order.at_ms));
            let kept = self.keep(built, unregistered, Some(held), owner, None);
            if kept.await? == Kept::Done {
                return Ok(Deleted { did: did.clone() });
            }
        }
        Err(PublishError::Busy.into())
    }

    /// The writes that clear a deletion mark of what is published anew: deployed nodes would pass it over
    /// for ever.
    fn cleared(&self, soul: &Soul) -> Result<Writes, PublishError> {
        let Some(flag) = deletions::flag(soul) else {
            return Ok(Vec::new());
        };
        let marked = self.store.value(&deletions::index(), &flag)?;
        Ok(match marked {
            Some((_, gun::Value::Bool(true))) => deletions::clear(soul),
            _ => Vec::new(),
        })
    }

    fn turn(&self, soul: &Soul) -> &Mutex<()> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        soul.hash(&mut hasher);
        &self.turns.0[usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0)]
    }

    /// A record that says nothing about access, on a node whose default is private, is private.
    fn with_default_privacy(&self, mut submission: Submission) -> Submission {
        let says_something = privacy::says_public(&submission.data, &submission.params)
            || privacy::asks_for_privacy(&submission.data, &submission.params).is_some();
        if self.privacy_default == PrivacyDefault::Private && !says_something {
            submission
                .params
                .insert("access_level".to_owned(), "private".into());
        }
        submission
    }

    /// Signs off the reactor: an RSA signature takes milliseconds.
    async fn build(
        &self,
        newest_known: Option<Order>,
        random: [u8; 16],
        make: impl FnOnce(&Context<'_>) -> Result<Built, Refusal> + Send + 'static,
    ) -> Result<Built, PublishError> {
        self.build_with(newest_known, random, make).await
    }

    async fn build_with<T: Send + 'static>(
        &self,
        newest_known: Option<Order>,
        random: [u8; 16],
        make: impl FnOnce(&Context<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, PublishError> {
        let key = Arc::clone(&self.key);
        let now_ms = signed_ms(clock::wall_ms());
        let built = tokio::task::spawn_blocking(move || {
            make(&Context {
                key: &key,
                now_ms,
                newest_known,
                random,
                existing: None,
            })
        });
        Ok(built
            .await
            .map_err(|_| PublishError::Internal("build the record"))??)
    }

    /// Empties the nodes below a record in the nested layout: they hold in clear what is sealed from now on, and are
    /// served by this node as long as they stand.
    fn nested_in_clear(&self, soul: &Soul) -> Result<Writes, PublishError> {
        let root = format!("{soul}/data");
        let souls = self
            .store
            .souls(&root, oip_store::Start::First, NESTED_MAX)?;
        let is_below = |soul: &&Soul| {
            let rest = soul.as_str().strip_prefix(&root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut emptied = Writes::new();
        for soul in souls.iter().filter(is_below) {
            let node = self.store.node(soul)?;
            let keys = node.into_iter().flat_map(|node| node.entries);
            let nulls: Vec<_> = keys
                .filter(|entry| entry.value != gun::Value::Null)
                .map(|entry| (entry.key, gun::Value::Null))
                .collect();
            if !nulls.is_empty() {
                emptied.push((soul.clone(), nulls));
            }
        }
        Ok(emptied)
    }

    /// Writes record, registry and verified copy in one transaction, and lets subscribers hear of it.
    async fn keep(
        &self,
        built: Built,
        registry: Writes,
        held: Option<RecordRow>,
        owner: &Owner,
        noted: Option<Op>,
    ) -> Result<Kept, PublishError> {
        let now_ms = clock::wall_ms();
        let (soul, is_deleted) = (built.soul.clone(), built.deleted);
        let is_own = built.creator == *self.key.creator();
        let mark = signer_mark(&built.creator.did_address);
        let writes = built.entries.iter().cloned().chain(registry);
        let mut ops = vec![Op::ExpectRecord {
            soul: soul.clone(),
            seq: held.as_ref().map(|row| row.seq),
        }];
        ops.extend(writes.map(|(soul, entries)| Op::Write { soul, entries }));
        if built.document["data"]["encryptionType"] == ENCRYPTION_TYPE {
            let emptied = self.nested_in_clear(&soul)?.into_iter();
            ops.extend(emptied.map(|(soul, entries)| Op::Write { soul, entries }));
        }
        ops.push(Op::PutRecord(RecordRow {
            soul: built.soul,
            record_type: built.record_type,
            creator: built.creator.did_address,
            at_ms: built.order.at_ms,
            revision: built.order.revision,
            digest: built.order.digest,
            class: oip_record::SignatureClass::Ours.to_u8(),
            deleted: built.deleted,
            // A client that sealed by itself signed with a key of its own.
            own: is_own,
            first_seen_ms: held.map_or(now_ms, |row| row.first_seen_ms),
            source: None,
            verification: oip_record::Verification::Verified.to_u8(),
            data: built.data_text.map(Into::into),
            oip: built.oip_text.into(),
            seq: 0,
        }));
        // As of any other creator: what claims to be his and bears no signature is not taken.
        if self.store.cursor(&mark)?.is_none() {
            ops.push(Op::SetCursor {
                name: mark,
                value: vec![1],
            });
        }
        ops.extend(noted);
        ops.extend(self.marked(&soul, owner, is_deleted)?);
        let what = if is_deleted { "deleted" } else { "published" };
        ops.extend(explain::note(
            &self.store,
            &soul,
            what,
            "by this node",
            None,
        ));
        // What was just written here need not be looked at as if a peer had brought it.
        ops.push(Op::WantedRemove(soul));
        match self.store.commit(Transaction { ops }, now_ms).await {
            Ok(committed) => self.hub.changed(committed.changed).await,
            Err(WriteError::Superseded(_)) => return Ok(Kept::Superseded),
            Err(error) => return Err(error.into()),
        }
        Ok(Kept::Done)
    }
}

/// Nodes of one record in the nested layout that are emptied. Readers refuse a record with more.
const NESTED_MAX: usize = 10_000;

/// Whether a version made here was kept.
#[derive(PartialEq, Eq)]
enum Kept {
    Done,
    /// A peer's version came first: the next one has to be stamped after that.
    Superseded,
}

/// Refuses a new version that would put a private record's place in clear without saying so: whoever edits and leaves
/// out the access control has forgotten it.
fn check_still_private(
    held: Option<&RecordRow>,
    submission: &Submission,
) -> Result<(), PrivateError> {
    match held.filter(|row| vault::is_sealed(row) || vault::is_exposed(row)) {
        Some(row) if !privacy::says_public(&submission.data, &submission.params) => {
            Err(PrivateError::WasPrivate(Did::from_soul(&row.soul)))
        }
        _ => Ok(()),
    }
}
