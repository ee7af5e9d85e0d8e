//! `/media/manifest` and `/media/presence`: what a file is, and who has it.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use oip_node::relay::Presence;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::{Form, Refusal};
use super::caller::Caller;
use super::router::{RelayApi, parameter};

pub(super) async fn put_manifest(
    State(api): State<RelayApi>,
    from: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let put = async {
        let body = api.bodies.read(&headers, body).await?;
        Ok::<_, Refusal>(api.relay.put_manifest(&body.text, from.0).await?)
    };
    match put.await {
        Ok(manifest) => Form::Relay
            .json(&json!({"success": true, "mediaId": manifest.id, "soul": manifest.soul})),
        Err(refusal) => Form::Relay.refusal(&refusal),
    }
}

pub(super) async fn manifest(State(api): State<RelayApi>, RawQuery(query): RawQuery) -> Response {
    let Some(id) = parameter(query.as_deref(), "id") else {
        return Form::Relay.refusal(&Refusal::bad_request("mediaId parameter required"));
    };
    match api.relay.manifest(&id).await {
        Ok(Some(manifest)) => Form::Relay.text(StatusCode::OK, manifest),
        Ok(None) => {
            let refusal = Refusal::new(StatusCode::NOT_FOUND, "Manifest not found");
            Form::Relay.refusal(&refusal)
        }
        Err(error) => Form::Relay.refusal(&Refusal::failed("read the manifest", &error)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PresenceBody<'b> {
    #[serde(borrow)]
    media_id: Option<Cow<'b, str>>,
    #[serde(borrow)]
    peer_id: Option<Cow<'b, str>>,
    #[serde(borrow)]
    protocols: Option<&'b RawValue>,
    #[serde(borrow)]
    endpoints: Option<&'b RawValue>,
}

fn named(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

pub(super) async fn put_presence(
    State(api): State<RelayApi>,
    from: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let put = async {
        let body = api.bodies.read(&headers, body).await?;
        let given: PresenceBody<'_> = serde_json::from_str(&body.text).map_err(|error| {
            Refusal::bad_request(match error.is_data() {
                true => "mediaId and peerId have to be texts",
                false => "Invalid JSON",
            })
        })?;
        let (Some(media_id), Some(peer_id)) = (
            named(given.media_id.as_deref()),
            named(given.peer_id.as_deref()),
        ) else {
            return Err(Refusal::bad_request("mediaId and peerId required"));
        };
        let presence = Presence {
            media_id,
            peer_id,
            protocols: given.protocols,
            endpoints: given.endpoints,
        };
        Ok::<_, Refusal>(api.relay.put_presence(presence, from.0).await?)
    };
    match put.await {
        Ok(()) => Form::Relay.json(&json!({"success": true})),
        Err(refusal) => Form::Relay.refusal(&refusal),
    }
}
