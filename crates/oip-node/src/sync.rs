//! Discovery and sync of other nodes' records.
//!
//! * [`judge`]: one candidate soul, from the graph to a decision; no network
//! * [`intake`]: works off the durable list of wanted souls: judge, fetch what is missing, keep
//! * [`settle`]: stores what follows from judgements, and says so
//! * [`heal`]: writes verified versions back over what others wrote in their place
//! * [`links`]: what is done with a peer while it is connected: subscribe, tell it our records
//! * [`sweep`]: the safety net: asks every peer for its registry
//! * [`uplink`]: gives own records to a dialled peer, in feed order, from a durable cursor
//!
//! Correctness rests on the wanted table, which the store fills in the commit that tells of a
//! record. Notices and pushes only make it fast.

pub(crate) mod heal;
pub(crate) mod intake;
pub(crate) mod judge;
pub(crate) mod links;
pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod uplink;

use std::sync::Arc;

use oip_store::{Change, Wanted};

use crate::config::{SyncMode, TypeFilter};
use crate::registry::{Notice, Registry};

/// The rule by which the store notes what must be looked at, inside the commit that brings it.
pub(crate) fn watch_rule(
    registry: Arc<Registry>,
    types: TypeFilter,
    mode: SyncMode,
) -> oip_store::Watch {
    if mode == SyncMode::Off {
        return Box::new(|_| None);
    }
    Box::new(move |change: &Change| {
        let notice = registry.notice(change.soul.as_str(), change.key.as_str(), &change.value)?;
        if !notice.is_wanted(&types) {
            return None;
        }
        match notice {
            Notice::Type(_) => None,
            Notice::Record { soul, record_type } => Some(Wanted {
                soul,
                record_type,
                at_ms: None,
            }),
        }
    })
}
