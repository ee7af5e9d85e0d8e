//! Publishing private records: sealing, sharing, revoking, and taking what a client sealed itself.
//!
//! Owns whom a record is sealed to: this node always, and everyone whom its access control names. One
//! who can't be found is an error, and nothing is written. Plaintext goes to the index through the
//! store's ciphertext, never past it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gun::Soul;
use oip_record::publish::{self, Built};
use oip_record::read::{TextOrigin, Unity};
use oip_record::verify::{self, SignaturePolicy};
use oip_record::{Did, Raw, Reject, SealedForm, Submission, privacy};
use oip_store::{Op, RecordRow, Transaction};
use oip_vault::access;
use oip_vault::audit::{Action, Event};
use oip_vault::keys::EncryptionPublic;
use oip_vault::seal::{self, Place, SealError, ShareError};
use serde_json::{Map, Value};

use super::{Kept, PublishError, Published, Publisher, TRIES, order_of};
use crate::clock;
use crate::config::Sealing;
use crate::random::SystemRandom;
use crate::statements::{Found, RecipientError};
use crate::sync::judge::signed_ms;
use crate::vault::{self, Opened, Shown};

/// Most names that one call shares with or revokes.
const NAMES_MAX: usize = 1_000;

/// Why a private record was not published or its access not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// `GUN_ENABLE_ENCRYPTION=false`.
    #[error(
        "the record asks for privacy by {0}, and this node seals nothing (GUN_ENABLE_ENCRYPTION=false): nothing of it was written"
    )]
    SealingOff(privacy::Reason),
    /// Nobody in particular asks for it.
    #[error(
        "the record asks for privacy by {0}, and private records are published with a token only: send the admin token, or a user's"
    )]
    NeedsToken(privacy::Reason),
    /// Data and request contradict each other.
    #[error(
        "the record's access control and the request's give different values for `{0}`: give it once"
    )]
    Contradiction(String),
    /// A recipient can't be sealed to.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
    /// It was not sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It can't be opened here, so that it can't be shared.
    #[error("the record can't be opened here: {0}")]
    Closed(seal::OpenError),
    /// No such record.
    #[error("no record {0} is known here")]
    Unknown(Did),
    /// It is no private record.
    #[error("the record {0} is public: there is no access to change")]
    NotPrivate(Did),
    /// It belongs to another creator.
    #[error(
        "the record {0} was made by another creator: change its access on the node that holds that key"
    )]
    NotOurs(Did),
    /// The caller does not own it.
    #[error("the record {0} belongs to somebody else")]
    NotOwner(Did),
    /// A recipient who stays can't be wrapped for anew.
    #[error(
        "the recipient with the key {0} can't be sealed to anew, since the key itself is not known here: publish the record anew"
    )]
    UnknownKey(String),
    /// Too many names at once.
    #[error("at most {NAMES_MAX} readers are changed at once")]
    TooMany,
    /// A sealed record made elsewhere is not one.
    #[error("the sealed record is refused: {0}")]
    Sealed(Reject),
    /// What is held is newer or better vouched for.
    #[error("the sealed record is not newer than what is held of it")]
    NotNewer,
}

impl PrivateError {
    /// The name of the reason.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::SealingOff(_) => "encryption-off",
            Self::NeedsToken(_) => "token-missing",
            Self::Contradiction(_) => "contradiction",
            Self::Recipient(error) => error.label(),
            Self::Seal(_) => "not-sealed",
            Self::Closed(error) => error.label(),
            Self::Unknown(_) => "unknown-record",
            Self::NotPrivate(_) => "not-private",
            Self::NotOurs(_) | Self::NotOwner(_) => "not-owner",
            Self::UnknownKey(_) => "unknown-key",
            Self::TooMany => "too-many-readers",
            Self::Sealed(reject) => reject.label(),
            Self::NotNewer => "not-newer",
        }
    }
}

/// How the access to a record shall change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessChange {
    /// Who shall be able to open it: nodes, users, organizations.
    pub share: Vec<String>,
    /// Who shall not be able to open later versions.
    pub revoke: Vec<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChanged {
    /// The record.
    pub did: Did,
    /// Recipients it has now, this node included.
    pub recipients: usize,
    /// Whether the content was sealed anew.
    pub resealed: bool,
}

