//! Publishing private records: sealing. Sharing and revoking are `sharing`'s, what clients make themselves is
//! `made_elsewhere`'s.
//!
//! Owns whom a record is sealed to: this node always, and everyone whom its access control names. One
//! who can't be found is an error, and nothing is written. Plaintext goes to the index through the
//! store's ciphertext, never past it.

use std::collections::BTreeSet;
use std::sync::Arc;

use gun::Soul;
use oip_record::publish::{self, Built};
use oip_record::{Did, Order, Reject, Submission, privacy};
use oip_store::{Op, RecordRow, Transaction};
use oip_vault::access;
use oip_vault::audit::{Action, Event};
use oip_vault::keys::EncryptionPublic;
use oip_vault::seal::{self, Place, SealError};

use super::owner::Owner;
use super::{Kept, PublishError, Published, Publisher, TRIES, order_of};
use crate::clock;
use crate::config::Sealing;
use crate::key_owners;
use crate::random::SystemRandom;
use crate::statements::{Found, RecipientError};
use crate::vault::Opened;

/// Most names that one call shares with or revokes.
pub(super) const NAMES_MAX: usize = 1_000;

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
    /// It is private, and was published in clear or under an old scheme.
    #[error(
        "the record {0} is private and not sealed, so that its access can't be changed: `oip-gun migrate legacy-private` seals it, or publish it anew"
    )]
    NotSealed(Did),
    /// It belongs to another creator.
    #[error(
        "the record {0} was made by another creator: change its access on the node that holds that key"
    )]
    NotOurs(Did),
    /// The caller does not own it.
    #[error("the record {0} belongs to somebody else")]
    NotOwner(Did),
    /// It is private, and the new version does not say whether it is to be public.
    #[error(
        "the record {0} is private, and the new version says nothing of privacy: give its access control once more, or say access_level public to publish it for everyone"
    )]
    WasPrivate(Did),
    /// Who is revoked belongs to an organization that may still read.
    #[error(
        "`{name}` is a member of {organization}, which the record names as a reader: revoke the organization and share with those who stay, or have its owner take him off the list of members first"
    )]
    StillMember {
        /// Who is revoked.
        name: String,
        /// The organization's DID.
        organization: String,
    },
    /// A machine says who owns what it publishes.
    #[error(
        "the record names an owner (owner_public_key or created_by), and who owns a record comes from the caller's token: leave it out, or send the owner's own token"
    )]
    OwnerNamed,
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
    /// What was given as the record of a user's encryption key is none.
    #[error("the encryption key given with the request is refused ({0}): {1}")]
    UserKey(String, String),
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
            Self::NotSealed(_) => "not-sealed-yet",
            Self::NotOurs(_) | Self::NotOwner(_) => "not-owner",
            Self::OwnerNamed => "owner-named",
            Self::WasPrivate(_) => "was-private",
            Self::StillMember { .. } => "still-member",
            Self::UnknownKey(_) => "unknown-key",
            Self::TooMany => "too-many-readers",
            Self::Sealed(reject) => reject.label(),
            Self::UserKey(..) => "bad-encryption-key",
            Self::NotNewer => "not-newer",
        }
    }
}

/// What is sealed, and to whom.
pub(super) struct Sealable {
    pub submission: Arc<Submission>,
    pub level: String,
    pub keys: Arc<Vec<EncryptionPublic>>,
    /// Makes a local id where none is given.
    pub random: [u8; 16],
    /// The soul of a record that is there already.
    pub existing: Option<Soul>,
}

