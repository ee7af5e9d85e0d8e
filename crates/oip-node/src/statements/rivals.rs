//! Who claims what belongs to another: pointers in the registry are written by anybody, and the one that was proven
//! first keeps a name.
//!
//! Owns what is reported of it, since the start of this process. Bounded: what anybody can cause fills no memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Names of which a rival is kept: more than an operator would look at.
const NAMES_MAX: usize = 64;

/// A node that claims the name of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rival {
    /// The alias or node id that is claimed.
    pub name: String,
    /// The node that has it here: the first that proved it.
    pub node_id: String,
    /// The id of the other, which is not sealed to.
    pub claimed_by: String,
}

/// Those that were met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rivals(Arc<Mutex<BTreeMap<String, Rival>>>);

impl Rivals {
    pub(crate) fn note(&self, rival: Rival) {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() < NAMES_MAX || met.contains_key(&rival.name) {
            let before = met.insert(rival.name.clone(), rival.clone());
            if before.as_ref() != Some(&rival) {
                tracing::warn!(
                    name = rival.name,
                    holder = rival.node_id,
                    claimed_by = rival.claimed_by,
                    "another node claims this name, and is not sealed to"
                );
            }
        }
    }

    pub(crate) fn met(&self) -> Vec<Rival> {
        let met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.values().cloned().collect()
    }
}