/// Who changes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A program of this machine without a token: public records only.
    Anyone,
    /// The node's operator.
    Operator,
    /// The user with this key, who must own it.
    User(String),
}

impl Owner {
    /// Who it is, for the audit trail.
    fn label(&self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::User(key) => vault::reader_token(key),
        }
    }

    /// Puts a user's key into a record's access control as its owner.
    pub(super) fn put_into(&self, data: &mut Value) {
        let (Self::User(key), Some(templates)) = (self, data.as_object_mut()) else {
            return;
        };
        let block = templates
            .entry("accessControl")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(block) = block.as_object_mut() {
            block.insert("owner_public_key".to_owned(), key.as_str().into());
            block.insert("created_by".to_owned(), key.as_str().into());
        }
    }
}

impl Publisher {
    /// Refuses a user who would change what another owns.
    pub(super) fn check_owner(
        &self,
        held: Option<&RecordRow>,
        owner: &Owner,
    ) -> Result<(), PublishError> {
        let Some(held) = held.filter(|row| !row.deleted && *owner != Owner::Operator) else {
            return Ok(());
        };
        let data = match self.vault.read(held) {
            Ok(Shown::Public(_)) if *owner == Owner::Anyone => return Ok(()),
            Ok(Shown::Public(mut document)) => document["data"].take(),
            Ok(Shown::Opened(opened)) => opened.data,
            _ => Value::Null,
        };
        if owns(owner, &data) {
            Ok(())
        } else {
            Err(PrivateError::NotOwner(Did::from_soul(&held.soul)).into())
        }
    }

    /// Seals a submission that asks for privacy.
    pub(super) async fn publish_private(
        &self,
        mut submission: Submission,
        reason: privacy::Reason,
        owner: &Owner,
    ) -> Result<Published, PublishError> {
        if *owner == Owner::Anyone {
            return Err(PrivateError::NeedsToken(reason).into());
        }
        if self.sealing == Sealing::Off {
            return Err(PrivateError::SealingOff(reason).into());
        }
        access::merge_request(&mut submission.data, &submission.params)
            .map_err(PrivateError::Contradiction)?;
        let wish = access::wish(&submission.data);
        let names: BTreeSet<&String> = wish.nodes.iter().chain(&wish.readers).collect();
        if names.len() > access::NAMES_MAX {
            return Err(PrivateError::Seal(SealError::TooManyRecipients).into());
        }
        let keys = self.recipients(names.into_iter()).await?;
        let random = crate::random::bytes()
            .ok_or(PublishError::Internal("get random numbers from the system"))?;
        let soul = publish::soul_for(&self.key, submission.local_id.as_deref(), random)?;
        let _turn = self.turn(&soul).lock().await;
        let (submission, keys) = (Arc::new(submission), Arc::new(keys));
        for _ in 0..TRIES {
            let held = self.store.record(&soul)?;
            self.check_owner(held.as_ref(), owner)?;
            let edited = held.as_ref().is_some_and(|row| !row.deleted);
            let (submission, keys) = (Arc::clone(&submission), Arc::clone(&keys));
            let (level, key) = (wish.level.clone(), Arc::clone(&self.key));
            let sealed = self
                .build_with(held.as_ref().map(order_of), random, move |context| {
                    let draft = publish::draft(&submission, &level, context)?;
                    let signature = draft.sign_content(&key)?;
                    let place = Place {
                        soul: &draft.soul,
                        record_type: &draft.record_type,
                        indexed_at: &draft.stamp,
                        creator: &draft.creator,
                    };
                    let form = seal::seal(
                        place,
                        &draft.level,
                        &draft.data,
                        &signature,
                        &keys,
                        &mut SystemRandom,
                    );
                    Ok(match form {
                        Ok(form) => Ok(draft.seal(&form, &key)?),
                        Err(error) => Err(error),
                    })
                })
                .await?;
            let built = sealed.map_err(PrivateError::from)?;
            let did = built.did.clone();
            let row = match self.keep_registered(built, held).await? {
                Some(row) => row,
                None => continue,
            };
            self.metrics.published.inc();
            let opened = self.opened(&row)?;
            self.audit
                .note(event(
                    Action::Sealed,
                    &did,
                    &opened.key_id,
                    &owner.label(),
                    "published",
                ))
                .await;
            return Ok(Published {
                did,
                soul,
                document: opened.document,
                edited,
                encrypted: true,
            });
        }
        Err(PublishError::Busy)
    }

