//! `POST /api/records/sealLegacy`: seals anew what is private and lies in clear or under a scheme of the past.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use gun::Soul;
use oip_node::{Reseal, ResealReport};
use serde_json::Value;

use super::super::callers::IsAdmin;
use super::super::error::{ApiError, ErrorBody};
use super::super::parameters::Parameters;
use super::super::state::ApiState;
use super::new_record::not_written;

/// Seal private records that are not
///
/// Those that this node's creator key made and that deployed nodes wrote in clear or encrypted by one of the old
/// schemes. One go; `next` says where the next one begins. Whoever had such a record could read it.
#[utoipa::path(
    post,
    path = "/api/records/sealLegacy",
    tag = "records",
    params(
        ("dryRun" = Option<bool>, Query, description = "`true`: only tell"),
        ("after" = Option<String>, Query, description = "`next` of the go before")
    ),
    responses(
        (status = 200, description = "`{found, legacy, sealed, left: [{did, why}], next}`", body = Object),
        (status = 400, description = "Malformed", body = ErrorBody),
        (status = 401, description = "Needs the admin token", body = ErrorBody)
    ),
    security(("admin_token" = []))
)]
pub(in super::super) async fn seal(
    _: IsAdmin,
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let parameters = Parameters::read(query.as_deref(), &["dryRun", "after"])?;
    let mode = match parameters.get("dryRun") {
        Some("true" | "1") => Reseal::DryRun,
        None | Some("false" | "0") => Reseal::Write,
        Some(_) => {
            return Err(ApiError::bad_request(
                "bad-parameter",
                "dryRun is neither true nor false".to_owned(),
            ));
        }
    };
    let after = parameters.get("after").map(Soul::new).transpose();
    let after =
        after.map_err(|error| ApiError::refused(StatusCode::BAD_REQUEST, "bad-soul", &error))?;
    let node = state.node.clone();
    let report: ResealReport = state
        .writes
        .spawn(async move { node.reseal(after, mode).await })
        .await
        .map_err(|error| ApiError::internal("seal private records", &error))?
        .map_err(|error| not_written("seal private records", &error))?;
    serde_json::to_value(report)
        .map(Json)
        .map_err(|error| ApiError::internal("tell what was sealed", &error))
}
