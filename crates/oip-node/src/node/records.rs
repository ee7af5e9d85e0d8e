//! Records as callers of a node publish, read, share, search and delete them. Owns who may see which;
//! how a version is made and kept is `publish`'s.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::Arc;

use gun::Soul;
use oip_index::{Access, Condition, Page, Query};
use oip_record::{Did, Submission};
use oip_vault::audit::Action;

use super::{Node, ReadError, off_reactor};
use crate::key_owners;
use crate::publish::{
    AccessChange, AccessChanged, DeleteError, Deleted, Owner, PublishError, Published, Reseal,
    ResealReport, event,
};
use crate::statements;
use crate::vault::{self, Shown};

impl Node {
    /// Publishes a record, or a new version of one. When this returns, it is durable, found by
    /// [`Self::get`], and on its way to peers and into the index.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing of it was written.
    pub async fn publish(&self, submission: Submission) -> Result<Published, PublishError> {
        self.publish_as(submission, &Owner::Operator).await
    }

    /// The same for a user, who becomes the owner.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing of it was written.
    pub async fn publish_as(
        &self,
        submission: Submission,
        owner: &Owner,
    ) -> Result<Published, PublishError> {
        self.inner.publisher.publish(submission, owner).await
    }

    /// Takes a record that its maker sealed himself, as it lies on the graph.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing of it was written.
    pub async fn publish_sealed(
        &self,
        did: &Did,
        data: String,
        oip: String,
    ) -> Result<Published, PublishError> {
        let soul = did.soul().clone();
        self.inner.publisher.publish_sealed(soul, data, oip).await
    }

    /// Keeps the record by which a user names an encryption key, as it lies on the graph: it is used for what is sealed
    /// from now on.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing of it was written.
    pub async fn keep_user_key(
        &self,
        did: &Did,
        data: String,
        oip: String,
    ) -> Result<(), PublishError> {
        self.inner.publisher.keep_user_key(did, data, oip).await
    }

    /// Shares a private record with more readers, or seals it anew for fewer.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing was changed.
    pub async fn change_access(
        &self,
        did: &Did,
        change: AccessChange,
        owner: &Owner,
    ) -> Result<AccessChanged, PublishError> {
        self.inner.publisher.change_access(did, change, owner).await
    }

    /// Seals anew what is private and lies in clear or under a scheme of the past, where this node holds the
    /// key that made it: one go, behind the record at `after`.
    ///
    /// # Errors
    /// [`PublishError`] if the store can't be read. A record that stays as it is is none; the report tells.
    pub async fn reseal(
        &self,
        after: Option<Soul>,
        mode: Reseal,
    ) -> Result<ResealReport, PublishError> {
        self.inner.publisher.reseal(after, mode).await
    }

    /// What a user may see beside public records: what names his key, or is wrapped for an encryption key that
    /// he has proven to have.
    pub async fn access_of(&self, public_key: &str) -> Access {
        let mut tokens = BTreeSet::from([vault::reader_token(public_key)]);
        // From what is here: a search waits for no peer.
        if let Ok(found) = self.inner.statements.here().find(public_key).await
            && found.iter().any(|found| found.is_proven)
            && self.inner.publisher.remember_keys(&found).await.is_err()
        {
            tracing::warn!("failed to remember whose an encryption key is");
        }
        let ids = key_owners::ids_of(&self.inner.store, public_key).unwrap_or_default();
        tokens.extend(ids.iter().map(|id| vault::key_token(id)));
        tokens.extend(self.memberships(public_key).await);
        Access::Readers(tokens)
    }

    /// The organizations whose owners have signed that the holder of this key is a member.
    async fn memberships(&self, public_key: &str) -> Vec<String> {
        let members = oip_index::FieldPath::from_str(statements::MEMBERS_FIELD)
            .expect("a constant path is a path");
        let query = Query {
            limit: oip_index::query::PAGE_HITS_MAX,
            ..Query::of(Condition::All(vec![
                Condition::record_types([statements::MEMBERS_TYPE]),
                Condition::exact(members, vault::spellings(public_key)),
            ]))
        };
        let Ok(page) = self.search(query).await else {
            return Vec::new();
        };
        let mut organizations = Vec::new();
        for hit in page.hits {
            let named = &hit.document["data"][statements::MEMBERS_TYPE]["organization"];
            let Some(name) = named.as_str() else { continue };
            // The index found who says so; the owner's signature on the list is what counts.
            let here = self.inner.statements.here();
            let signed = match Did::parse(name) {
                Ok(did) => here.members(&did, name).await,
                Err(_) => continue,
            };
            let names_him = |members: BTreeSet<String>| {
                let token = vault::reader_token(public_key);
                members
                    .iter()
                    .any(|name| vault::reader_token(name) == token)
            };
            if signed.is_ok_and(names_him) {
                organizations.push(vault::reader_token(name));
            }
        }
        organizations
    }