    /// Takes a record that its maker sealed himself: this node sees ciphertext, unless it is a recipient.
    pub(crate) async fn publish_sealed(
        &self,
        soul: Soul,
        data: String,
        oip: String,
    ) -> Result<Published, PublishError> {
        let raw = Raw {
            data_text: Some(data),
            oip_text: oip,
            origin: TextOrigin::Stored,
            unity: Unity::SamePut,
            meta: Map::new(),
        };
        let now_ms = signed_ms(clock::wall_ms());
        let accepted = verify::accept(&soul, raw, SignaturePolicy::Require, now_ms)
            .map_err(PrivateError::Sealed)?;
        if accepted.sealed.is_none() {
            return Err(PrivateError::Sealed(Reject::Sealed).into());
        }
        let _turn = self.turn(&soul).lock().await;
        let held = self.store.record(&soul)?;
        let claimed = held.as_ref().map(crate::sync::judge::held_version);
        if oip_record::order::resolve(claimed.as_ref(), &accepted.claim())
            != oip_record::Resolution::Take
        {
            return Err(PrivateError::NotNewer.into());
        }
        let edited = held.as_ref().is_some_and(|row| !row.deleted);
        let text = |text: &str| gun::Value::text(text);
        let key = |name: &'static str| gun::Key::new(name).expect("plain words are names");
        let built = Built {
            entries: vec![(
                soul.clone(),
                vec![
                    (
                        key("data"),
                        text(accepted.data_text.as_deref().unwrap_or_default()),
                    ),
                    (key("oip"), text(&accepted.oip_text)),
                ],
            )],
            soul: accepted.soul,
            did: accepted.did.clone(),
            record_type: accepted.record_type,
            creator: accepted.creator,
            data_text: accepted.data_text,
            oip_text: accepted.oip_text,
            order: accepted.order,
            deleted: false,
            document: accepted.document.clone(),
        };
        if self.keep_registered(built, held).await?.is_none() {
            return Err(PublishError::Busy);
        }
        self.metrics.published.inc();
        self.audit
            .note(event(
                Action::Sealed,
                &accepted.did,
                "",
                "client",
                "sealed by its maker",
            ))
            .await;
        Ok(Published {
            did: accepted.did,
            soul,
            document: accepted.document,
            edited,
            encrypted: true,
        })
    }

    /// Shares a record with more readers, or seals it anew for fewer.
    pub(crate) async fn change_access(
        &self,
        did: &Did,
        change: AccessChange,
        owner: &Owner,
    ) -> Result<AccessChanged, PublishError> {
        if change.share.len() + change.revoke.len() > NAMES_MAX {
            return Err(PrivateError::TooMany.into());
        }
        let soul = did.soul().clone();
        let held = self.store.record(&soul)?.filter(|row| !row.deleted);
        let held = held.ok_or_else(|| PrivateError::Unknown(did.clone()))?;
        // Before anything is looked up for somebody who may change nothing; and again in the record's turn,
        // which is not held meanwhile: peers may take seconds.
        self.check_owner(Some(&held), owner)?;
        let mut more = Vec::new();
        for name in &change.share {
            more.extend(
                self.statements
                    .find(name)
                    .await
                    .map_err(PrivateError::from)?,
            );
        }
        let mut fewer = BTreeSet::new();
        for name in &change.revoke {
            let found = self
                .statements
                .find(name)
                .await
                .map_err(PrivateError::from)?;
            fewer.extend(found.into_iter().map(|found| found.owner));
        }
        self.remember_keys(&more).await?;
        let _turn = self.turn(&soul).lock().await;
        for _ in 0..TRIES {
            let Some(held) = self.store.record(&soul)?.filter(|row| !row.deleted) else {
                return Err(PrivateError::Unknown(did.clone()).into());
            };
            if !vault::is_sealed(&held) {
                return Err(PrivateError::NotPrivate(did.clone()).into());
            }
            if held.creator != self.key.creator().did_address {
                return Err(PrivateError::NotOurs(did.clone()).into());
            }
            let opened = self.opened(&held)?;
            if !owns(owner, &opened.data) {
                return Err(PrivateError::NotOwner(did.clone()).into());
            }
            let built = if change.revoke.is_empty() {
                match self.shared(&held, &opened, &more)? {
                    Some(built) => built,
                    None => return Ok(changed(did, opened.form.recipients.len(), false)),
                }
            } else {
                self.revoked(&held, opened, &change, &more, &fewer).await?
            };
            let recipients = recipients_of(&built);
            let resealed = !change.revoke.is_empty();
            if self.keep_registered(built, Some(held)).await?.is_none() {
                continue;
            }
            let action = if resealed {
                Action::Revoked
            } else {
                Action::Shared
            };
            let names = change.share.len() + change.revoke.len();
            let mut event = event(
                action,
                did,
                self.vault.ring().current().id(),
                &owner.label(),
                "asked for",
            );
            event.count = names as u64;
            self.audit.note(event).await;
            return Ok(changed(did, recipients, resealed));
        }
        Err(PublishError::Busy)
    }

