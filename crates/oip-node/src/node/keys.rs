//! A node's keys and its audit trail, as operators ask for them; and what a change of keys or settings
//! does to the records that are sealed.

use std::sync::Arc;

use oip_store::{Op, Store, Transaction, Wanted};
use oip_vault::audit::{Action, Entry as AuditEntry};

use super::{Node, ReadError, off_reactor};
use crate::audit::AuditReport;
use crate::clock;
use crate::keyring::{self, KeyringError};
use crate::publish::Owner;
use crate::statements::OwnStatementError;
use crate::vault::{self, Vault};

impl Node {
    /// The ids of the node's encryption keys, the current one first.
    #[must_use]
    pub fn encryption_keys(&self) -> Vec<String> {
        let ring = self.inner.scope.vault.ring();
        std::iter::once(ring.current())
            .chain(ring.retired())
            .map(|key| key.id().to_owned())
            .collect()
    }

    /// What a backup of this node is made of.
    #[must_use]
    pub fn backup(&self) -> crate::backup::Source {
        crate::backup::Source {
            store: self.inner.store.clone(),
            node_id: self.inner.identity.node_id(),
            creator: self.inner.key.creator().did_address.clone(),
        }
    }

    /// The node's own id and its signing key's public text.
    #[must_use]
    pub fn identity(&self) -> (String, String) {
        let identity = &self.inner.identity;
        (identity.node_id(), identity.public().to_owned())
    }

    /// Replaces the encryption key: later records are sealed to a new one, and what was sealed to the
    /// old one stays readable. Gives the new key's id. The audit trail names the caller.
    ///
    /// # Errors
    /// [`RotateError`].
    pub async fn rotate_encryption_key(&self, caller: &Owner) -> Result<String, RotateError> {
        let inner = &self.inner;
        if inner.config.private.encryption_key.is_some() {
            return Err(RotateError::Given);
        }
        let mut ring = (*inner.scope.vault.ring()).clone();
        ring.rotate(keyring::new_encryption_key()?)
            .map_err(RotateError::Ring)?;
        // Durable before anybody hears of it.
        keyring::write_encryption_keys(&inner.key_folder, &ring)?;
        let id = ring.current().id().to_owned();
        inner.scope.vault.set_ring(ring);
        let alias = inner.config.node_id_override.as_deref();
        let creators = vec![inner.key.creator().did_address.clone()];
        let graph = inner
            .statements
            .publish_own(&inner.identity, &inner.scope.vault.ring(), alias, creators)
            .await?;
        for peer in inner.peers.dialled() {
            let (hub, graph) = (inner.statements.hub.clone(), graph.clone());
            inner.accepting_tasks.spawn(async move {
                hub.tell(peer, graph).await;
            });
        }
        *inner
            .introduction
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = graph;
        remember_fingerprint(&inner.store, &inner.scope.vault).await?;
        let rotated = oip_vault::audit::Event {
            action: Action::Rotated,
            did: String::new(),
            key_id: id.clone(),
            caller: caller.label(),
            reason: "asked for".to_owned(),
            count: 1,
        };
        inner.audit.note(rotated).await;
        Ok(id)
    }

    /// Entries of the audit trail after a number, at most a thousand.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails.
    pub async fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, ReadError> {
        let audit = Arc::clone(&self.inner.audit);
        off_reactor(move || Ok(audit.entries(after, limit)?)).await
    }

    /// Has the audit trail say that an operator's search found so many private records.
    pub fn note_found(&self, caller: &Owner, count: u64) {
        if count > 0 {
            self.inner.audit.note_found(caller.label(), count);
        }
    }

    /// Checks the whole audit trail.
    ///
    /// # Errors
    /// [`ReadError`] if the store fails.
    pub async fn verify_audit(&self) -> Result<AuditReport, ReadError> {
        let audit = Arc::clone(&self.inner.audit);
        off_reactor(move || Ok(audit.verify()?)).await
    }
}

/// Why the encryption key was not replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// It comes from outside.
    #[error(
        "the encryption key comes from GUN_NODE_ENCRYPTION_KEY: change it there; what was sealed to the old one stays readable if that one stands in keys/encryption.json of the data folder"
    )]
    Given,
    /// The ring is full.
    #[error(transparent)]
    Ring(oip_vault::keys::EncryptionKeyError),
    /// The file could not be written.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The statement could not be written.
    #[error(transparent)]
    Statement(#[from] OwnStatementError),
}

/// Records that are looked at in one go when keys or settings have changed.
const RECONSIDERED_PAGE: usize = 1_000;

/// Reasons of refusals that other settings, or another version of this program, may see otherwise.
const RECONSIDERED: [&str; 2] = ["exposed-private", "sealed"];

/// Names which keys and settings the index was filled with.
const FINGERPRINT: &str = "vault-fingerprint";

/// Has every private record looked at again if other keys or settings are in force than the last time: a
/// key that arrived opens what is here already, and what may not be shown any more goes. What was refused
/// for lying in clear, or under an old scheme, is judged anew.
pub(super) async fn reconsider_sealed(
    store: &Store,
    vault: &Vault,
) -> Result<(), OwnStatementError> {
    let before = store.cursor(FINGERPRINT)?;
    if before.as_deref() == Some(&*vault.fingerprint()) {
        return Ok(());
    }
    if before.is_some() {
        let (head, mut at) = (store.feed_head(), 0);
        while at < head {
            let page = store.feed(at, RECONSIDERED_PAGE)?;
            let Some((last, _)) = page.last() else { break };
            let mut ops = Vec::new();
            for (seq, soul) in page.iter().filter(|(seq, _)| *seq <= head) {
                if let Some(row) = store.record(soul)?
                    && row.seq == *seq
                    && (vault::is_sealed(&row) || vault::is_exposed(&row))
                {
                    ops.push(Op::PutRecord(row));
                }
            }
            at = *last;
            if !ops.is_empty() {
                store.commit(Transaction { ops }, clock::wall_ms()).await?;
            }
        }
    }
    let mut after = None;
    loop {
        let page = store.quarantine(after.as_ref(), RECONSIDERED_PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.soul.clone());
        let ops: Vec<Op> = page
            .into_iter()
            .filter(|row| RECONSIDERED.contains(&row.reason.as_str()))
            .map(|row| {
                Op::WantedAdd(Wanted {
                    soul: row.soul,
                    record_type: row.record_type,
                    at_ms: None,
                })
            })
            .collect();
        if !ops.is_empty() {
            store.commit(Transaction { ops }, clock::wall_ms()).await?;
        }
    }
    remember_fingerprint(store, vault).await
}

async fn remember_fingerprint(store: &Store, vault: &Vault) -> Result<(), OwnStatementError> {
    let op = Op::SetCursor {
        name: FINGERPRINT.to_owned(),
        value: vault.fingerprint(),
    };
    store
        .commit(Transaction::from(op), clock::wall_ms())
        .await?;
    Ok(())
}
