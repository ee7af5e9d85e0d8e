//! Discovery and sync of other nodes' records.
//!
//! * [`judge`]: one candidate soul, from the graph to a decision; no network
//! * [`intake`]: works off the durable list of wanted souls: judge, fetch what is missing, keep
//! * [`settle`]: stores what follows from judgements, and says so
//! * [`heal`]: writes verified versions back over what others wrote in their place
//! * [`links`]: what is done with a peer while it is connected: subscribe, tell it our records
//! * [`log`]: how much is said about single records
//! * [`marks`]: what the deletion marks of deployed nodes do
//! * [`pull`]: deployed nodes that have to be asked over HTTP
//! * [`sweep`]: the safety net: asks every peer for its registry
//! * [`trust`]: whose records are taken
//! * [`uplink`]: gives own records to a dialled peer, in feed order, from a durable cursor
//!
//! Correctness rests on the wanted table, which the store fills in the commit that tells of a
//! record. Notices and pushes only make it fast.

pub(crate) mod decide;
pub(crate) mod heal;
pub(crate) mod intake;
pub(crate) mod judge;
pub(crate) mod links;
pub(crate) mod log;
pub(crate) mod marks;
mod origin;
pub(crate) mod owned;
pub(crate) mod pull;
pub(crate) mod settle;
pub(crate) mod sweep;
pub(crate) mod trust;
pub(crate) mod uplink;

use std::sync::Arc;

use gun::graph::Entry;
use gun::{Graph, Key, Node, Soul, State, Value};
use oip_record::Accepted;
use oip_store::{Change, Wanted};

use crate::config::{SyncMode, TypeFilter};
use crate::registry::{Notice, Registration, Registry};

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
            Notice::Type(_) | Notice::Mark { .. } | Notice::Statement => None,
            Notice::Record { soul, record_type } => Some(Wanted {
                soul,
                record_type,
                at_ms: None,
            }),
        }
    })
}

/// An accepted record as values of the graph, with what announces it, for records that no put brought.
/// All bear the record's own time as state: the same on every node, and never newer than what
/// its creator wrote since.
pub(crate) fn graph_of(
    registry: &Registry,
    accepted: &Accepted,
    node_id: &str,
    now_ms: u64,
) -> Graph {
    let at_ms = u64::try_from(accepted.order.at_ms).unwrap_or(0);
    // 0 is no state that peers take.
    let state = State::from_millis(at_ms.clamp(1, now_ms));
    let data = accepted
        .data_text
        .as_deref()
        .map_or(Value::Null, Value::text);
    let values = [("data", data), ("oip", Value::text(&*accepted.oip_text))];
    let values = values.into_iter();
    let values: Vec<(Key, Value)> = values
        .filter_map(|(key, value)| Some((Key::new(key).ok()?, value)))
        .collect();
    let announced = if accepted.deleted {
        registry.unregister(node_id, &accepted.record_type, &accepted.soul)
    } else {
        registry.register(&Registration {
            soul: &accepted.soul,
            record_type: &accepted.record_type,
            creator_public_key: &accepted.creator.public_key,
            node_id,
            at_ms: accepted.order.at_ms,
        })
    };
    // The entry of a node's own list is that node's to write.
    let announced = announced
        .into_iter()
        .filter(|(soul, _)| registry.node_of(soul.as_str()).is_none());
    let record: (Soul, Vec<(Key, Value)>) = (accepted.soul.clone(), values);
    std::iter::once(record)
        .chain(announced)
        .map(|(soul, values)| Node {
            soul,
            entries: values
                .into_iter()
                .map(|(key, value)| Entry { key, state, value })
                .collect(),
        })
        .collect()
}
