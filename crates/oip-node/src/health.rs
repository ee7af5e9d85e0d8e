//! What the node says of itself: the deployed shape of `/api/health/gun-sync` (`oip-formats` 7), and
//! links, lag and queues beside it.
//!
//! Health speaks of the present: an error of yesterday or a sweep long ago makes nothing red.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::node::IndexReport;
use crate::statements::Rival;
use crate::sync::trust::TrustStanding;

/// Errors younger than this make a node unhealthy.
const ERROR_MS_RECENT: i64 = 60_000;

/// Records waiting to be fetched, or changes waiting to be indexed, that count as stuck.
const BACKLOG_MAX: u64 = 10_000;

/// The whole report.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `gun-sync`.
    pub service: &'static str,
    /// `healthy` or `unhealthy`.
    pub status: &'static str,
    /// Whether discovery runs.
    pub running: bool,
    /// The node's id, or its alias.
    pub node_id: String,
    /// Why it is unhealthy, in words; empty when healthy.
    pub reasons: Vec<String>,
    /// Counters since start.
    pub metrics: SyncMetrics,
    /// What is in force.
    pub configuration: SyncSettings,
    /// What is held.
    pub registry: RegistryView,
    /// Every configured peer, and every node of this kind that dialled us.
    pub peers: Vec<PeerView>,
    /// How each name of `GUN_SYNC_TRUSTED_NODES` stands.
    pub trust: Vec<TrustStanding>,
    /// Nodes that claim the id or alias of another that private records are sealed to, since the start.
    pub rivals: Vec<Rival>,
    /// Record versions put aside since no trusted node made them, since the start.
    pub untrusted: u64,
    /// Records of others in the index that ask for privacy and that others published in clear.
    pub exposed: u64,
    /// Changes the index has yet to apply.
    pub index_lag: u64,
    /// Records discovered and not yet fetched.
    pub wanted: u64,
    /// How the index stands.
    pub index: IndexReport,
    /// Records refused and kept with their reason.
    pub quarantine: u64,
}

/// Counters of sync since start, as deployed dashboards read them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncMetrics {
    /// Record versions found.
    pub total_discovered: u64,
    /// Record versions verified and kept.
    pub total_synced: u64,
    /// Records refused.
    pub total_errors: u64,
    /// Kept of found, such as `99%`.
    pub success_rate: String,
    /// When the last sweep ended, ISO 8601.
    pub last_sync_time: Option<String>,
    /// How long ago, such as `25s ago`.
    pub last_sync_ago: Option<String>,
    /// How long the last sweep took, such as `12ms`.
    pub average_sync_time: String,
    /// Sweeps.
    pub sync_cycles: u64,
}

/// Settings that decide what is synced.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSettings {
    /// Whether records that others sealed to this node are opened.
    pub private_records_enabled: bool,
    /// Nodes that are trusted; empty means all.
    pub trusted_nodes: Vec<String>,
    /// Deployed nodes forget what they processed after a while; this one doesn't: 0.
    pub cache_max_age: u64,
    /// The same in minutes.
    pub cache_max_age_minutes: u64,
    /// Milliseconds between sweeps.
    pub sync_interval: u64,
}

/// What the registry and the store hold.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryView {
    /// As at the top.
    pub node_id: String,
    /// The root soul.
    pub registry_root: String,
    /// Records held that are not deleted.
    pub total_records_registered: u64,
    /// The same by type.
    pub records_by_type: BTreeMap<String, u64>,
}

/// One peer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// Its address, or where it connected from.
    pub address: String,
    /// `dialled`, `accepted`, or `pulled`: asked over HTTP, without a link to hold.
    pub direction: &'static str,
    /// `connected`, `connecting` or `refused`; of a pulled peer, `connected` means that the last question
    /// was answered.
    pub state: &'static str,
    /// The node behind it, once it said so.
    pub node_id: Option<String>,
    /// Since its last byte.
    pub last_heard_ago_ms: Option<u64>,
    /// Own records it has not acknowledged; only for peers we dial.
    pub lag_records: Option<u64>,
    /// How long the oldest of them waits, in seconds.
    pub lag_seconds: Option<u64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Attempts to connect since it last worked.
    pub attempts: u64,
    /// Bytes from it.
    pub bytes_in: u64,
    /// Bytes to it.
    pub bytes_out: u64,
}

/// What decides between healthy and not.
pub(crate) struct Present {
    pub sync_on: bool,
    pub now_ms: i64,
    pub last_error_ms: i64,
    pub index_lag: u64,
    pub index_trouble: Option<String>,
    pub wanted: u64,
    pub store_poisoned: bool,
}

/// Why a node is unhealthy at this moment; empty when it is healthy.
pub(crate) fn reasons(present: &Present, peers: &[PeerView]) -> Vec<String> {
    let mut reasons = Vec::new();
    let down = peers
        .iter()
        .filter(|peer| peer.direction != "accepted" && peer.state != "connected");
    for peer in down {
        let why = peer.last_error.as_deref().unwrap_or("not connected yet");
        reasons.push(format!("the link to {} is down: {why}", peer.address));
    }
    if present.store_poisoned {
        reasons.push("the store takes no writes: check the disk, then restart".to_owned());
    }
    if let Some(trouble) = &present.index_trouble {
        reasons.push(format!("the index does not work: {trouble}"));
    }
    if present.index_lag > BACKLOG_MAX {
        reasons.push(format!("the index is {} changes behind", present.index_lag));
    }
    if present.wanted > BACKLOG_MAX && present.sync_on {
        reasons.push(format!("{} records wait to be fetched", present.wanted));
    }
    if present.last_error_ms > 0 && present.now_ms - present.last_error_ms < ERROR_MS_RECENT {
        reasons.push(
            "records were refused within the last minute: see the log for their reasons".to_owned(),
        );
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> Present {
        Present {
            sync_on: true,
            now_ms: 1_000_000,
            last_error_ms: 0,
            index_lag: 0,
            index_trouble: None,
            wanted: 0,
            store_poisoned: false,
        }
    }

    #[test]
    fn an_old_error_does_not_make_a_node_unhealthy() {
        assert_eq!(reasons(&present(), &[]), Vec::<String>::new());
        assert_eq!(
            reasons(
                &Present {
                    last_error_ms: 100,
                    ..present()
                },
                &[]
            ),
            Vec::<String>::new()
        );
        assert_eq!(
            reasons(
                &Present {
                    last_error_ms: 999_000,
                    ..present()
                },
                &[]
            )
            .len(),
            1
        );
    }

    #[test]
    fn each_cause_is_named() {
        for (present, word) in [
            (
                Present {
                    store_poisoned: true,
                    ..present()
                },
                "store",
            ),
            (
                Present {
                    index_lag: BACKLOG_MAX + 1,
                    ..present()
                },
                "index",
            ),
            (
                Present {
                    wanted: BACKLOG_MAX + 1,
                    ..present()
                },
                "fetched",
            ),
        ] {
            let reasons = reasons(&present, &[]);
            assert!(
                reasons.len() == 1 && reasons[0].contains(word),
                "{reasons:?}"
            );
        }
    }
}
