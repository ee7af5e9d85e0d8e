//! The form of every answer: JSON, `{"error": "…"}` where something is refused or fails.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use oip_node::relay::{GetError, ListError, MediaError, NestedError, Parts, PutError};
use serde_json::{Value, json};

use crate::http::{BodyError, MIB};

/// How the two ports label and shape what they answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The relay port.
    Relay,
    /// `/gun-relay` on the API port: `success: false` stands beside every reason, but for requests
    /// that are malformed.
    Proxy,
}

impl Form {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Relay => "application/json",
            Self::Proxy => "application/json; charset=utf-8",
        })
    }

    /// 200 with `body`.
    pub(crate) fn json(self, body: &Value) -> Response {
        self.text(StatusCode::OK, body.to_string())
    }

    /// `status` with a text that is JSON.
    pub(crate) fn text(self, status: StatusCode, text: impl Into<Body>) -> Response {
        let headers = [(header::CONTENT_TYPE, self.content_type())];
        (status, headers, text.into()).into_response()
    }

    /// What was refused.
    pub(crate) fn refusal(self, refusal: &Refusal) -> Response {
        let mut body = json!({"error": refusal.error});
        if self == Self::Proxy && refusal.status != StatusCode::BAD_REQUEST {
            body["success"] = false.into();
        }
        let mut response = self.text(refusal.status, body.to_string());
        if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }

    /// 200 with `parts` between `before` and `behind`. A text of several parts is sent as they are
    /// read; if one can't be read the connection is cut, so that the client sees an error and
    /// not a part as the whole.
    pub(crate) async fn parts(
        self,
        before: &'static str,
        mut parts: Parts,
        behind: &'static str,
    ) -> Response {
        let first = match parts.next().await {
            Ok(first) => first.unwrap_or_default(),
            Err(error) => return self.refusal(&Refusal::failed("read what is stored", &error)),
        };
        if parts.is_one() {
            return self.text(StatusCode::OK, [before, &first, behind].concat());
        }
        let ready = Some(format!("{before}{first}"));
        let stream = try_unfold((ready, Some(parts)), move |(ready, parts)| async move {
            if let Some(ready) = ready {
                return Ok(Some((Bytes::from(ready), (None, parts))));
            }
            let Some(mut parts) = parts else {
                return Ok(None);
            };
            match parts.next().await {
                Ok(Some(part)) => Ok(Some((Bytes::from(part), (None, Some(parts))))),
                Ok(None) => Ok(Some((Bytes::from_static(behind.as_bytes()), (None, None)))),
                Err(error) => {
                    tracing::error!(%error, "failed to read on in an answer; the connection is cut");
                    Err(error)
                }
            }
        });
        self.text(StatusCode::OK, Body::from_stream(stream))
    }
}

/// What is answered in place of what was asked for.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub error: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
        }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found")
    }

    /// The node failed. Logged here, where it is handled.
    pub(crate) fn failed(action: &'static str, error: &dyn std::error::Error) -> Self {
        let causes = crate::api::causes(error);
        tracing::error!(action, causes, "a request to the relay failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the node failed to {action}: {causes}"),
        )
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too large: put the data in several parts, or publish large content as media",
            ),
            BodyError::NoRoom => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<NestedError> for Refusal {
    fn from(error: NestedError) -> Self {
        let status = match error {
            // What the deployed relay answers to what its gun.js refuses.
            NestedError::NotAnObject | NestedError::Array(_) => StatusCode::INTERNAL_SERVER_ERROR,
            NestedError::TooManyObjects | NestedError::TooManyValues => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<PutError> for Refusal {
    fn from(error: PutError) -> Self {
        use gun::wire::Reject;
        let status = match &error {
            PutError::Soul(..) | PutError::Key(..) => StatusCode::BAD_REQUEST,
            PutError::Refused(reject) => match reject {
                Reject::NotAdmitted => {
                    return Self::new(
                        StatusCode::FORBIDDEN,
                        "this relay does not take such souls: put records, registry entries or media, or have its operator set OIP_GUN_RELAY_ADMISSION=open",
                    );
                }
                Reject::Unverified => {
                    return Self::new(
                        StatusCode::FORBIDDEN,
                        "what lies there has to be signed together with its state: put it as a GUN peer, over the WebSocket at /gun",
                    );
                }
                Reject::Quota => StatusCode::TOO_MANY_REQUESTS,
                Reject::TooManyKeys { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::FORBIDDEN,
            },
            PutError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            PutError::Busy | PutError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            PutError::ClockBehind(_) => StatusCode::CONFLICT,
            _ => return Self::failed("store the data", &error),
        };
        Self::new(status, error.to_string())
    }
}

impl From<MediaError> for Refusal {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::NoId => Self::bad_request(error.to_string()),
            MediaError::Form(error) => error.into(),
            MediaError::Put(error) => error.into(),
            other => Self::failed("store the media entry", &other),
        }
    }
}

impl From<GetError> for Refusal {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Coming => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            other => Self::failed("read what is stored", &other),
        }
    }
}

impl From<ListError> for Refusal {
    fn from(error: ListError) -> Self {
        match error {
            ListError::TooMany => Self::bad_request(error.to_string()),
            ListError::Quota => Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
            ListError::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            other => Self::failed("list the records", &other),
        }
    }
}

/// What the fallbacks of the relay port answer.
pub(super) fn no_such_route() -> Response {
    Form::Relay.refusal(&Refusal::new(StatusCode::NOT_FOUND, "Endpoint not found"))
}

/// The room for bodies on the relay port: each as large as a frame of a peer, which holds the
/// largest record with every character escaped.
pub(super) const BODY_BYTES_MAX: usize = gun::wire::Limits::ACCEPTED.frame_bytes_max;

/// All bodies of the relay port together; what is made of a body takes up as much once more.
pub(super) const BODIES_BYTES_MAX: usize = 64 * MIB;