impl Publisher {
    /// Seals a submission that asks for privacy. The audit trail says it was `action`.
    pub(super) async fn publish_private(
        &self,
        submission: Submission,
        reason: privacy::Reason,
        owner: &Owner,
        action: Action,
    ) -> Result<Published, PublishError> {
        let (submission, found) = self.sealable(submission, reason, owner).await?;
        self.remember_keys(&found).await?;
        let keys = self.with_own(found);
        let level = access::wish(&submission.data).level;
        let random = crate::random::bytes()
            .ok_or(PublishError::Internal("get random numbers from the system"))?;
        let soul = publish::soul_for(&self.key, submission.local_id.as_deref(), random)?;
        let _turn = self.turn(&soul).lock().await;
        let (submission, keys) = (Arc::new(submission), Arc::new(keys));
        for _ in 0..TRIES {
            let held = self.store.record(&soul)?;
            self.check_owner(held.as_ref(), owner)?;
            self.check_members_list(&soul, owner)?;
            let edited = held.as_ref().is_some_and(|row| !row.deleted);
            let sealing = Sealable {
                submission: Arc::clone(&submission),
                level: level.clone(),
                keys: Arc::clone(&keys),
                random,
                existing: None,
            };
            let built = self
                .sealed_form(held.as_ref().map(order_of), sealing)
                .await?;
            let did = built.did.clone();
            let row = match self.keep_registered(built, held, owner, None).await? {
                Some(row) => row,
                None => continue,
            };
            self.metrics.published.inc();
            let opened = self.opened(&row)?;
            self.audit
                .note(event(
                    action,
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

    /// A submission with its whole access control, and everyone whom that names.
    pub(super) async fn sealable(
        &self,
        mut submission: Submission,
        reason: privacy::Reason,
        owner: &Owner,
    ) -> Result<(Submission, Vec<Found>), PublishError> {
        if *owner == Owner::Anyone {
            return Err(PrivateError::NeedsToken(reason).into());
        }
        if self.sealing == Sealing::Off {
            return Err(PrivateError::SealingOff(reason).into());
        }
        access::merge_request(&mut submission.data, &submission.params)
            .map_err(PrivateError::Contradiction)?;
        // Once more: the request's part may name an owner too.
        owner.put_into(&mut submission.data)?;
        let wish = access::wish(&submission.data);
        let names: BTreeSet<String> = wish.nodes.into_iter().chain(wish.readers).collect();
        if names.len() > access::NAMES_MAX {
            return Err(PrivateError::Seal(SealError::TooManyRecipients).into());
        }
        let mut found = Vec::new();
        for name in &names {
            let these = self.statements.find(name).await;
            found.extend(these.map_err(PrivateError::from)?);
        }
        Ok((submission, found))
    }

    /// This node's key and those of others.
    pub(super) fn with_own(&self, found: Vec<Found>) -> Vec<EncryptionPublic> {
        let own = self.vault.ring().current().public().clone();
        std::iter::once(own)
            .chain(found.into_iter().map(|found| found.key))
            .collect()
    }

    /// A version as it would be written, stamped after what is known.
    pub(super) async fn sealed_form(
        &self,
        newest_known: Option<Order>,
        sealing: Sealable,
    ) -> Result<Built, PublishError> {
        let key = Arc::clone(&self.key);
        let sealed = self
            .build_with(newest_known, sealing.random, move |context| {
                let context = publish::Context {
                    existing: sealing.existing.as_ref(),
                    ..*context
                };
                let draft = publish::draft(&sealing.submission, &sealing.level, &context)?;
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
                    &sealing.keys,
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

    /// Keeps keys by their ids, since a revocation seals anew to those who stay, and who has proven to have which.
    pub(crate) async fn remember_keys(&self, found: &[Found]) -> Result<(), PublishError> {
        let ops = key_owners::remember(&self.store, found)?;
        if !ops.is_empty() {
            self.store
                .commit(Transaction { ops }, clock::wall_ms())
                .await?;
        }
        Ok(())
    }

    pub(super) fn opened(&self, row: &RecordRow) -> Result<Opened, PublishError> {
        match self.vault.open(row) {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(PrivateError::Closed(error).into()),
            Err(_) => Err(PublishError::Internal("read the record")),
        }
    }

    /// Keeps a version with its registry entries and what is noted of it; `None` if another came first.
    pub(super) async fn keep_registered(
        &self,
        built: Built,
        held: Option<RecordRow>,
        owner: &Owner,
        noted: Option<Op>,
    ) -> Result<Option<RecordRow>, PublishError> {
        let registered = self.registration(&built)?;
        let soul = built.soul.clone();
        match self.keep(built, registered, held, owner, noted).await? {
            Kept::Done => Ok(self.store.record(&soul)?),
            Kept::Superseded => Ok(None),
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
