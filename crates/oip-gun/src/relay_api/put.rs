//! `POST /put`: `{"soul": "…", "data": {…}}`.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use oip_node::Relay;
use oip_node::relay::{Arrays, Nested};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::{Form, Refusal};
use super::caller::Caller;
use super::router::RelayApi;
use crate::http::ReadBody;

/// The body of a put, read and not judged.
#[derive(Debug, Deserialize)]
struct PutRequest<'b> {
    #[serde(borrow)]
    soul: Option<Cow<'b, str>>,
    /// JSON; `None` also for null.
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

impl<'b> PutRequest<'b> {
    fn read(text: &'b str) -> Result<Self, Refusal> {
        // A list would be read as the members in their order.
        let is_object = text.trim_start().starts_with('{');
        match serde_json::from_str(text) {
            Ok(request) if is_object => Ok(request),
            Err(error) if !error.is_data() => Err(Refusal::bad_request("Invalid JSON")),
            _ => Err(Refusal::bad_request(
                "the body is not of the form {\"soul\": \"…\", \"data\": {…}}, each member once",
            )),
        }
    }

    fn soul(&self) -> Option<&str> {
        self.soul.as_deref().filter(|soul| !soul.is_empty())
    }

    /// The data as JSON; `None` for what JavaScript takes for nothing.
    fn data(&self) -> Option<&str> {
        let json = self.data?.get();
        let is_zero = json.parse::<f64>().is_ok_and(|number| number == 0.0);
        (!is_zero && !matches!(json, "false" | "\"\"")).then_some(json)
    }

    fn nested(&self, form: Form) -> Result<(String, Nested), Refusal> {
        if form == Form::Proxy && (self.soul().is_none() || self.data().is_none()) {
            return Err(Refusal::bad_request("soul and data required"));
        }
        let soul = self.soul().ok_or_else(|| {
            Refusal::bad_request("soul required: name the node that the data is for")
        })?;
        let data = self.data.map_or("null", RawValue::get);
        Ok((soul.to_owned(), Nested::read(data, soul, Arrays::Refused)?))
    }
}

/// Writes what a body says, and answers when it is durable.
pub(crate) async fn put_answer(
    relay: &Relay,
    body: ReadBody,
    from: Caller,
    form: Form,
) -> Response {
    match put(relay, body, from, form).await {
        Ok(soul) => form.json(&json!({"success": true, "soul": soul})),
        Err(refusal) => form.refusal(&refusal),
    }
}

async fn put(relay: &Relay, body: ReadBody, from: Caller, form: Form) -> Result<String, Refusal> {
    let read = tokio::task::spawn_blocking(move || PutRequest::read(&body.text)?.nested(form));
    let (soul, data) = read
        .await
        .map_err(|error| Refusal::failed("read the body", &error))??;
    relay.put(&soul, data, from.0).await?;
    Ok(soul)
}

pub(super) async fn route(
    State(api): State<RelayApi>,
    from: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match api.bodies.read(&headers, body).await {
        Ok(body) => put_answer(&api.relay, body, from, Form::Relay).await,
        Err(error) => Form::Relay.refusal(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn a_body_of_another_form_is_refused_and_says_how() {
        for (text, error) in [
            ("{bad", "Invalid JSON"),
            ("", "Invalid JSON"),
            ("{\"soul\":\"x\",\"data\":{}} x", "Invalid JSON"),
            ("[\"x\",{\"a\":1}]", "the body is not"),
            ("7", "the body is not"),
            ("null", "the body is not"),
            ("{\"soul\":7,\"data\":{}}", "the body is not"),
            (
                "{\"soul\":\"x\",\"soul\":\"y\",\"data\":{}}",
                "the body is not",
            ),
        ] {
            let refusal = PutRequest::read(text).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
            assert!(
                refusal.error.starts_with(error),
                "{text}: {}",
                refusal.error
            );
        }
    }

    #[test]
    fn members_that_are_not_known_are_passed_over() {
        let request = PutRequest::read(" {\"soul\":\"x\",\"data\":null,\"more\":[1]}").unwrap();
        assert_eq!((request.soul(), request.data()), (Some("x"), None));
    }

    #[test]
    fn the_api_port_asks_for_both_members_as_javascript_counts_them() {
        for (text, form, error) in [
            (
                "{\"soul\":\"x\",\"data\":0.0}",
                Form::Proxy,
                "soul and data required",
            ),
            (
                "{\"soul\":\"x\",\"data\":\"\"}",
                Form::Proxy,
                "soul and data required",
            ),
            (
                "{\"soul\":\"\",\"data\":{}}",
                Form::Proxy,
                "soul and data required",
            ),
            (
                "{\"soul\":\"x\",\"data\":\"0\"}",
                Form::Proxy,
                "Data at root",
            ),
            (
                "{\"soul\":\"x\",\"data\":false}",
                Form::Relay,
                "Data at root",
            ),
            ("{\"data\":{}}", Form::Relay, "soul required"),
        ] {
            let request = PutRequest::read(text).unwrap();
            let refusal = request.nested(form).unwrap_err();
            assert!(
                refusal.error.starts_with(error),
                "{text}: {}",
                refusal.error
            );
        }
    }
}
