//! Who changes a record, and what is his to change.
//!
//! Owns that a user changes what names his key as its owner, and a machine what was published under its name; and that
//! a record's owner comes from the caller's token.

use gun::Soul;
use oip_record::Did;
use oip_store::{Op, RecordRow};
use oip_vault::access;
use serde_json::Value;

use super::private::PrivateError;
use super::{PublishError, Publisher};
use crate::soul_mark::soul_mark;
use crate::statements;
use crate::vault::{self, Shown};

/// Who changes a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A program of this machine without a token: public records only.
    Anyone,
    /// The node's operator.
    Operator,
    /// Who holds a token of scope `admin` with this name: the operator's deputy.
    Deputy(String),
    /// A machine with a token of scope `publish` with this name: it changes what was published under that
    /// name, and nothing else.
    Machine(String),
    /// The user with this key, who must own it.
    User(String),
}

impl Owner {
    /// Whether everything is permitted.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator | Self::Deputy(_))
    }

    /// Who it is, for the audit trail.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Deputy(name) => format!("token {name} (admin)"),
            Self::Machine(name) => format!("token {name} (publish)"),
            Self::User(key) => vault::reader_token(key),
        }
    }

    /// Puts a user's key into a record's access control as its owner.
    ///
    /// # Errors
    /// [`PrivateError::OwnerNamed`].
    pub(super) fn put_into(&self, data: &mut Value) -> Result<(), PrivateError> {
        match self {
            Self::User(key) => access::claim(data, key),
            Self::Machine(_) if !access::wish(data).makers.is_empty() => {
                return Err(PrivateError::OwnerNamed);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Publisher {
    /// Refuses a user who would change what another owns, and a machine what was not published under its name.
    pub(super) fn check_owner(
        &self,
        held: Option<&RecordRow>,
        owner: &Owner,
    ) -> Result<(), PublishError> {
        let Some(held) = held.filter(|row| !row.deleted && !owner.is_operator()) else {
            return Ok(());
        };
        if let Owner::Machine(name) = owner {
            let maker = self.store.cursor(&maker_mark(&held.soul))?;
            return match maker.is_some_and(|maker| maker == name.as_bytes()) {
                true => Ok(()),
                false => Err(PrivateError::NotOwner(Did::from_soul(&held.soul)).into()),
            };
        }
        let data = match self.vault.read(held) {
            Ok(Shown::Public(_)) if *owner == Owner::Anyone => return Ok(()),
            Ok(Shown::Public(mut document)) => document["data"].take(),
            Ok(Shown::Guarded(guarded)) => guarded.data,
            _ => Value::Null,
        };
        if owns(owner, &data) {
            Ok(())
        } else {
            Err(PrivateError::NotOwner(Did::from_soul(&held.soul)).into())
        }
    }

    /// Refuses the list of an organization's members to all but who may change the organization itself: every user
    /// publishes under the node's one key, which says nothing of whose list it is.
    pub(super) fn check_members_list(
        &self,
        soul: &Soul,
        owner: &Owner,
    ) -> Result<(), PublishError> {
        let Some(organization) = statements::organization_of(soul) else {
            return Ok(());
        };
        self.check_owner(self.store.record(&organization)?.as_ref(), owner)
    }

    /// What notes or takes back the mark of the machine that a record belongs to.
    pub(super) fn marked(
        &self,
        soul: &Soul,
        owner: &Owner,
        is_deleted: bool,
    ) -> Result<Option<Op>, PublishError> {
        let name = maker_mark(soul);
        let maker = match owner {
            Owner::Machine(maker) if !is_deleted => maker.clone().into_bytes(),
            // What comes after a tombstone is a record of whoever publishes it.
            _ if is_deleted && self.store.cursor(&name)?.is_some() => Vec::new(),
            _ => return Ok(None),
        };
        Ok(Some(Op::SetCursor { name, value: maker }))
    }
}

/// Whether a private record with this data is his to share and revoke.
pub(super) fn owns(owner: &Owner, data: &Value) -> bool {
    match owner {
        Owner::Anyone | Owner::Machine(_) => false,
        Owner::Operator | Owner::Deputy(_) => true,
        Owner::User(key) => access::wish(data)
            .owner
            .is_some_and(|owner| vault::reader_token(&owner) == vault::reader_token(key)),
    }
}

/// Names the mark that says under which machine's name a record was published.
fn maker_mark(soul: &Soul) -> String {
    soul_mark("maker:", soul)
}
