//! `GET /get?soul=…`: a node.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use gun::Soul;
use oip_node::Relay;
use oip_node::relay::View;

use super::answer::{Form, Refusal};
use super::router::{RelayApi, parameter};

/// The soul that a query names.
pub(crate) fn soul_asked_for(query: Option<&str>, missing: &'static str) -> Result<Soul, Refusal> {
    let text = parameter(query, "soul").ok_or_else(|| Refusal::bad_request(missing))?;
    Soul::new(&*text)
        .map_err(|why| Refusal::bad_request(format!("the soul {text:?} can't be used: {why}")))
}

/// The node as `{"success": true, "data": {…}}`.
pub(crate) async fn node_answer(relay: &Relay, soul: &Soul, view: View, form: Form) -> Response {
    match relay.get(soul, view).await {
        Ok(Some(node)) => form.parts("{\"success\":true,\"data\":", node, "}").await,
        Ok(None) => form.refusal(&Refusal::not_found()),
        Err(error) => form.refusal(&error.into()),
    }
}

pub(super) async fn route(State(api): State<RelayApi>, RawQuery(query): RawQuery) -> Response {
    match soul_asked_for(query.as_deref(), "Soul parameter required") {
        Ok(soul) => node_answer(&api.relay, &soul, View::Graph, Form::Relay).await,
        Err(refusal) => Form::Relay.refusal(&refusal),
    }
}
