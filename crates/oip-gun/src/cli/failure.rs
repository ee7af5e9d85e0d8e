//! Reporting a failure: one message for people on stderr, and with `--json` the same as the error
//! form of the API on stdout.

use std::process::ExitCode;

use super::output::{self, Output};
use crate::api::ErrorBody;
use crate::client::ClientError;
use crate::settings::SettingsError;

/// Writes `error` and gives the exit code for it.
pub(super) fn report(error: &anyhow::Error, output: Output) -> ExitCode {
    let message = message(error);
    eprintln!("error: {}", output::printable(&message));
    if output == Output::Json {
        let body = ErrorBody {
            error: message,
            reason: reason(error).to_owned(),
        };
        // The message has reached stderr already; there is nobody else to tell.
        let _ = output::json(&body);
    }
    ExitCode::FAILURE
}

/// The error and its causes in one line.
fn message(error: &anyhow::Error) -> String {
    crate::api::causes(error.as_ref())
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
