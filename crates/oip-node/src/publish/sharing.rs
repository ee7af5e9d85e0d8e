//! Changing who can read a private record: sharing is one more wrap around the same content, revoking a new content
//! under a new key.
//!
//! Owns that whoever stays after a revocation stays by name, and that nobody who is revoked stays as a member of an
//! organization. What a former reader copied is beyond anyone's reach.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oip_record::publish::{self, Built};
use oip_record::{Did, NodeIdentity, SealedForm, Submission};
use oip_store::{Op, RecordRow};
use oip_vault::access;
use oip_vault::audit::Action;
use oip_vault::keys::EncryptionPublic;
use oip_vault::seal::{self, Place, SealError, ShareError};
use serde_json::{Map, Value};

use super::owner::{Owner, owns};
use super::private::{NAMES_MAX, PrivateError, Sealable, event};
use super::{PublishError, Publisher, TRIES, order_of};
use crate::key_owners;
use crate::random::SystemRandom;
use crate::statements::{Found, Name, RecipientError};
use crate::vault::{self, Opened, reader_token};

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

/// Who is revoked, by name and token.
#[derive(Debug, Default)]
struct Fewer {
    /// The names as they were given.
    names: BTreeSet<String>,
    /// Those who are named themselves, with the name.
    people: BTreeMap<String, String>,
    /// Members of organizations that are named.
    through: BTreeSet<String>,
    /// The keys of those who are named themselves.
    keys: BTreeSet<String>,
}

/// Whom the names that stay in a record lead to.
#[derive(Debug, Default)]
struct Staying {
    /// What they are called among readers.
    tokens: BTreeSet<String>,
    /// The names, those of members in the place of organizations.
    people: BTreeSet<String>,
}

impl Publisher {
    /// Shares a record with more readers, or seals it anew for fewer.
    pub(crate) async fn change_access(
        &self,
        did: &Did,
        change: AccessChange,
        owner: &Owner,
    ) -> Result<AccessChanged, PublishError> {
        let changed = self.access_changed(did, change, owner).await;
        if let Err(PublishError::Private(error)) = &changed {
            self.note_refusal(Some(did.soul()), owner, error);
        }
        changed
    }

    async fn access_changed(
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
        let fewer = self.fewer(&change.revoke, &held).await?;
        self.remember_keys(&more).await?;
        let _turn = self.turn(&soul).lock().await;
        for _ in 0..TRIES {
            let Some(held) = self.store.record(&soul)?.filter(|row| !row.deleted) else {
                return Err(PrivateError::Unknown(did.clone()).into());
            };
            let opened = self.changeable(&held, did, owner)?;
            let resealed = !change.revoke.is_empty();
            let (built, noted) = if resealed {
                let built = self.revoked(&held, opened, &change.share, &more, &fewer);
                (built.await?, None)
            } else {
                let shared = self.shared_names(&held, &more)?;
                match self.shared(&held, &opened, &more)? {
                    Some(built) => (built, shared),
                    None if shared.is_none() => {
                        return Ok(changed(did, opened.form.recipients.len(), false));
                    }
                    // He can open it already, as a member of an organization, and is named himself now.
                    None => (self.once_more(&held, &opened)?, shared),
                }
            };
            let recipients = recipients_of(&built);
            let kept = self
                .keep_registered(built, Some(held), owner, noted)
                .await?;
            if kept.is_none() {
                continue;
            }
            let action = match resealed {
                true => Action::Revoked,
                false => Action::Shared,
            };
            let key = self.vault.ring().current().id().to_owned();
            let mut event = event(action, did, &key, &owner.label(), "asked for");
            event.count = (change.share.len() + change.revoke.len()) as u64;
            self.audit.note(event).await;
            return Ok(changed(did, recipients, resealed));
        }
        Err(PublishError::Busy)
    }

    /// What is held, opened, if this caller may change who reads it.
    fn changeable(
        &self,
        held: &RecordRow,
        did: &Did,
        owner: &Owner,
    ) -> Result<Opened, PublishError> {
        if vault::is_exposed(held) {
            return Err(PrivateError::NotSealed(did.clone()).into());
        }
        if !vault::is_sealed(held) {
            return Err(PrivateError::NotPrivate(did.clone()).into());
        }
        if held.creator != self.key.creator().did_address {
            return Err(PrivateError::NotOurs(did.clone()).into());
        }
        let opened = self.opened(held)?;
        if !owns(owner, &opened.data) {
            return Err(PrivateError::NotOwner(did.clone()).into());
        }
        Ok(opened)
    }

