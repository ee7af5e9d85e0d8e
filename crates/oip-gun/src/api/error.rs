//! The one form of every refusal: `{"error": "...", "reason": "label"}`. Deployed clients read
//! `error`; `reason` is for programs and never changes once given out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use oip_record::limits::DATA_BYTES_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{BodyError, MIB};

/// What a failed call answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What is wrong and what to do about it, for people.
    #[schema(example = "recordType is missing: name the record's type, as in ?recordType=post")]
    pub error: String,
    /// The same as a short, stable label, for programs.
    #[schema(example = "record-type-missing")]
    pub reason: String,
}

/// A refusal or a failure on its way to the caller.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

/// Seconds after which a caller may try again when the node is busy: the queue of a store that
/// commits in milliseconds is short again by then.
const RETRY_AFTER_SECONDS: &str = "1";

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
        }
    }

    /// 400: the request can't be understood or isn't allowed in this form.
    pub(super) fn bad_request(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, message)
    }

    /// 503: not now; the same request may work in a moment.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }

    /// 500: the node failed. Logged here, where it is handled; the caller gets the same text,
    /// with the chain of causes, because the operator is often the caller.
    pub(super) fn internal(action: &'static str, source: &dyn std::error::Error) -> Self {
        let causes = causes(source);
        tracing::error!(action, causes, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("the node failed to {action}: {causes}"),
        )
    }

    /// `message` and its causes in one line.
    pub(super) fn refused(
        status: StatusCode,
        reason: &'static str,
        source: &dyn std::error::Error,
    ) -> Self {
        Self::new(status, reason, causes(source))
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                format!(
                    "the body is larger than {} MiB, the most that a record may have: split it, or publish large content as media",
                    DATA_BYTES_MAX / MIB
                ),
            ),
            BodyError::NoRoom => Self::busy(error.to_string()),
            BodyError::Incomplete(_) => Self::bad_request("body-incomplete", error.to_string()),
            BodyError::NotText(_) => Self::bad_request("not-json", error.to_string()),
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some messages name their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: self.message,
            reason: self.reason.to_owned(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"oip-gun\""),
                );
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(
                    header::RETRY_AFTER,
                    HeaderValue::from_static(RETRY_AFTER_SECONDS),
                );
            }
            _ => {}
        }
        response
    }
}
