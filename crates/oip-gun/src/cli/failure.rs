//! Reporting a failure: one message for people on stderr, and with `--json` the same as the error
//! form of the API on stdout.

use std::process::ExitCode;

use super::output::{self, Output};
use crate::api::ErrorBody;
use crate::client::ClientError;
use crate::settings::SettingsError;

/// Writes `error` and gives the exit code for it.
pub(super) fn report(error: &anyhow::Error, output: Output) -> ExitCode {
    tell(error);
    if output == Output::Json {
        // The message has reached stderr already; there is nobody else to tell.
        let _ = output::json(&body(error));
    }
    ExitCode::FAILURE
}

/// Writes `error` for people.
pub(super) fn tell(error: &anyhow::Error) {
    let message = crate::api::causes(error.as_ref());
    eprintln!("error: {}", output::printable(&message));
}

/// `error` for programs.
pub(super) fn body(error: &anyhow::Error) -> ErrorBody {
    ErrorBody {
        error: crate::api::causes(error.as_ref()),
        reason: reason(error).to_owned(),
    }
}

fn reason(error: &anyhow::Error) -> &str {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        error.reason()
    } else if error.downcast_ref::<SettingsError>().is_some() {
        "settings"
    } else {
        "failed"
    }
}