    /// Deletes a record of this node's creator: a signed tombstone takes its place everywhere.
    ///
    /// # Errors
    /// [`DeleteError`]; then nothing was changed.
    pub async fn delete(&self, did: &Did) -> Result<Deleted, DeleteError> {
        self.delete_as(did, &Owner::Operator).await
    }

    /// The same for a user, who must own the record.
    ///
    /// # Errors
    /// [`DeleteError`]; then nothing was changed.
    pub async fn delete_as(&self, did: &Did, owner: &Owner) -> Result<Deleted, DeleteError> {
        self.inner.publisher.delete(did, owner).await
    }

    /// A public record in index form, read from the store; `None` if it is unknown, deleted, private, or hidden by a
    /// deletion mark.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails.
    pub async fn get(&self, did: &Did) -> Result<Option<serde_json::Value>, ReadError> {
        self.get_as(did, &Access::public()).await
    }

    /// The record as this caller may see it. The operator is shown ciphertext where there is nothing
    /// else; to others what they may not read does not exist.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails.
    pub async fn get_as(
        &self,
        did: &Did,
        access: &Access,
    ) -> Result<Option<serde_json::Value>, ReadError> {
        self.get_for(did, access, &Owner::Operator).await
    }

    /// The same for a caller who has a name in the audit trail.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails.
    pub async fn get_for(
        &self,
        did: &Did,
        access: &Access,
        caller: &Owner,
    ) -> Result<Option<serde_json::Value>, ReadError> {
        let (inner, did, access) = (Arc::clone(&self.inner), did.clone(), access.clone());
        let caller = caller.label();
        off_reactor(move || {
            let Some(row) = inner.store.record(did.soul())?.filter(|row| !row.deleted) else {
                return Ok(None);
            };
            if inner.scope.marks.hides(&row)?.is_some() {
                return Ok(None);
            }
            let shown = inner
                .scope
                .vault
                .read(&row)
                .map_err(|source| ReadError::Damaged {
                    did: did.clone(),
                    source,
                })?;
            Ok(match shown {
                Shown::Public(document) => Some(document),
                Shown::Guarded(guarded) if vault::may_see(&access, &guarded.readers) => {
                    if access == Access::Everything {
                        let read = event(
                            Action::AdminRead,
                            &did,
                            &guarded.key_id,
                            &caller,
                            "read by DID",
                        );
                        inner.audit.note_later(read);
                    }
                    Some(guarded.document)
                }
                Shown::Closed { document, .. } if access == Access::Everything => Some(document),
                Shown::Guarded(_) | Shown::Closed { .. } => None,
            })
        })
        .await
    }

    /// Whether a private record is held that this caller may not see.
    pub(crate) fn is_kept_from(
        &self,
        did: &Did,
        access: &Access,
    ) -> Result<bool, oip_store::ReadError> {
        let Some(row) = self.inner.store.record(did.soul())? else {
            return Ok(false);
        };
        if *access == Access::Everything {
            return Ok(false);
        }
        Ok(match self.inner.scope.vault.read(&row) {
            Ok(Shown::Public(_)) => false,
            Ok(Shown::Guarded(guarded)) => !vault::may_see(access, &guarded.readers),
            Ok(Shown::Closed { .. }) => true,
            // What can't be read of it can't be private by what it says.
            Err(_) => vault::is_sealed(&row),
        })
    }

    /// Searches the index.
    ///
    /// # Errors
    /// [`ReadError`] if the query is out of bounds or the index fails.
    pub async fn search(&self, query: Query) -> Result<Page, ReadError> {
        let index = Arc::clone(&self.inner.index);
        let search = move || index.search(&query);
        self.inner.searches.run(search).await
    }

    /// The types of the records that this caller may see, with their numbers, and the number of all.
    ///
    /// # Errors
    /// [`ReadError`] if the index fails.
    pub async fn record_types(
        &self,
        access: &Access,
    ) -> Result<(Vec<(String, u64)>, u64), ReadError> {
        let (index, access) = (Arc::clone(&self.inner.index), access.clone());
        let count = move || index.record_types(&access);
        let types = self.inner.searches.run(count).await?;
        let total = types.iter().map(|(_, count)| count).sum();
        Ok((types, total))
    }
}