    fn shared(
        &self,
        held: &RecordRow,
        opened: &Opened,
        more: &[Found],
    ) -> Result<Option<Built>, PublishError> {
        let keys: Vec<EncryptionPublic> = more.iter().map(|found| found.key.clone()).collect();
        let stamp = opened
            .oip
            .indexed_at
            .as_ref()
            .ok_or(PublishError::Internal("read the record's time"))?;
        let place = Place {
            soul: &held.soul,
            record_type: &opened.oip.record_type,
            indexed_at: stamp,
            creator: &opened.oip.creator,
        };
        let form = seal::share(
            place,
            &opened.form,
            &self.vault.ring(),
            &keys,
            &mut SystemRandom,
        )
        .map_err(|error| match error {
            ShareError::Open(error) => PrivateError::Closed(error),
            ShareError::Seal(error) => PrivateError::Seal(error),
            _ => PrivateError::Seal(SealError::Library),
        })?;
        form.map(|form| {
            publish::sealed_version(
                &held.soul,
                &opened.oip.record_type,
                &opened.oip.creator,
                stamp,
                &form,
                &self.key,
            )
        })
        .transpose()
        .map_err(PublishError::from)
    }

    /// The record under a new content key, without those who are revoked and with those who are added.
    async fn revoked(
        &self,
        held: &RecordRow,
        mut opened: Opened,
        change: &AccessChange,
        more: &[Found],
        fewer: &BTreeSet<String>,
    ) -> Result<Built, PublishError> {
        let ring = self.vault.ring();
        let mut keys = BTreeMap::from([(
            ring.current().id().to_owned(),
            ring.current().public().clone(),
        )]);
        for found in more {
            keys.insert(found.key.id(), found.key.clone());
        }
        for recipient in &opened.form.recipients {
            if ring.key(&recipient.key).is_some() {
                continue;
            }
            let known = self.known_key(&recipient.key)?;
            let known = known.ok_or_else(|| PrivateError::UnknownKey(recipient.key.clone()))?;
            if !fewer.contains(&known.owner) {
                keys.insert(recipient.key.clone(), known.key);
            }
        }
        forget_names(&mut opened.data, &change.revoke);
        let keys: Vec<_> = keys.into_values().collect();
        let submission = Submission {
            record_type: held.record_type.clone(),
            local_id: None,
            data: opened.data,
            params: Map::new(),
        };
        let (level, key, soul) = (opened.form.level, Arc::clone(&self.key), held.soul.clone());
        let sealed = self
            .build_with(Some(order_of(held)), [0; 16], move |context| {
                let context = publish::Context {
                    existing: Some(&soul),
                    ..*context
                };
                let draft = publish::draft(&submission, &level, &context)?;
                let signature = draft.sign_content(&key)?;
                let place = Place {
                    soul: &draft.soul,
                    record_type: &draft.record_type,
                    indexed_at: &draft.stamp,
                    creator: &draft.creator,
                };
                let form = seal::seal(
                    place,
                    &level,
                    &draft.data,
                    &signature,
                    &keys,
                    &mut SystemRandom,
                );
                Ok(match form {
                    Ok(form) => Ok(draft.seal(&form, &key)?),
                    Err(error) => Err(error),
                })
            })
            .await?;
        Ok(sealed.map_err(PrivateError::from)?)
    }

