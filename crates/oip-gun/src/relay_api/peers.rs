//! `GET /peers/status`: the configured peers in the deployed fields, and how each link really stands.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gun_net::{LinkPhase, LinkStatus};
use oip_record::Stamp;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;

use super::answer::Form;
use super::router::RelayApi;

pub(super) async fn route(State(api): State<RelayApi>) -> Response {
    let now_ms = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let now = Stamp::from_ms(i64::try_from(now_ms).unwrap_or(i64::MAX));
    let status = status(&api.relay.links(), api.relay.inbound_count(), now.as_str());
    // Laid out for people, as on deployed relays.
    Form::Relay.text(StatusCode::OK, format!("{status:#}"))
}

fn status(links: &[LinkStatus], accepted: usize, timestamp: &str) -> Value {
    let configured: Vec<&str> = links.iter().map(|link| link.label.as_str()).collect();
    let connected = links.iter().filter(|link| link.connected()).count();
    let peers: Vec<Value> = links.iter().map(peer).collect();
    json!({
        "configuredPeers": configured,
        "peerCount": configured.len(),
        "allowedDomains": domains(&configured),
        "isolationMode": if configured.is_empty() { "isolated" } else { "multi-node" },
        "multicastDisabled": true,
        "axeDisabled": true,
        "timestamp": timestamp,
        "connectedCount": connected,
        "acceptedCount": accepted,
        "peers": peers,
    })
}

fn peer(link: &LinkStatus) -> Value {
    json!({
        "address": link.label,
        "state": match &link.phase {
            LinkPhase::Connected => "connected",
            LinkPhase::Refused(_) => "refused",
            _ => "connecting",
        },
        "sinceMs": link.since_ms,
        "lastHeardMs": link.last_heard_ms,
        "lastError": link.last_error,
    })
}

/// The hosts that this node dials: it knows no other list of whom it may speak to.
fn domains(addresses: &[&str]) -> Vec<String> {
    let mut hosts: Vec<String> = addresses
        .iter()
        .filter_map(|address| Url::parse(address).ok()?.host_str().map(str::to_owned))
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
