//! `GET /list?publisherHash=…`: the records whose souls begin with one prefix.

use std::ops::RangeInclusive;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use oip_node::relay::{LIST_MAX, LIST_OFFSET_MAX, Listing};

use super::answer::{Form, Refusal};
use super::caller::Caller;
use super::router::{RelayApi, parameter};

/// What the deployed relay shows where nothing is said.
const LIMIT_DEFAULT: usize = 50;

pub(super) async fn route(
    State(api): State<RelayApi>,
    from: Caller,
    RawQuery(query): RawQuery,
) -> Response {
    let listed = async {
        let listing = listing(query.as_deref())?;
        Ok::<_, Refusal>(api.relay.list(listing, from.0).await?)
    };
    match listed.await {
        Ok(records) => {
            Form::Relay
                .parts("{\"success\":true,\"records\":[", records, "]}")
                .await
        }
        Err(refusal) => Form::Relay.refusal(&refusal),
    }
}

fn listing(query: Option<&str>) -> Result<Listing, Refusal> {
    let publisher_hash = parameter(query, "publisherHash")
        .ok_or_else(|| Refusal::bad_request("publisherHash parameter required"))?;
    Ok(Listing {
        publisher_hash,
        record_type: parameter(query, "recordType"),
        offset: number(query, "offset", 0, 0..=LIST_OFFSET_MAX)?,
        limit: number(query, "limit", LIMIT_DEFAULT, 1..=LIST_MAX)?,
    })
}

fn number(
    query: Option<&str>,
    name: &str,
    default: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, Refusal> {
    let Some(text) = parameter(query, name) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            Refusal::bad_request(format!(
                "{name} is {text:?}: give a whole number from {} to {}",
                range.start(),
                range.end()
            ))
        })
}