    /// Notes users whom the version is shared with by this call; `None` if all are noted already.
    fn shared_names(&self, held: &RecordRow, more: &[Found]) -> Result<Option<Op>, PublishError> {
        let mut owners = key_owners::shared_with(&self.store, held)?;
        let before = owners.len();
        let names = more.iter().map(|found| found.owner.clone());
        owners.extend(names.filter(|name| is_reader_name(name)));
        Ok((owners.len() > before).then(|| key_owners::shared_op(held, &owners)))
    }

    /// The next revision with the same recipients.
    fn once_more(&self, held: &RecordRow, opened: &Opened) -> Result<Built, PublishError> {
        let stamp = opened
            .oip
            .indexed_at
            .as_ref()
            .ok_or(PublishError::Internal("read the record's time"))?;
        let form = SealedForm {
            revision: opened.form.revision + 1,
            ..opened.form.clone()
        };
        let (record_type, creator) = (&opened.oip.record_type, &opened.oip.creator);
        let built =
            publish::sealed_version(&held.soul, record_type, creator, stamp, &form, &self.key);
        Ok(built?)
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

    /// Whom the names to revoke lead to. Who has no key any more can be revoked all the same where the record is
    /// for him.
    async fn fewer(&self, names: &[String], held: &RecordRow) -> Result<Fewer, PublishError> {
        let mut fewer = Fewer {
            names: names.iter().map(|name| reader_token(name)).collect(),
            ..Fewer::default()
        };
        for name in names {
            let is_organization = matches!(Name::read(name), Some(Name::Organization(_)));
            let owners: Vec<String> = match self.statements.find(name).await {
                Ok(found) => {
                    if !is_organization {
                        fewer.keys.extend(found.iter().map(|found| found.key.id()));
                    }
                    found.into_iter().map(|found| found.owner).collect()
                }
                Err(error) => self.owners_without_key(name, held, error)?,
            };
            for owner in owners {
                match is_organization {
                    true => drop(fewer.through.insert(reader_token(&owner))),
                    false => drop(fewer.people.insert(reader_token(&owner), name.clone())),
                }
            }
        }
        Ok(fewer)
    }

    /// Who is meant by a name that leads to no key; the error where the record is not for him either.
    fn owners_without_key(
        &self,
        name: &str,
        held: &RecordRow,
        error: RecipientError,
    ) -> Result<Vec<String>, PublishError> {
        let owners = match Name::read(name) {
            Some(Name::UserKey(key)) => vec![key],
            Some(Name::NodeId(id)) => vec![id.to_owned()],
            Some(Name::SeaKey(public)) => vec![NodeIdentity::id_of(public), public.to_owned()],
            _ => Vec::new(),
        };
        let opened = self.opened(held)?;
        let shared = key_owners::shared_with(&self.store, held)?;
        let mut readers: BTreeSet<String> = named(&opened.data)
            .iter()
            .map(|name| reader_token(name))
            .collect();
        readers.extend(shared.iter().map(|name| reader_token(name)));
        for recipient in &opened.form.recipients {
            let known = key_owners::of_key(&self.store, &recipient.key)?;
            readers.extend(known.map(|known| reader_token(&known.owner)));
        }
        let is_reader = readers.contains(&reader_token(name))
            || owners
                .iter()
                .any(|owner| readers.contains(&reader_token(owner)));
        match is_reader {
            true => Ok(owners),
            false => Err(PrivateError::Recipient(error).into()),
        }
    }

    /// The record under a new content key, without those who are revoked and with those who are added.
    async fn revoked(
        &self,
        held: &RecordRow,
        mut opened: Opened,
        share: &[String],
        more: &[Found],
        fewer: &Fewer,
    ) -> Result<Built, PublishError> {
        let added = share.iter().filter(|name| is_reader_name(name)).cloned();
        add_names(&mut opened.data, added);
        let staying = self.staying(&mut opened.data, fewer).await?;
        let is_revoked = |owner: &str| {
            let token = reader_token(owner);
            fewer.people.contains_key(&token)
                || (fewer.through.contains(&token) && !staying.tokens.contains(&token))
        };
        // Who was shared with later is named from now on.
        let shared = key_owners::shared_with(&self.store, held)?;
        let shared: Vec<String> = shared
            .into_iter()
            .filter(|name| !is_revoked(name))
            .collect();
        let unnamed = shared
            .iter()
            .filter(|name| !staying.tokens.contains(&reader_token(name)));
        add_names(&mut opened.data, unnamed.cloned());
        let ring = self.vault.ring();
        let own = ring.current();
        let mut keys = BTreeMap::from([(own.id().to_owned(), own.public().clone())]);
        for found in more.iter().filter(|found| !is_revoked(&found.owner)) {
            keys.insert(found.key.id(), found.key.clone());
        }
        for recipient in &opened.form.recipients {
            if ring.key(&recipient.key).is_some() || fewer.keys.contains(&recipient.key) {
                continue;
            }
            let known = key_owners::of_key(&self.store, &recipient.key)?;
            let known = known.ok_or_else(|| PrivateError::UnknownKey(recipient.key.clone()))?;
            if !is_revoked(&known.owner) {
                let key = self.newest_key(&known).await;
                keys.insert(key.id(), key);
            }
        }
        // Whoever else may have named his key before him.
        for name in shared.iter().chain(&staying.people) {
            if let Ok(found) = self.statements.here().find(name).await {
                self.remember_keys(&found).await?;
                keys.extend(found.into_iter().map(|found| (found.key.id(), found.key)));
            }
        }
        self.sealed_anew(held, opened, keys.into_values().collect())
            .await
    }

    async fn sealed_anew(
        &self,
        held: &RecordRow,
        opened: Opened,
        keys: Vec<EncryptionPublic>,
    ) -> Result<Built, PublishError> {
        let submission = Submission {
            record_type: held.record_type.clone(),
            local_id: None,
            data: opened.data,
            params: Map::new(),
        };
        let sealing = Sealable {
            submission: Arc::new(submission),
            level: opened.form.level,
            keys: Arc::new(keys),
            random: [0; 16],
            existing: Some(held.soul.clone()),
        };
        self.sealed_form(Some(order_of(held)), sealing).await
    }

    /// Takes the names of those who are revoked out of the data, whatever they are called there; says whom the
    /// others lead to.
    async fn staying(&self, data: &mut Value, fewer: &Fewer) -> Result<Staying, PublishError> {
        // What is known here decides: nobody waits for a peer in a record's turn.
        let here = self.statements.here();
        let (mut gone, mut staying) = (fewer.names.clone(), Staying::default());
        for name in named(data) {
            if gone.contains(&reader_token(&name)) {
                continue;
            }
            if let Some(Name::Organization(did)) = Name::read(&name) {
                for member in here.members(&did, &name).await.unwrap_or_default() {
                    let tokens = tokens_of(&member, here.find(&member).await.ok());
                    if let Some(revoked) = tokens.iter().find_map(|token| fewer.people.get(token)) {
                        return Err(PrivateError::StillMember {
                            name: revoked.clone(),
                            organization: name,
                        }
                        .into());
                    }
                    staying.tokens.extend(tokens);
                    staying.people.insert(member);
                }
                continue;
            }
            let tokens = tokens_of(&name, here.find(&name).await.ok());
            if tokens.iter().any(|token| fewer.people.contains_key(token)) {
                gone.insert(reader_token(&name));
            } else {
                staying.tokens.extend(tokens);
                staying.people.insert(name);
            }
        }
        access::forget(data, |name| gone.contains(&reader_token(name)));
        Ok(staying)
    }

    /// What to seal to for somebody who had this key: the one that replaced it, if that is known here.
    async fn newest_key(&self, known: &Found) -> EncryptionPublic {
        let found = self.statements.here().find(&known.owner).await;
        let found = found.ok().and_then(|found| found.into_iter().next());
        let newest = found.unwrap_or_else(|| known.clone());
        match self.remember_keys(std::slice::from_ref(&newest)).await {
            Ok(()) => newest.key,
            Err(_) => known.key.clone(),
        }
    }
}

/// What a name and whoever it leads to are called among readers.
fn tokens_of(name: &str, found: Option<Vec<Found>>) -> BTreeSet<String> {
    let owners = found
        .into_iter()
        .flatten()
        .map(|found| reader_token(&found.owner));
    owners.chain([reader_token(name)]).collect()
}

/// Everybody whom the data names.
fn named(data: &Value) -> BTreeSet<String> {
    let wish = access::wish(data);
    wish.nodes.into_iter().chain(wish.readers).collect()
}

/// Adds names that are not there yet, however they are spelled.
fn add_names(data: &mut Value, names: impl Iterator<Item = String>) {
    let mut present: BTreeSet<String> = named(data).iter().map(|name| reader_token(name)).collect();
    let new: Vec<String> = names
        .filter(|name| present.insert(reader_token(name)))
        .collect();
    access::name_readers(data, new);
}

/// Whether a name is of somebody who reads through nodes: a user or an organization. A node reads what is wrapped for
/// it, and needs no name.
fn is_reader_name(name: &str) -> bool {
    !matches!(
        Name::read(name),
        Some(Name::NodeId(_) | Name::Alias { .. }) | None
    )
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
