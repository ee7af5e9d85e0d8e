//! Which records belong into the index. Feeding it and comparing it with the store ask here, so that
//! they can't disagree.

use std::sync::Arc;

use oip_store::{ReadError, RecordRow};

use crate::config::TypeFilter;
use crate::sync::marks::Marks;
use crate::vault::{Shown, Vault};

/// What the index is to hold.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The types that the operator wants.
    pub(crate) types: TypeFilter,
    /// What deployed nodes marked as deleted.
    pub(crate) marks: Arc<Marks>,
    /// What this node may open.
    pub(crate) vault: Arc<Vault>,
}

impl Scope {
    /// Whether a record belongs into the index, if this node can open it.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn takes(&self, row: &RecordRow) -> Result<bool, ReadError> {
        Ok(!row.deleted && self.types.wants(&row.record_type) && self.marks.hides(row)?.is_none())
    }

    /// Whether a record is to be found in the index.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn holds(&self, row: &RecordRow) -> Result<bool, ReadError> {
        Ok(self.takes(row)? && !self.vault.is_left_out(row))
    }

    /// Whether a record goes into the index as one that not everybody may read. What can't be read does not
    /// go there at all.
    pub(crate) fn is_private(&self, row: &RecordRow) -> bool {
        matches!(
            self.vault.read(row),
            Ok(Shown::Guarded(_) | Shown::Closed { .. })
        )
    }
}