    /// This node's key and those that the names lead to.
    async fn recipients(
        &self,
        names: impl Iterator<Item = &String>,
    ) -> Result<Vec<EncryptionPublic>, PublishError> {
        let mut found = Vec::new();
        for name in names {
            found.extend(
                self.statements
                    .find(name)
                    .await
                    .map_err(PrivateError::from)?,
            );
        }
        self.remember_keys(&found).await?;
        let own = self.vault.ring().current().public().clone();
        Ok(std::iter::once(own)
            .chain(found.into_iter().map(|found| found.key))
            .collect())
    }

    /// Keeps which key is whose: a revocation seals anew to those who stay.
    async fn remember_keys(&self, found: &[Found]) -> Result<(), PublishError> {
        let mut ops = Vec::new();
        for found in found {
            let name = key_mark(&found.key.id());
            if self.store.cursor(&name)?.is_none() {
                let value = serde_json::json!({"key": found.key.to_text(), "owner": found.owner});
                ops.push(Op::SetCursor {
                    name,
                    value: value.to_string().into_bytes(),
                });
            }
        }
        if !ops.is_empty() {
            self.store
                .commit(Transaction { ops }, clock::wall_ms())
                .await?;
        }
        Ok(())
    }

    fn known_key(&self, id: &str) -> Result<Option<Found>, PublishError> {
        let stored = self.store.cursor(&key_mark(id))?;
        Ok(stored.and_then(|bytes| {
            let known: Value = serde_json::from_slice(&bytes).ok()?;
            Some(Found {
                owner: known["owner"].as_str()?.to_owned(),
                key: EncryptionPublic::from_text(known["key"].as_str()?).ok()?,
            })
        }))
    }

    fn opened(&self, row: &RecordRow) -> Result<Opened, PublishError> {
        match self.vault.open(row) {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(PrivateError::Closed(error).into()),
            Err(_) => Err(PublishError::Internal("read the record")),
        }
    }

    /// Keeps a version with its registry entries; `None` if another came first.
    async fn keep_registered(
        &self,
        built: Built,
        held: Option<RecordRow>,
    ) -> Result<Option<RecordRow>, PublishError> {
        let registered = self.registration(&built)?;
        let soul = built.soul.clone();
        match self.keep(built, registered, held).await? {
            Kept::Done => Ok(self.store.record(&soul)?),
            Kept::Superseded => Ok(None),
        }
    }
}

fn key_mark(id: &str) -> String {
    format!("encryption-key:{id}")
}

fn changed(did: &Did, recipients: usize, resealed: bool) -> AccessChanged {
    AccessChanged {
        did: did.clone(),
        recipients,
        resealed,
    }
}

fn recipients_of(built: &Built) -> usize {
    built
        .data_text
        .as_deref()
        .and_then(|text| SealedForm::parse(&serde_json::from_str(text).ok()?).ok())
        .map_or(0, |form| form.recipients.len())
}

fn owns(owner: &Owner, data: &Value) -> bool {
    match owner {
        Owner::Anyone => false,
        Owner::Operator => true,
        Owner::User(key) => access::wish(data)
            .owner
            .is_some_and(|owner| vault::reader_token(&owner) == vault::reader_token(key)),
    }
}

/// Takes names out of every list of readers.
fn forget_names(data: &mut Value, names: &[String]) {
    let tokens: BTreeSet<String> = names.iter().map(|name| vault::reader_token(name)).collect();
    let is_gone = |name: &str| tokens.contains(&vault::reader_token(name));
    let blocks = data.as_object_mut().into_iter().flatten();
    for (_, block) in blocks {
        for (_, member) in block.as_object_mut().into_iter().flatten() {
            let listed = access::names(member);
            if listed.iter().any(|name| is_gone(name)) {
                *member = listed.into_iter().filter(|name| !is_gone(name)).collect();
            }
        }
    }
}

pub(crate) fn event(action: Action, did: &Did, key_id: &str, caller: &str, reason: &str) -> Event {
    Event {
        action,
        did: did.to_string(),
        key_id: key_id.to_owned(),
        caller: caller.to_owned(),
        reason: reason.to_owned(),
        count: 1,
    }
}

impl From<PrivateError> for PublishError {
    fn from(error: PrivateError) -> Self {
        Self::Private(Box::new(error))
    }
}
